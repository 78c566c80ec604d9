"""S39: isatuximab alone inhibits NCI-H929 and MOLP-8 xenografts more than bortezomib alone (Deckert 2014; direction)."""

import pytest

from tme_abm.laboratory.inhibition import readings, tgi
from tme_abm.laboratory.xenograft import run_again
from tme_abm.scenario.kinds import load_scenario


@pytest.mark.parametrize("line", ["nci_h929", "molp_8"])
def test_isatuximab_is_the_more_potent(line, record_property):
    study = load_scenario("figure5_bortezomib", ["mice=5", "variants=[]", "combinations=[]", f"tumour.line={line}"])
    arms = tuple(arm for arm in study.arms if arm.key in ("vehicle", "isa", "v-10"))
    read = readings(run_again(study, arms=arms))
    isatuximab, bortezomib = (tgi(read, key, "vehicle") for key in ("isa", "v-10"))
    record_property("S39", f"{study.line.label}: isatuximab 5 mg/kg {isatuximab:.0f} %, bortezomib 1 mg/kg {bortezomib:.0f} %")
    assert isatuximab > bortezomib > 0.0
