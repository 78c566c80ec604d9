"""S4, S5, S6, S23: what an IMiD does to plasma cells and to the host, one thing at a time."""

import numpy as np
import pytest

from tme_abm.marrow.cells import Cause, CellType
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation
from tme_abm.simulation.treatment import UNTREATED

IMMUNE = tuple(range(CellType.T, CellType.STROMA))
POM = Regimen("pom", "Pom", 28, (Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))),))
DRUGS = {"pomalidomide": load_drug("pomalidomide")}


def bare_of_immune_cells(simulation):
    """The same marrow without any immune cell, now and from the blood."""
    twin = simulation.copy()
    twin.marrow.cells.kind[np.isin(twin.marrow.cells.kind, IMMUNE)] = CellType.EMPTY
    twin.marrow.body.target[list(IMMUNE)] = 0.0
    return twin


def test_s04_an_imid_kills_without_any_immune_cell(cohort, gain, record_property):
    logs = {}
    for regimen in (POM, UNTREATED):
        arms = [bare_of_immune_cells(marrow).fork(regimen, DRUGS) for marrow in cohort.grown]
        for arm in arms:
            arm.advance(4 * 84)
            assert not np.isin(arm.marrow.cells.kind, IMMUNE).any()
        logs[regimen.key] = [np.log(max(arm.marrow.body.burden.sum(), 1.0)) for arm in arms]
        deaths = sum(int(arm.marrow.body.ledger[CellType.PLASMA, Cause.IMID]) for arm in arms)
    kill = gain(logs["untreated"], logs["pom"])
    record_property("S4", f"without immune cells pomalidomide lowers the log burden at 84 d by {kill}")
    assert deaths == 0  # of the untreated
    assert kill.is_clear


@pytest.mark.parametrize(
    ("what", "column"),
    [
        ("arrivals and divisions of T cells", "t_births"),
        ("arrivals of NK cells", "nk_births"),
        ("lytic capacity of T cells", "t_cell_granzyme"),
        ("lytic capacity of NK cells", "nk_granzyme"),
        ("activity of T cells, exhaustion taken back", "t_cell_activity"),
    ],
)
def test_s04_an_imid_makes_t_and_nk_cells_more_and_more_active(cohort, gain, record_property, what, column):
    """Compared at the same tumour load: without the kill of plasma cells, so that debulking plays no part."""
    treated, untreated = {}, {}
    for regimen, seen in ((POM, treated), (UNTREATED, untreated)):
        arms = [without_sensitivity(marrow).fork(regimen, DRUGS) for marrow in cohort.grown]
        for arm in arms:
            arm.advance(4 * 21)
        for name in ("t_births", "nk_births"):
            kind = CellType.T if name[0] == "t" else CellType.NK
            seen[name] = np.array([arm.marrow.body.births[kind] for arm in arms], float)
        for name in ("t_cell_granzyme", "nk_granzyme", "t_cell_activity"):
            seen[name] = np.array([arm.observe()[name] for arm in arms])
    more = gain(treated[column], untreated[column])
    fold = treated[column].sum() / untreated[column].sum()
    record_property("S4", f"{what} under pomalidomide, 21 d, no kill of plasma cells: {fold:.2f} fold, difference {more}")
    assert more.is_clear


def without_sensitivity(simulation):
    """The same marrow, whose plasma cells an IMiD cannot kill."""
    twin = simulation.copy()
    twin.marrow.clones.imid_sensitivity[:] = 0.0
    return twin


def test_s05_the_effect_lasts_while_the_drug_is_given_and_fades_within_three_days(cohort, gain, record_property):
    """Half of it is gone one to three days after the first day without a dose (day 22)."""
    given, half = [], []
    for marrow in cohort.grown:
        effect = marrow.fork(POM, DRUGS).course.advance(4 * 28, 6.0).effect[:, 0]
        given.append(effect[4 * 2 : 4 * 21].min())
        half.append(np.argmax(effect[4 * 21 :] < 0.5) / 4.0)
    fade = gain(half, 0.0 * np.array(half))
    record_property("S5", f"lowest effect on days 3-21 {min(given):.2f}; half of it gone after {fade} days")
    assert min(given) > 0.5
    assert 1.0 <= fade.mean - 2.0 * fade.error
    assert fade.mean <= 3.0


@pytest.fixture(scope="module")
def by_resistance():
    """Typical patients alike but for the cereblon of their plasma cells, under pomalidomide and untreated for 21 days, on the same dice."""
    seen = {}
    for resistant in (1e-12, 1.0):
        patient = preset("typical", imid_resistant_fraction=resistant, antibody_escape_fraction=1e-12, pi_resistant_fraction=1e-12)
        for key in range(8):
            grown = Simulation(patient, Settings(48, 48), key)
            for regimen in (POM, UNTREATED):
                arm = grown.fork(regimen, DRUGS)
                cell_hours = 0.0
                for day in range(21):
                    cell_hours += 24.0 * (arm.marrow.cells.kind == CellType.PLASMA).sum()
                    arm.advance(4)
                    if day == 2:
                        early = {f"early_{name}": value for name, value in arm.observe().items()}
                kill = arm.marrow.body.ledger[CellType.PLASMA, Cause.IMID] / cell_hours
                row = arm.observe() | early | {"kill": kill, "nk_births": arm.marrow.body.births[CellType.NK]}
                seen.setdefault((resistant == 1.0, regimen.key), []).append(row)
    return {arm: {name: np.array([float(row[name]) for row in rows]) for name in rows[0]} for arm, rows in seen.items()}


def test_s05_a_cereblon_low_clone_escapes_the_kill(by_resistance, record_property):
    kill = {is_resistant: 24.0 * by_resistance[is_resistant, "pom"]["kill"].mean() for is_resistant in (False, True)}
    record_property("S5", f"kill by pomalidomide {kill[False]:.4f} /d in a sensitive clone, {kill[True]:.5f} /d in a cereblon-low one")
    assert kill[False] > 0.0
    assert kill[True] <= 0.1 * kill[False]


@pytest.mark.parametrize("column", ["nk_births", "early_nk_granzyme", "early_t_cell_granzyme", "early_t_cell_activity"])
def test_s05_the_host_of_a_cereblon_low_clone_keeps_the_immune_gain(by_resistance, gain, record_property, column):
    """The gain as logarithm of a fold is above zero, and short of the other's by no more than two standard errors or a tenth of it.

    Capacity and activity are compared on day 3, before the kill of the sensitive clone has relieved its host as well.
    """
    logs = {r: np.log(by_resistance[r, "pom"][column] / by_resistance[r, "untreated"][column]) for r in (False, True)}
    kept, short = gain(logs[True], 0.0 * logs[True]), gain(logs[False], logs[True])
    folds = {r: np.exp(values.mean()) for r, values in logs.items()}
    record_property("S5", f"{column}: {folds[False]:.3f} fold with a sensitive clone, {folds[True]:.3f} fold with a cereblon-low one")
    assert kept.mean > 2.0 * kept.error
    assert short.mean <= max(2.0 * short.error, 0.1 * abs(logs[False].mean()))


def test_s05_cd38_does_not_rise_on_a_cereblon_low_clone(by_resistance, record_property):
    fold = {
        r: (by_resistance[r, "pom"]["cd38_sites_per_cell"] / by_resistance[r, "untreated"]["cd38_sites_per_cell"]).mean()
        for r in (False, True)
    }
    record_property(
        "S5", f"CD38 under pomalidomide, 21 d: {fold[False]:.2f} fold on a sensitive clone, {fold[True]:.2f} fold on a cereblon-low one"
    )
    assert fold[True] - 1.0 <= 0.2 * (fold[False] - 1.0)


@pytest.mark.parametrize("drug", ["pomalidomide", "lenalidomide"])
def test_s06_an_imid_lowers_interleukin_6(cohort, gain, record_property, drug):
    treated, untreated = cohort.after(drug, days=14)["il6"], cohort.after(days=14)["il6"]
    fall = gain(untreated, treated)
    record_property("S6", f"interleukin-6 after 14 d of {drug}: {(treated / untreated).mean():.2f} of the untreated, fall {fall}")
    assert fall.is_clear


def with_cereblon(simulation):
    """The same marrow, all of whose plasma cells respond to an IMiD."""
    twin = simulation.copy()
    twin.marrow.clones.imid_response[:] = 1.0
    return twin


def test_s23_pomalidomide_raises_cd38_within_days_and_lenalidomide_no_more(cohort, gain, record_property):
    """By 1.2-2 fold on plasma cells that have cereblon; on those of the patients as they are, some cereblon-low, at all."""
    folds = {}
    drawn = [
        cohort.after(drug, days=3)["cd38_sites_per_cell"] / cohort.after(days=3)["cd38_sites_per_cell"]
        for drug in ("pomalidomide", "lenalidomide")
    ]
    responsive = type(cohort)(tuple(with_cereblon(marrow) for marrow in cohort.grown))
    for day in (1, 2, 3):
        before = responsive.after(days=day)["cd38_sites_per_cell"]
        for drug in ("pomalidomide", "lenalidomide"):
            folds[drug, day] = responsive.after(drug, days=day)["cd38_sites_per_cell"] / before
    means = {asked: fold.mean() for asked, fold in folds.items()}
    shown = "; ".join(f"{drug} {', '.join(f'{means[drug, day]:.2f}' for day in (1, 2, 3))}" for drug in ("pomalidomide", "lenalidomide"))
    assert gain(drawn[1], 1.0).is_clear
    assert gain(drawn[0], drawn[1]).is_clear
    as_drawn = ", ".join(f"{drug} {fold.mean():.2f}" for drug, fold in zip(("pomalidomide", "lenalidomide"), drawn, strict=True))
    record_property("S23", f"CD38 of all plasma cells over untreated on day 3: {as_drawn}")
    record_property("S23", f"CD38 of plasma cells with cereblon over untreated on days 1, 2, 3: {shown}")
    for day in (1, 2, 3):
        assert 1.2 <= means["pomalidomide", day] <= 2.0
        assert gain(folds["lenalidomide", day], 1.0).is_clear
        assert gain(folds["pomalidomide", day], folds["lenalidomide", day]).is_clear
