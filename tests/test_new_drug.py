"""A drug is one TOML: an antibody that nobody has heard of, in a folder of its own, runs without a line of code."""

import json

from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.running import run

DRUG = """
[drug]
name = "imaginumab"
label = "Imag"
class = "antibody"
antigen = "CD38"
route = "infusion"
infusion_hours = { value = 2.0, unit = "h", source = "tme_abm", grade = "A" }

[kinetics]
model = "antibody"
clearance = { value = 0.01, unit = "L/h", source = "tme_abm", grade = "A" }
central_volume = { value = 4.0, unit = "L", source = "tme_abm", grade = "A" }
intercompartmental_clearance = { value = 0.04, unit = "L/h", source = "tme_abm", grade = "A" }
peripheral_volume = { value = 3.0, unit = "L", source = "tme_abm", grade = "A" }

[mechanisms.binding]
[mechanisms.adcp]
engulfment_rate = { value = 0.2, unit = "1/h", source = "tme_abm", grade = "A" }
half_density = { value = 20e3, unit = "sites/cell", source = "tme_abm", grade = "A" }
"""

STUDY = """
title = "A made-up antibody"
summary = "Runs from its file alone."
population = "icaria"
patients = 4
seed = 5

[marrow]
shape = [32, 32]

[drugs]
folder = "drugs"

[trial]
compare = [["imag", "untreated"]]
follow_up = ["4 month", "4 month"]

[arms.imag]
label = "Imag"
doses = [{ drug = "imaginumab", dose = "10 mg/kg", days = [1, 8, 15, 22] }]

[arms.untreated]
label = "Untreated"
"""


def test_a_made_up_antibody_runs_from_its_toml(tmp_path):
    (tmp_path / "drugs").mkdir()
    (tmp_path / "drugs" / "imaginumab.toml").write_text(DRUG)
    (tmp_path / "study.toml").write_text(STUDY)
    study = load_scenario(tmp_path / "study.toml")
    summary = run(study, tmp_path / "results", workers=1)
    assert summary["failed"] == 0
    assert summary["killing"]["imag"]["adcp"] > 0.05
    assert "adcp" not in summary["killing"]["untreated"]
    named = {row["name"]: row["value"] for row in json.loads((tmp_path / "results" / "run.json").read_text())["parameters"]}
    assert named["drugs.imaginumab.mechanisms.adcp.engulfment_rate"] == 0.2
