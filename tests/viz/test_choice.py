"""What a link can hold, and what it cannot do."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tme_viz.allowed_files import Places
from tme_viz.choice import SIZES, Choice, Event
from tme_viz.pair import Pair, pick_arms
from tme_viz.words import message

from tme_abm.foundation.errors import InputError
from tme_abm.mechanisms import BY_NAME
from tme_abm.scenario.kinds import load_trial

names = st.sampled_from(sorted(BY_NAME))
days = st.integers(0, 3000).map(lambda n: n / 4)
events = st.builds(Event, days, st.integers(0, 1), st.just("switch"), names, st.sampled_from([0.0, 1.0])) | st.builds(
    Event, days, st.integers(0, 1), st.just("dose"), st.sampled_from(["isatuximab", "pomalidomide"]), st.sampled_from([0.0, 0.5, 2.0])
)
choices = st.builds(
    Choice,
    scenario=st.sampled_from(["combinations", "icaria"]),
    patient=st.sampled_from(["typical", "cd38_low", "0", "17"]),
    arms=st.sampled_from([("isa-pd", "pd"), ("pd", "pd")]),
    without=st.tuples(st.frozensets(names, max_size=3), st.frozensets(names, max_size=3)),
    size=st.sampled_from(SIZES),
    changes=st.sampled_from([(), ('arms.isa-pd.doses[0].dose="20 mg/kg"', 'arms.isa-pd.doses[0].days="1, 8"')]),
    events=st.lists(events, max_size=4).map(lambda found: tuple(sorted(found, key=lambda e: e.day))),
    day=days,
)


@given(choices)
def test_a_link_reopens_the_same_choice(choice):
    assert Choice.read(choice.query()) == choice


def test_a_link_that_says_little_keeps_the_rest():
    plain = Choice(scenario="icaria", arms=("isa-pd", "pd"), size=32)
    assert Choice.read("", plain) == plain
    done = replace(plain, without=(frozenset({"adcc"}), frozenset()), events=(Event(1.0, 0, "switch", "adcp", 0.0),), day=2.0)
    assert Choice.read("", done) == done and Choice.read("language=it&day=1", done) == replace(done, day=1.0)
    assert Choice.read(plain.query(), done) == plain  # a link to a pair says all that was changed in it
    assert Choice.read("patient=elderly", plain).size == 32
    assert Choice.read("scenario=ikema", plain).arms == ("", "")  # the arms of one scenario mean nothing in another


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("patient=typcal", "did you mean 'typical'"),
        ("patient=-3", "neither a preset nor a number"),
        ("patient=99999999", "must be below"),
        ("size=65", "choose one of 32, 64, 128, 256"),
        ("size=many", "size: choose one of"),
        ("without_a=adccc", "did you mean 'adcc'"),
        ("day=-1", "not between 0"),
        ("day=nan", "not between 0"),
        ("event=1~a~switch~adcc", "is no event"),
        ("event=1~a~switsh~adcc~0", "did you mean 'switch'"),
        ("event=1~a~dose~isatuximab~1e9", "between 0 and 10"),
        ("event=1~a~dose~isatuximab~nan", "between 0 and 10"),
        ("set=population=/etc/passwd.toml", "neither dose nor days nor cycles"),
        ('set=drugs.folder="/etc"', "neither dose nor days nor cycles"),
        ('set=arms.pd.doses[0].drug="x"', "neither dose nor days nor cycles"),
    ],
)
def test_a_bad_link_is_refused_in_words(query, words):
    with pytest.raises(InputError, match=words):
        Choice.read(query)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "results:../x", "results:..", "results:", "icaria.toml", "results:link"])
def test_no_other_file_can_be_opened(tmp_path, name):
    outside = tmp_path / "x"
    results = tmp_path / "results"
    for folder in (outside, results):
        folder.mkdir()
    for file in ("scenario.toml", "summary.json"):
        (outside / file).write_text("{}")
    (results / "link").symlink_to(outside, target_is_directory=True)
    with pytest.raises(InputError, match=r"there (is|are) no"):
        Places(results).scenario(name)


def test_runs_are_the_finished_ones(tmp_path):
    for name, files in (("done", ("scenario.toml", "summary.json")), ("half", ("scenario.toml",))):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("")
    places = Places(tmp_path)
    assert list(places.runs()) == ["done"]
    assert places.scenario("results:done") == tmp_path / "done" / "scenario.toml"
    assert Places(tmp_path / "nowhere").runs() == {}


def test_only_trials_are_offered(tmp_path, monkeypatch):
    results = tmp_path / "results"
    for name, text in (("trial", ""), ("said", 'kind = "trial"'), ("assay", 'kind = "assay"'), ("broken", "kind = ")):
        (tmp_path / f"{name}.toml").write_text(text)
        (results / name).mkdir(parents=True)
        (results / name / "scenario.toml").write_text(text)
        (results / name / "summary.json").write_text("{}")
    files = {path.stem: path for path in tmp_path.glob("*.toml")}
    monkeypatch.setattr("tme_viz.allowed_files.scenarios", lambda *_: files)
    places = Places(results)
    assert set(places.scenarios()) == set(places.runs()) == {"trial", "said"}
    with pytest.raises(InputError, match="there is no scenario 'assay'"):
        places.scenario("assay")
    (tmp_path / "trial.toml").write_text('kind = "xenograft"  # the file has changed')
    assert set(places.scenarios()) == {"said"}


def test_a_laboratory_experiment_is_not_opened(tmp_path):
    from tme_viz.launch import main

    file = tmp_path / "killing.toml"
    file.write_text('kind = "assay"')
    with pytest.raises(InputError, match="no trial"):
        main(str(file), open_browser=False)


BAD_LINKS = [
    "size=64.5", "size=77", "arms=isa-pd", "arms=a,b,c", "arms=isa-pd,pdd", "day=soon", "day=nan", "event=x", "event=9999~a~switch~adcc~0",
    "event=1~a~swich~adcc~0", "event=1~a~switch~adc~0", "event=1~a~dose~isatuximab~nan", "event=1~b~dose~isatuximab~0.5", "patient=typcal",
    f"patient={'9' * 5000}", "patient=2000000", "without_a=adc", "set=seed%3D1", "scenario=icari", "scenario=results:none",
    "&".join(f"event={i}" for i in range(600)), "&".join(f"event={i % 50}~a~switch~adcc~0" for i in range(501)),
]  # fmt: skip


@pytest.mark.parametrize("query", BAD_LINKS, ids=lambda query: query[:30])
def test_what_is_wrong_with_a_link_is_said_in_italian_too(query):
    with pytest.raises(InputError) as told:
        choice = Choice.read(query)
        study = load_trial(Places().scenario(choice.scenario))
        arms = {arm.key: arm for arm in study.arms}
        left, right = pick_arms(choice, study)
        for event in choice.events:
            Pair.check(SimpleNamespace(study=study, regimens=(arms[left], arms[right])), event)
    said = message(str(told.value), "it")
    assert "inglese" not in said and said != message(str(told.value), "en") == str(told.value)


def test_an_unknown_message_stays_and_is_called_english():
    assert message("RuntimeError: x", "it") == "RuntimeError: x (messaggio del modello, in inglese)"
    assert message("there is no arm 'x'; did you mean 'pd'?", "it") == "non c'è un braccio 'x'; forse 'pd'?"
