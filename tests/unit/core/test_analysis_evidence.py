from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest

from reconciler.core.analysis import analyse, control_history
from reconciler.core.desired import AnalysisPolicy
from reconciler.core.dispersion import Dispersion
from reconciler.core.evidence import Observer
from reconciler.core.observed import ControlHistory

sys.path.insert(0, str(Path(__file__).parent))

from analysis_ticks import POLICY, STEPS, Log

from benchmarks.canary_world import World, constant, ticks


def judged(log, policy=POLICY, step=0, history=None):
    return analyse(policy, STEPS, step, tuple(log.ticks), history or ControlHistory(), log.now)


def counted(log, policy=POLICY):
    seen = judged(log, policy)
    return seen.canary_requests, seen.canary_failed, seen.control_requests, seen.control_failed


def test_deltas_not_totals_are_counted():
    log = Log()
    log.canary.serve(1000, 900)
    log.ticks.clear()
    log.look(step=-1)
    log.tick((10, 1), (90, 2))
    log.tick((20, 0), (80, 1))
    assert counted(log) == (30, 1, 170, 3)


def test_an_unreadable_look_is_bridged_by_the_next_good_one():
    log = Log()
    log.tick((10, 1), (90, 2))
    log.tick((10, 1), (90, 2), error="timeout")
    log.tick((10, 1), (90, 2))
    assert counted(log) == (30, 3, 270, 6)


def test_a_side_whose_counters_restarted_or_went_back_is_left_out_for_that_tick():
    log = Log()
    log.tick((10, 1), (90, 2))
    log.canary.epoch = "b"
    log.canary.sent = log.canary.answered = log.canary.failed = 0
    log.tick((7, 7), (90, 0))
    log.canary.sent = log.canary.answered = log.canary.failed = 0
    log.tick((3, 3), (90, 0))
    log.tick((5, 0), (90, 0))
    assert counted(log) == (15, 1, 360, 2)
    assert judged(log).evidence.discarded == 2


def test_failures_that_are_no_answers_are_requests_too():
    log = Log()
    log.canary.sent += 20
    log.canary.failed += 20
    log.tick((80, 5), (90, 0))
    assert counted(log) == (100, 25, 90, 0)


def test_a_failure_counted_before_its_answer_is_no_impossible_share():
    log = Log()
    log.canary.failed += 3
    log.tick((2, 0), (90, 0))
    assert counted(log) == (3, 3, 90, 0)


def test_requests_in_flight_are_neither_answers_nor_failures():
    log = Log()
    log.canary.sent += 50
    log.tick((10, 0), (90, 0))
    assert counted(log) == (10, 0, 90, 0)


def test_requests_of_the_warm_up_are_not_evidence():
    log, policy = Log(), AnalysisPolicy(interval=1.0, warmup=3.0)
    log.look()
    for _ in range(3):
        log.tick((25, 25), (475, 0))
    assert counted(log, policy)[:2] == (0, 0)
    log.tick((25, 0), (475, 0))
    assert counted(log, policy)[:2] == (25, 0)
    assert judged(log, policy).step_requests == 25
    assert judged(log, policy).verdict == "inconclusive"


def test_dwell_is_time_that_was_watched():
    log = Log()
    log.look()
    for _ in range(5):
        log.tick((1, 0), (9, 0))
    assert judged(log).dwell == 5
    log.wait(3600)
    log.tick((1, 0), (9, 0))
    assert judged(log).dwell == 8
    log.wall -= 86_400
    log.tick((1, 0), (9, 0))
    assert judged(log).dwell == 9


def test_dwell_and_requests_of_a_step_are_its_own():
    log = Log()
    log.look()
    log.tick((5, 0), (9, 0))
    log.step, log.weight = 1, 10_000
    log.tick((50, 0), (0, 0))
    assert judged(log, step=1).dwell == 0
    log.tick((70, 0), (0, 0))
    assert (judged(log, step=1).dwell, judged(log, step=1).step_requests) == (1, 70)
    assert judged(log, step=1).canary_requests == 125
    assert judged(log, step=0).dwell == 0


def test_after_a_reboot_the_wall_clock_tells_how_much_time_passed():
    log = Log()
    log.look()
    log.tick((1, 0), (9, 0))
    log.boot, log.mono = "boot-2", 3.0
    log.wall += 1.5
    log.look()
    assert judged(log).dwell == 2.5


def test_the_same_ticks_give_the_same_answer():
    log = Log()
    for _ in range(20):
        log.tick((25, 1), (475, 1))
    assert judged(log) == judged(log)


# --- overdispersion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clump", [1, 5, 20])
def test_history_finds_how_failures_clump(clump):
    world = World(rate=500, errors=0.002, clump=clump)
    found = control_history(tuple(ticks(world, Random(clump), constant(0, 720), attempt=0)))
    assert found.requests == pytest.approx(720 * 5000, rel=0.01)
    assert 0.7 * clump <= found.numerator / found.denominator <= 1.4 * clump


def test_a_history_without_failures_or_too_short_says_nothing_of_clumping():
    world = World(rate=50, errors=0.0)
    assert control_history(()) == ControlHistory()
    quiet = control_history(tuple(ticks(world, Random(1), constant(0, 60), attempt=0)))
    assert quiet.requests > 0
    assert (quiet.failures, quiet.numerator, quiet.denominator) == (0, 0.0, 0.0)
    assert control_history(tuple(ticks(World(), Random(1), constant(0, 14), attempt=0))) == ControlHistory()


def test_a_hole_in_the_history_is_not_one_ticks_worth():
    log = Log(interval=10)
    for number in range(45):
        log.tick((0, 0), (500, number % 2))
    without = control_history(tuple(log.ticks))
    log.wait(7200)
    log.tick((0, 0), (400_000, 4000))
    assert control_history(tuple(log.ticks)) == without


def test_a_few_ticks_are_worth_little_however_many_failures_they_have():
    spread = Dispersion()
    spread.add(10_000, 500)
    assert spread.estimate() == (0.0, 0.0)
    spread.add(10_000, 600)
    assert spread.estimate()[1] < 0.5
    assert spread.phi(ControlHistory()) < 2.5


def test_phi_is_never_below_one_nor_without_a_value():
    spread = Dispersion()
    assert spread.phi(ControlHistory()) == 1
    for _ in range(40):
        spread.add(100, 5)
    assert spread.phi(ControlHistory()) == 1
    assert Dispersion().phi(ControlHistory(1000, 50, 1000.0, 50.0)) > 15


def test_known_clumping_asks_for_more_evidence_on_both_sides():
    log = Log()
    for _ in range(16):
        log.tick((25, 0), (475, 0))
    clumped = ControlHistory(100_000, 400, 2000.0, 400.0)
    assert judged(log).verdict == "healthy"
    assert judged(log, history=clumped).verdict == "inconclusive"
    for _ in range(2):
        log.tick((25, 6), (475, 0))
    assert judged(log).verdict == "regressed"
    assert judged(log, history=clumped).verdict == "inconclusive"


def test_observer_takes_its_baseline_from_the_first_good_look():
    log = Log()
    log.ticks.clear()
    log.look(error="refused")
    observer = Observer(0.0, 1.0)
    assert observer.add(log.ticks[0]) is None
    log.wait()
    log.look()
    assert observer.add(log.ticks[1]) is None
    log.tick((4, 1), (5, 0))
    look = observer.add(log.ticks[2])
    assert look is not None
    assert look.canary is not None
    assert (look.canary.ended, look.canary.failed) == (4, 1)
