"""Every number names a source that stands in references.bib.

A source reads "key", "key: remark" or "key; key: remark".
"""

import re
from pathlib import Path

import pytest

import tme_abm
from tme_abm.foundation.declare import GRADES, notes
from tme_abm.mechanisms import MECHANISMS
from tme_abm.outcomes import clinic, imwg
from tme_abm.pharmacology.drug import catalogue, load_drug
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import scenarios
from tme_abm.trial.provenance import describe_run
from tme_abm.trial.study import Study

BIB = (Path(tme_abm.__file__).parent / "foundation" / "references.bib").read_text(encoding="utf-8")
KEYS = re.findall(r"^@\w+\{([^,]+),", BIB, re.MULTILINE)
KEY = re.compile(r"[a-z][a-z0-9_]*")


def keys(source):
    """The keys of a source; a part that is no key comes back as it stands."""
    return [part.split(":")[0].strip() for part in source.split("; ")]


def unknown(sources):
    return sorted({key for source in sources for key in keys(source)} - set(KEYS))


def unsaid(origins):
    """Assumptions that cite a paper and do not say what of it is assumed; each of `origins` is (name, source, grade)."""
    return sorted(name for name, source, grade in origins if grade == "A" and set(keys(source)) - {"tme_abm"} and "assumed" not in source)


def test_no_entry_stands_twice_and_each_has_title_and_year():
    assert len(set(KEYS)) == len(KEYS)
    entries = re.split(r"^@", BIB, flags=re.MULTILINE)[1:]
    assert len(entries) == len(KEYS)
    for entry in entries:
        kind, key = re.match(r"(\w+)\{([^,]+),", entry).groups()
        assert KEY.fullmatch(key)
        assert "title = {" in entry, key
        assert entry.count("{") == entry.count("}"), key
        assert "year = {" in entry or kind == "misc", key


@pytest.mark.parametrize("name", list(scenarios()))
def test_every_number_of_a_study_has_a_source(name):
    study = load_scenario(name)
    rows = describe_run(study)["parameters"] if isinstance(study, Study) else study.origins()
    assert unknown(row["source"] for row in rows) == []
    assert {row["grade"] for row in rows} <= set(GRADES)
    assert unsaid((row["name"], row["source"], row["grade"]) for row in rows) == []


@pytest.mark.parametrize("name", list(scenarios("trial")))
def test_every_published_figure_has_a_source(name):
    assert unknown(row["source"] for row in load_scenario(name).published) == []


@pytest.mark.parametrize("name", catalogue())
def test_every_number_of_a_drug_has_a_source(name):
    origins = load_drug(name).origins()
    assert unknown(origin.source for origin in origins.values()) == []
    assert unsaid((place, origin.source, origin.grade) for place, origin in origins.items()) == []


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda m: m.name)
def test_every_default_of_a_mechanism_has_a_source(mechanism):
    declared = notes(mechanism.Params)
    assert unknown(note.source for note in declared.values()) == []
    assert unsaid((name, note.source, note.grade) for name, note in declared.items()) == []


def test_every_number_of_the_response_criteria_has_a_source():
    assert unknown(note.source for block in (imwg.Params, clinic.Params) for note in notes(block).values()) == []


def test_an_assumption_that_cites_a_paper_says_what_is_assumed():
    rows = [
        ("a", "krejcik2016", "A"),
        ("b", "krejcik2016: Breg go first, the rate is assumed", "A"),
        ("c", "tme_abm", "A"),
        ("d", "fau2020", "V"),
    ]
    assert unsaid(rows) == ["a"]
