"""S31: isatuximab 40 mg/kg and pomalidomide 10 mg/kg inhibit a xenograft more than two drugs that know nothing of each other (Bliss)."""

from tme_abm.laboratory.xenograft import run_again
from tme_abm.scenario.kinds import load_scenario


def test_the_two_beat_the_expectation_of_bliss(record_property):
    study = load_scenario("figure3_pomalidomide", ["mice=8", "variants=[]"])
    summary = study.summarise(run_again(study))["variants"][0]
    arms, pair = summary["arms"], summary["combinations"][0]
    record_property(
        "S31",
        f"isatuximab {arms['isa']['tgi_percent']:.0f} %, pomalidomide {arms['pom']['tgi_percent']:.0f} %, "
        f"together {pair['tgi_percent']:.0f} % (Bliss {pair['bliss_percent']:.0f} %)",
    )
    assert arms["isa"]["tgi_percent"] > 0.0
    assert arms["pom"]["tgi_low"] > 0.0
    assert pair["beyond_bliss_low"] > 0.0
    # the same on the volumes that are left, where shrinking below the start counts for nothing more
    assert pair["end_mm3"] < pair["expected_end_mm3"]
