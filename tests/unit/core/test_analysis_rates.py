"""The error rates that the analysis states, in the size that fits a test run; benchmarks/canary_analysis.py has the rest."""

from __future__ import annotations

import pytest

from benchmarks.canary_analysis import caught_at, ever_passed, upper_bound
from benchmarks.canary_world import World, constant

RUNS = 300
MOST_AT_ALPHA = 9
"""Wrong ones of 300 that a true rate of 1 % exceeds with a probability of 0.1 %."""


@pytest.mark.parametrize("clump", [1, 5, 20])
def test_equally_good_canaries_are_rolled_back_no_more_often_than_stated(clump):
    world = World(rate=50, errors=0.01, clump=clump)
    wrong = sum(caught_at(world, seed, history=True) is not None for seed in range(RUNS))
    assert wrong <= MOST_AT_ALPHA


def test_equally_fast_canaries_are_rolled_back_no_more_often_than_stated():
    world = World(rate=100, errors=0.001, median=60)
    wrong = sum(caught_at(world, seed) is not None for seed in range(RUNS))
    assert wrong <= MOST_AT_ALPHA


def test_a_canary_at_the_bar_is_certified_no_more_often_than_stated():
    wrong = sum(ever_passed(World(rate=100, errors=0.005, worse=2), seed) for seed in range(RUNS))
    # 27 or more of 300 have a probability of 0.1 % at 5 %.
    assert wrong < 27


@pytest.mark.parametrize(
    ("world", "looks", "share"),
    [
        (World(errors=0.0001, worse=2000, interval=1), 2, 0.93),
        (World(errors=0.0001, worse=2000, interval=1), 3, 0.99),
        (World(errors=0.0001, median=60, slower=3, interval=1), 3, 0.97),
    ],
)
def test_bad_canaries_are_caught_as_fast_as_stated(world, looks, share):
    found = [caught_at(world, seed, plan=tuple(constant(500, 20))) for seed in range(RUNS)]
    assert sum(one is not None and one <= looks for one in found) >= share * RUNS


def test_the_bound_is_clopper_and_pearsons():
    assert upper_bound(0, 300) == pytest.approx(1 - 0.01 ** (1 / 300))
    assert upper_bound(3, 100) == pytest.approx(0.09724, abs=5e-4)
