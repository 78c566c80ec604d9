"""Trial statistics: by hand, against lifelines on its own data sets, and at the edges where estimates do not exist."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.trial import comparison, published, subgroups, survival
from tme_abm.trial.published import compare_published
from tme_abm.trial.summary import arm_summary, response_table, summarise
from tme_abm.trial.survival import Survival

Z = 1.959963984540054


def arm(months, events, patients=None):
    """Survival of a few patients."""
    n = len(months)
    return Survival(np.asarray(months, float), np.asarray(events, bool), np.arange(n) if patients is None else patients)


def error(estimate):
    """Standard error of the log hazard ratio behind a 95 % interval."""
    return math.log(estimate.ci_high / estimate.ci_low) / 2 / Z


def table(arms, **columns):
    """Patient table from {arm: (months, events)}."""
    rows = [
        {"patient": i, "arm": name, "pfs_days": m * DAYS_PER_MONTH, "pfs_event": bool(e), "status": "completed"}
        for name, (months, events) in arms.items()
        for i, (m, e) in enumerate(zip(months, events, strict=True))
    ]
    return pd.DataFrame(rows).assign(**columns)


@pytest.fixture(scope="module")
def rossi(lifelines):
    """Recidivism: financial aid (1) against none (0)."""
    data = lifelines.datasets.load_rossi()
    return tuple(arm(d["week"], d["arrest"], d.index.to_numpy()) for d in (data[data["fin"] == 1], data[data["fin"] == 0]))


@pytest.fixture(scope="module")
def waltons(lifelines):
    """Flies of the genotype miR-137 and controls, with many ties."""
    data = lifelines.datasets.load_waltons()
    return tuple(arm(d["T"], d["E"], d.index.to_numpy()) for d in (data[data["group"] == "miR-137"], data[data["group"] == "control"]))


@pytest.fixture(scope="module")
def paired():
    """Sixty patients in two arms whose times share the patient, on visits every three months: heavy ties."""
    rng = np.random.default_rng(7)
    frailty = rng.gamma(1.0, 1.0, 60)
    times = [np.ceil(rng.exponential(1 / (rate * frailty)) / 3) * 3 for rate in (0.06, 0.10)]
    return tuple(arm(np.minimum(t, 24), t <= 24) for t in times)


def test_kaplan_meier_by_hand():
    """Six patients: events at 1, 2, 2, 4; censored at 3 and 5. S = 5/6, 3/6, 3/6, 3/6 x 1/2."""
    curve = survival.kaplan_meier(arm([1, 2, 2, 3, 4, 5], [1, 1, 1, 0, 1, 0]))
    assert curve["month"].tolist() == [0, 1, 2, 3, 4, 5]
    assert curve["survival"].tolist() == pytest.approx([1, 5 / 6, 1 / 2, 1 / 2, 1 / 4, 1 / 4])
    assert curve["n_events"].tolist() == [0, 1, 2, 0, 1, 0]
    assert curve["n_censored"].tolist() == [0, 0, 0, 1, 0, 1]
    assert curve["at_risk"].tolist() == [6, 6, 5, 3, 2, 1]
    # log(-log S) has the standard error sqrt(sum d/(n(n-d))) / |log S|; at 1 month sqrt(1/30) / log(6/5)
    half = Z * math.sqrt(1 / 30) / math.log(6 / 5)
    assert curve.loc[1, "ci_low"] == pytest.approx((5 / 6) ** math.exp(half))
    assert curve.loc[1, "ci_high"] == pytest.approx((5 / 6) ** math.exp(-half))


@pytest.mark.parametrize("seed", range(12))
def test_kaplan_meier_is_that_of_lifelines(lifelines, seed):
    """Ties, events at zero, everybody or nobody with an event, a single patient."""
    rng = np.random.default_rng(seed)
    n = 1 if seed == 0 else int(rng.integers(2, 60))
    months = np.round(rng.exponential(8, n), int(rng.integers(0, 4)))
    event = rng.random(n) < rng.choice([0.0, 0.3, 0.8, 1.0])
    curve = survival.kaplan_meier(survival.Survival(months, event, np.arange(n)), 0.9)
    fit = lifelines.KaplanMeierFitter(alpha=0.1).fit(months, event)
    assert curve["month"].tolist() == fit.event_table.index.tolist()
    assert curve["survival"].to_numpy() == pytest.approx(fit.survival_function_.to_numpy()[:, 0], abs=1e-12)
    assert curve[["ci_low", "ci_high"]].to_numpy() == pytest.approx(fit.confidence_interval_.to_numpy(), abs=1e-12)
    for own, name in (("at_risk", "at_risk"), ("n_events", "observed"), ("n_censored", "censored")):
        assert curve[own].tolist() == fit.event_table[name].tolist()


def test_patients_at_risk_just_before_each_time():
    """An event at 2 months is still at risk at 2 months."""
    assert survival.at_risk(arm([1, 2, 2, 3], [1, 1, 0, 0]), [0, 2, 2.5, 4]) == [4, 3, 1, 0]


def test_median_and_its_interval_are_those_of_lifelines(lifelines, waltons):
    """Both groups of the flies."""
    for group in waltons:
        fit = lifelines.KaplanMeierFitter().fit(group.months, group.event)
        low, high = lifelines.utils.median_survival_times(fit.confidence_interval_).to_numpy()[0]
        assert survival.quantile_time(group) == (fit.median_survival_time_, (low, high))


def test_median_that_is_not_reached_is_none():
    """One event in five; and none at all."""
    assert survival.quantile_time(arm([1, 2, 3, 4, 5], [1, 0, 0, 0, 0]))[0] is None
    assert survival.quantile_time(arm([1, 2], [0, 0])) == (None, (None, None))


def test_survival_at_a_month():
    """Between two events, beyond follow-up, and after everybody failed."""
    assert survival.survival_at(arm([1, 2, 4], [1, 1, 0]), 3.0)[0] == pytest.approx(1 / 3)
    assert survival.survival_at(arm([1, 2, 4], [1, 1, 0]), 5.0) == (None, (None, None))
    assert survival.survival_at(arm([1, 2], [1, 1]), 5.0)[0] == 0.0


def test_wilson_interval_by_hand():
    """Wilson's own example of 5 in 10: centre 0.5, half width z sqrt(0.025 + z^2/400) / (1 + z^2/10)."""
    share, (low, high) = survival.rate(5, 10)
    half = Z * math.sqrt(0.025 + Z * Z / 400) / (1 + Z * Z / 10)
    assert (share, low, high) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    assert survival.rate(0, 20)[1][0] == 0.0
    assert survival.rate(20, 20)[1][1] == 1.0
    assert survival.rate(0, 0) == (None, (None, None))


def test_rossi_hazard_ratio_log_rank_and_proportional_hazards(rossi):
    """Fox's data: the coefficient of financial aid alone is -0.369 with a standard error of 0.190, log-rank p 0.050."""
    ratio = comparison.hazard_ratio(*rossi)
    assert math.log(ratio.value) == pytest.approx(-0.369, abs=0.001)
    assert error(ratio) == pytest.approx(0.190, abs=0.001)
    assert comparison.log_rank(*rossi) == pytest.approx(0.0501, abs=0.0005)


@pytest.mark.parametrize("seed", range(4))
def test_hazard_ratio_and_its_error_are_those_of_lifelines_and_the_likelihood_is_highest_there(lifelines, seed):
    """Visits every 28 days: nearly all times are tied. `lifelines` stops some eight digits before the summit."""
    rng = np.random.default_rng(seed)
    months = np.ceil(rng.exponential((9.0, 14.0), (70, 2)).T) * 28.0 / 30.4375
    event = rng.random((2, 70)) < 0.8
    table = pd.DataFrame({"t": months.ravel(), "e": event.ravel(), "z": np.repeat((1.0, 0.0), 70)})
    fit = lifelines.CoxPHFitter().fit(table, "t", "e", fit_options={"precision": 1e-12})
    ours = comparison.hazard_ratio(arm(months[0], event[0]), arm(months[1], event[1]))
    assert math.log(ours.value) == pytest.approx(fit.params_["z"], abs=1e-7)
    assert error(ours) == pytest.approx(fit.standard_errors_["z"], rel=1e-6)
    slope = float(event[0].sum())
    for at in np.unique(months[event]):
        dead = (event & (months == at)).sum(axis=1)
        for k in range(dead.sum()):
            treated, others = ((months[i] >= at).sum() - k / dead.sum() * dead[i] for i in (0, 1))
            slope -= ours.value * treated / (ours.value * treated + others)
    assert slope == pytest.approx(0.0, abs=1e-9)
    expected = lifelines.statistics.logrank_test(months[0], months[1], event[0], event[1]).p_value
    assert comparison.log_rank(arm(months[0], event[0]), arm(months[1], event[1])) == pytest.approx(expected, rel=1e-9)


def changing_ratio(months, event, treated, g):
    """p that the hazard ratio changes with g(time): the score test of Efron's partial likelihood itself, derived by differences."""

    def log_likelihood(theta):
        total = 0.0
        for at in np.unique(months[event]):
            effect = treated * (theta[0] + theta[1] * g(at))
            risk, died = np.exp(effect)[months >= at].sum(), event & (months == at)
            total += effect[died].sum() - sum(np.log(risk - k / died.sum() * np.exp(effect)[died].sum()) for k in range(died.sum()))
        return total

    def slope(theta, i, h=1e-3):
        step = h * np.eye(2)[i]
        return (log_likelihood(theta + step) - log_likelihood(theta - step)) / (2.0 * h)

    estimate = np.array([brentq(lambda b: slope(np.array([b, 0.0]), 0), -3.0, 3.0), 0.0])
    steps = 1e-3 * np.eye(2)
    information = -np.array([[(slope(estimate + s, i) - slope(estimate - s, i)) / 2e-3 for i in (0, 1)] for s in steps])
    return chi2.sf(slope(estimate, 1) ** 2 * np.linalg.inv(information)[1, 1], 1)


def just_before(months, event):
    """1 - S(t-) of all together, by hand."""

    def g(at):
        s = 1.0
        for month in np.unique(months[event & (months < at)]):
            s *= 1.0 - (event & (months == month)).sum() / (months >= month).sum()
        return 1.0 - s

    return g


def test_proportional_hazards_as_cox_zph_tests_them():
    """Visits every 28 days tie most times, so S(t-) and S(t) tell apart; the order of the rows plays no part."""
    rng = np.random.default_rng(4)
    months = np.ceil(rng.exponential((9.0, 14.0), (60, 2)).T) * 28.0 / 30.4375
    event = rng.random((2, 60)) < 0.8
    ratio = comparison.hazard_ratio(arm(months[0], event[0]), arm(months[1], event[1]))
    both, happened, treated = months.ravel(), event.ravel(), np.repeat((1.0, 0.0), 60)
    g = just_before(both, happened)
    assert ratio.ph_test_p == pytest.approx(changing_ratio(both, happened, treated, g), rel=1e-4)
    after = changing_ratio(both, happened, treated, lambda at: g(np.nextafter(at, np.inf)))
    assert abs(after - ratio.ph_test_p) > 0.01
    turned = comparison.hazard_ratio(arm(months[0][::-1], event[0][::-1]), arm(months[1][::-1], event[1][::-1]))
    assert turned.ph_test_p == pytest.approx(ratio.ph_test_p)


def test_interval_follows_its_level(rossi):
    """99 % is 2.576 / 1.960 times as wide on the log scale as 95 %."""
    narrow, wide = (comparison.hazard_ratio(*rossi, level=level) for level in (0.95, 0.99))
    assert wide.value == narrow.value
    assert math.log(wide.ci_high / wide.ci_low) / math.log(narrow.ci_high / narrow.ci_low) == pytest.approx(2.575829 / Z)


def test_swapping_the_arms_inverts_the_hazard_ratio(waltons):
    """And mirrors the difference of the restricted means."""
    there, back = comparison.hazard_ratio(*waltons), comparison.hazard_ratio(*waltons[::-1])
    assert there.value * back.value == pytest.approx(1.0)
    assert there.ci_low * back.ci_high == pytest.approx(1.0)
    a, b = comparison.rmst_difference(*waltons), comparison.rmst_difference(*waltons[::-1])
    assert a.value == pytest.approx(-b.value)


def test_clustered_error_is_that_of_lifelines_without_ties(lifelines):
    """Score residuals of untied times: the same sandwich."""
    rng = np.random.default_rng(3)
    frailty = rng.gamma(2.0, 0.5, 80)
    arms = [arm(rng.exponential(10 / frailty), rng.uniform(size=80) < 0.8) for _ in range(2)]
    data = pd.DataFrame(
        {
            "t": np.concatenate([a.months for a in arms]),
            "e": np.concatenate([a.event for a in arms]),
            "z": np.repeat([1.0, 0.0], 80),
            "p": np.tile(np.arange(80), 2),
        }
    )
    fit = lifelines.CoxPHFitter().fit(data, "t", "e", cluster_col="p")
    ours = comparison.hazard_ratio(*arms, design="paired")
    assert error(ours) == pytest.approx(fit.standard_errors_["z"], rel=1e-4)
    assert ours.p_value == pytest.approx(fit.summary.loc["z", "p"], rel=1e-3)


def test_clustered_error_with_ties_is_near_the_jackknife(paired):
    """Leave one pair out: an independent estimate of the same error."""
    full = math.log(comparison.hazard_ratio(*paired).value)
    shifts = []
    for i in range(60):
        rest = [Survival(*(part[a.patient != i] for part in a)) for a in paired]
        shifts.append(math.log(comparison.hazard_ratio(*rest).value) - full)
    jackknife = math.sqrt(sum(s * s for s in shifts))
    assert error(comparison.hazard_ratio(*paired, design="paired")) == pytest.approx(jackknife, rel=0.03)


def pairs_of(chance, n, follow_up):
    """Exponential times of pairs with a normal copula of 0.6, a hazard ratio of 0.6, seen at visits."""
    z = chance.standard_normal((n, 2))
    z[:, 1] = 0.6 * z[:, 0] + 0.8 * z[:, 1]
    months = -np.log(norm.cdf(z)) / (0.6, 1.0)
    months = np.ceil(8.0 * months) / 8.0
    seen, months = months <= follow_up, np.minimum(months, follow_up)
    return [Survival(months[:, i], seen[:, i], np.arange(n)) for i in (0, 1)]


def test_intervals_hold_the_truth_where_there_are_any():
    """From ten events on those of 95 % in 93 % or more of 400 trials; without the rule six or seven events would do so in 90 %."""
    chance = np.random.default_rng(1)
    for n, follow_up in ((20, 0.4), (40, 1.0)):
        found = [comparison.hazard_ratio(*pairs_of(chance, n, follow_up), "paired") for _ in range(400)]
        assert np.mean([r.ci_low <= 0.6 <= r.ci_high for r in found if r.ci_low is not None]) >= 0.93
    drawn = [pairs_of(chance, 6, 1.0) for _ in range(60)]
    few = [pair for pair in drawn if sum(int(s.event.sum()) for s in pair) < comparison.FEWEST_EVENTS]
    assert len(few) > 30
    for pair in few:
        ratio = comparison.hazard_ratio(*pair, "paired")
        assert ratio.ci_low is None and (ratio.value is None or ratio.note == "fewer than ten events: no interval")


@pytest.mark.parametrize(("rule", "follow_up"), [("FEWEST_EVENTS", 1.0), ("FEWEST_PAIRS", 3.0)])
def test_without_the_rule_a_small_trial_would_give_intervals_that_are_too_narrow(monkeypatch, rule, follow_up):
    """Six pairs with few events, and six pairs with ten or more."""
    monkeypatch.setattr(comparison, "FEWEST_PAIRS", 0)
    monkeypatch.setattr(comparison, rule, 0)
    chance = np.random.default_rng(1)
    found = [comparison.hazard_ratio(*pairs_of(chance, 6, follow_up), "paired") for _ in range(400)]
    held = [r.ci_low <= 0.6 <= r.ci_high for r in found if r.ci_low is not None]
    assert len(held) > 200 and np.mean(held) < 0.92


def test_score_residuals_sum_to_the_slope_of_the_likelihood(paired):
    """Zero at the estimate; at 0 the residual sum is observed minus expected of Efron's first step."""
    ratio = comparison.hazard_ratio(*paired)
    assert comparison.score_residuals(*paired, math.log(ratio.value)).sum() == pytest.approx(0.0, abs=1e-4)
    # one event of two at risk: 1 - 1/2
    assert comparison.score_residuals(arm([1], [1]), arm([2], [0]), 0.0).tolist() == [0.25, 0.25]


def test_pairing_narrows_the_interval_where_patients_decide(paired):
    """Frailty is shared between the arms, so a paired comparison knows more."""
    assert error(comparison.hazard_ratio(*paired, design="paired")) < error(comparison.hazard_ratio(*paired))


def test_the_p_of_pairs_is_that_of_their_interval(paired):
    """By the normal distribution from the interval alone; the log-rank test takes the arms for different patients and says another one."""
    ratio = comparison.hazard_ratio(*paired, design="paired")
    assert ratio.p_value == pytest.approx(2 * norm.sf(abs(math.log(ratio.value)) / error(ratio)), rel=1e-9)
    assert ratio.p_value < comparison.log_rank(*paired) / 2
    for level in (0.5, 0.9, 0.91, 0.92, 0.95, 0.99):
        found = comparison.hazard_ratio(*paired, design="paired", level=level)
        assert found.p_value == ratio.p_value
        assert (found.ci_high < 1.0) == (ratio.p_value < 1.0 - level)


def test_an_interval_and_a_p_are_there_together():
    """Ten events and, in pairs, twenty patients; parallel arms need the events only."""
    chance = np.random.default_rng(5)
    seen = set()
    for n, follow_up in ((6, 3.0), (19, 0.2), (19, 1.0), (20, 0.2), (20, 1.0), (40, 0.2)):
        for _ in range(6):
            pair = pairs_of(chance, n, follow_up)
            events = sum(int(s.event.sum()) for s in pair)
            for design in ("paired", "parallel"):
                ratio = comparison.hazard_ratio(*pair, design)
                if ratio.value is None or "the same patient by patient" in ratio.note:
                    continue
                few = "events" if events < 10 else "patients" if design == "paired" and n < 20 else ""
                assert (ratio.ci_low is None) == (ratio.p_value is None) == bool(few)
                assert ratio.note == {"": "", "events": "fewer than ten events: no interval"}.get(
                    few, "fewer than twenty patients: no interval"
                )
                seen.add((design, few))
    assert seen == {("paired", ""), ("paired", "events"), ("paired", "patients"), ("parallel", ""), ("parallel", "events")}


def test_complete_separation_of_parallel_arms_has_a_p_though_no_ratio():
    """Twelve events against none: the log-rank test knows what the Cox model cannot say."""
    a, b = arm([9.0] * 12, [0] * 12), arm(range(1, 13), [1] * 12)
    assert comparison.hazard_ratio(a, b).value is None and comparison.hazard_ratio(a, b).p_value == comparison.log_rank(a, b) < 0.01
    assert comparison.hazard_ratio(a, b, "paired").p_value is None


def test_log_rank_is_that_of_lifelines(lifelines, waltons):
    """Parallel arms."""
    expected = lifelines.statistics.logrank_test(waltons[0].months, waltons[1].months, waltons[0].event, waltons[1].event).p_value
    assert comparison.log_rank(*waltons) == pytest.approx(expected)


def test_the_p_of_pairs_of_unrelated_patients_is_near_the_log_rank(rossi):
    """Nobody is in both arms of Fox's data."""
    assert comparison.hazard_ratio(*rossi, design="paired").p_value == pytest.approx(comparison.log_rank(*rossi), rel=0.05)


def test_restricted_mean_by_hand():
    """Events at 1 and 3 of four, to 4 months: 1 + 2 x 3/4 + 1 x 3/8 = 2.875; Greenwood (1.875^2)/12 + (0.375^2)/2."""
    mean, influence = survival.restricted_mean(arm([1, 2, 3, 4], [1, 0, 1, 0]), 4.0)
    assert mean == pytest.approx(2.875)
    assert np.sum(influence**2) == pytest.approx(1.875**2 / 12 + 0.375**2 / 2)
    assert influence.sum() == pytest.approx(0.0)


def test_restricted_mean_is_that_of_lifelines_and_its_error_greenwoods(lifelines, waltons):
    """Error: sum over events of (area to come)^2 d / (n (n - d))."""
    for group in waltons:
        fit = lifelines.KaplanMeierFitter().fit(group.months, group.event)
        mean, influence = survival.restricted_mean(group, 50.0)
        assert mean == pytest.approx(lifelines.utils.restricted_mean_survival_time(fit, t=50.0), rel=1e-9)
        variance = 0.0
        for time, row in fit.event_table.iterrows():
            if 0 < row["observed"] < row["at_risk"] and time < 50.0:
                to_come = mean - lifelines.utils.restricted_mean_survival_time(fit, t=time)
                variance += to_come**2 * row["observed"] / (row["at_risk"] * (row["at_risk"] - row["observed"]))
        assert np.sum(influence**2) == pytest.approx(variance, rel=1e-6)


def test_difference_of_restricted_means(waltons, paired):
    """Errors add in parallel arms; the horizon is the shorter follow-up; pairing narrows the interval."""
    result = comparison.rmst_difference(*waltons)
    assert result.horizon == min(g.months.max() for g in waltons)
    parts = [survival.restricted_mean(g, result.horizon) for g in waltons]
    half = Z * math.sqrt(sum(np.sum(i**2) for _, i in parts))
    assert result.ci == pytest.approx((result.value - half, result.value + half))
    assert result.value == pytest.approx(parts[0][0] - parts[1][0])
    tight, loose = (comparison.rmst_difference(*paired, design=d).ci for d in ("paired", "parallel"))
    assert tight[1] - tight[0] < loose[1] - loose[0]
    with pytest.raises(InputError, match="horizon"):
        comparison.rmst_difference(*paired, horizon=30.0)


@pytest.mark.parametrize("design", ["paired", "parallel"])
@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (([5, 6], [0, 0]), ([1, 2], [1, 1]), "no event in the arm"),
        (([1, 2], [1, 1]), ([5, 6], [0, 0]), "no event in the reference"),
        (([1, 2], [0, 0]), ([3, 4], [0, 0]), "no event in either arm"),
        (([1, 2], [1, 1]), ([3, 4], [1, 1]), "complete separation"),
        (([3, 4], [1, 1]), ([1, 2], [1, 1]), "complete separation"),
        (([1], [1]), ([2], [1]), "complete separation"),
        (([], []), ([2], [1]), "no completed patient"),
    ],
)
def test_hazard_ratios_that_do_not_exist_say_why(a, b, reason, design):
    """None with a reason, whatever the design."""
    result = comparison.hazard_ratio(arm(*a), arm(*b), design)
    assert result[:5] == (None, None, None, None, None)
    assert reason in result.note


def test_the_same_patients_twice_have_a_ratio_of_one_and_no_interval():
    """Paired: their difference is exactly nothing. Parallel: they are taken for different people."""
    a = arm([1, 2, 2, 4, 5, 7, 7, 9], [1, 1, 1, 0, 1, 1, 1, 0])
    paired = comparison.hazard_ratio(a, a, "paired")
    assert (paired.value, paired.ci_low, paired.ci_high) == (pytest.approx(1.0), None, None)
    assert "same patient by patient" in paired.note
    assert paired.p_value is None
    parallel = comparison.hazard_ratio(a, a)
    assert parallel.ci_low < 1.0 < parallel.ci_high
    assert comparison.rmst_difference(a, a, "paired").ci == (None, None)


cells = st.tuples(st.integers(0, 6), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8), st.sampled_from(["paired", "parallel"]))
def test_any_small_trial_gives_numbers_or_reasons(pairs, design):
    """No NaN, no exception, and JSON can hold it."""
    both = {name: ([p[i][0] for p in pairs], [p[i][1] for p in pairs]) for i, name in enumerate(("a", "b"))}
    patients = table(both, best_response="PR", mrd_negative=False)
    summary = summarise(patients, ["a", "b"], [("a", "b")], design)
    json.dumps(summary, allow_nan=False)
    comparison = summary["comparisons"][0]
    assert (comparison["hazard_ratio"] is not None) or comparison["note"]
    assert (comparison["rmst_ci"][0] is not None) or comparison["note"]


def cohort():
    """Two arms of four patients with everything, one of whom failed."""
    patients = table({"isa": ([10, 12, 20, 24], [1, 1, 0, 0]), "ref": ([3, 6, 9, 24], [1, 1, 1, 0])})
    patients["best_response"] = ["sCR", "CR", "VGPR", "SD", "PR", "MR", "PD", "NE"]
    patients["mrd_negative"] = [True, None, False, False, False, False, False, True]
    patients["time_to_response_days"] = [28.0, 56.0, 28.0, np.nan, 56.0, np.nan, np.nan, np.nan]
    patients["age"] = [80.0, 70.0, 60.0, 76.0] * 2
    patients["egfr"] = [50.0, 90.0, 50.0, 90.0] * 2
    patients.loc[3, "status"] = "failed"
    return patients


def test_denominators_are_the_patients_who_completed():
    """The failed patient of the arm counts in nothing but `n_started`; a missing test is positive."""
    summary = arm_summary(cohort(), "isa")
    assert (summary.n, summary.n_started, summary.n_events) == (3, 4, 2)
    assert (summary.orr, summary.vgpr_or_better, summary.cr_or_better) == pytest.approx((1.0, 1.0, 2 / 3))
    assert summary.mrd_negative == pytest.approx(1 / 3)
    assert summary.median_pfs_months == pytest.approx(12.0)
    assert summary.median_time_to_response_months == pytest.approx(28 / DAYS_PER_MONTH)
    reference = arm_summary(cohort(), "ref")
    assert (reference.n, reference.orr, reference.cr_or_better) == (4, 0.25, 0.0)


def test_response_table_counts_every_category():
    """Three completed patients, one each of sCR, CR, VGPR."""
    result = response_table(cohort(), ["isa"]).set_index("response")
    assert result.loc[["sCR", "CR", "VGPR", "PR"], "n"].tolist() == [1, 1, 1, 0]
    assert result["fraction"].sum() == pytest.approx(1.0)
    with pytest.raises(InputError, match="did you mean 'VGPR'"):
        response_table(cohort().replace({"best_response": {"VGPR": "VGRP"}}), ["isa"])


def test_summary_holds_what_the_report_reads():
    """Keys of the results folder."""
    summary = summarise(cohort(), ["isa", "ref"], [("isa", "ref")], "paired", 0.99)
    assert {"n", "median_pfs_months", "pfs_ci", "orr", "vgpr_or_better", "cr_or_better", "mrd_negative"} <= set(summary["arms"]["isa"])
    comparison = summary["comparisons"][0]
    assert comparison["ci_level"] == 0.99
    assert comparison["hazard_ratio"] < 1.0
    assert (comparison["n_events_arm"], comparison["n_events_reference"]) == (2, 3)


def test_subgroups_pick_their_patients_and_say_what_is_missing():
    """75 years or older: patients 0 and 3, of whom one failed in the arm; columns that the table lacks are left out."""
    result = subgroups.subgroup_table(cohort(), "isa", "ref").set_index(["group", "label"])
    assert result.index[0] == ("", "All patients")
    assert result.loc[("Age", "75 years or older"), ["n_arm", "n_reference"]].tolist() == [1, 2]
    assert result.loc[("Renal impairment", "eGFR below 60"), ["n_arm", "n_reference"]].tolist() == [2, 2]
    assert "ISS stage" not in result.index.get_level_values(0)
    missing = result[result["hazard_ratio"].isna()]
    assert len(missing) > 0
    assert (missing["note"] != "").all()


def test_subgroup_ratio_is_that_of_the_subgroup_alone(lifelines, rossi):
    """Half of Fox's patients, by an age of 24."""
    data = lifelines.datasets.load_rossi()
    patients = pd.DataFrame(
        {
            "patient": data.index,
            "arm": np.where(data["fin"] == 1, "aid", "none"),
            "pfs_days": data["week"] * DAYS_PER_MONTH,
            "pfs_event": data["arrest"] == 1,
            "age": data["age"] + 41,
        }
    )
    result = subgroups.subgroup_table(patients, "aid", "none", "parallel").set_index(["group", "label"])
    old = data[data["age"] >= 24]
    expected = lifelines.CoxPHFitter().fit(old[["week", "arrest", "fin"]], "week", "arrest").hazard_ratios_["fin"]
    assert result.loc[("Age", "65 years or older"), "hazard_ratio"] == pytest.approx(expected)
    assert result.loc[("", "All patients"), "hazard_ratio"] == pytest.approx(comparison.hazard_ratio(*rossi).value)


def test_published_results_stand_beside_the_same_quantity():
    """Months, rates in per cent and as fractions, ratios, a subgroup, PFS at a month, a number brought along."""
    published = [
        {"arm": "isa", "endpoint": "median_pfs", "value": 11.5, "source": "x"},
        {"arm": "isa", "endpoint": "orr", "value": 60.4, "unit": "percent", "n": 154},
        {"arm": "ref", "endpoint": "mrd_negative_1e-5", "value": 0.13},
        {
            "comparison": ["isa", "ref"],
            "endpoint": "hazard_ratio_pfs",
            "value": 0.6,
            "ci_low": 0.1,
            "ci_high": 0.8,
            "ci_level": 99,
        },
        {"comparison": ["isa", "ref"], "endpoint": "hazard_ratio_pfs", "value": 0.5, "subgroup": "renal impairment"},
        {"arm": "ref", "endpoint": "pfs_12_months", "value": 20},
        {"arm": "isa", "endpoint": "tumour_growth_inhibition", "value": 94, "unit": "percent", "simulated": 90.0},
    ]
    result = compare_published(published, cohort(), labels={"isa": "Isa-Pd", "ref": "Pd"})
    assert result["kind"].tolist() == ["months", "rate", "rate", "ratio", "ratio", "rate", "rate"]
    assert result.loc[0, "simulated"] == pytest.approx(12.0)
    assert result.loc[1, ["published", "simulated"]].tolist() == pytest.approx([0.604, 1.0])
    assert (result.loc[1, "published_low"], result.loc[1, "published_high"]) == pytest.approx(survival.rate(93, 154)[1])
    assert result.loc[2, "published"] == 0.13
    many = pd.concat([cohort().assign(patient=lambda t, k=k: t["patient"] + 10 * k) for k in range(24)])  # 72 patients completed the arm
    ratio = comparison.hazard_ratio(*(survival.survival(many, a) for a in ("isa", "ref")), "paired", 0.99)
    of_many = compare_published(published[3:4], many)
    assert of_many.loc[0, "simulated_low"] == pytest.approx(ratio.ci_low)
    assert of_many.loc[0, "verdict"] == ("pass" if 0.52 <= ratio.value <= 0.68 else "miss")
    assert np.isnan(result.loc[3, "simulated_low"]) and "ten events" in result.loc[3, "note"]
    assert list(result["verdict"]) == [""] * 6 + ["pass"]  # four patients tell nothing; the last row brings its own number
    assert result.loc[3, "who"] == "Isa-Pd vs Pd (99 % interval)"
    assert result.loc[4, "who"] == "Isa-Pd vs Pd, renal impairment: eGFR below 60"
    assert result.loc[5, ["published", "simulated"]].tolist() == pytest.approx([0.2, 0.25])
    assert result.loc[6, "simulated"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"arm": "isa", "endpoint": "medain_pfs", "value": 1}, "did you mean 'median_pfs'"),
        ({"arm": "isa", "endpoint": "orr"}, "give a value"),
        ({"arm": "isa", "endpoint": "hazard_ratio_pfs", "value": 1}, "comparison"),
        ({"endpoint": "orr", "value": 1}, "needs an arm"),
        ({"arm": "isa", "endpoint": "orr", "value": 1, "subgroup": "age => 75"}, "write it like 'age >= 75'"),
        ({"arm": "isa", "endpoint": "orr", "value": 1, "subgroup": "refractory"}, "no column 'len_refractory'"),
    ],
)
def test_published_results_that_cannot_be_read_are_refused(entry, message):
    """With a hint."""
    with pytest.raises(InputError, match=message):
        published.compare_published([entry], cohort())


def test_bad_tables_and_choices_are_refused():
    """Missing column, unknown arm, missing time, double patient, unknown design, impossible level."""
    patients = cohort()
    with pytest.raises(InputError, match="column 'pfs_days' is missing"):
        survival.survival(patients.drop(columns="pfs_days"), "isa")
    with pytest.raises(InputError, match="no patient in arm 'iza'; did you mean 'isa'"):
        survival.survival(patients, "iza")
    with pytest.raises(InputError, match="missing or negative"):
        survival.survival(patients.assign(pfs_days=np.nan), "isa")
    with pytest.raises(InputError, match="stands twice"):
        survival.survival(patients.assign(patient=1), "isa")
    with pytest.raises(InputError, match="did you mean 'paired'"):
        comparison.compare(patients, "isa", "ref", "pared")
    with pytest.raises(InputError, match="level"):
        arm_summary(patients, "isa", 95.0)


def test_a_difference_of_medians_by_hand_and_its_interval():
    """Medians 6 and 4 months; identical arms differ by nothing in every resample of pairs."""
    from tme_abm.trial.medians import median_difference
    from tme_abm.trial.survival import Survival

    who, event = np.arange(5), np.ones(5, bool)
    arm, reference = Survival(np.array([2.0, 4.0, 6.0, 8.0, 10.0]), event, who), Survival(np.array([1.0, 3.0, 4.0, 5.0, 9.0]), event, who)
    value, (low, high), note = median_difference(arm, reference)
    assert (value, note) == (2.0, "") and low <= 2.0 <= high
    assert median_difference(arm, arm)[:2] == (0.0, (0.0, 0.0))  # the same patient is drawn in both
    assert median_difference(arm, arm, "parallel")[1][0] < 0.0 < median_difference(arm, arm, "parallel")[1][1]
    assert median_difference(arm._replace(event=~event), reference)[0] is None


def test_published_differences_and_conditions_stand_beside_the_same_quantity():
    table = cohort()
    rows = [
        {"comparison": ["isa", "ref"], "endpoint": "median_pfs_difference", "unit": "month", "value": 5.0},
        {"arm": "isa", "endpoint": "orr", "unit": "percent", "value": 60.0, "subgroup": "egfr < 60"},
        {"arm": "isa", "endpoint": "orr", "unit": "percent", "value": 60.0, "subgroup": "renal impairment"},
        {"arm": "isa", "endpoint": "median_pfs", "value": 9.0, "subgroup": "mrd_negative"},
    ]
    result = compare_published(rows, table)
    medians = [
        compare_published([{"arm": arm, "endpoint": "median_pfs", "value": 1.0}], table)["simulated"].iloc[0] for arm in ("isa", "ref")
    ]
    assert result["simulated"].iloc[0] == pytest.approx(medians[0] - medians[1])
    assert result["simulated"].iloc[1] == result["simulated"].iloc[2]
    own = table[table["mrd_negative"].astype(bool)]
    assert (
        result["simulated"].iloc[3] == compare_published([{"arm": "isa", "endpoint": "median_pfs", "value": 1.0}], own)["simulated"].iloc[0]
    )


def responders():
    """Twelve times six patients: four respond after 1 or 2 months and progress 2, 6 and 10 months later, or are lost after 8."""
    month = 30.4375
    response, end, event = [1, 1, 2, 1, np.nan, np.nan], [3, 7, 12, 9, 5, 20], [True, True, True, False, True, True]
    facts = {"pfs_days": np.array(end) * month, "pfs_event": event, "time_to_response_days": np.array(response) * month}
    six = pd.DataFrame({"patient": range(6), "arm": "isa", "status": "completed", "best_response": "PR", "mrd_negative": False, **facts})
    return pd.concat([six.assign(patient=six["patient"] + 6 * k) for k in range(12)], ignore_index=True)


def test_duration_of_and_time_to_response_are_of_the_responders():
    """By hand: responders leave after 2, 6 and 10 months and one is lost at 8, so that half are left from 6 months on."""
    table = responders()
    names = ("median_duration_of_response", "median_time_to_response")
    rows = [{"arm": "isa", "endpoint": name, "unit": "month", "value": 6.5} for name in names]
    found = compare_published(rows, table)
    assert list(found["simulated"]) == pytest.approx([6.0, 1.0])
    assert list(found["kind"]) == ["months", "months"] and list(found["verdict"]) == ["pass", "miss"]
    nobody = compare_published(rows[:1], table.assign(time_to_response_days=np.nan))
    assert math.isnan(nobody["simulated"].iloc[0]) and nobody["note"].iloc[0] == "nobody responded" and nobody["verdict"].iloc[0] == ""
    lasting = compare_published(rows[:1], table.assign(pfs_event=[True, False, False, False, True, True] * 12))
    assert lasting["note"].iloc[0] == "not reached" and lasting["verdict"].iloc[0] == "miss"  # the last of them was followed for ten months


def test_prediction_knows_the_same_medians_of_responders():
    from tme_abm.analysis.prediction import gather, statistic
    from tme_abm.scenario.kinds import load_scenario

    study = load_scenario("isatuximab_monotherapy")
    table = pd.concat([responders(), responders().assign(arm="isa-d")])
    patients = gather(study, table)
    for endpoint, expected in (("median_duration_of_response", 6.0), ("median_time_to_response", 1.0)):
        row = {"arm": "isa", "endpoint": endpoint, "value": 1.0}
        assert statistic(row, 0, patients, {"isa": np.arange(6)}) == pytest.approx(expected)
        assert math.isnan(statistic(row, 0, patients, {"isa": np.array([4, 5])}))
