"""S37: isatuximab 5 mg/kg with bortezomib 0.4, 0.6 or 1 mg/kg: every combination below each single drug, in the order of dose."""

from itertools import pairwise

import numpy as np

from tme_abm.laboratory.xenograft import run_again
from tme_abm.scenario.kinds import load_scenario

DOSES = ("04", "06", "10")


def test_every_combination_beats_each_single_in_the_order_of_dose(record_property):
    study = load_scenario("figure5_bortezomib", ["mice=10", "variants=[]"])
    table = run_again(study)
    arms = study.summarise(table)["variants"][0]["arms"]
    shown = [f"V {arms['v-' + d]['tgi_percent']:.0f} %, with Isa {arms['isa-v-' + d]['tgi_percent']:.0f} %" for d in DOSES]
    record_property("S37", f"Isa {arms['isa']['tgi_percent']:.0f} %; at 0.4, 0.6, 1 mg/kg: {'; '.join(shown)}")
    # the logarithm of the mean volume over time of each mouse: on the last day most tumours of the combinations are gone at any dose
    over_time = np.log(table.groupby(["arm", "mouse"])["volume_mm3"].mean().unstack(0))

    def is_below(one, other):
        difference = (over_time[other] - over_time[one]).to_numpy(float)
        return difference.mean() > 2.0 * difference.std(ddof=1) / np.sqrt(difference.size)

    for dose in DOSES:
        assert is_below(f"isa-v-{dose}", f"v-{dose}")
        assert is_below(f"isa-v-{dose}", "isa")
    for less, more in pairwise(DOSES):
        assert is_below(f"v-{more}", f"v-{less}")
        assert is_below(f"isa-v-{more}", f"isa-v-{less}")
