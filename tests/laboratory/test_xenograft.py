"""Mice with a xenograft: the nodule, the host, drugs in the mouse, and the statistics of groups."""

import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tme_abm
from tme_abm.foundation.errors import InputError
from tme_abm.laboratory import inhibition, xenograft_figures
from tme_abm.laboratory.inhibition import Readings
from tme_abm.laboratory.mouse import FOUNDERS, Xenograft, closed, draw_mouse, load_preset, presets, volume
from tme_abm.laboratory.xenograft import run_again
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.state import Gauge
from tme_abm.pharmacology.drug import FOLDER, load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import scenarios
from tme_abm.simulation.settings import Settings

BIB = (Path(tme_abm.__file__).parent / "foundation" / "references.bib").read_text(encoding="utf-8")
IN_MICE = sorted(path.stem for path in (FOLDER / "mouse").glob("*.toml"))
STUDIES = list(scenarios("xenograft"))


def nodule(host="scid_mouse", has_stroma=True, size=64, seed=5):
    mouse, key = draw_mouse(seed, 0, load_preset("hosts", host), load_preset("lines", "nci_h929"), has_stroma)
    return Xenograft(mouse, closed(Settings(size, size)), key)


def small(**changes):
    """A study of two mice for six days."""
    given = tomllib.loads(scenarios()["figure5_carfilzomib"].read_text(encoding="utf-8"))
    given |= {"mice": 2, "marrow": {"shape": [64, 64]}, "variants": given["variants"][:1]}
    given["tumour"] |= {"watch": "6 d", "start_mm3": 60.0}
    return load_scenario(given | changes)


# ---- the nodule ------------------------------------------------------------------------------------------------------


def test_volume_is_that_of_the_sphere_of_the_section():
    # 100 pi cells: a radius of 10 sites, of 250 um each: 2.5 mm
    assert volume(100 * math.pi, 250.0) == pytest.approx(4.0 / 3.0 * math.pi * 2.5**3)
    assert volume(0, 250.0) == 0.0


def test_a_nodule_is_a_disc_in_the_middle_of_a_patch_without_lymphocytes_but_nk_cells():
    made = nodule()
    kind = made.marrow.cells.kind
    y, x = np.divmod(np.flatnonzero(kind == CellType.PLASMA), 64)
    assert made.cells == y.size == FOUNDERS
    free_share = 1.0 - np.mean(kind == CellType.STROMA)
    assert np.hypot(y - 32, x - 32).max() < 1.3 * math.sqrt(FOUNDERS / free_share / math.pi)
    for absent in (CellType.T, CellType.TREG, CellType.BREG, CellType.MDSC):
        assert not np.any(kind == absent)
    assert np.sum(kind == CellType.NK) == round(0.01 * 64 * 64)
    assert np.sum(kind == CellType.MACROPHAGE) == round(0.05 * 64 * 64)


def test_no_murine_cell_carries_human_cd38():
    cells = nodule().marrow.cells
    is_murine = (cells.kind != CellType.PLASMA) & (cells.kind != CellType.EMPTY)
    assert not cells.cd38[is_murine].any()
    assert (cells.cd38[cells.kind == CellType.PLASMA] > 0.0).all()


def test_stroma_is_there_or_not():
    assert not nodule(has_stroma=False).marrow.lattice.niche.any()
    assert nodule(size=128).marrow.lattice.niche.mean() == pytest.approx(0.5, abs=0.05)


def test_an_nsg_mouse_has_neither_nk_cells_nor_complement():
    made = nodule("nsg_mouse")
    assert not np.any(made.marrow.cells.kind == CellType.NK)
    assert math.exp(-made.marrow.clones.complement_inhibitors[0]) < 1e-5


def test_a_tumour_that_is_gone_stays_away():
    made = nodule()
    is_plasma = made.marrow.cells.kind == CellType.PLASMA
    made.marrow.cells.kind[is_plasma] = CellType.EMPTY
    made.marrow.body.burden[:] = 5.0
    made.advance(40)
    assert made.cells == 0
    assert made.volume == 0.0


def test_untreated_tumours_double_in_three_to_six_days():
    study = small(mice=4, variants=[], combinations=[])
    study = replace(study, settings=replace(study.settings, height=96, width=96), start_mm3=150.0, arms=study.arms[:1])
    assert 3.0 <= inhibition.doubling_days(run_again(study), "vehicle", 0, 6) <= 6.0


# ---- drugs in the mouse ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IN_MICE)
def test_a_drug_does_to_the_tumour_what_it_does_in_patients(name):
    """But for how fast a line that divides within two days makes proteasomes anew, which the mouse's own file says."""
    human, murine = load_drug(name), load_drug(name, species="mouse")
    for mechanism, filled in human.effects.items():
        assert murine.effects[mechanism].params._asdict() | HOST_ONLY == filled.params._asdict() | HOST_ONLY
    if human.model == "small_molecule":
        for parameter in ("onset_rate", "ec50", "steepness"):
            assert getattr(murine.kinetics.params, parameter) == getattr(human.kinetics.params, parameter)
        recovers = murine.kinetics.params.recovery_half_life, human.kinetics.params.recovery_half_life
        assert recovers == ((24.0, 60.0) if name == "carfilzomib" else (recovers[1],) * 2)
    assert murine.variability == murine.covariates == ()


HOST_ONLY = {"supply_fold": 0, "stimulation_fold": 0, "revival": 0, "il6_inhibition": 0}  # what an IMiD does to the host's own cells


def test_an_antibody_stays_a_week_and_a_dose_counts_by_the_weight_of_a_mouse():
    kinetics = load_drug("isatuximab", species="mouse").kinetics.params
    volume_l = kinetics.central_volume + kinetics.peripheral_volume
    assert math.log(2.0) * volume_l / kinetics.clearance / 24.0 == pytest.approx(7.0, rel=0.01)
    regimen = Regimen("k", "K", 28, (Dose("carfilzomib", 2.0, "mg/kg", (1,)),))
    treated = nodule().fork(regimen, {"carfilzomib": load_drug("carfilzomib", species="mouse")})
    calendar = regimen.calendar(treated.course.body, 28.0)
    assert calendar.amount_mg == pytest.approx([2.0 * 0.020])


def test_carfilzomib_on_two_days_inhibits_some_eighty_percent():
    regimen = Regimen("k", "K", 28, (Dose("carfilzomib", 2.0, "mg/kg", (1, 2)),))
    treated = nodule().fork(regimen, {"carfilzomib": load_drug("carfilzomib", species="mouse")})
    effect = [treated.advance(1).effect[0, 0] for _ in range(12)]
    assert 0.7 < max(effect) < 0.95
    assert effect[-1] < 0.5 * max(effect)


def test_murine_cells_do_not_answer_to_pomalidomide():
    regimen = Regimen("p", "Pom", 28, (Dose("pomalidomide", 10.0, "mg/kg", tuple(range(1, 6))),))
    treated = nodule().fork(regimen, {"pomalidomide": load_drug("pomalidomide", species="mouse")})
    treated.advance(16)
    gauge = treated.marrow.body.gauge
    assert [gauge[g] for g in (Gauge.NK_SUPPLY, Gauge.STIMULATION, Gauge.REVIVAL)] == [1.0, 1.0, 0.0]
    assert gauge[Gauge.CD38_INDUCTION] > 1.3


def test_a_drug_that_nobody_gave_to_mice_is_refused():
    with pytest.raises(InputError, match="nothing is known of 'elotuzumab' in the mouse"):
        load_drug("elotuzumab", species="mouse")


@pytest.mark.parametrize("name", IN_MICE)
def test_every_number_of_a_drug_in_mice_has_a_source(name):
    sources = {origin.source for origin in load_drug(name, species="mouse").origins().values()}
    assert unknown_keys(sources) == []


@pytest.mark.parametrize("kind", ["hosts", "lines"])
def test_every_number_of_a_strain_or_line_has_a_source(kind):
    for name in presets(kind):
        assert unknown_keys({origin.source for origin in load_preset(kind, name).filled.origins.values()}) == []


def unknown_keys(sources):
    known = set(re.findall(r"^@\w+\{([^,]+),", BIB, re.MULTILINE))
    return sorted({part.split(":")[0].strip() for source in sources for part in source.split("; ")} - known)


# ---- statistics ------------------------------------------------------------------------------------------------------

READ = Readings(
    {"c": np.array([100.0, 100.0]), "a": np.array([100.0, 100.0]), "b": np.array([100.0, 100.0]), "ab": np.array([100.0, 100.0])},
    {"c": np.array([1000.0, 1200.0]), "a": np.array([500.0, 700.0]), "b": np.array([800.0, 800.0]), "ab": np.array([50.0, 50.0])},
)


def test_inhibition_by_hand():
    assert inhibition.tgi(READ, "a", "c") == pytest.approx(50.0)  # grows by 500 instead of 1000
    assert inhibition.tgi(READ, "b", "c") == pytest.approx(30.0)
    assert inhibition.tgi(READ, "ab", "c") == pytest.approx(105.0)  # shrinks
    assert inhibition.bliss(50.0, 30.0) == pytest.approx(65.0)
    assert inhibition.bliss(105.0, 30.0) == 100.0
    assert inhibition.beyond_bliss(READ, ("ab", "a", "b"), "c") == pytest.approx(40.0)


def test_a_control_that_does_not_grow_is_refused():
    with pytest.raises(InputError, match="do not grow"):
        inhibition.tgi(READ, "a", "ab")


def test_an_interval_holds_the_value_and_is_the_same_again():
    value, low, high = inhibition.with_interval(READ, lambda r: inhibition.tgi(r, "a", "c"), 1)
    assert low <= value <= high
    assert inhibition.with_interval(READ, lambda r: inhibition.tgi(r, "a", "c"), 1) == (value, low, high)


def test_the_share_that_is_made_good_by_hand():
    rows = [("c", 0, 100, 0, 0), ("c", 1, 200, 110, 10), ("a", 0, 100, 0, 0), ("a", 1, 50, 105, 155)]
    table = pd.DataFrame(rows, columns=["arm", "day", "plasma_cells", "divisions", "deaths_adcc"]).assign(variant="v", mouse=0)
    # the treated tumour holds half as many cells: 55 divisions and 5 deaths would be its own; 50 more of one, 150 more of the other
    assert inhibition.replaced(table, "v", "a", "c") == pytest.approx(50 / 150)


# ---- a study ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    return small()


@pytest.fixture(scope="module")
def table(study):
    return run_again(study)


def test_all_arms_start_from_the_same_tumours(table):
    start = table[table["day"] == 0].pivot_table(index="mouse", columns=["variant", "arm"], values="volume_mm3")
    assert (start.nunique(axis=1) == 1).all()
    assert (start >= 60.0).all(axis=None)


def test_the_number_of_workers_changes_nothing(study, table):
    from tme_abm.trial.execution import Silence

    pd.testing.assert_frame_equal(study.measure(2, Silence()), table)


def test_only_what_was_given_kills(table):
    last = table[table["day"] == 6].groupby("arm").sum(numeric_only=True)
    antibody = ["deaths_adcc", "deaths_adcp", "deaths_cdc", "deaths_direct"]
    assert not last.loc["vehicle", [*antibody, "deaths_proteasome"]].any()
    assert not last.loc["k", antibody].any() and last.loc["k", "deaths_proteasome"] > 0
    assert last.loc["isa", "deaths_adcc"] > 0 and last.loc["isa", "deaths_proteasome"] == 0
    assert last.loc["isa-k", "deaths_adcc"] > 0 and last.loc["isa-k", "deaths_proteasome"] > 0


def test_a_mechanism_of_a_variant_is_switched_off_under_treatment_only(study, table):
    variant = study.variants[1]
    assert variant.without == {"niche_release"}
    whole, without = (table[table["variant"] == name].reset_index(drop=True) for name in ("all mechanisms", variant.label))
    untreated = whole["arm"] == "vehicle"
    assert whole.loc[untreated, "volume_mm3"].equals(without.loc[untreated, "volume_mm3"])


def test_a_results_folder_holds_everything(study, tmp_path):
    summary = tme_abm.run(study, tmp_path)
    for name in ("table.parquet", "table.csv", "summary.json", "run.json", "report.html"):
        assert (tmp_path / name).stat().st_size > 0
    for name in ("growth", "inhibition", "waterfall", "variants", "deaths"):
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "host.scid_mouse.fc_efficiency" in page
    assert any("Isa + K together" in sentence for sentence in summary["findings"])


def test_growth_is_drawn_as_the_article_draws_it_by_median_and_median_deviation(study):
    """Of 100, 200 and 600 mm3 the median is 200 and the median deviation 100."""
    rows = [("vehicle", mouse, day, volume) for day in (0.0, 3.0) for mouse, volume in enumerate((100.0, 200.0, 600.0))]
    table = pd.DataFrame(rows, columns=["arm", "mouse", "day", "volume_mm3"])
    axes = xenograft_figures.growth(table, study.arms[:1]).axes[0]
    ((line, _, (bars,)),) = axes.containers
    assert line.get_ydata().tolist() == [200.0, 200.0]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[100.0, 300.0]] * 2


def test_the_number_of_a_bar_does_not_read_as_the_published_point():
    """The simulated 50 % stands at the root of the bar, the published 90 at its diamond."""
    row = {"label": "Isa", "tgi_percent": 50.0, "tgi_low": 40.0, "tgi_high": 60.0, "published_tgi_percent": 90.0}
    axes = xenograft_figures.inhibition({"arms": {"isa": row}, "combinations": []}, ["isa"]).axes[0]
    at = {text.get_text(): (text.xy[0] if hasattr(text, "xy") else text.get_position()[0]) for text in axes.texts}
    assert at == {"50 %": 1.5, "90": 90.0}


def test_days_of_treatment_are_counted_from_the_first(study):
    assert xenograft_figures.given_days(study.arms, "isatuximab", 21) == [0, 3, 7, 10]
    assert xenograft_figures.given_days(study.arms, "carfilzomib", 10) == [0, 1, 7, 8]


@pytest.mark.parametrize("name", STUDIES)
def test_every_number_of_a_study_has_a_source(name):
    study = load_scenario(name)
    assert unknown_keys({row["source"] for row in study.origins()} | {row["source"] for row in study.published}) == []
    assert study.facts()["mice"].startswith("24 SCID mice")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tumour.host=scid_mous", "unknown host 'scid_mous'; did you mean 'scid_mouse'"),
        ("tumour.line=h929", "unknown line 'h929'"),
        ("control=vehicl", "there is no arm 'vehicl'; did you mean 'vehicle'"),
        ("control=isa", "the control 'isa' is given something|is the control"),
        ("combinations[0].arm=isak", "there is no arm 'isak'"),
        ('variants[0].without=["niche"]', "unknown mechanism 'niche'"),
        ("tumour.watch=10 h", "must be whole days"),
        ("tumour.strain=x", "unknown key 'strain' in tumour"),
        ("arms.isa.doses[0].drug=elotuzumab", "nothing is known of 'elotuzumab' in the mouse"),
        ("mice=1", "mice must be at least 2"),
        ("traits.host={nk_densty={value=0.1}}", "unknown parameter 'nk_densty'; did you mean 'nk_density'"),
    ],
)
def test_what_is_wrong_is_said(override, message):
    with pytest.raises(InputError, match=message):
        load_scenario("figure5_carfilzomib", [override])
