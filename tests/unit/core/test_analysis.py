from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconciler.core.analysis import analyse
from reconciler.core.desired import FULL_WEIGHT, AnalysisPolicy, Step
from reconciler.core.fold import bar_of
from reconciler.core.observed import ControlHistory

sys.path.insert(0, str(Path(__file__).parent))

from analysis_ticks import POLICY, STEPS, Log


def judged(log, policy=POLICY, step=0, steps=STEPS):
    return analyse(policy, steps, step, tuple(log.ticks), ControlHistory(), log.now)


# --- regressed -------------------------------------------------------------------------------------------------------


def test_a_fifth_of_requests_failing_is_caught_at_the_second_look_and_said_in_numbers():
    log = Log()
    log.tick((25, 5), (475, 0))
    assert judged(log).verdict == "inconclusive"
    log.tick((25, 5), (475, 1))
    found = judged(log)
    assert found.verdict == "regressed"
    assert not found.hard_stop
    assert found.reason.startswith("canary failed 10 of 50 requests (20 %), control 1 of 950 (0.11 %): at least ")
    assert found.reason.endswith(" times as often, 99 % sure at any time")


def test_one_clump_of_failures_does_not_decide_alone():
    log = Log()
    log.tick((25, 20), (475, 0))
    assert judged(log).verdict != "regressed"
    for _ in range(5):
        log.tick((25, 0), (475, 0))
    assert judged(log).verdict != "regressed"


def test_what_was_shown_is_not_forgotten():
    log = Log()
    for _ in range(2):
        log.tick((25, 6), (475, 0))
    shown = judged(log)
    for _ in range(50):
        log.tick((25, 0), (475, 25))
    assert judged(log).verdict == "regressed"
    assert judged(log).reason == shown.reason
    log.wait(3600)
    log.look(error="gone")
    assert judged(log).verdict == "regressed"


def test_evidence_is_carried_over_from_step_to_step():
    log = Log()
    log.tick((25, 4), (475, 0))
    log.step, log.weight = 1, 2500
    log.tick((25, 4), (75, 0))
    log.tick((125, 20), (375, 0))
    assert judged(log, step=1).verdict == "regressed"


def test_a_first_deployment_is_held_against_its_budget():
    log = Log(control=False)
    for _ in range(3):
        log.tick((50, 10))
    found = judged(log)
    assert found.verdict == "regressed"
    assert "no control to compare with" in found.reason
    assert found.control_requests == 0


def test_with_all_traffic_a_service_is_not_held_against_less_than_it_failed_before():
    log = Log()
    for _ in range(20):
        log.tick((100, 2), (400, 8))
    log.step, log.weight = 1, FULL_WEIGHT
    for _ in range(10):
        log.tick((500, 10), (0, 0))
    assert judged(log, step=1).verdict != "regressed"
    for _ in range(5):
        log.tick((500, 100), (0, 0))
    assert judged(log, step=1).verdict == "regressed"


# --- hard stop -------------------------------------------------------------------------------------------------------


def test_a_canary_that_answers_nothing_is_stopped():
    log = Log(interval=10)
    log.canary.serve(0, lost=30)
    log.tick((0, 0), (475, 0))
    assert judged(log).verdict == "inconclusive"
    log.tick((0, 0), (475, 0))
    found = judged(log)
    assert (found.verdict, found.hard_stop) == ("regressed", True)
    assert found.reason == "canary answered none of the 30 requests it was sent"


def test_a_canary_is_given_the_time_that_the_control_takes():
    log = Log(baseline=1000)
    log.canary.serve(0, lost=30)
    log.tick((0, 0), (475, 0))
    log.tick((0, 0), (475, 0))
    assert judged(log).hard_stop


def test_a_canary_whose_requests_all_fail_without_an_answer_is_stopped_at_the_second_look():
    log = Log()
    for _ in range(2):
        assert judged(log).verdict == "inconclusive"
        log.canary.sent += 25
        log.canary.failed += 25
        log.tick((0, 0), (475, 0))
    found = judged(log)
    assert (found.verdict, found.hard_stop) == ("regressed", True)
    assert (found.canary_requests, found.canary_failed) == (50, 50)
    log.tick((25, 0), (475, 0))
    assert judged(log).hard_stop


def test_a_control_that_answers_nothing_either_does_not_blame_the_canary():
    log = Log(interval=10)
    for _ in range(3):
        for one, count in ((log.canary, 25), (log.stable, 475)):
            one.sent += count
            one.failed += count
        log.tick()
    found = judged(log)
    assert found.verdict == "inconclusive"
    assert found.reason.startswith("shared incident: ")


@pytest.mark.parametrize(("lost", "answered"), [(19, 0), (500, 1)])
def test_few_requests_or_a_single_answer_are_no_hard_stop(lost, answered):
    log = Log(interval=10)
    log.canary.serve(answered, lost=lost)
    log.tick((0, 0), (475, 0))
    log.tick((0, 0), (475, 0))
    assert not judged(log).hard_stop


# --- healthy ---------------------------------------------------------------------------------------------------------


def test_a_service_without_a_single_failure_becomes_healthy_within_330_requests():
    log = Log()
    while judged(log).verdict != "healthy":
        log.tick((1, 0), (19, 0))
        assert judged(log).canary_requests <= 330
    assert judged(log).canary_requests >= 290
    assert "fails less than 1 %, 95 % sure" in judged(log).reason


def test_small_steps_need_less_because_they_open_to_less():
    steps = (Step(100, 60), Step(500, 60), Step(2500, 60), Step(FULL_WEIGHT, 60))
    needed = []
    for step in range(3):
        log = Log()
        log.step, log.weight = step, steps[step].weight
        log.look()
        while judged(log, step=step, steps=steps).verdict != "healthy":
            log.tick((1, 0), (20, 0))
        needed.append(judged(log, step=step, steps=steps).canary_requests)
    assert needed[0] <= 16
    assert needed[1] <= 85
    assert needed[2] <= 330
    assert [bar_of(POLICY, steps, step).ratio for step in range(4)] == [21, 5, 2, 2]


def test_a_service_that_fails_about_as_often_as_its_budget_allows_is_certified_against_its_control():
    policy = AnalysisPolicy(interval=1.0, error_budget=0.004)
    log = Log()
    for _ in range(30):
        log.tick((200, 1), (800, 4))
    found = judged(log, policy)
    assert found.verdict == "healthy"
    assert "times as often as the control" in found.reason


def test_a_step_gets_the_requests_it_asks_for():
    steps = (Step(500, 10, requests=1000), Step(FULL_WEIGHT, 10))
    log = Log()
    log.look()
    for _ in range(39):
        log.tick((25, 0), (475, 0))
    assert judged(log, steps=steps).reason.endswith("needs 25 more canary requests in this step (it asks for 1,000)")
    log.tick((25, 0), (475, 0))
    assert judged(log, steps=steps).verdict == "healthy"


def test_never_healthy_without_a_request_in_the_step():
    log = Log()
    for _ in range(20):
        log.tick((25, 0), (475, 0))
    assert judged(log).verdict == "healthy"
    log.step, log.weight = 1, FULL_WEIGHT
    log.tick()
    log.tick()
    assert judged(log, step=1).verdict == "inconclusive"


def test_a_canary_that_has_become_worse_is_no_longer_healthy():
    log = Log()
    for _ in range(16):
        log.tick((25, 0), (475, 0))
    assert judged(log).verdict == "healthy"
    log.tick((25, 3), (475, 0))
    assert judged(log).verdict == "inconclusive"


# --- inconclusive ----------------------------------------------------------------------------------------------------


def test_what_is_missing_is_said():
    log = Log()
    for _ in range(4):
        log.tick((25, 0), (475, 0))
    assert judged(log).verdict == "inconclusive"
    assert judged(log).reason.startswith("canary failed 0 of 100 requests (0 %): needs about 2")
    assert judged(log).reason.endswith("more canary requests without a failure to show that it fails less than 1 %")


def test_an_incident_of_both_sides_neither_blames_nor_clears_the_canary():
    log = Log()
    for _ in range(5):
        log.tick((25, 0), (475, 0))
    for _ in range(20):
        log.tick((25, 8), (475, 150))
    found = judged(log)
    assert found.verdict == "inconclusive"
    assert found.reason.startswith("shared incident: ")


def test_nothing_measured_yet_is_inconclusive():
    log = Log()
    assert judged(log).verdict == "inconclusive"
    assert analyse(POLICY, STEPS, 0, (), ControlHistory(), log.now).verdict == "inconclusive"
