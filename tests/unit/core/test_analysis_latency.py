from __future__ import annotations

import sys
from pathlib import Path

from reconciler.core.analysis import analyse
from reconciler.core.desired import FULL_WEIGHT, Step
from reconciler.core.latency import Edge, choose
from reconciler.core.observed import ControlHistory, Counters

sys.path.insert(0, str(Path(__file__).parent))

from analysis_ticks import POLICY, STEPS, Log

USUAL = ((5, 371), (15, 85), (35, 19))
"""475 answers of the control: 78 % within 10 ms, 96 % within 20, all within 40."""


def judged(log):
    return analyse(POLICY, STEPS, 0, tuple(log.ticks), ControlHistory(), log.now)


def serve(log, ours, theirs=USUAL):
    count = sum(count for _, count in ours)
    log.canary.serve(count, times=ours)
    total = sum(count for _, count in theirs)
    log.stable.serve(total, times=theirs)
    log.wait()
    log.look()


def counters(*tails, timed=1000):
    return Counters("a", timed, timed, 0, timed, tuple((edge, timed - tail) for edge, tail in tails))


def test_edges_are_those_nearest_the_controls_percentiles_with_slack_for_the_canary():
    tails = [(10, 400), (12, 210), (14, 100), (16, 45), (20, 20), (25, 11), (33, 2), (40, 0)]
    assert choose(counters(*tails), 1.25) == (Edge(12, 16), Edge(16, 20), Edge(25, 33))


def test_a_service_of_a_millisecond_is_given_two():
    tails = [(1, 200), (2, 50), (3, 10), (5, 0), (7, 0)]
    assert choose(counters(*tails), 1.25) == (Edge(1, 3), Edge(2, 5), Edge(3, 5))


def test_no_slack_where_the_next_edge_would_hide_a_service_twice_as_slow():
    assert choose(counters((10, 200), (20, 10), (100, 0)), 1.25) == (Edge(10, 10), Edge(20, 20))


def test_latencies_within_one_bucket_are_compared_at_its_end():
    assert choose(counters((5, 1000), (10, 0), (13, 0), (25, 0)), 1.25) == (Edge(10, 13),)


def test_too_few_requests_or_a_service_beyond_the_last_edge_choose_nothing():
    assert choose(counters((10, 20), timed=199), 1.25) == ()
    assert choose(counters((10, 900), (20, 800)), 1.25) == ()
    assert choose(Counters("a", 500, 500, 0), 1.25) == ()


def test_a_canary_three_times_slower_is_caught_within_three_looks():
    log = Log(baseline=1000)
    looks = 0
    while judged(log).verdict != "regressed":
        looks += 1
        assert looks <= 3
        serve(log, ((15, 19), (45, 5), (105, 1)))
    assert "% sure at any time" in judged(log).reason
    assert "of the canary took over" in judged(log).reason


def test_a_canary_as_fast_as_the_control_becomes_healthy_and_says_that_latency_was_judged():
    log = Log(baseline=1000)
    for _ in range(20):
        serve(log, ((5, 20), (15, 4), (35, 1)))
    assert judged(log).verdict == "healthy"
    assert judged(log).reason.endswith("latency no worse")


def test_a_little_slower_is_within_the_slack():
    log = Log(baseline=1000)
    for _ in range(200):
        serve(log, ((5.8, 19), (17, 5), (39, 1)))
    assert judged(log).verdict == "healthy"


def test_a_canary_whose_answers_may_be_slower_is_not_healthy_yet():
    log = Log(baseline=1000)
    serve(log, ((5, 4), (15, 1)))
    for _ in range(400):
        log.tick((1, 0), (9, 0))
    assert judged(log).verdict == "inconclusive"
    assert "more fast answers" in judged(log).reason


def test_one_stall_does_not_decide_alone():
    log = Log(baseline=1000)
    for _ in range(5):
        serve(log, ((5, 20), (15, 4), (35, 1)))
    serve(log, ((150, 25),))
    assert judged(log).verdict != "regressed"
    serve(log, ((5, 20), (15, 4), (35, 1)))
    assert judged(log).verdict != "regressed"
    serve(log, ((150, 25),))
    serve(log, ((150, 25),))
    assert judged(log).verdict == "regressed"


def test_edges_are_chosen_without_the_tick_they_are_first_used_for():
    log = Log()
    serve(log, ((5, 10),), ((5, 150),))
    assert judged(log).evidence.edges == ()
    serve(log, ((5, 10),), ((5, 100),))
    assert judged(log).evidence.edges == ()
    before = judged(log)
    serve(log, ((150, 10),), ((150, 400),))
    assert judged(log).evidence.edges == (Edge(10, 10),)
    assert before.reason.startswith("canary failed 0 of 20")


def test_a_histogram_with_other_edges_is_left_out():
    log = Log(baseline=1000)
    serve(log, ((5, 20), (15, 5)))
    seen = judged(log).evidence
    log.canary.serve(25, times=((150, 25),))
    log.stable.serve(475, times=USUAL)
    log.wait()
    log.look()
    reading = log.ticks[-1].reading
    assert reading.canary is not None
    moved = tuple((edge + 1, count) for edge, count in reading.canary.buckets)
    other = Counters("a", reading.canary.sent, reading.canary.answered, 0, reading.canary.timed, moved)
    canary = type(reading)(reading.at, reading.stable, other)
    last = log.ticks[-1]
    log.ticks[-1] = type(last)(last.attempt, last.seq, last.step, last.weight, canary)
    assert judged(log).evidence.slow == seen.slow
    assert judged(log).evidence.log_e_latency == seen.log_e_latency
    assert judged(log).canary_requests == 50


def test_without_timed_control_requests_latency_is_not_judged_and_that_is_said():
    log = Log()
    for _ in range(20):
        log.tick((25, 0), (475, 0))
    assert judged(log).verdict == "healthy"
    assert "latency not judged" in judged(log).reason


def test_a_single_step_with_all_traffic_leaves_no_control_to_compare_latency_with():
    log = Log(baseline=1000)
    log.weight = FULL_WEIGHT
    for _ in range(5):
        serve(log, ((5, 80), (15, 20)), theirs=())
    found = analyse(POLICY, (Step(FULL_WEIGHT, 1),), 0, tuple(log.ticks), ControlHistory(), log.now)
    assert found.verdict == "healthy"
    assert "latency not judged" in found.reason
