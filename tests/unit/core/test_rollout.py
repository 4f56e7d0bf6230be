"""Steps: when they begin, what they wait for, when they are left, and for where."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.happenings import crashed, failed, unobservable
from fakes.scene import Scene
from fakes.situations import STATES
from fakes.values import STRATEGY, at, desired, release

from reconciler.core.analysis import Verdict
from reconciler.core.desired import Step, Strategy, StrategyKind
from reconciler.core.observed import Backend, InstanceStatus, Observed, Traffic
from reconciler.core.state import Phase, Result, RolloutKind, Route, Verb


def types(decision):
    return [record.type for record in decision.records]


def routes(scene: Scene):
    return [action.route for action in scene.state.plan.actions if hasattr(action, "route")]


# --- a good canary ---------------------------------------------------------------------------------------------------


def test_a_canary_goes_step_by_step_to_its_certificate():
    scene = STATES["idle"]()
    scene.commit("v2")
    v1, v2 = release("v1"), release("v2")
    said = []
    for weight in (500, 2500, 10_000):
        scene.baking()
        assert routes(scene) == [Route(8080, v1.digest, v2.digest, weight)]
        scene.bake()
        said += types(scene.look())
    assert said == ["rollout.passed"] * 3
    assert scene.state.rollout.phase is Phase.PROMOTING
    assert [one.digest for one in scene.state.certified] == [v2.digest, v1.digest]
    assert scene.state.stable == v1
    scene.drained()
    assert scene.state.stable == v2
    assert scene.state.history[0].result is Result.PROMOTED
    assert {one.digest for one in scene.observed.instances} == {v2.digest}


def test_a_step_is_not_left_before_its_bake_however_much_evidence_there_is():
    scene = STATES["baking"]()
    while True:
        scene.tick(canary=(100_000, 0), stable=(900_000, 0))
        decision = scene.look()
        if decision.analysis.dwell >= 10.0:
            break
        assert scene.state.rollout.step == 0
        assert decision.analysis.verdict in (Verdict.HEALTHY, Verdict.INCONCLUSIVE)
    assert scene.state.rollout.step == 1


def test_a_step_is_not_left_on_time_alone():
    scene = STATES["starting"]()
    scene.baking()
    scene.bake(60.0, canary=(1, 0), stable=(19, 0))
    decision = scene.look()
    assert decision.analysis.dwell > 50.0
    assert scene.state.rollout.step == 0
    assert decision.waiting[0].condition == "Analysis"


def test_a_step_waits_for_the_requests_it_asks_for():
    scene = STATES["idle"]()
    steps = (Step(500, 2.0, 5000), Step(10_000, 2.0))
    scene.commit("v2", strategy=replace(STRATEGY, steps=steps))
    scene.baking()
    scene.bake(8.0)
    scene.look()
    assert scene.state.rollout.step == 0
    scene.bake(4.0)
    scene.look()
    assert scene.state.rollout.step == 1


def test_a_step_is_not_left_while_the_instances_cannot_be_seen():
    scene = STATES["baking"]()
    scene.bake()
    unobservable(scene)
    scene.look()
    assert scene.state.rollout.step == 0
    assert scene.look().due.actions == ()


def test_dwell_counts_from_the_confirmed_traffic_of_the_step():
    scene = STATES["second_step_starting"]()
    scene.bake(100.0)
    decision = scene.look()
    assert decision.analysis.dwell == 0.0
    assert scene.state.rollout.step == 1


# --- no control to compare with --------------------------------------------------------------------------------------


def test_a_first_release_is_certified_by_its_budget():
    scene = STATES["first_serving"]()
    assert routes(scene) == [Route(8080, None, release("v1").digest, 10_000)]
    scene.bake()
    assert types(scene.look()) == ["rollout.passed"]


def test_a_first_release_without_requests_is_certified_on_health_checks_and_says_so():
    scene = STATES["first_serving"]()
    scene.bake(canary=(0, 0), stable=(0, 0))
    decision = scene.look()
    assert scene.state.rollout.phase is Phase.PROMOTING
    assert "first release" in decision.records[0].message
    assert "health checks alone" in decision.records[0].message


def test_a_first_release_with_too_few_ready_instances_is_not():
    scene = STATES["first_serving"]()
    scene.bake(canary=(0, 0), stable=(0, 0))
    one, other = scene.observed.instances
    unready = replace(other, status=InstanceStatus.UNHEALTHY)
    scene.observed = replace(scene.observed, instances=(one, unready))
    scene.look()
    assert scene.state.rollout.phase is Phase.STEPPING


def test_all_at_once_says_so_too():
    scene = STATES["idle"]()
    scene.commit("v2", strategy=replace(STRATEGY, kind=StrategyKind.ALL_AT_ONCE))
    scene.baking()
    scene.bake(canary=(0, 0), stable=(0, 0))
    assert "all at once" in scene.look().records[0].message


def test_a_regressed_first_release_is_held_since_there_is_nothing_to_go_back_to():
    scene = STATES["first_serving"]()
    scene.bake(canary=(1000, 300), stable=(0, 0))
    decision = scene.look()
    assert types(decision) == ["rollout.held"]
    assert scene.state.rollout.phase is Phase.STEPPING
    assert "no certified release to go back to" in decision.waiting[0].message
    assert decision.waiting[0].deadline is None


def test_a_first_release_that_never_gets_ready_is_given_up():
    scene = STATES["first_starting"]()
    scene.seconds += 61.0
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
    scene.drained()
    assert scene.state.stable is None
    assert scene.observed == Observed()


# --- hard stops ------------------------------------------------------------------------------------------------------


def test_a_canary_that_fails_far_more_is_rolled_back_and_quarantined():
    scene = STATES["baking"]()
    scene.bake(4.0, canary=(1000, 250))
    decision = scene.look()
    assert types(decision) == ["rollout.rolling_back"]
    assert scene.state.quarantined[0].digest == release("v3").digest
    assert decision.due.actions[0].route == Route(8080, release("v2").digest, None, 0)
    scene.drained()
    assert scene.state.stable == release("v2")
    assert scene.state.history[0].bad_requests >= 1000
    assert scene.state.history[0].restore_seconds is not None


@pytest.mark.parametrize("state", ["baking", "last_step", "held", "paused", "second_step_starting"])
@pytest.mark.parametrize(("event", "words"), [(crashed, "went down by itself"), (failed, "exit status 3")])
def test_a_canary_that_goes_down_is_rolled_back(state, event, words):
    scene = STATES[state]()
    event(scene)
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
    assert words in scene.state.rollout.reason


def test_a_restart_before_there_was_any_traffic_is_forgiven():
    scene = STATES["starting"]()
    scene.obey()
    crashed(scene)
    scene.look()
    assert scene.state.rollout.phase is Phase.STEPPING


def test_instances_that_do_not_get_ready_in_time_end_the_attempt():
    scene = STATES["starting"]()
    scene.seconds += 60.0
    scene.look()
    assert scene.state.rollout.phase is Phase.STEPPING
    scene.seconds += 0.1
    scene.look()
    assert "did not become ready within 60 s" in scene.state.rollout.reason


def test_instances_that_are_ready_are_not_blamed_for_a_daemon_that_was_down():
    scene = STATES["starting"]()
    scene.obey()
    scene.seconds += 3600.0
    scene.baking()
    assert scene.state.rollout.phase is Phase.STEPPING


def test_instances_that_nobody_can_see_are_not_blamed():
    scene = STATES["starting"]()
    unobservable(scene)
    scene.seconds += 3600.0
    scene.look()
    assert scene.state.rollout.phase is Phase.STEPPING


# --- held ------------------------------------------------------------------------------------------------------------


def test_a_step_that_stays_open_is_held_and_goes_back_when_nobody_decides():
    scene = STATES["held"]()
    decision = scene.look()
    assert "not certified within" in decision.waiting[0].message
    assert decision.waiting[0].deadline == at(scene.seconds).wall + 3600.0
    scene.seconds += 3600.5
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
    assert "nobody decided within 1 h" in scene.state.rollout.reason


def test_a_resumed_step_gets_its_longest_bake_once_more():
    scene = STATES["held"]()
    scene.ask(Verb.RESUME)
    scene.look()
    assert (scene.state.rollout.held, scene.state.rollout.extended) == (None, 300.0)
    scene.bake(280.0, canary=(0, 0), stable=(10, 0))
    scene.look()
    assert scene.state.rollout.held is None
    scene.bake(30.0, canary=(0, 0), stable=(10, 0))
    scene.look()
    assert scene.state.rollout.held is not None


def test_evidence_that_comes_late_lets_a_held_step_pass():
    scene = STATES["held"]()
    scene.bake(canary=(5000, 0), stable=(5000, 0))
    scene.look()
    assert (scene.state.rollout.step, scene.state.rollout.held) == (1, None)


# --- traffic ---------------------------------------------------------------------------------------------------------


def test_a_step_is_confirmed_by_the_router_and_not_by_having_been_asked_for():
    scene = STATES["starting"]()
    scene.obey()
    assert scene.look().due.actions[0].route.weight == 500
    for _ in range(3):
        scene.look()
    assert scene.state.rollout.confirmed is None
    one, other = release("v2"), release("v3")
    scene.observed = replace(
        scene.observed, traffic=Traffic(8080, Backend(one.digest, ("x",)), Backend(other.digest, ()), 500)
    )
    assert types(scene.look()) == ["rollout.step"]
    assert scene.state.rollout.confirmed == scene.inputs().now


def test_the_strategy_of_the_attempt_holds_whatever_a_newer_commit_says_of_the_same_release():
    scene = STATES["baking"]()
    scene.commit("v3", strategy=Strategy(StrategyKind.CANARY, (Step(10_000, 0.0),), 1.0, 1.0, 1.0))
    scene.look()
    assert scene.state.rollout.release.desired.strategy == STRATEGY
    assert scene.state.rollout.kind is RolloutKind.RELEASE
    assert scene.desired != desired("v3")
