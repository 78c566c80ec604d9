"""S36: isatuximab 0.5 mg/kg and carfilzomib 2 mg/kg each inhibit a xenograft by 20-65 %, both by 85 % at least and more than Bliss expects.

The single drugs set two numbers (host fc_efficiency, line drug_sensitivity); the combination is a prediction. 40 mice give the
inhibition by the combination to about 1.5 points (standard error).
"""

from tme_abm.laboratory.xenograft import run_again
from tme_abm.scenario.kinds import load_scenario


def test_singles_and_combination(record_property):
    study = load_scenario("figure5_carfilzomib", ["mice=40", "variants=[]", 'tumour.measure="7 d"'])
    summary = study.summarise(run_again(study))["variants"][0]
    arms, pair = summary["arms"], summary["combinations"][0]
    record_property(
        "S36",
        f"isatuximab {arms['isa']['tgi_percent']:.0f} %, carfilzomib {arms['k']['tgi_percent']:.0f} %, "
        f"together {pair['tgi_percent']:.0f} % ({arms['isa-k']['tgi_low']:.0f} to {arms['isa-k']['tgi_high']:.0f}; "
        f"Bliss {pair['bliss_percent']:.0f} %)",
    )
    assert 20.0 <= arms["isa"]["tgi_percent"] <= 65.0
    assert 20.0 <= arms["k"]["tgi_percent"] <= 65.0
    assert pair["tgi_percent"] >= 85.0
    assert pair["beyond_bliss_low"] > 0.0
    assert pair["end_mm3"] < pair["expected_end_mm3"]
