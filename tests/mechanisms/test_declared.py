"""What mechanisms declare: names, rest, words, their place in the step, and all that they read and write, seen while they act."""

import inspect
import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tme_abm.foundation.declare import at_rest, notes
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import ACTS, Group, Mechanism, Phase, Words, in_order
from tme_abm.foundation.twin import Twins
from tme_abm.marrow import contact, fate, field_age
from tme_abm.marrow.quantities import MADE_OF, UNNAMED, passing, quantities, resting
from tme_abm.marrow.state import Body, Gauge
from tme_abm.mechanisms import BY_NAME, MECHANISMS, declared, step
from tme_abm.mechanisms.outside.hooks import make_hooks

names = pytest.mark.parametrize("name", list(BY_NAME))


@cache
def seen(name):
    return declared.measure(BY_NAME[name])


@cache
def marrow():
    return declared.specimen(1, Twins())


class NoParams(NamedTuple):
    """None."""


class On(NamedTuple):
    """Which of two are on; their parameters as well."""

    one: bool
    two: bool
    outside: None = None


def made_up(**changes):
    given = {"name": "made_up", "Params": NoParams, "label": "Made up", "summary": "Nothing.", "group": Group.IMMUNE}
    return Mechanism(**{**given, "reads": (), "writes": (), **changes})


# ---- names and words -------------------------------------------------------------------------------------------------


@names
def test_what_is_declared_has_a_name_and_a_place_in_the_step(name):
    declared.check_names(BY_NAME[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reads": ("cells.granzym",)}, "'made_up' reads 'cells.granzym'.*did you mean 'cells.granzyme'"),
        ({"writes": ("gauge.CD61",)}, "'made_up' writes 'gauge.CD61'.*did you mean 'gauge.CD16'"),
        ({"writes": ("gauge.CD16",), "rest": ("gauge.NK_ARMED",)}, "puts 'gauge.NK_ARMED' to rest, which it does not write"),
        ({"rest": {"prepares": part}}, "rests in 'prepares', which is no act; did you mean 'prepare'"),
        ({"prepare": part}, "no phase"),
        ({"phase": Phase.DRUGS}, "a phase and prepares nothing"),
    ],
)
def test_a_wrong_declaration_is_refused_with_the_right_word(changes, message):
    with pytest.raises(InputError, match=message):
        declared.check_names(made_up(**changes))
    declared.check_names(made_up(writes=("hazard.OWN",)), extra=("hazard.OWN",))


@names
def test_a_mechanism_has_words_in_both_languages(name):
    mechanism = BY_NAME[name]
    english, italian = mechanism.words("en"), mechanism.words("it")
    assert english == mechanism.words() == (mechanism.label, mechanism.summary)
    for said in (english, italian):
        assert re.fullmatch(r"\S.{1,29}", said.label) and re.fullmatch(r"[A-Z].*\.", said.summary)
    assert mechanism.italian is not None and italian.summary != english.summary
    assert all(mechanism.group.label(language) for language in ("en", "it"))


def test_labels_are_told_apart_and_every_group_has_a_mechanism():
    for language in ("en", "it"):
        assert len({m.words(language).label for m in MECHANISMS}) == len(MECHANISMS)
        assert len({g.label(language) for g in Group}) == len(Group)
    assert {m.group for m in MECHANISMS} == set(Group)


def test_without_italian_words_the_english_ones_are_said():
    assert made_up().words("it") == ("Made up", "Nothing.")
    assert made_up(italian=Words("Inventato", "Niente.")).words("it").label == "Inventato"


# ---- rest ------------------------------------------------------------------------------------------------------------


@names
def test_what_lasts_goes_to_rest_where_its_mechanism_is_off(name):
    """All that it writes and that lasts: it goes back to rest, or a kernel says what happens instead."""
    mechanism = BY_NAME[name]
    lasting = [q for q in mechanism.writes if q.startswith(("gauge.", "fields.", "body.clone")) and quantities()[q].lasts]
    if isinstance(mechanism.rest, tuple):
        assert lasting == list(mechanism.rest)
    else:
        assert lasting == [] and all(getattr(mechanism, act) is not None for act in mechanism.rest)


def test_a_quantity_goes_back_to_its_declared_rest():
    twins = Twins()
    one = declared.specimen(2, twins)
    one.body.gauge[:], one.fields.il6[:], one.body.clone_cd38[:] = 7.0, 7.0, 7.0
    twins.of(resting(("gauge.CRAWL_BLOCK", "gauge.FIELD_AGE", "fields.il6", "body.clone_cd38")))(one, None, None)
    assert one.body.gauge[Gauge.CRAWL_BLOCK] == 0.0 and math.isinf(one.body.gauge[Gauge.FIELD_AGE])
    assert (one.fields.il6 == 1.0).all() and (one.body.clone_cd38 == 1.0).all()
    assert np.count_nonzero(one.body.gauge == 7.0) == len(Gauge) - 2


def test_the_step_begins_by_putting_to_rest_what_lasts_for_a_step_only():
    twins = Twins()
    one = declared.specimen(3, twins)
    one.body.gauge[:] = 7.0
    for column in (*one.body[1:], one.drugs.occupancy):
        column[:] = 7
    twins.of(step.forget_last_step)(one, make_hooks([], 0, [], 0), None)
    for gauge in Gauge:
        assert one.body.gauge[gauge] == (7.0 if gauge.lasts else gauge.rest)
    rest = at_rest(Body)
    for name, note in notes(Body).items():
        if name != "gauge":
            assert (getattr(one.body, name) == (7 if note.lasts else getattr(rest, name))).all(), name
    assert not one.drugs.occupancy.any()
    assert {f"gauge.{g.name}" for g in Gauge if not g.lasts} < set(passing())


@names
def test_nothing_that_lasts_for_a_step_only_is_said_to_be_left(name):
    rest = BY_NAME[name].rest
    assert all(quantities()[q].lasts for q in rest) if isinstance(rest, tuple) else set(rest) <= set(ACTS)


def test_every_gauge_says_unit_and_meaning():
    assert all(g.unit and g.meaning for g in Gauge)
    assert [int(g) for g in Gauge] == list(range(len(Gauge)))


# ---- the step --------------------------------------------------------------------------------------------------------


def runs(composed):
    """The kernels that a composed one calls, in their order."""
    function = composed.py_func
    return [function.__globals__[name] for name in function.__code__.co_names if re.fullmatch(r"\w+_\d+", name)]


def test_the_step_runs_what_each_mechanism_declares_once_and_nothing_else():
    prepared = step.prepare_drugs, step.prepare_fields, step.prepare_effectors, step.prepare_motion, step.prepare_arrival
    phases = dict(zip(Phase, prepared, strict=True))
    composed = {("prepare", phase): kernel for phase, kernel in phases.items()} | {
        ("ceiling", None): step.add_ceilings,
        ("hazard", None): step.add_hazards,
    }
    for (act, phase), kernel in composed.items():
        expected = []
        for m in MECHANISMS:
            if phase is not None and m.phase is not phase:
                continue
            if getattr(m, act) is not None:
                expected.append(getattr(m, act))
            if isinstance(m.rest, dict) and act in m.rest:
                expected.append(m.rest[act])
            elif act == "prepare" and m.rest:
                expected.append("puts to rest")
        own = {id(k) for m in MECHANISMS for k in (*(getattr(m, a) for a in ACTS), *(m.rest.values() if isinstance(m.rest, dict) else ()))}
        assert [k if id(k) in own else "puts to rest" for k in runs(kernel)] == expected


def test_a_mechanism_acts_where_it_is_on_and_rests_where_it_is_off():
    did = []

    def says(word):
        return part(lambda marrow, p, tick: did.append(word))

    one = made_up(name="one", prepare=says("one acts"), phase=Phase.DRUGS, rest={"prepare": says("one rests")})
    two = made_up(name="two", prepare=says("two acts"), phase=Phase.DRUGS)
    run = Twins().of(in_order("prepare", [two, one], step.at_rest, says("outside")))
    for on, expected in (
        (On(True, True), ["two acts", "one acts", "outside"]),
        (On(False, True), ["two acts", "one rests", "outside"]),
        (On(False, False), ["one rests", "outside"]),
    ):
        did.clear()
        run(None, on, on, None)
        assert did == expected


def test_the_step_goes_through_its_pieces_in_their_order_and_each_composed_kernel_stands_in_one():
    called = step.step.py_func.__code__.co_names
    assert [name for name in called if name in step.PIECES] == list(step.PIECES)
    held = [name for piece in step.PIECES.values() for name in piece.py_func.__code__.co_names]
    composed = ("prepare_drugs", "prepare_fields", "prepare_effectors", "prepare_motion", "add_ceilings", "add_hazards", "prepare_arrival")
    assert [name for name in held if name in composed] == list(composed)


def test_the_step_reads_as_biology_and_names_no_mechanism():
    source = Path(inspect.getsourcefile(step)).read_text(encoding="utf-8")
    code = re.sub(r'""".*?"""', "", source, flags=re.S)
    assert not re.findall(rf"\b({'|'.join(BY_NAME)})\b", code, flags=re.I) and "Gauge" not in code
    lines = inspect.getsource(step.step.py_func).strip().splitlines()
    assert len(lines[lines.index(next(line for line in lines if '"""' in line)) + 1 :]) <= 15


def test_fields_are_solved_before_contacts_are_made_in_the_memory_of_their_solver():
    """What is lent (`state.share_memory`) would be overwritten by a solve later in the step."""
    solves = {name for name in BY_NAME if any("grid" in touched.reads for touched in seen(name).values())}
    assert solves == {"adenosine", "interleukin6", "chemokine"} and {BY_NAME[name].phase for name in solves} == {Phase.FIELDS}
    order = step.step.py_func.__code__.co_names
    assert order.index("fields_spread") < order.index("cells_move") < order.index("draw_fates")
    for m in MECHANISMS:
        if {"contacts.nk", "contacts.t_cell", "contacts.phagocyte"} & {*m.reads, *m.writes}:
            assert m.phase is Phase.MOTION


# ---- what is really read and written ---------------------------------------------------------------------------------


@names
def test_a_mechanism_touches_what_it_declares_and_nothing_else(name):
    assert declared.undeclared(BY_NAME[name], seen(name)) == []
    assert declared.unused(BY_NAME[name], seen(name)) == []
    assert all(touched.writes for touched in seen(name).values())


@names
def test_every_single_declaration_is_needed(name):
    """Left out it is found missing, each in turn; what a mechanism writes it may read without saying so."""
    mechanism = BY_NAME[name]
    written = set(declared.expanded(mechanism.writes))
    for what in ("reads", "writes"):
        for one in getattr(mechanism, what):
            fewer = tuple(n for n in getattr(mechanism, what) if n != one)
            found = {finding.name for finding in declared.undeclared(replace(mechanism, **{what: fewer}), seen(name))}
            assert found == set(declared.expanded((one,))) - set(declared.expanded(fewer)) - (written if what == "reads" else set())


@names
def test_a_declaration_that_never_happens_is_found(name):
    mechanism = BY_NAME[name]
    more = replace(mechanism, reads=(*mechanism.reads, "host.secretion"), writes=(*mechanism.writes, "gauge.M_PROTEIN"))
    assert declared.unused(more, seen(name)) == ["reads host.secretion", "writes gauge.M_PROTEIN"]


def reads_too_much(marrow, p, tick):
    """A rule of the user's."""
    for s in range(marrow.cells.kind.size):
        if marrow.cells.kind[s] == 2 and marrow.fields.il6[s] > 0.5:
            marrow.cells.activity[s] = 1.0


def writes_too_late(marrow, p, tick):
    for k in range(marrow.n_at_risk[0]):
        if marrow.at_risk.kind[k] == 2:
            marrow.cells.activity[marrow.at_risk.site[k]] = 0.0


def test_an_undeclared_read_is_refused_with_file_and_line():
    given = {"phase": Phase.EFFECTORS, "prepare": part(reads_too_much), "writes": ("cells.activity",)}
    declared.check_acts(made_up(**given, reads=("cells.kind", "fields.il6")))
    line = inspect.getsourcelines(reads_too_much)[1] + 3
    with pytest.raises(
        InputError, match=rf"^{re.escape(__file__)}:{line}: mechanism 'made_up' reads fields.il6, which it does not declare"
    ):
        declared.check_acts(made_up(**given, reads=("cells.kind",)))


def test_what_acts_on_cells_at_risk_changes_nothing_else():
    """Cells at risk are a chance sample: what is done to others on their way would depend on the ceilings."""
    mechanism = made_up(hazard=part(writes_too_late), writes=("cells.activity",))
    line = inspect.getsourcelines(writes_too_late)[1] + 3
    with pytest.raises(InputError, match=rf":{line}: mechanism 'made_up' in hazard writes cells.activity"):
        declared.check_acts(mechanism)


def test_what_the_marrow_makes_of_quantities_is_as_said():
    twins, found = Twins(), {}
    kind = marrow().cells.kind
    for site in np.flatnonzero(kind == 1)[:4]:
        acts = (
            (fate.enrol, (0, int(site), 0.5)),
            (contact.meet, (0,)),
            (field_age.follow, (declared.NOW,)),
        )
        for kernel, args in acts:
            touched = found.setdefault(kernel, declared.Touched())
            one = declared.Touched()
            twins.of(kernel)(declared.Watch(marrow(), one, "", declared.NONE), *args)
            touched.add(one)
    read, written = ({n for t in found.values() for n in getattr(t, what)} for what in ("reads", "writes"))
    assert set(MADE_OF) <= written
    made = {n for n in written if n.startswith(("at_risk.", "gauge.")) and n not in UNNAMED and n not in MADE_OF}
    assert made == {"at_risk.adherence", "gauge.SOLVED_OUTPUT"}  # put to rest; and known to nobody else
    sources = {n for names in MADE_OF.values() for n in names}
    assert sources <= read
    others = {n for n in read if n not in sources and n not in UNNAMED and not n.startswith("hazard.")}
    assert others == {"cells.kind", "cells.clone", "body.clone_count", "gauge.FIELD_AGE", "gauge.SOLVED_OUTPUT"}


# ---- order -----------------------------------------------------------------------------------------------------------


def moved(name, before):
    """The mechanisms with one moved before another."""
    others = [m for m in MECHANISMS if m.name != name]
    at = next(i for i, m in enumerate(others) if m.name == before)
    return [*others[:at], BY_NAME[name], *others[at:]]


def test_who_needs_what_another_makes_comes_after_it():
    declared.check_order(MECHANISMS)
    declared.check_order(MECHANISMS, {name: seen(name) for name in BY_NAME})


@pytest.mark.parametrize(
    ("name", "before", "message"),
    [
        ("ectoenzyme", "binding", "'ectoenzyme' reads drugs.occupancy before 'binding' writes drugs.occupancy"),
        ("niche_release", "adhesion", "'niche_release' reads at_risk.adherence before 'adhesion' writes at_risk.adherence"),
        ("imid", "niche_release", "'imid' reads at_risk.adherence before 'niche_release' writes at_risk.adherence"),
        ("suppression", "exhaustion", "'suppression' reads cells.activity before 'exhaustion' writes cells.activity"),
    ],
)
def test_a_reader_before_the_one_who_writes_is_found(name, before, message):
    with pytest.raises(InputError, match=message):
        declared.check_order(moved(name, before))


def test_a_reader_of_what_only_a_later_mechanism_writes_is_found():
    """Suppression sees what suppressor cells have left in the steps before, and says so."""
    assert BY_NAME["suppression"].recalls == ("contacts.suppressor",)
    silent = [replace(m, recalls=()) if m.name == "suppression" else m for m in MECHANISMS]
    with pytest.raises(InputError, match=r"'suppression' reads contacts.suppressor before 'motility' writes contacts.suppressor"):
        declared.check_order(silent)
    early = made_up(phase=Phase.DRUGS, prepare=part(reads_too_much), reads=("fields.adenosine",))
    with pytest.raises(InputError, match=r"'made_up' reads fields.adenosine before 'adenosine' writes fields.adenosine"):
        declared.check_order([*MECHANISMS, early])


def test_who_writes_without_a_look_comes_before_all_others_that_write_the_same():
    """Or it would wipe out what they did."""
    for act in ACTS:
        for i, later in enumerate(MECHANISMS):
            touched = seen(later.name).get(act)
            blind = set(touched.writes) - set(touched.reads) if touched else set()
            for earlier in MECHANISMS[:i]:
                other = seen(earlier.name).get(act)
                if other is not None and later.phase is earlier.phase:
                    assert not blind & set(other.writes), (later.name, earlier.name)


@names
def test_what_is_recalled_is_read(name):
    assert set(BY_NAME[name].recalls) <= set(BY_NAME[name].reads)


# ---- the graph -------------------------------------------------------------------------------------------------------


def test_the_graph_says_who_depends_on_whom():
    found = declared.edges(MECHANISMS)
    assert declared.Edge("binding", "adcc", "drugs.occupancy") in found
    assert declared.Edge("trogocytosis", "cdc", "gauge.SURFACE_CD38") in found  # by way of the CD38 of cells at risk
    assert declared.Edge("nk_activation", "adcc", "gauge.NK_ARMED") in found
    assert declared.Edge("adenosine", "suppression", "fields.adenosine") in found
    assert all(edge.maker != edge.reader for edge in found)
    assert not [edge for edge in found if edge.reader == "turnover"]
