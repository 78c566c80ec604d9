"""The pages that are made for the site, without building it: .ci/run does that, with every link checked."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest
import yaml

import tme_abm
from docs_site import drugs, links, mechanisms, offline, populations, reference, seminar, sources
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


def test_the_reference_says_how_a_model_and_a_cell_are_made():
    page = reference.made()["reference/mesa.md"]
    said = page.partition("## `TumourModel`")[2].partition("\n## ")[0]
    for name, parameter in inspect.signature(tme_abm.TumourModel).parameters.items():
        assert re.search(rf"^    {name}: .* = {re.escape(repr(parameter.default))},$", said, re.MULTILINE), name
    assert "merge_init_into_class: true" in said  # which puts the meaning of each below
    assert "## `MarrowCell`" in page and "::: tme_abm.mesa_model.agents.MarrowCell" in page
    assert "\nNKCell(model: MarrowModel, cell: Any = None, **values: float)\n" in page
    assert "read_table(path: Path) -> pd.DataFrame" in reference.made()["reference/tables.md"]


def test_the_reference_gives_attributes_of_a_model_types_of_their_own():
    """Griffe shows an attribute that nobody annotates with the type of the one before it."""
    griffe = pytest.importorskip("griffe", reason="the site is made with griffe, which is not installed")
    of_model = griffe.load("tme_abm.mesa_model.model", search_paths=[str(ROOT)])["TumourModel"]
    (section,) = (s for s in of_model.docstring.parse("google") if s.kind.value == "attributes")
    types = {item.name: str(item.annotation) for item in section.value}
    assert types["datacollector"] == "DataCollector" and types["is_collecting"] == "bool" and types["seed"] == "int"
    assert "Lock" in types["lock"] or "ContextManager" in types["lock"]


def test_the_tutorial_says_which_versions_of_mesa_the_package_takes():
    [low, high] = re.search(r'"mesa>=([\d.]+),<(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")).groups()
    said = (ROOT / "docs" / "tutorials" / "02_mesa.md").read_text(encoding="utf-8")
    assert f"Mesa from {low} on, below {high}." in said


def test_no_link_is_called_by_the_file_of_a_page():
    """On the site it leads to a page, which has a title and no file."""
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
    named = re.compile(r"\[`?[\w/]+\.md`?\]\([^)\s]+\.md\)")
    found = [(page.name, link) for page in pages for link in named.findall(page.read_text(encoding="utf-8"))]
    assert found == []


def test_a_source_reads_as_a_sentence():
    for key in sources.entries():
        said = sources.sentence(key)
        assert not re.search(r"[{}\\]", said) and said.endswith(".") and said[0].isalnum(), said
    assert sources.sentence("attal2019").startswith("Attal, Michel, Richardson, Paul G., Rajkumar, S. Vincent and others. Isatuximab plus")


def test_a_source_without_known_authors_begins_with_its_title():
    assert sources.sentence("pharmaceutics2025").startswith("Non-competitive binding") and ", 2018." in sources.sentence("cytometry2018")
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
        front, back = page.split('<div class="next-side">')  # printed, the answer stands on the back
        assert text["question"] in front and text["why"] in back and text["why"] not in front
        assert f"(site:lessons/{key}.html?language={language})" in front and seminar.LIMITS[language][key] in back
    assert set(seminar.LIMITS[language]) == set(seminar.lessons())


@pytest.mark.parametrize("language", ["en", "it"])
def test_every_lesson_of_the_kit_has_its_file_for_a_phone(language):
    kit = seminar.index(language)
    assert [key for key in seminar.lessons() if f"(site:lessons/{key}.html?language={language})" not in kit] == []
    assert [key for key in seminar.lessons() if not (ROOT / "docs" / "lessons" / f"{key}.html").is_file()] == []


def test_who_teaches_is_led_to_the_kit_and_to_the_files_for_a_phone():
    """From the first page, the page of the live page and the page of the lessons, on the site too."""
    there = {"seminar/en/index.md", "lessons.md", "live_page.md", "lessons/killing.html"}
    for page, file in (("index.md", "README.md"), ("live_page.md", "docs/live_page.md"), ("lessons.md", "docs/lessons.md")):
        text = links.rewrite((ROOT / file).read_text(encoding="utf-8"), page, there)
        assert "(seminar/en/index.md)" in text and ("#on-a-phone)" in text)
    assert "(lessons/killing.html?language=it)" in text


def test_a_link_keeps_what_it_asks_for():
    there = {"lessons/killing.html", "cite.md"}
    made = links.rewrite("[a](site:lessons/killing.html?language=it#x)", "seminar/it/index.md", there)
    assert made == "[a](../../lessons/killing.html?language=it#x)"
    assert links.rewrite("[a](lessons/killing.html?language=it)", "lessons.md", there) == "[a](lessons/killing.html?language=it)"
    assert links.rewrite("[a](docs/lessons/killing.html?language=it)", "index.md", there) == "[a](lessons/killing.html?language=it)"


def test_what_is_of_use_in_a_clone_only_is_not_on_the_site():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "`make docs`" in text and "`make docs`" not in links.rewrite(text, "index.md", set())


def test_a_population_is_told_with_its_key_and_one_patient_as_one():
    assert 'population = "icaria"' in populations.page("icaria") and "middle halves" in populations.page("icaria")
    typical = populations.page("typical")
    assert 'population = "typical"' in typical and "middle halves" not in typical and "Every patient of it is this one" in typical
    assert all(f"| `{name}` |" in populations.made()["catalogue/populations/index.md"] for name in ("icaria", "typical", "mm003"))


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
