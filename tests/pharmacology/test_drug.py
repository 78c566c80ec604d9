"""Drug files: what they may say, and what they are told when they are wrong."""

from pathlib import Path
from typing import Annotated, NamedTuple

import pytest

from tme_abm.foundation.declare import GRADES, Param
from tme_abm.foundation.errors import InputError
from tme_abm.pharmacology.course import Course
from tme_abm.pharmacology.drug import OF_THE_DISEASE, Covariate, catalogue, load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen

MADE_UP = """
[drug]
name = "made-up"
label = "Mad"
class = "antibody"
antigen = "CD38"
route = "subcutaneous"

[kinetics]
model = "antibody"
clearance = { value = 0.01, unit = "L/h" }
central_volume = { value = 3.0, unit = "L" }
intercompartmental_clearance = { value = 0.0, unit = "L/h" }
peripheral_volume = { value = 2.0, unit = "L" }
absorption_rate = { value = 0.02, unit = "1/h" }
bioavailability = { value = 0.6, unit = "1" }

[kinetics.variability]
clearance = { value = 30.0, unit = "%" }

[[kinetics.covariates]]
parameter = "clearance"
covariate = "weight_kg"
form = "power"
reference = 70.0
value = 0.75

[mechanisms.adcc]
lysis_rate = { value = 0.2, unit = "1/h" }
"""


class Adcc(NamedTuple):
    """A stand-in for a mechanism."""

    lysis_rate: Annotated[float, Param("1/h", "rate", "nobody")] = 0.1
    half_sites: Annotated[float, Param("1", "sites", "nobody")] = 5e4


MECHANISMS = {"adcc": Adcc}


def write(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in MADE_UP
    (folder / "made-up.toml").write_text(MADE_UP.replace(old, new, 1) if old else MADE_UP, encoding="utf-8")
    return folder


def test_the_catalogue():
    assert set(catalogue()) == {
        "isatuximab",
        "daratumumab",
        "elotuzumab",
        "pomalidomide",
        "lenalidomide",
        "carfilzomib",
        "bortezomib",
        "dexamethasone",
    }


@pytest.mark.parametrize("name", catalogue())
def test_every_number_has_unit_meaning_source_and_grade(drug, name):
    loaded = drug(name)
    assert loaded.name == name
    assert (loaded.drug_class == "antibody") == (loaded.antigen is not None) == (loaded.model == "antibody")
    assert loaded.effects
    origins = loaded.origins()
    assert len(origins) >= 10
    for place, origin in origins.items():
        assert origin.unit, place
        assert origin.meaning, place
        assert origin.source not in ("", "this study"), place
        assert origin.grade in GRADES, place
    given = [o for place, o in origins.items() if place.startswith("kinetics.") and o.source == "gibaldi1982"]
    assert all(o.value in (0.0, 1.0) for o in given)  # what a file leaves out is switched off


def test_what_the_antibodies_can_do(drug):
    isatuximab, daratumumab = set(drug("isatuximab").effects), set(drug("daratumumab").effects)
    assert isatuximab - daratumumab == {"direct_killing", "ectoenzyme"}
    assert daratumumab < isatuximab
    assert set(drug("elotuzumab").effects) == {"binding", "adcc", "nk_activation"}
    assert drug("elotuzumab").antigen == "SLAMF7"


def test_a_drug_is_one_file(tmp_path, typical):
    made_up = load_drug("made-up", [write(tmp_path)], MECHANISMS)
    assert made_up.effects["adcc"].params == Adcc(0.2, 5e4)
    assert "made-up" in catalogue([tmp_path])
    regimen = Regimen("m", "M", 28, (Dose("made-up", 100.0, "mg", (1,), 1, 1),))
    course = Course(regimen, [made_up], typical._replace(weight_kg=70.0), 1, is_varied=False)
    total = course.advance(5000, 1.0).concentration[:, 0].sum()
    assert total == pytest.approx(0.6 * 100.0 / 0.01, rel=1e-5)  # area = F dose / CL
    heavier = Course(regimen, [made_up], typical._replace(weight_kg=140.0), 1, is_varied=False)
    assert heavier.kinetics("made-up").clearance == pytest.approx(0.01 * 2.0**0.75)


def test_an_antibody_that_leaves_too_fast_to_be_followed_is_refused(tmp_path, typical):
    """Its steps would be as short as it is fast: the run would not end."""
    made_up = load_drug("made-up", [write(tmp_path, 'form = "power"', 'form = "exponential"')], MECHANISMS)
    regimen = Regimen("m", "M", 28, (Dose("made-up", 100.0, "mg", (1,), 1, 1),))
    with pytest.raises(InputError, match=r"made-up\.toml: made-up in this patient leaves a compartment .* times an hour, more than 1000"):
        Course(regimen, [made_up], typical._replace(weight_kg=140.0), 1)
    assert Course(regimen, [made_up], typical._replace(weight_kg=72.0), 1, is_varied=False).advance(24, 1.0).concentration[-1, 0] > 0.0


def test_a_folder_goes_before_the_catalogue(tmp_path):
    write(tmp_path)
    text = (tmp_path / "made-up.toml").read_text(encoding="utf-8").replace('"made-up"', '"isatuximab"')
    (tmp_path / "isatuximab.toml").write_text(text, encoding="utf-8")
    assert load_drug("isatuximab", [tmp_path], MECHANISMS).label == "Mad"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('class = "antibody"', 'class = "antibodi"', "did you mean 'antibody'"),
        ('antigen = "CD38"', 'antigen = "CD83"', "unknown antigen 'CD83'"),
        ('antigen = "CD38"\n', "", "write antigen"),
        ('route = "subcutaneous"', 'route = "oral-ish"', "unknown route"),
        ('route = "subcutaneous"', 'route = "infusion"', "only an infusion takes time"),
        ('route = "subcutaneous"', 'route = "bolus"', "do not fit"),
        ('name = "made-up"', 'name = "other"', "must be that of the file"),
        ('label = "Mad"', 'lable = "Mad"', "did you mean 'label'"),
        ('model = "antibody"', 'model = "antibodies"', "did you mean 'antibody'"),
        ("clearance = { value = 0.01", "clearence = { value = 0.01", "did you mean"),
        ('clearance = { value = 0.01, unit = "L/h" }\n', "", "parameter 'clearance'"),
        ('value = 0.01, unit = "L/h"', 'value = 0.01, unit = "L/d"', "the unit must be 'L/h'"),
        ('value = 3.0, unit = "L"', 'value = -3.0, unit = "L"', "outside of 0 to inf"),
        ('value = 3.0, unit = "L"', 'value = 0.0, unit = "L"', "cannot be 0"),
        ('value = 3.0, unit = "L"', 'value = "3", unit = "L"', "expected a number"),
        ("[kinetics.variability]\nclearance", "[kinetics.variability]\nclearanse", "did you mean 'clearance'"),
        ('value = 30.0, unit = "%"', 'value = 30.0, unit = "percent"', "unknown unit"),
        ('value = 30.0, unit = "%"', 'value = -30.0, unit = "%"', "a spread is from 0 to 1000 %, got -30"),
        ('value = 30.0, unit = "%"', 'value = 30.0, unit = "%", grade = "X"', "unknown grade"),
        ('covariate = "weight_kg"', 'covariate = "weight"', "did you mean 'weight_kg'"),
        ('form = "power"', 'form = "powr"', "did you mean 'power'"),
        ("reference = 70.0", "reference = 0.0", "reference must be above zero"),
        ("[mechanisms.adcc]", "[mechanisms.adc]", "did you mean 'adcc'"),
        ("lysis_rate =", "lysis =", "unknown parameter 'lysis'"),
        ("[mechanisms.adcc]", "[mechanism.adcc]", "did you mean 'mechanisms'"),
        ("[drug]", "[drugs]", "did you mean 'drug'"),
        ("[drug]", "[drug", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_named_and_the_word_corrected(tmp_path, old, new, message):
    with pytest.raises(InputError, match=r"made-up\.toml") as error:
        load_drug("made-up", [write(tmp_path, old, new)], MECHANISMS)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "line_of"),
    [
        ('form = "power"', 'form = "powr"', "form = "),
        ('route = "subcutaneous"', 'route = "oral-ish"', "route = "),
        ("[drug]", '"" = 1\n[drug]', '"" = 1'),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path, old, new, line_of):
    folder = write(tmp_path, old, new)
    lines = (folder / "made-up.toml").read_text(encoding="utf-8").splitlines()
    number = next(i for i, line in enumerate(lines, 1) if line.startswith(line_of))
    with pytest.raises(InputError, match=rf"made-up\.toml, line {number}[: ]"):
        load_drug("made-up", [folder], MECHANISMS)


def test_what_is_wrong_with_a_drug_in_the_mouse_is_told_of_that_file(tmp_path):
    mouse = Path(__file__).parents[2] / "tme_abm" / "pharmacology" / "drugs" / "mouse" / "isatuximab.toml"
    text = mouse.read_text(encoding="utf-8").replace("clearance", "clarance", 1)
    (tmp_path / "mouse").mkdir()
    (tmp_path / "mouse" / "isatuximab.toml").write_text(text, encoding="utf-8")
    number = next(i for i, line in enumerate(text.splitlines(), 1) if line.startswith("clarance"))
    with pytest.raises(InputError, match=rf"mouse/isatuximab\.toml, line {number} .*'clarance'; did you mean 'clearance'"):
        load_drug("isatuximab", [tmp_path], species="mouse")


def test_what_goes_under_the_skin_stands_once_among_the_numbers():
    drug = load_drug("daratumumab")
    found = {name: origin.value for name, origin in drug.origins().items() if "absorption_rate" in name or "bioavailability" in name}
    own = drug.subcutaneous.params
    assert found == {"subcutaneous.absorption_rate": own.absorption_rate, "subcutaneous.bioavailability": own.bioavailability}
    assert drug.kinetics.params.absorption_rate == own.absorption_rate  # which the course of a dose reads


def test_an_unknown_drug_gets_a_hint():
    with pytest.raises(InputError, match="did you mean 'isatuximab'"):
        load_drug("isatuxamab", mechanisms=MECHANISMS)


def test_covariate_forms_by_hand(tmp_path):
    for form, expected in (("power", 2.0**0.75), ("linear", 1.75), ("factor", 0.75)):
        made_up = load_drug("made-up", [write(tmp_path, 'form = "power"', f'form = "{form}"')], MECHANISMS)
        assert made_up.covariates[0].multiplier(140.0) == pytest.approx(expected)
        assert made_up.covariates[0].multiplier(70.0) == pytest.approx(0.75 if form == "factor" else 1.0)
    assert made_up.covariates[0].multiplier(69.9) == 1.0
    grown = load_drug("made-up", [write(tmp_path, 'form = "power"', 'form = "exponential"')], MECHANISMS)
    assert grown.covariates[0].multiplier(71.0) == pytest.approx(2.117, abs=1e-3)


@pytest.mark.parametrize("name", catalogue())
def test_kinetics_after_a_look_are_those_of_a_patient_with_the_disease_of_now(name, typical, monkeypatch):
    """To the last bit, and what does not follow the disease is not worked out again."""
    drug = load_drug(name)
    deviates = {vary.parameter: 0.7 for vary in drug.variability}
    first, now = ({**typical._asdict(), "is_with_imid": 1.0, "igg_g_per_l": 5.0 + m, "m_protein_g_per_l": m} for m in (40.0, 7.3))
    now["disease"] = 0.21
    before, expected = drug.individual(first, deviates), drug.individual(now, deviates)
    asked = []
    plain = Covariate.multiplier
    monkeypatch.setattr(Covariate, "multiplier", lambda self, x: asked.append(self.parameter) or plain(self, x))
    assert drug.individual(now, deviates, before) == expected
    assert (expected != before) == drug.follows_disease
    follow = {effect.parameter for effect in drug.covariates if effect.covariate in OF_THE_DISEASE}
    assert set(asked) == follow
