"""The long table of doses and M-protein: doses by hand arithmetic, in an order in which a NONMEM reader takes them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tme_abm.export import adam, dosing
from tme_abm.foundation.errors import InputError
from tme_abm.pharmacology.tolerance import Rule


@pytest.fixture(scope="module")
def table(result):
    return dosing.make(result.study, result.patients, result.trajectory)


def test_one_individual_for_each_patient_and_arm(table, result):
    assert table["ID"].nunique() == len(result.patients)
    assert table.groupby("ID").agg({"PATIENT": "nunique", "ARM": "nunique", "WT": "nunique"}).eq(1).all().all()
    assert table["ID"].is_monotonic_increasing
    assert table.groupby("ID")["TIME"].apply(lambda t: t.is_monotonic_increasing).all()


def test_doses_of_the_first_cycle_are_the_protocols(table, result):
    for row in result.patients[result.patients["arm"] == "isa-pd"].to_dict("records"):
        own = table[(table["PATIENT"] == row["patient"]) & (table["ARMKEY"] == "isa-pd") & (table["EVID"] == 1)]
        if result.trajectory.query(f"patient == {row['patient']} and arm == 'isa-pd'")["day"].max() < 28:
            continue
        first = own[own["TIME"] < 28 * 24]
        isatuximab = first[first["DRUG"] == "isatuximab"]
        assert isatuximab["TIME"].tolist() == [0.0, 7 * 24.0, 14 * 24.0, 21 * 24.0]
        np.testing.assert_allclose(isatuximab["AMT"], 10.0 * row["weight_kg"])
        assert (isatuximab["RATE"] > 0).all()
        assert (first["DRUG"] == "pomalidomide").sum() == 21
        dexamethasone = first[first["DRUG"] == "dexamethasone"]["AMT"].unique().tolist()
        assert dexamethasone == [20.0 if row["age"] >= 75 else 40.0]


def test_measurements_are_those_of_the_visits_and_stand_before_the_dose_of_their_day(table, result):
    seen = table[table["EVID"] == 0]
    np.testing.assert_array_equal(np.sort(seen["DV"].to_numpy(float)), np.sort(result.trajectory["m_protein_measured_g_per_l"].to_numpy()))
    assert seen["AMT"].isna().all() and (seen["MDV"] == 0).all()
    for _, own in table.groupby("ID"):
        assert own["EVID"].iloc[0] == 0
    both = table.groupby(["ID", "TIME"])["EVID"]
    assert both.apply(lambda e: e.is_monotonic_increasing).all()


def test_nothing_is_given_after_treatment_was_stopped(result):
    patients = result.patients.copy()
    patients["treatment_stopped_days"] = 56.0
    stopped = dosing.make(result.study, patients, result.trajectory)
    given = stopped[stopped["EVID"] == 1]
    assert given["TIME"].max() < 56 * 24
    assert (stopped[stopped["EVID"] == 0]["TIME"].max()) > 56 * 24
    assert stopped["STOPPED"].all()


def test_both_files_open_in_pandas(table, tmp_path):
    parquet, csv = dosing.write(table, tmp_path)
    again = pd.read_csv(csv, na_values=".", float_precision="round_trip")
    np.testing.assert_array_equal(again["AMT"], table["AMT"])
    np.testing.assert_array_equal(again["DV"], table["DV"])
    assert "." in csv.read_text(encoding="utf-8").splitlines()[1].split(",")
    assert list(pd.read_parquet(parquet).columns) == [heading.name for heading in dosing.HEADINGS]
    assert list(again.columns)[-3:] == ["DRUG", "ROUTE", "ARMKEY"]  # words last


def with_first_arm(study, **changes):
    return replace(study, arms=(replace(study.arms[0], **changes), *study.arms[1:]))


def test_a_dose_under_the_skin_says_so_and_has_no_rate(table, result):
    assert set(table[table["EVID"] == 1]["ROUTE"]) == {"OWN"} and table[table["EVID"] == 0]["ROUTE"].isna().all()
    under_skin = [replace(dose, route="subcutaneous") if dose.drug == "isatuximab" else dose for dose in result.study.arms[0].doses]
    study = with_first_arm(result.study, doses=tuple(under_skin))
    given = dosing.make(study, result.patients, result.trajectory).query("EVID == 1 and ARMKEY == 'isa-pd'")
    assert set(given[given["DRUG"] == "isatuximab"]["ROUTE"]) == {"SUBCUTANEOUS"}
    assert (given[given["DRUG"] == "isatuximab"]["RATE"] == 0.0).all()
    assert set(given[given["DRUG"] != "isatuximab"]["ROUTE"]) == {"OWN"}


@pytest.mark.parametrize("make", [dosing.make, adam.make], ids=["nonmem", "adam"])
def test_doses_that_follow_rules_are_refused_and_not_made_up(result, make):
    study = with_first_arm(result.study, rules=(Rule(("isatuximab",), None, 0.5, (0.0,)),))
    with pytest.raises(InputError, match="the doses of 'isa-pd' follow rules that are asked at visits"):
        make(study, result.patients, result.trajectory)
