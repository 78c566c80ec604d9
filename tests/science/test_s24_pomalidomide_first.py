"""S24: pomalidomide given first raises the direct killing of a CD38-rich line by isatuximab above the sum of the two (direction)."""

import tomllib

import pytest

from tme_abm.laboratory.xenograft import run_again
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import scenarios

DIRECT = ["adcc", "adcp", "cdc"]  # what else isatuximab does, switched off
POM = {"drug": "pomalidomide", "dose": "10 mg/kg", "days": "1-10"}
ISA = {"drug": "isatuximab", "dose": "40 mg/kg", "days": [5]}


def killed(line):
    """Deaths by isatuximab itself and by pomalidomide, for each cell and day, in the four days after isatuximab."""
    given = tomllib.loads(scenarios()["figure3_pomalidomide"].read_text(encoding="utf-8"))
    arms = {"medium": [], "isa": [ISA], "pom": [POM], "both": [POM, ISA]}
    given |= {"mice": 6, "combinations": [], "variants": [], "arms": {key: {"label": key, "doses": doses} for key, doses in arms.items()}}
    given["tumour"] |= {"line": line, "watch": "8 d", "measure": "1 d"}
    study = load_scenario(given, without=DIRECT)
    table = run_again(study)
    rates = {}
    for arm, rows in table.groupby("arm"):
        window = rows[rows["day"] >= 4].groupby("day").mean(numeric_only=True)
        cell_days = window["plasma_cells"].iloc[:-1].sum()
        causes = window[["deaths_direct", "deaths_imid"]].iloc[-1] - window[["deaths_direct", "deaths_imid"]].iloc[0]
        rates[arm] = causes.sum() / cell_days
    return rates


@pytest.fixture(scope="module")
def rich():
    return killed("nci_h929")


def test_pomalidomide_first_raises_direct_killing_above_the_sum(rich, record_property):
    record_property(
        "S24",
        f"killed a day: Isa {rich['isa']:.1%}, Pom {rich['pom']:.1%}, Pom before Isa {rich['both']:.1%} "
        f"(sum {rich['isa'] + rich['pom']:.1%})",
    )
    assert rich["both"] > 1.1 * (rich["isa"] + rich["pom"])


def test_it_needs_cd38(rich):
    poor = killed("opm_2")
    gain = rich["both"] - rich["isa"] - rich["pom"]
    assert abs(poor["both"] - poor["isa"] - poor["pom"]) < 0.2 * gain
