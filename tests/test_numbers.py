"""Every number that shapes a result is declared: with unit, meaning, source and grade, where its rule stands.

A number in a rule is 0, 1 or 2, a place in an array, a declared parameter or constant, or it is listed here with the reason why it is none.
"""

import ast
from collections import Counter
from pathlib import Path

import pytest

import tme_abm
from tme_abm.foundation.declare import GRADES, Origin, constants, notes
from tme_abm.foundation.errors import InputError
from tme_abm.mechanisms import MECHANISMS
from tme_abm.outcomes import clinic, imwg
from tme_abm.scenario.kinds import load_scenario
from tme_abm.simulation.settings import FLOORS, ROOMS, Settings
from tme_abm.trial.provenance import describe_run

PACKAGE = Path(tme_abm.__file__).parent
ROOMS_OF_RULES = ("marrow", "mechanisms", "pharmacology", "patients", "simulation", "outcomes")
FILES = sorted(
    [path for room in ROOMS_OF_RULES for path in (PACKAGE / room).rglob("*.py") if path.name != "declared.py"]  # which watches rules
    + [
        PACKAGE / name
        for name in ("foundation/response.py", "foundation/rng.py", "trial/visit.py", "laboratory/mouse.py", "laboratory/well.py")
    ]
)
PLAIN = (0, 1, 2)  # nothing, the whole, a half or double

TRIES = "how often chance looks for a free site; what finds none is put later or not at all"
ROUNDING = "a share of a number below which floating point tells nothing"
METHOD = "the numerical method, derived where it stands; a test holds it to an independent solver"
PACKING = "bits of a random word or of a packed place"
CACHE = "memory of the processor: no result depends on it"
LOGNORMAL = "half the variance: the mean of a log-normal"
TIMES = "length of a calendar, which no result depends on"

ALLOWED = {  # file -> where -> (numbers, why)
    "marrow/cell_types.py": {"_read": ((0.42, 0.5), "radius of a disc on the page")},
    "mechanisms/outside/catalogue.py": {"digest_of": ((12,), "letters of a digest")},
    "mechanisms/outside/hooks.py": {"SLACK": ((1e-9,), ROUNDING)},
    "mechanisms/outside/checking.py": {
        "sample_marrow": ((16,), "sites a side of a marrow in which acts are watched"),
        "boiled_down": ((200,), "letters of a message"),
    },
    "pharmacology/half_life.py": {
        "half_life": ((4.0,), "roots of a quadratic equation"),
        "in_words": ((3,), "digits that are shown"),
    },
    "mechanisms/outside/own.py": {"FIRST_STREAM": ((1000,), "above every stream of the package")},
    "foundation/response.py": {"ROUNDING": ((1e-12,), ROUNDING), "hill": ((1e-30,), ROUNDING)},
    "foundation/rng.py": {
        "GOLDEN": ((0x9E3779B97F4A7C15,), "splitmix64"),
        "mix": ((30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31), "splitmix64, Stafford's variant 13"),
        "patient_key": ((0x7E5,), "a word of its own for patients"),
        "TO_UNIT": ((53,), "bits of a float"),
        "TO_UNIT_32": ((32,), "bits of half a word"),
        "unit": ((11,), PACKING),
        "below": ((32,), PACKING),
        "upper": ((32,), PACKING),
        "lower_half": ((0xFFFFFFFF,), PACKING),
        "poisson": ((1e-17,), ROUNDING),
    },
    "laboratory/mouse.py": {
        "Xenograft._body": ((0.2, 30.0), "age and albumin of a mouse, on which no kinetics in a mouse depend"),
        "volume": ((4.0, 3.0, 1e-3, 1.5), "volume of a sphere from the area of its section, um to mm"),
        "draw_mouse": ((0.1, 0x30E), "the form of an experiment gives the spread; a word of its own for mice"),
        "put_disc": ((0.5,), "the middle of the patch"),
        "line_clones": ((1e-6,), ROUNDING),
        "bearer": ((0.5,), LOGNORMAL),
    },
    "laboratory/well.py": {"incubate": ((1e-9,), ROUNDING)},
    "mechanisms/binding.py": {
        "UG_PER_KG, UM3_PER_ML": ((1e9, 1e12), "units"),
        "HELD": ((3,), "the volume of a site from its side"),
        "held": ((0.5,), LOGNORMAL),
        "delivered": ((0.5, 4.0), "the root of a quadratic equation"),
    },
    "mechanisms/fc_receptors.py": {"expressed": ((0.5,), LOGNORMAL)},
    "marrow/burden.py": {"MOST_ARRIVALS, TRIES": ((64, 16), TRIES)},
    "marrow/clones.py": {
        "IMID_RESISTANT, PROTEASOME_RESISTANT, ANTIBODY_ESCAPED": ((4,), "bits of the number of a clone"),
        "N_RESISTANCES": ((3,), "how many there are"),
    },
    "marrow/diffusion.py": {
        "LINE": ((16,), CACHE),
        "SMALLEST": ((8,), METHOD),
        "MAX_CYCLES": ((60,), METHOD),
        "STALLED": ((0.9,), METHOD),
        "STEP_TOLERANCE": ((3e-6,), METHOD),
        "ZERO, QUARTER, HALF, THREE_QUARTERS, ONE, TWO, FOUR": ((0.25, 0.5, 0.75, 4), "names of float32 numbers"),
        "VANISHING": ((1e-30,), ROUNDING),
        "AFTER_2, BEFORE, AFTER_1": ((1.25, 0.75, 6, 5), METHOD),
        "OVERSHOOT": ((1.1,), METHOD),
        "GAMMA": ((0.5,), METHOD),
        "relative_residual": ((4.0,), "neighbours in the Laplacian"),
        "load": ((4.0,), "neighbours in the Laplacian"),
    },
    "marrow/fate.py": {"ROUNDING": ((1e-9,), ROUNDING)},
    "marrow/lattice.py": {
        "NEIGHBOURS": ((8,), "geometry of a square lattice"),
        "FAIR": ((840,), "divisible by 1 to 8"),
        "LARGEST_INDEX": ((0x7FFFFFFF,), "what a site never exceeds"),
        "SMALLEST_SIDE, LARGEST_SIDE": ((8, 8192), "what the solver needs and memory bears"),
        "neighbour": ((3,), "rows and columns of a neighbourhood"),
    },
    "marrow/prefetch.py": {
        "LINE": ((64,), CACHE),
        "FAR": ((9,), CACHE),
        "read_for_fate": ((8,), CACHE),
        "read_for_granzyme": ((4,), CACHE),
        "read_for_walks": ((8, 4), CACHE),
    },
    "marrow/roster.py": {"BITS": ((64,), "bits of a word")},
    "marrow/seeding.py": {"SCATTER_TRIES, NEST_TRIES, LEAST_TRIES": ((200, 400, 1000), TRIES)},
    "marrow/state.py": {
        "BLOCK_SIDE": ((128,), CACHE),
        "BANDS": ((4,), CACHE),
        "TILE": ((128,), CACHE),
        "make_marrow": ((3,), "three counters"),
    },
    "marrow/walking.py": {
        "displacement": ((32, 0xFFFFFFFF), PACKING),
    },
    "mechanisms/motility.py": {
        "STEP_VARIANCE": ((0.75,), "geometry of a step to one of eight neighbours"),
        "squares": ((3.0, 0.25, 0.5), "variance of a square, solved for its width"),
        "walk": ((0.5,), "rounds to the nearest whole number"),
    },
    "mechanisms/recruitment.py": {"TRIES": ((12,), TRIES), "PORTION": ((400.0,), "what inversion of a Poisson draw bears")},
    "mechanisms/t_cell_recovery.py": {"settled": ((0.5, 4.0), "solution of a quadratic equation")},
    "outcomes/clinic.py": {"UG_PER_ML_IN_G_PER_L": ((1000.0,), "units")},
    "outcomes/imwg.py": {
        "standard_normal": ((54, 53), "bits of a float"),
        "measure": ((0.5,), LOGNORMAL),
        "check": ((4,), "members of a reading, in a message"),
        "assess_table": ((7,), "columns of a table"),
    },
    "outcomes/mrd.py": {"is_negative": ((1e-12,), ROUNDING)},
    "patients/density.py": {"LN_10": ((10.0,), "base of the logarithm"), "SLACK": ((1e-9,), ROUNDING)},
    "patients/distributions.py": {
        "SMALLEST_TAIL": ((54,), "bits of a float"),
        "_normal_quantile": ((53,), "bits of a float"),
        "Log10Odds.quantile": ((10.0,), "base of the logarithm"),
    },
    "patients/patient.py": {"iss_stage": ((3,), "a stage"), "HEADINGS": ((3,), "a stage")},
    "patients/population.py": {"Effect.on": ((10.0,), "base of the logarithm"), "MEDIAN": ((0.5,), "the middle")},
    "patients/portrait.py": {
        "DRAWS": ((3000,), "patients that are shown"),
        "MEDIANS": ((100.0, 1000.0), "per cent and thousands, in words"),
        "SHARES": ((3,), "a stage"),
        "portray": ((0.25, 0.5, 0.75, 100.0), "quartiles; per cent, in words"),
    },
    "patients/reading.py": {"_distribution": ((1e-6,), ROUNDING), "_categorical": ((1e-9,), ROUNDING)},
    "pharmacology/compartments.py": {
        "NEGLIGIBLE": ((1e-6,), METHOD),
        "STIFFNESS": ((0.3,), METHOD),
        "SMOOTHNESS": ((0.4,), METHOD),
        "FASTEST": ((1000.0,), "what a run bears"),
        "MOST_PARTS": ((16,), METHOD),
        "clearance_factor": ((700.0,), "exponential that a float does not hold"),
        "antibody_step": ((0.5, 6.0, 3.0), "Runge and Kutta"),
        "antibody_segment": ((0.5, 1e-9), "the middle of a segment; " + ROUNDING),
        "filled": ((1e-12,), ROUNDING),
        "passed": ((1e-9,), ROUNDING),
        "propagator": ((0.5, 4.0), "solution of a quadratic equation"),
        "engage": ((5.0, 8.0, 24.0, 0.5, 4.0, 6.0, 12.0), "Simpson and Hermite"),
        "small_molecule_segment": ((0.5,), "the middle of a part"),
    },
    "pharmacology/course.py": {"FIRST_HORIZON_DAYS": ((728.0,), TIMES)},
    "pharmacology/drug.py": {
        "_variability": ((100.0,), "per cent"),
        "WIDEST": ((1000.0, 5.0), "beyond which a spread is taken for a slip of the pen and refused"),
    },
    "pharmacology/regimen.py": {"LONGEST_CYCLE": ((36_525,), "days beyond which a cycle is taken for a slip of the pen and refused")},
    "simulation/onset.py": {"describe_host": ((0.5,), LOGNORMAL)},
    "simulation/settings.py": {
        "Settings": ((64, 6.0), "choices of a study, which its scenario states"),
        "Settings.__post_init__": ((1e-9,), ROUNDING),
    },
    "simulation/compiling.py": {"SMALL": ((32,), "of a marrow that is made for the sake of its kernels")},
    "simulation/simulation.py": {"Simulation.state_hash": ((16,), "length of a digest")},
    "simulation/treatment.py": {"UNTREATED": ((28,), TIMES)},
    "simulation/tissue.py": {
        "FARTHEST": ((5,), "how far a cell of a section may be moved before the section is refused as too dense"),
        "place": ((0.5,), "the middle of a site"),
        "on_tissue": ((3,), "the address of a stream of chance"),
        "_composed": ((100.0,), "per cent, in a message"),
    },
}


def undeclared(source: str) -> dict[str, Counter]:
    """Numbers of a source that no note declares, by where they stand: a function with its class, or a name of the module."""
    found: dict[str, Counter] = {}

    def walk(node, where):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).startswith("Annotated["):
            return
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "IntEnum" for base in node.bases):
            return  # its numbers are names
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            where = f"{where}.{node.name}" if where else node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not where:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            where = ast.unparse(target).strip("()")
        if isinstance(node, ast.Constant):
            if isinstance(node.value, int | float) and not isinstance(node.value, bool) and node.value not in PLAIN:
                found.setdefault(where, Counter())[node.value] += 1
            return
        if isinstance(node, ast.Subscript):  # a place in an array is no number of a rule; what is worked out there may be
            places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            children = [node.value, *(place for place in places if not isinstance(place, ast.Constant))]
        else:
            children = list(ast.iter_child_nodes(node))
        for child in children:
            walk(child, where)

    walk(ast.parse(source), "")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_rule_holds_no_number_that_is_not_declared(path):
    name = path.relative_to(PACKAGE).as_posix()
    found = {where: set(numbers) for where, numbers in undeclared(path.read_text(encoding="utf-8")).items()}
    allowed = {where: set(numbers) for where, (numbers, _) in ALLOWED.get(name, {}).items()}
    assert found == allowed  # and what is allowed is there: the list does not outlive what it excuses


def test_the_list_of_allowed_numbers_is_of_files_that_are_read_and_says_why():
    assert set(ALLOWED) <= {path.relative_to(PACKAGE).as_posix() for path in FILES}
    assert all(why.strip() for places in ALLOWED.values() for _, why in places.values())


def test_what_counts_as_undeclared():
    source = '''
PACE: Annotated[float, Param("1/h", "pace", "here", "A")] = 0.004
PLACES: tuple[int, ...] = (7,)
MOST = 9.0

class Kind(IntEnum):
    PLASMA = 5

class Params(NamedTuple):
    half: Annotated[float, Param("1", "half", "here", "A", high=3.0)] = 0.3

def rate(x, p):
    """Takes 40 % away."""
    return 2.0 * x[5, p.place, 6] + x[int(7 * p.share)] + min(x, 0.75) - p.pace ** 3 if True else -1
'''
    assert undeclared(source) == {"PLACES": {7: 1}, "MOST": {9.0: 1}, "rate": {7: 1, 0.75: 1, 3: 1}}


def test_constants_are_found_where_they_stand_with_all_that_a_reader_needs():
    found = constants(*ROOMS)
    assert found["lattice.site_um"] == Origin(12.0, "um", "side of a site, which holds one cell", found["lattice.site_um"].source, "D")
    for name in (
        *("contact.linger_h", "contact.most_granzyme", "field_age.field_life", "field_age.field_change", "adenosine.typical_cd38"),
        *("adenosine.most_suppressed", "exhaustion.most_exhausted"),
        *("patient.renal_limit", "patient.b2m_of_stage_3", "patient.body_surface"),
        *("regimen.elderly_age", "onset.most_filled", "onset.least_room", "settings.start", "settings.rise", "probes.visible"),
        *("burden.correction_h", "seeding.cellularity", "seeding.nucleated_cells", "seeding.interstitial", "state.crowd"),
        *("trogocytosis.recovery", "nk_activation.recovery", "serum.igg_half_life_low", "course.truncation"),
    ):
        assert name in found
    for name, origin in found.items():
        assert origin.grade in GRADES and origin.unit and origin.meaning and origin.source, name
        assert isinstance(origin.value, int | float), name


def test_a_constant_has_no_namesake_among_the_parameters():
    blocks = {m.name: m.Params for m in MECHANISMS} | FLOORS
    assert {f"{block}.{name}" for block, params in blocks.items() for name in notes(params)}.isdisjoint(constants(*ROOMS))


def test_a_run_lists_every_constant_and_every_threshold_of_the_response():
    rows = {row["name"]: row for row in describe_run(load_scenario("icaria"))["parameters"]}
    assert set(constants(*ROOMS)) | set(constants("tme_abm.trial.visit")) <= set(rows)
    assert rows["visit.mrd_every"]["value"] == 6 and rows["visit.mrd_every"]["unit"] == "visits"
    assert {f"response.{name}" for name in notes(imwg.Params)} | {f"clinic.{name}" for name in notes(clinic.Params)} <= set(rows)
    assert rows["motility.stop"]["value"] == 2.0 and rows["recruitment.granzyme"]["value"] == 0.5
    assert [rows[f"{field}.diffusivity"]["value"] for field in ("adenosine", "interleukin6", "chemokine")] == [270.0, 40.0, 40.0]


def test_a_laboratory_lists_its_own_constants():
    def names(scenario):
        return {row["name"] for row in load_scenario(scenario).origins()}

    assert {"mouse.founders", *constants("tme_abm.laboratory.mouse"), *constants(*ROOMS)} <= names("figure3_pomalidomide")
    assert {"well.most_filled", *constants(*ROOMS)} <= names("cd38_density")


@pytest.mark.parametrize("block, name", [("contact", "linger_h"), ("trogocytosis", "recovery"), ("burden", "correction_h")])
def test_a_study_that_sets_a_constant_is_told_that_it_is_one(block, name):
    with pytest.raises(InputError, match=rf"^parameters\.{block}\.{name}: a constant, which no study changes$"):
        Settings(parameters={block: {name: {"value": 1.0}}})
