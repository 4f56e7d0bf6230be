from __future__ import annotations

import sys
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.analysis import analyse, conclude
from reconciler.core.desired import AnalysisPolicy
from reconciler.core.fold import Fold, bar_of
from reconciler.core.observed import ControlHistory

sys.path.insert(0, str(Path(__file__).parent))

from analysis_ticks import POLICY, STEPS, Log


def judged(log, policy=POLICY, step=0, steps=STEPS):
    return analyse(policy, steps, step, tuple(log.ticks), ControlHistory(), log.now)


# --- no data, provider error -----------------------------------------------------------------------------------------


def test_a_canary_without_requests_has_no_data():
    log = Log()
    log.look()
    for _ in range(59):
        log.tick((0, 0), (500, 0))
    assert judged(log).verdict == "inconclusive"
    log.tick((0, 0), (500, 0))
    assert judged(log).verdict == "no_data"
    log.tick((1, 0), (500, 0))
    assert judged(log).verdict == "inconclusive"


def test_silence_is_noticed_after_evidence_too():
    log = Log()
    for _ in range(20):
        log.tick((25, 0), (475, 0))
    for _ in range(61):
        log.tick((0, 0), (500, 0))
    assert judged(log).verdict == "no_data"


def test_a_source_that_cannot_be_read_is_told_with_its_error():
    log = Log()
    for _ in range(20):
        log.tick((25, 0), (475, 0))
    for _ in range(29):
        log.tick(error="connection refused")
    assert judged(log).verdict == "healthy"
    log.tick(error="connection refused")
    assert judged(log).verdict == "provider_error"
    assert judged(log).reason == "no good reading of the metrics source for 30 s: connection refused"
    log.tick((25, 0), (475, 0))
    assert judged(log).verdict == "healthy"


def test_a_source_that_never_could_be_read_is_told_too():
    log = Log()
    log.ticks.clear()
    for _ in range(31):
        log.tick(error="connection refused")
    assert judged(log).verdict == "provider_error"


def test_a_long_interval_is_no_fault_of_the_source():
    policy = AnalysisPolicy(interval=60.0)
    log = Log(interval=60)
    log.tick((400, 0), (400, 0))
    log.wait(59)
    assert judged(log, policy).verdict != "provider_error"


# --- the fold --------------------------------------------------------------------------------------------------------

side = st.integers(0, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(side, side), max_size=25))
def test_taking_ticks_in_one_by_one_gives_what_all_of_them_give_and_never_fails(looks):
    log = Log()
    fold = Fold(POLICY, (bar_of(POLICY, STEPS, 0).ratio,), ControlHistory())
    fold.add(log.ticks[0])
    regressed = False
    for ours, theirs in looks:
        log.tick(ours, theirs)
        fold.add(log.ticks[-1])
        found = judged(log)
        assert found == conclude(fold, STEPS, 0, log.now)
        assert not regressed or found.verdict == "regressed"
        regressed = found.verdict == "regressed"
        assert found.canary_failed <= found.canary_requests
        assert found.verdict != "healthy" or found.step_requests > 0


def test_a_hundred_ticks_are_judged_in_milliseconds():
    log = Log(baseline=1000)
    for number in range(100):
        log.canary.serve(25, times=((5, 20), (15, 5)))
        log.stable.serve(475, times=((5, 371), (15, 85), (35, 19)))
        log.tick((0, number % 7 == 0), (0, 1))
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        judged(log)
        best = min(best, time.perf_counter() - start)
    assert best < 0.02
