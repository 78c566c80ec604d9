"""The pages that are made for the site, without building it: .ci/run does that, with every link checked."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

import tme_abm
from docs_site import drugs, links, mechanisms, offline, reference, seminar, sources
from tme_abm.foundation.mechanism import Mechanism, Phase
from tme_abm.foundation.references import keys
from tme_abm.marrow.quantities import quantities
from tme_abm.mechanisms import MECHANISMS
from tme_abm.pharmacology.drug import load_drug
from tme_abm.scenario.kinds import load_trial

ROOT = Path(__file__).parents[2]


def test_links_lead_from_page_to_page():
    there = {
        "calibration.md",
        "contributing.md",
        "catalogue/drugs/isatuximab.md",
        "catalogue/mechanisms/adcc.md",
        "images/live.png",
        "index.md",
    }
    text = (
        "[a](calibration.md#round-4) [b](../CONTRIBUTING.md) [c](../tme_abm/pharmacology/drugs/isatuximab.toml) "
        "[d](../tme_abm/cli/graph.py) [e](https://example.org) ![f](images/live.png)"
    )
    assert links.rewrite(text, "evidence.md", there) == (
        "[a](calibration.md#round-4) [b](contributing.md) [c](catalogue/drugs/isatuximab.md) "
        "d (`tme_abm/cli/graph.py` in the source) [e](https://example.org) ![f](images/live.png)"
    )
    assert links.rewrite("[a](docs/calibration.md) [b](LICENSE)", "index.md", there) == "[a](calibration.md) b (`LICENSE` in the source)"
    assert links.rewrite("[a](../../tme_abm/mechanisms/adcc.py)", "tutorials/x.md", there) == "[a](../catalogue/mechanisms/adcc.md)"
    fenced = "```\n[a](../nowhere.py)\n```\n"
    assert links.rewrite(fenced, "evidence.md", there) == fenced


@pytest.mark.parametrize("m", MECHANISMS, ids=lambda m: m.name)
def test_the_page_of_a_mechanism_says_all_of_it(m):
    page = mechanisms.page(m)
    assert m.summary in page and "<math" in page and f"--without {m.name}" in page
    assert all(f"`{name}`" in page for name in (*m.reads, *m.writes, *m.Params._fields))


def test_evidence_is_told_of_mechanisms_and_statements_that_there_are():
    assert set(mechanisms.EVIDENCE_OF) == {m.name for m in MECHANISMS}
    known = {row[0] for row in mechanisms.evidence()}
    assert len(known) > 50 and {row for rows in mechanisms.EVIDENCE_OF.values() for row in rows} <= known


@pytest.mark.parametrize("name", [drug.name for drug in mechanisms.drugs()])
def test_half_lives_are_those_of_the_kinetics(name):
    """The slow half-life is the one with which a dose fades in the end, where nothing but the linear path acts."""
    import numpy as np

    from tme_abm.pharmacology.regimen import Dose, Regimen

    drug = load_drug(name)
    p = drugs.course(drug, drugs.alone(drug)[0][2]).kinetics(name)
    h = drugs.half_life(p)
    assert h.fast <= h.slow
    rates = np.linalg.eigvals(np.array([[-(h.out + h.over), h.back], [h.over, -h.back]]))
    assert h.slow == pytest.approx(np.log(2.0) / min(-r.real for r in rates if abs(r) > 1e-12), rel=1e-6)
    if drug.model == "small_molecule":
        course = drugs.course(drug, Regimen("once", "once", 28, (Dose(name, 10.0, "mg", (1,), 1, 1),)))
        slow = max(h.slow, np.log(2.0) / p.absorption_rate if p.absorption_rate > 0.0 else 0.0)
        step = slow / 4.0
        seen = course.advance(160, step).concentration[:, 0]
        late = next(i for i in range(60, 8, -1) if seen[i + 4] > 1e-9)
        assert np.log(2.0) * 4.0 * step / np.log(seen[late] / seen[late + 4]) == pytest.approx(slow, rel=0.05)


def test_published_exposure_names_drugs_and_sources_that_there_are():
    for drug in mechanisms.drugs():
        for row in drugs.published(drug):
            assert row["source"] in keys() and row["what"] in ("peak", "area", "trough")
    assert {row["drug"] for row in drugs._rows()} <= {drug.name for drug in mechanisms.drugs()}


def test_an_area_is_dose_over_clearance():
    drug = load_drug("carfilzomib")
    given = 56.0 * drugs.typical().bsa_m2
    expected = given / drugs.course(drug, drugs.alone(drug)[0][2]).kinetics("carfilzomib").clearance
    assert drugs.simulated(drug, {"what": "area", "dose": "56 mg/m2", "hours": 24}) == pytest.approx(expected, rel=0.01)


def test_every_public_name_has_its_place_in_the_reference():
    told = [name for _, names in reference.groups().values() for name in names]
    assert sorted(told) == sorted(name for name in tme_abm.__all__ if name != "__version__")


def test_a_source_reads_as_a_sentence():
    for key in sources.entries():
        said = sources.sentence(key)
        assert not re.search(r"[{}\\]", said) and said.endswith("."), said
    assert sources.sentence("attal2019").startswith("Attal, Michel, Richardson, Paul G., Rajkumar, S. Vincent and others. Isatuximab plus")


def test_a_source_without_known_authors_begins_with_its_title():
    assert sources.sentence("pharmaceutics2025").startswith("Non-competitive binding") and sources.sentence("cytometry2018").endswith(
        ", 2018."
    )
    assert all(sources.sentence(key)[0] not in " ." for key in sources.entries())


def test_calibration_is_a_link_to_the_round_that_is_named():
    there = "site:calibration.md#round-3-phagocytosis-before-adcc-and-what-dexamethasone-takes-from-nk-cells"
    assert sources.linked("an assumption (docs/calibration.md, round 3).") == f"an assumption ([calibration, round 3]({there}))."
    assert re.search(r"\[calibration\]\(site:calibration\.md#[\w-]*fit[\w-]*\)", sources.linked("agents, docs/calibration.md |"))


@pytest.mark.parametrize("m", MECHANISMS, ids=lambda m: m.name)
def test_the_page_of_a_mechanism_sets_a_number_that_can_be_set(m):
    command = mechanisms.setting(m)
    if not m.Params._fields:
        assert command == ""
        return
    _, scenario, change = re.fullmatch(r'tme run ((\w+) --set "(.+)")', command).groups()
    before, after = load_trial(scenario), load_trial(scenario, [change])
    assert before.resolved != after.resolved and f'--set "{change}"' in mechanisms.page(m)


def test_evidence_of_a_mechanism_says_what_its_tests_are_worth():
    adcc = next(m for m in MECHANISMS if m.name == "adcc")
    assert ["X15", "Stroma protects from drugs, not from ADCC and CDC.", "built in", "holds"] in mechanisms.bearing_on(adcc)


def test_the_kit_tells_all_that_a_marrow_holds_and_where_it_may_be_written():
    page = reference.kit()
    for name in quantities():
        bundle, _, member = name.partition(".")
        shown = f"marrow.body.gauge[Gauge.{member}]" if bundle == "gauge" else f"marrow.{name}"
        assert name == "cells" or bundle == "hazard" or f"| `{shown}` |" in page, name
    assert "| `marrow.contacts.nk` | (sites,) | 1 | NK cells, by their granzyme | `prepare` in `Phase.MOTION` |" in page
    assert "by potency | - |" in page and all(f"`Phase.{phase.name}`" in page for phase in Phase)
    assert all(f"| `{field.name}` |" in page for field in dataclasses.fields(Mechanism))


@pytest.mark.parametrize("language", ["en", "it"])
def test_a_hand_out_has_all_that_a_lesson_says(language):
    for key, lesson in seminar.lessons().items():
        page, text = seminar.hand_out(key, language), lesson[language]
        assert text["question"] in page and all(option in page for option in text["options"]) and lesson["link"] in page
        assert not re.search(r"\{\w+", page), key  # what the model measures is left to be filled in


def test_what_a_site_loads_from_the_network_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="https://example.org">no</a><script src="https://cdn.example.org/x.js"></script>'
        '<link rel="stylesheet" href="//fonts.example.org/f.css">'
    )
    (tmp_path / "b.css").write_text("@import 'https://example.org/c.css'; p { background: url(local.png) }")
    assert [address for _, address in offline.loads(tmp_path)] == [
        "https://cdn.example.org/x.js",
        "//fonts.example.org/f.css",
        "https://example.org/c.css",
    ]


def test_the_version_stands_in_one_place():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == tme_abm.__version__
    assert 'dynamic = ["version"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_every_extra_is_used():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(project["optional-dependencies"]) - {"test", "lint", "bench", "docs"}
    places = [
        path
        for top in ("tme_abm", "viz", "docs", "README.md")
        for path in ([ROOT / top] if (ROOT / top).is_file() else (ROOT / top).rglob("*.*"))
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places if path.suffix in (".py", ".md", ".toml"))
    by_others = {"networkx": "solaraviz"}  # Mesa's own page imports it without asking for it
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            name = re.split(r"[<>=\[ ;]", requirement)[0].replace("-", "_")
            assert by_others.get(name) == extra or re.search(rf"\b{name}\b", text), f"nothing uses {requirement} of the extra {extra}"
