from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb, exp, inf, isclose, isfinite, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.sequential import (
    FAILURE_RATIOS,
    HEALTHY_RATIOS,
    KEPT_SHARES,
    BarTest,
    Exposure,
    RatioTest,
    log_mean_exp,
    ratio_interval,
)

counts = st.integers(1, 10**9)


def binomial(n: int, k: int, p: Fraction) -> Fraction:
    return comb(n, k) * p**k * (1 - p) ** (n - k)


def exact_factor(null: Fraction, psi: Fraction, tick: tuple[int, int, int, int]) -> Fraction:
    canary, failed, control, other = tick
    zero, theta = (null * r * canary / (null * r * canary + control) for r in (Fraction(1), psi))
    return (theta / zero) ** failed * ((1 - theta) / (1 - zero)) ** other


def factor(null: float, psi: float, tick: tuple[int, int, int, int], gamma: float = 1.0) -> float:
    test = RatioTest(null, [psi])
    canary, failed, control, other = tick
    test.add(failed, failed + other, test.falls(canary, control), gamma)
    return test.logs[0]


SIZES = ((1, 1), (2, 5), (4, 3), (3, 7))


@pytest.mark.parametrize(("canary", "control"), SIZES)
@pytest.mark.parametrize("null", [Fraction(1), Fraction(5, 4), Fraction(3)])
@pytest.mark.parametrize("psi", [Fraction(3, 2), Fraction(5), Fraction(60)])
def test_a_canary_no_worse_than_tolerated_is_not_expected_to_gather_evidence_by_exact_enumeration(
    canary, control, null, psi
):
    for share in (Fraction(1, 1000), Fraction(1, 20), Fraction(3, 10)):
        ours = min(Fraction(1), null * share)
        expected = sum(
            binomial(canary, x, ours) * binomial(control, y, share) * exact_factor(null, psi, (canary, x, control, y))
            for x, y in product(range(canary + 1), range(control + 1))
        )
        assert expected <= 1


@pytest.mark.parametrize(("canary", "control"), SIZES)
@pytest.mark.parametrize("bar", [Fraction(2), Fraction(5)])
@pytest.mark.parametrize("ratio", [Fraction(1), Fraction(3, 4), Fraction(1, 2)])
def test_a_canary_at_the_ratio_bar_is_not_expected_to_look_healthy_by_exact_enumeration(canary, control, bar, ratio):
    for share in (Fraction(1, 1000), Fraction(1, 20), Fraction(1, 5)):
        expected = sum(
            binomial(canary, x, bar * share)
            * binomial(control, y, share)
            * exact_factor(bar, ratio / bar, (canary, x, control, y))
            for x, y in product(range(canary + 1), range(control + 1))
        )
        assert expected <= 1


@pytest.mark.parametrize("share", [Fraction(1, 100), Fraction(1, 20), Fraction(1, 2)])
def test_bars_are_not_expected_to_be_passed_or_breached_at_the_bar_by_enumeration(share):
    breach = kept = 0.0
    for failed in range(13):
        test, chance = BarTest(), float(binomial(12, failed, share))
        test.add(12, failed, 1.0)
        breach += chance * exp(test.log_breach(float(share)))
        kept += chance * exp(test.log_kept(float(share)))
    assert breach <= 1 + 1e-12
    assert kept <= 1 + 1e-12


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_logarithms_agree_with_exact_fractions(canary, control, data):
    failed, other = data.draw(st.integers(0, canary)), data.draw(st.integers(0, control))
    null, psi = Fraction(5, 4), data.draw(st.sampled_from([Fraction(3, 2), Fraction(15), Fraction(1, 2)]))
    tick = (canary, failed, control, other)
    assert isclose(exp(factor(float(null), float(psi), tick)), exact_factor(null, psi, tick), rel_tol=1e-9)


@given(counts, counts, st.floats(0.01, 1))
def test_no_failures_are_no_evidence(canary, control, gamma):
    assert factor(1.25, 5.0, (canary, 0, control, 0), gamma) == 0
    assert RatioTest(1.25, FAILURE_RATIOS).log_e == 0
    assert isclose(BarTest().log_breach(0.01), 0, abs_tol=1e-12)
    assert isclose(BarTest().log_kept(0.01), 0, abs_tol=1e-12)


@given(counts, counts, st.data(), st.integers(1, 20))
def test_merging_ticks_with_the_same_exposure_changes_nothing(canary, control, data, times):
    failed, other = data.draw(st.integers(0, canary)), data.draw(st.integers(0, control))
    split, whole = RatioTest(1.25, FAILURE_RATIOS), RatioTest(1.25, FAILURE_RATIOS)
    for _ in range(times):
        split.add(failed, failed + other, split.falls(canary, control), 1.0)
    whole.add(times * failed, times * (failed + other), whole.falls(times * canary, times * control), 1.0)
    assert all(isclose(a, b, rel_tol=1e-6, abs_tol=1e-3) for a, b in zip(split.logs, whole.logs, strict=True))


@given(st.permutations([(20, 3, 400, 1), (25, 0, 475, 2), (90, 7, 10, 0), (1, 1, 1, 1)]))
def test_the_order_of_ticks_is_irrelevant(order):
    test, ordered = RatioTest(1.25, FAILURE_RATIOS), RatioTest(1.25, FAILURE_RATIOS)
    for one, ticks in ((test, order), (ordered, sorted(order))):
        for canary, failed, control, other in ticks:
            one.add(failed, failed + other, one.falls(canary, control), 0.7)
    assert isclose(test.log_e, ordered.log_e, rel_tol=1e-12)


@given(counts, counts, st.data(), st.sampled_from(FAILURE_RATIOS))
def test_swapping_the_arms_and_inverting_the_alternative_gives_the_same_evidence(canary, control, data, psi):
    failed, other = data.draw(st.integers(0, canary)), data.draw(st.integers(0, control))
    there = factor(1.0, psi, (canary, failed, control, other))
    back = factor(1.0, 1 / psi, (control, other, canary, failed))
    assert isclose(there, back, rel_tol=1e-6, abs_tol=1e-3 + 1e-12 * (failed + other))


@settings(max_examples=50)
@given(st.data())
def test_nothing_overflows_at_a_thousand_million_requests(data):
    canary, control = 10**9, data.draw(counts)
    failed, other = data.draw(st.integers(0, canary)), data.draw(st.integers(0, control))
    test, bar = RatioTest(1.25, FAILURE_RATIOS), BarTest()
    test.add(failed, failed + other, test.falls(canary, control), 1.0)
    bar.add(canary, failed, 1.0)
    assert isfinite(test.log_e)
    assert isfinite(bar.log_breach(0.01))
    assert bar.log_kept(0.01) <= inf
    low, high = ratio_interval([Exposure(canary, failed, control, other, 1.0)], 0.01)
    assert low <= high


def test_the_mean_is_taken_of_values_not_of_logarithms():
    assert isclose(log_mean_exp([log(1), log(3)]), log(2))
    assert isclose(log_mean_exp([log(1), log(3)], [0.25, 0.75]), log(2.5))
    assert isclose(log_mean_exp([-inf, 5000.0]), 5000 - log(2))
    assert log_mean_exp([-inf, -inf]) == -inf


@pytest.mark.parametrize(("bar", "most"), [(0.01, 330), (0.04, 85), (0.2, 16)])
def test_requests_without_a_failure_that_certify_a_bar(bar, most):
    test, needed = BarTest(), 0
    forecast = test.more_for(bar, log(20))
    while test.log_kept(bar) < log(20):
        test.add(1, 0, 1.0)
        needed += 1
    assert 0.9 * most <= needed <= most
    assert needed - 1 < forecast <= needed + 1
    assert test.more_for(bar, log(20)) == 0


def test_one_failure_ends_the_hope_that_it_never_fails_but_not_the_others():
    test = BarTest()
    test.add(5000, 1, 1.0)
    assert test.log_kept(0.01) > log(20)
    assert all(0 < share < 1 for share in KEPT_SHARES)


def test_the_interval_for_people_covers_the_true_ratio_and_narrows():
    few = [Exposure(25, 5, 475, 5, 1.0)]
    many = [Exposure(250, 50, 4750, 50, 1.0)] * 10
    low, high = ratio_interval(few, 0.01)
    assert low < 19 < high
    closer_low, closer_high = ratio_interval(many, 0.01)
    assert low < closer_low < 19 < closer_high <= high
    assert ratio_interval([], 0.01) == (0.0, inf)


def test_the_healthy_side_gathers_evidence_for_an_equal_canary():
    test = RatioTest(2.0, [ratio / 2 for ratio in HEALTHY_RATIOS])
    for _ in range(200):
        test.add(5, 10, test.falls(500, 500), 1.0)
    assert test.log_e > log(20)
