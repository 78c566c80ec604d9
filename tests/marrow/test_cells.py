"""Rows of cells, clones, the traits of types, contact, and the founding of a marrow."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tme_abm.foundation.declare import Column, Param, notes
from tme_abm.foundation.errors import InputError
from tme_abm.marrow import antigen, contact, fate, roster, seeding
from tme_abm.marrow.cell_types import EFFECTORS, FILE, types_that_are
from tme_abm.marrow.cells import N_CAUSES, N_TYPES, Cells, CellType, clear, move
from tme_abm.marrow.clones import CLONE_NAMES, N_CLONES, N_CLONOTYPES, N_REACTIVE, clone_fractions
from tme_abm.marrow.seeding import Composition, deal_clones, populate
from tme_abm.marrow.state import CROWD, AtRisk, Contacts, Drugs, Effector, Fields, Gauge, Host, Tick, make_body
from tme_abm.marrow.traits import NOBODY, SUPPRESSOR, Traits, having, load_traits
from tme_abm.pharmacology.drug import ANTIGENS

PLASMA, T, NK, STROMA = CellType.PLASMA, CellType.T, CellType.NK, CellType.STROMA
chances = st.floats(0.0, 1.0)

NOW = Tick(6.0, 3, 17)


@pytest.mark.parametrize("table", [Cells, Fields, Contacts, AtRisk, Drugs, Host])
def test_every_column_has_a_type_a_unit_and_a_meaning(table):
    assert list(notes(table)) == list(table._fields)
    for note in notes(table).values():
        assert isinstance(note, Column) and np.dtype(note.dtype).itemsize > 0 and note.unit and note.meaning


def test_moving_takes_the_whole_row_along(bare, put):
    marrow = bare()
    put(marrow, 5, T, clone=9, activity=0.5, granzyme=0.25, born=7.0, cd38=2e3)
    before = [column[5] for column in marrow.cells]
    move(marrow.cells, 5, 8)
    assert [column[8] for column in marrow.cells] == before
    assert marrow.cells.kind[5] == marrow.cells.uid[5] == 0
    clear(marrow.cells, 8)
    assert not marrow.cells.kind.any() and not marrow.cells.uid.any()


# ---- clones ----------------------------------------------------------------------------------------------------------


def test_fractions_of_clones_by_hand():
    apart, nested, mixed = (clone_fractions(0.1, 0.2, 0.5, shared) for shared in (0.0, 1.0, 0.25))
    assert apart[0] == pytest.approx(0.9 * 0.8 * 0.5)
    assert apart[CLONE_NAMES.index("imid_antibody")] == pytest.approx(0.1 * 0.8 * 0.5)
    assert apart[CLONE_NAMES.index("imid_proteasome_antibody")] == pytest.approx(0.1 * 0.2 * 0.5)
    expected = {"sensitive": 0.5, "antibody": 0.3, "proteasome_antibody": 0.1, "imid_proteasome_antibody": 0.1}
    np.testing.assert_allclose(nested, [expected.get(name, 0.0) for name in CLONE_NAMES], atol=1e-12)
    np.testing.assert_allclose(mixed, 0.75 * apart + 0.25 * nested, rtol=1e-12, atol=1e-15)


@given(chances, chances, chances, chances)
def test_each_resistance_keeps_its_fraction_and_nothing_is_left_over(imid, proteasome, antibody, shared):
    fractions = clone_fractions(imid, proteasome, antibody, shared)
    assert fractions.sum() == pytest.approx(1.0)
    assert (fractions >= 0.0).all()
    for bit, expected in ((1, imid), (2, proteasome), (4, antibody)):
        carriers = [bool(clone & bit) for clone in range(N_CLONES)]
        assert fractions[carriers].sum() == pytest.approx(expected, abs=1e-12)


@given(chances, chances, chances, st.integers(0, 3000), st.integers(0, 2**60))
def test_dealt_clones_add_up_and_lie_near_what_is_expected(imid, proteasome, antibody, n, key):
    fractions = clone_fractions(imid, proteasome, antibody, 0.25)
    counts = deal_clones(fractions, n, key)
    assert counts.sum() == n
    others = np.arange(N_CLONES) != np.argmax(fractions)
    assert (np.abs(counts - fractions * n)[others] < 1.0).all()
    assert np.abs(counts - fractions * n).max() < N_CLONES


def test_clone_names_say_their_resistances():
    for clone, name in enumerate(CLONE_NAMES):
        words = [word for bit, word in ((1, "imid"), (2, "proteasome"), (4, "antibody")) if clone & bit]
        assert name == ("_".join(words) or "sensitive")


# ---- types -----------------------------------------------------------------------------------------------------------


def test_traits_come_in_the_units_of_kernels():
    table = load_traits()
    origin = table.origins
    assert table.traits.renewal[CellType.MDSC] == pytest.approx(origin["mdsc.renewal"].value / 24.0)
    assert table.traits.motility[T] == pytest.approx(origin["t.motility"].value * 60.0 / 144.0)
    assert table.traits.cd38[NK] == origin["nk.cd38"].value
    for name, note in notes(Traits).items():
        column = getattr(table.traits, name)
        assert column.shape == ((N_TYPES, len(antigen.Antigen)) if name == "sites" else (N_TYPES,)), name
        assert column.dtype == (note.dtype if isinstance(note, Column) else np.float64), name
    assert table.traits.motility[STROMA] == 0.0


def test_what_each_type_is():
    """Who is a lymphocyte, who kills by what, who suppresses whom, who comes from the blood: as haematologists count them."""
    traits = load_traits().traits
    immune = [T, NK, CellType.TREG, CellType.BREG, CellType.MDSC, CellType.MACROPHAGE]
    expected = {
        "is_lymphocyte": [T, NK, CellType.TREG, CellType.BREG],
        "is_mobile": immune,
        "is_renewed": immune,
        "is_chemotactic": [T, NK],
        "is_lytic": [T, NK],
        "is_clonotypic": [T],
        "is_exhaustible": [T, NK],
        "is_suppressor": [CellType.TREG, CellType.BREG, CellType.MDSC],
        "is_suppressed": [T, NK],
        "is_depleted": [kind for kind in immune if kind != NK],
        "is_stromal": [STROMA],
    }
    assert {name: having(getattr(traits, name)) for name in Traits._fields if name.startswith("is_")} == expected
    assert all(types_that_are(name[3:]) == kinds for name, kinds in expected.items())
    contact = {T: Effector.T_CELL, NK: Effector.NK, CellType.MACROPHAGE: Effector.PHAGOCYTE}
    contact |= dict.fromkeys(expected["is_suppressor"], SUPPRESSOR)
    assert traits.contact.tolist() == [contact.get(kind, NOBODY) for kind in CellType]
    assert Contacts._fields == (*EFFECTORS, "suppressor") and len(EFFECTORS) == SUPPRESSOR


TEXT = FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[MDSC]", "[MSDC]", r"types.toml:\d+: there is no type of cell 'MSDC'; did you mean 'MDSC'\?"),
        (TEXT[TEXT.index("[STROMA]") :], "", r"types.toml: the record \[STROMA\] is missing"),
        ("[PLASMA]", "[PLASMA", r"types.toml: .*line \d+"),
        (
            'colour            = "#F0E442"',
            'colour            = "yellow"',
            r"types.toml:\d+: NK: colour 'yellow' is not of the form #RRGGBB",
        ),
        ('colour            = "#F0E442"', 'color             = "#F0E442"', r"types.toml:\d+: NK: write colour = "),
        (
            'panel             = "lymphocytes"',
            'panels            = "lymphocytes"',
            r"types.toml:\d+: T: unknown key 'panels'; did you mean 'panel'\?",
        ),
        ('"exhaustible"', '"exhausted"', r"types.toml:\d+: T: unknown property 'exhausted'; did you mean 'exhaustible'\?"),
        ('effector          = "nk"', 'effector          = "NK"', r"types.toml:\d+: NK: effector: unknown word 'NK'; did you mean 'nk'\?"),
        (
            'of                = "plasma cells"',
            'of                = "plasma"',
            r"NK: of: unknown word 'plasma'; did you mean 'plasma cells'\?",
        ),
        ('agent             = "Treg"', 'agent             = "T reg"', r"types.toml:\d+: TREG: agent 'T reg' cannot be the name of a class"),
        ('agent             = "Treg"', 'agent             = "TCell"', r"types.toml:\d+: T is called 'TCell' already"),
        ("radius            = 0.47", "radius            = 4.7", r"types.toml:\d+: MACROPHAGE: radius is a number above 0"),
        ('amount            = "breg_fraction"\n', "", r"types.toml:\d+: BREG: write amount"),
        (
            'amount            = "breg_fraction"',
            "amount = { value = 0.1, unit = '%' }",
            r"types.toml:\d+: BREG.amount: the unit must be '1'",
        ),
        (
            "suppression       = { value = 3.0",
            "supression = { value = 3.0",
            r"TREG: unknown number 'supression'; did you mean 'suppression'\?",
        ),
        (
            '["mobile", "renewed", "depleted"]',
            '["mobile", "suppressor"]',
            r"types.toml:\d+: MACROPHAGE: a cell kills or suppresses by contact",
        ),
        ('["stromal"]', '["suppressed"]', r"types.toml:\d+: STROMA: what is suppressed is granzyme"),
    ],
)
def test_a_wrong_record_is_told_with_its_line(tmp_path, old, new, message):
    path = tmp_path / "types.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        load_traits(path)
    line = re.search(r":(\d+): ", str(caught.value))
    if line and new:  # the line that is told is the one that was changed, or the head of its record
        told = path.read_text(encoding="utf-8").splitlines()[int(line[1]) - 1]
        assert new.splitlines()[0] in told or told.startswith("[")


def test_the_numbers_of_a_type_that_all_patients_share_are_told(tmp_path):
    path = tmp_path / "types.toml"
    path.write_text(TEXT.replace('"breg_fraction"', '{ value = 0.012, unit = "1", source = "feng2017", grade = "M" }'), encoding="utf-8")
    origin = load_traits(path).origins["breg.amount"]
    assert (origin.value, origin.unit, origin.source, origin.grade) == (0.012, "1", "feng2017", "M") and origin.meaning
    assert load_traits().origins["plasma.slamf7"][:2] == (20e3, "sites/cell")


@pytest.mark.usefixtures("interpreted")
def test_density_of_antigens(bare):
    """Its own CD38 of every cell; SLAMF7 as its type has it, and none where the record says nothing."""
    marrow = bare()
    marrow.at_risk.cd38[2:4] = 7e4, 3e3
    marrow.at_risk.kind[2:4] = PLASMA, T
    for row, cd38, slamf7 in ((2, 7e4, 20e3), (3, 3e3, 0.0)):
        assert antigen.density(marrow, row, antigen.Antigen.CD38) == cd38
        assert antigen.density(marrow, row, antigen.Antigen.SLAMF7) == slamf7


def test_there_is_one_list_of_antigens():
    assert tuple(a.name for a in antigen.Antigen) == ANTIGENS
    assert {a.name.lower() for a in antigen.Antigen} <= {name for name, note in notes(Traits).items() if isinstance(note, Param)}


# ---- contact ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("interpreted")
def test_what_each_kind_can_do_to_those_it_touches(bare, put):
    marrow = bare()
    put(marrow, 0, NK, granzyme=0.5)
    put(marrow, 1, T, granzyme=0.75, clone=N_REACTIVE - 1)
    put(marrow, 2, T, granzyme=0.75, clone=N_REACTIVE)
    for site, kind, expected in ((0, NK, 0.5), (1, T, 0.75), (2, T, 0.0), (3, CellType.MACROPHAGE, 1.0)):
        assert contact.potency(marrow, int(kind), site) == expected
    for kind in (CellType.TREG, CellType.BREG, CellType.MDSC):
        assert contact.potency(marrow, int(kind), 4) == marrow.traits.suppression[kind] > 0.0


@pytest.mark.usefixtures("interpreted")
def test_plasma_cells_meet_who_stands_beside_them(bare, put):
    marrow = bare()
    centre = 8 * 16 + 8
    put(marrow, centre)
    put(marrow, [centre - 1, centre + 16, centre + 2], NK, granzyme=0.5)
    put(marrow, centre - 17, CellType.MACROPHAGE)
    roster.index_cells(marrow)
    contact.clear(marrow, NOW)
    contact.stand(marrow)
    marrow.body.gauge[Gauge.NK_ARMED] = 1.5
    fate.enrol(marrow, 0, centre, 0.0)
    contact.meet(marrow, 0)
    assert (marrow.at_risk.nk[0], marrow.at_risk.t_cell[0], marrow.at_risk.phagocyte[0]) == (1.5, 0.0, 1.0)


@pytest.mark.usefixtures("interpreted")
def test_no_more_than_a_crowd_engages_one_cell(bare, put):
    marrow = bare()
    contact.clear(marrow, NOW)
    for column in (marrow.contacts.nk, marrow.contacts.t_cell, marrow.contacts.phagocyte):
        column[:] = 1.0
    put(marrow, 77)
    fate.enrol(marrow, 0, 77, 0.0)
    contact.meet(marrow, 0)
    assert marrow.at_risk.nk[0] == marrow.at_risk.t_cell[0] == marrow.at_risk.phagocyte[0] == CROWD
    marrow.body.contact_ceiling[[Effector.NK, Effector.T_CELL, Effector.PHAGOCYTE]] = (0.1, 0.01, 0.001)
    assert contact.reach(marrow, 0) == pytest.approx(0.111 * CROWD)
    contact.clear(marrow, NOW)
    assert not any(column.any() for column in marrow.contacts)


# ---- seeding ---------------------------------------------------------------------------------------------------------


def test_a_founded_marrow_has_the_composition_asked_for(bare):
    marrow = bare(32, 32)
    count = np.array([0, 200, 100, 30, 10, 5, 40, 25, 60], np.int64)
    clones = np.array([150, 20, 10, 0, 20, 0, 0, 0], np.int64)
    populate(marrow, Composition(count, clones), 99)
    cells = marrow.cells
    np.testing.assert_array_equal(np.bincount(cells.kind, minlength=N_TYPES)[1:], count[1:])
    np.testing.assert_array_equal(np.bincount(cells.clone[cells.kind == PLASMA], minlength=N_CLONES), clones)
    occupied = cells.kind > 0
    assert np.unique(cells.uid[occupied]).size == occupied.sum() and (cells.uid[occupied] > 0).all()
    assert not cells.uid[~occupied].any()
    assert clones.sum() == 200  # what was asked for is not used up


def test_founders_have_the_cd38_of_their_kind(bare):
    marrow = bare(64, 64)
    count = np.zeros(N_TYPES, np.int64)
    count[[PLASMA, CellType.BREG]] = 1500
    populate(marrow, Composition(count, np.array([1500, 0, 0, 0, 0, 0, 0, 0])), 5)
    for kind, median, spread in ((PLASMA, 130e3, 0.6), (CellType.BREG, *(marrow.traits[i][CellType.BREG] for i in (0, 1)))):
        logs = np.log(marrow.cells.cd38[marrow.cells.kind == kind] / median)
        assert abs(logs.mean()) < 4.0 * spread / math.sqrt(1500)
        assert abs(logs.std() - spread) < 4.0 * spread / math.sqrt(3000)


def test_plasma_cells_lie_in_nests(bare):
    marrow = bare(64, 64)
    count = np.zeros(N_TYPES, np.int64)
    count[PLASMA] = 600
    populate(marrow, Composition(count, np.array([600, 0, 0, 0, 0, 0, 0, 0])), 5)
    sheet = (marrow.cells.kind == PLASMA).reshape(64, 64).astype(int)
    beside = sum(np.roll(sheet, shift, (0, 1)) for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)))
    scattered = 600 / 4096
    assert beside[sheet == 1].mean() / 4.0 > 2.0 * scattered


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("reactive", [0.0, 0.25, 0.6, 1.0])
def test_so_many_clonotypes_see_the_tumour_as_asked_for(bare, put, reactive):
    marrow = bare(64, 64)
    put(marrow, np.arange(4000), CellType.T, clone=N_CLONOTYPES)
    put(marrow, np.arange(4000, 4096), CellType.PLASMA, clone=3)
    seeding.deal_clonotypes(marrow, reactive, 12)
    clone = marrow.cells.clone[:4000]
    assert (marrow.cells.clone[4000:] == 3).all()  # clones of plasma cells are none of its business
    sees = clone < N_REACTIVE
    assert stats.binomtest(int(sees.sum()), 4000, reactive).pvalue > 1e-4
    for some, of in ((clone[sees], np.arange(N_REACTIVE)), (clone[~sees], np.arange(N_REACTIVE, N_CLONOTYPES))):
        if some.size:  # each clonotype as often as the others
            assert np.isin(some, of).all()
            assert stats.chisquare(np.bincount(some, minlength=N_CLONOTYPES)[of]).pvalue > 1e-4


def test_room_is_the_share_of_plasma_cells_with_a_free_neighbour(bare, put):
    marrow = bare()
    assert seeding.share_with_space(marrow) == 1.0
    put(marrow, np.arange(256))
    assert seeding.share_with_space(marrow) == 0.0
    clear(marrow.cells, 100)
    assert seeding.share_with_space(marrow) == pytest.approx(8 / 255)


def test_a_new_body_is_undisturbed():
    body = make_body()
    zero = {Gauge.REVIVAL, Gauge.M_PROTEIN, Gauge.SOLVED_OUTPUT, Gauge.VIOLATIONS, Gauge.CRAWL_BLOCK, Gauge.NIBBLED}
    endless = {Gauge.FIELD_AGE, Gauge.ENGULFED}
    for gauge in Gauge:
        expected = 0.0 if gauge in zero else math.inf if gauge in endless else 1.0
        assert body.gauge[gauge] == expected
    assert body.clone_cd38.tolist() == [1.0] * N_CLONES and body.clone_stress.tolist() == [0.0] * N_CLONES
    assert body.ledger.shape == (N_TYPES, N_CAUSES)
