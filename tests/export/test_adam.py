"""ADaM data sets: what CDISC asks of their form, and the same results as the model's own tables."""

import math
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tme_abm import load_trial, run
from tme_abm.export import adam
from tme_abm.export.adam_variables import values
from tme_abm.foundation.errors import InputError
from tme_abm.trial.survival import kaplan_meier, survival

LABELS = {given.name: {v.name: v for v in given.variables} for given in adam.DATA_SETS}


@pytest.fixture(scope="module")
def sets(result):
    return adam.make(result.study, result.patients, result.trajectory)


@pytest.fixture(scope="module")
def files(sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adam")
    return folder, adam.write(sets, folder)


@pytest.mark.parametrize("name", list(LABELS))
def test_names_and_labels_are_as_cdisc_wants_them(sets, name):
    for variable in LABELS[name].values():
        assert re.fullmatch(r"[A-Z][A-Z0-9]{0,7}", variable.name)
        assert 0 < len(variable.label) <= 40
    assert list(sets[name].columns) == list(LABELS[name])
    given = next(d for d in adam.DATA_SETS if d.name == name)
    assert not sets[name].duplicated(list(given.keys)).any()
    for code in sets[name].get("PARAMCD", pd.Series(dtype=object)).unique():
        assert re.fullmatch(r"[A-Z][A-Z0-9]{0,7}", code)


@pytest.mark.parametrize("name", list(LABELS))
def test_both_files_open_and_hold_the_same(sets, files, name):
    folder, written = files
    stem = folder / name.lower()
    assert {stem.with_suffix(".parquet"), stem.with_suffix(".csv"), folder / "variables.csv"} <= set(written)
    schema = pq.read_schema(stem.with_suffix(".parquet"))
    assert {f.name: f.metadata[b"label"].decode() for f in schema} == {n: v.label for n, v in LABELS[name].items()}
    parquet = pd.read_parquet(stem.with_suffix(".parquet"))
    dates = [v.name for v in LABELS[name].values() if v.kind == "date"]
    csv = pd.read_csv(stem.with_suffix(".csv"), parse_dates=dates, float_precision="round_trip")
    assert len(parquet) == len(csv) == len(sets[name]) > 0
    for variable in LABELS[name].values():
        if variable.kind == "number":
            np.testing.assert_array_equal(parquet[variable.name], sets[name][variable.name])
            np.testing.assert_array_equal(csv[variable.name], sets[name][variable.name])
        elif variable.kind == "date":
            assert (pd.to_datetime(parquet[variable.name]).fillna(pd.Timestamp(0)) == csv[variable.name].fillna(pd.Timestamp(0))).all()
        else:
            assert parquet[variable.name].fillna("").tolist() == sets[name][variable.name].fillna("").tolist()


def test_a_subject_is_a_patient_under_an_arm(sets, result):
    adsl = sets["ADSL"]
    assert len(adsl) == len(result.patients)
    assert adsl["USUBJID"].is_unique
    assert (adsl.groupby("PAIRID").size() == 2).all()
    assert set(adsl["ARM"]) == {"Isa-Pd", "Pd"}
    for name in ("ADTTE", "ADRS", "ADLB"):
        assert set(sets[name]["USUBJID"]) == set(adsl["USUBJID"])


def test_the_cut_off_is_the_same_day_for_all_and_nothing_comes_after_it(sets):
    adsl = sets["ADSL"].set_index("USUBJID")
    assert (adsl["DCUTDT"] - adsl["DCUTDT"].min()).max() <= pd.Timedelta(1, "D")  # entry falls within a day
    assert adsl["RANDDT"].nunique() > 3
    for name in ("ADTTE", "ADRS", "ADLB"):
        rows = sets[name].dropna(subset="ADT")
        assert (rows["ADT"] <= adsl.loc[rows["USUBJID"], "DCUTDT"].to_numpy()).all()
        assert ((rows["ADT"] - adsl.loc[rows["USUBJID"], "RANDDT"].to_numpy()).dt.days + 1 == rows["ADY"]).all()
    assert (adsl["TRTEDT"] >= adsl["TRTSDT"]).all()


def test_kaplan_meier_of_adtte_is_that_of_the_trial(sets, result):
    pfs = sets["ADTTE"].query("PARAMCD == 'PFS'")
    assert set(pfs["CNSR"]) == {0.0, 1.0}
    for arm, label in result.labels.items():
        rows = pfs[pfs["TRT01P"] == label]
        again = pd.DataFrame(
            {"patient": range(len(rows)), "arm": arm, "status": "completed", "pfs_days": rows["AVAL"], "pfs_event": rows["CNSR"] == 0.0}
        )
        pd.testing.assert_frame_equal(kaplan_meier(survival(again, arm)), kaplan_meier(survival(result.patients, arm)), check_exact=True)


def test_events_and_censoring_say_why(sets, result):
    pfs = sets["ADTTE"].query("PARAMCD == 'PFS'").set_index("USUBJID")
    for row in result.patients.to_dict("records"):
        one = pfs.loc[adam.subject_id(result.study, row["patient"], row["arm"])]
        seen = "CLINICAL DISEASE PROGRESSION" if row["progression_kind"] == "clinical" else "DISEASE PROGRESSION"
        words = {"progression": seen, "death": "DEATH"}
        if row["pfs_event"]:
            assert (one["CNSR"], one["EVNTDESC"], one["CNSDTDSC"]) == (0.0, words[row["event_kind"]], None)
        else:
            censored = {"cut-off": "DATA CUT-OFF", "drop-out": "LOST TO FOLLOW-UP"}[row["censoring_reason"]]
            assert (one["CNSR"], one["EVNTDESC"], one["CNSDTDSC"]) == (1.0, censored, "LAST DISEASE ASSESSMENT")
    assert set(result.patients["event_kind"]) == {"progression", "death", "censored"}  # so that every branch was met


def test_death_ends_pfs_but_not_time_to_progression(sets, result):
    dead = result.patients[result.patients["event_kind"] == "death"]
    assert len(dead)
    adtte, adsl = sets["ADTTE"].set_index(["USUBJID", "PARAMCD"]), sets["ADSL"].set_index("USUBJID")
    for row in dead.to_dict("records"):
        subject = adam.subject_id(result.study, row["patient"], row["arm"])
        assert adtte.loc[(subject, "PFS"), "CNSR"] == 0.0
        assert adtte.loc[(subject, "TTP"), "CNSR"] == 1.0
        assert adtte.loc[(subject, "TTP"), "AVAL"] <= adtte.loc[(subject, "PFS"), "AVAL"]
        assert adsl.loc[subject, "DTHFL"] == "Y"
        assert adsl.loc[subject, "DTHDT"] == adtte.loc[(subject, "PFS"), "ADT"]
    assert (adsl["DTHFL"] == "Y").sum() == len(dead)


def test_response_lasts_from_its_day_to_the_end(sets, result):
    responders = result.patients[result.patients["responder"]]
    assert 0 < len(responders) < len(result.patients)
    adtte = sets["ADTTE"].set_index(["USUBJID", "PARAMCD"])
    subjects = {adam.subject_id(result.study, row["patient"], row["arm"]): row for row in responders.to_dict("records")}
    assert set(sets["ADTTE"].query("PARAMCD == 'DOR'")["USUBJID"]) == set(subjects)
    for subject, row in subjects.items():
        assert adtte.loc[(subject, "TTR"), "AVAL"] == row["time_to_response_days"]
        assert adtte.loc[(subject, "DOR"), "AVAL"] == row["pfs_days"] - row["time_to_response_days"]
    assert (sets["ADTTE"].query("PARAMCD == 'TTR' and CNSR == 1")["EVNTDESC"] == "NO RESPONSE").all()


def test_adrs_derives_the_best_response_that_the_trial_found(sets, result):
    adrs = sets["ADRS"].set_index(["USUBJID", "PARAMCD"]).sort_index()
    differing = 0
    for row in result.patients.to_dict("records"):
        subject = adam.subject_id(result.study, row["patient"], row["arm"])
        derived = adrs.loc[[(subject, "CBOR")], "AVALC"].item()
        if derived != row["best_response"]:  # progression that nobody confirmed, or no visit at all
            assert (derived, row["best_response"]) in {("NE", "PD"), ("MISSING", "NE")}
            differing += 1
        assert (adrs.loc[[(subject, "RSP")], "AVALC"].item() == "Y") == row["responder"]
        assert (adrs.loc[[(subject, "PD")], "AVALC"].item() == "Y") == (row["event_kind"] == "progression")
        assert (adrs.loc[[(subject, "MRDNEG")], "AVALC"].item() == "Y") == row["mrd_negative"]
    assert differing < len(result.patients) / 2
    visits = result.trajectory[result.trajectory["visit"] > 0]
    assert (sets["ADRS"]["PARAMCD"] == "OVR").sum() == (sets["ADRS"]["PARAMCD"] == "COVR").sum() == len(visits)


def test_progression_is_dated_at_the_visit_that_the_trial_dates_it(sets, result):
    adrs = sets["ADRS"].query("PARAMCD == 'PD' and AVALC == 'Y'").set_index("USUBJID")
    for row in result.patients[result.patients["event_kind"] == "progression"].to_dict("records"):
        assert adrs.loc[adam.subject_id(result.study, row["patient"], row["arm"]), "ADY"] == math.floor(row["pfs_days"]) + 1


def test_symptoms_between_two_visits_are_progression_by_themselves():
    """Where the last visit alone shows progression, and it was clinical, it is confirmed on the day of the symptoms."""
    small = ["marrow.shape=[32, 32]", 'trial.follow_up=["5 month", "9 month"]', "clinic.clinical_rate=0.5"]
    result = run(load_trial("icaria", small, patients=4, seed=5))
    sets = adam.make(result.study, result.patients, result.trajectory)
    clinical = result.patients[result.patients["progression_kind"] == "clinical"]
    assert len(clinical)
    adrs = sets["ADRS"].query("PARAMCD == 'PD'").set_index("USUBJID")
    days = result.trajectory.groupby(["patient", "arm"])["day"].apply(set)
    for row in clinical.to_dict("records"):
        one = adrs.loc[adam.subject_id(result.study, row["patient"], row["arm"])]
        is_between = row["pfs_days"] not in days[row["patient"], row["arm"]]
        assert one["AVALC"] == "Y" and (one["AVISIT"] == "UNSCHEDULED") == is_between


def test_laboratory_values_change_from_their_baseline(sets, result):
    adlb = sets["ADLB"]
    mprot = adlb[adlb["PARAMCD"] == "MPROT"]
    base = mprot[mprot["ABLFL"] == "Y"]
    assert len(base) == len(result.patients)
    assert base["CHG"].isna().all()
    later = mprot[mprot["ABLFL"] != "Y"]
    np.testing.assert_allclose(later["CHG"], later["AVAL"] - later["BASE"])
    np.testing.assert_allclose(later["PCHG"], 100.0 * later["CHG"] / later["BASE"])
    np.testing.assert_array_equal(np.sort(mprot["AVAL"].to_numpy()), np.sort(result.trajectory["m_protein_measured_g_per_l"].to_numpy()))


def test_results_of_an_older_version_are_refused_in_a_sentence(result):
    with pytest.raises(InputError, match=r"no column 'response'.*run again"):
        adam.make(result.study, result.patients, result.trajectory.drop(columns="response"))


def test_failed_runs_are_in_no_data_set(result):
    patients = result.patients.copy()
    patients.loc[0, "status"] = "failed"
    made = adam.make(result.study, patients, result.trajectory)
    assert len(made["ADSL"]) == len(patients) - 1
    assert made["ADRS"]["USUBJID"].nunique() == len(patients) - 1


@pytest.mark.parametrize("given", adam.DATA_SETS, ids=lambda given: given.name)
def test_a_variable_of_few_values_has_no_others_than_are_listed(sets, given):
    """In the dictionary and in variables.csv; a number is listed with what it stands for."""
    listed = {v.name: values(given, v) for v in given.variables}
    kinds = {v.name: v.kind for v in given.variables}
    for name, words in listed.items():
        if not words:
            continue
        heads = {word.removeprefix("of flags ").partition(" = ")[0] for word in words}
        seen = sets[given.name][name].dropna()
        assert {f"{value:g}" if kinds[name] == "number" else value for value in seen} <= heads, name
    if given.name == "ADTTE":
        assert listed["CNSR"] == ("0 = event", "1 = censored")
        of = sets["ADTTE"].query("PARAMCD == 'PFS'")
        assert set(of[of["CNSR"] == 1.0]["EVNTDESC"]) <= {"DATA CUT-OFF", "LOST TO FOLLOW-UP", "NEW ANTI-CANCER THERAPY"}


def test_the_list_of_variables_says_what_censored_is(sets, tmp_path):
    written = adam.write(sets, tmp_path)
    listed = pd.read_csv(written[-1], keep_default_na=False).set_index(["dataset", "variable"])["values"]
    assert listed["ADTTE", "CNSR"] == "0 = event; 1 = censored" and listed["ADSL", "AGE"] == ""
