"""A first release that is overtaken by another commit before it has its certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.scene import Scene
from fakes.situations import STATES
from fakes.values import instances, release

from reconciler.core.desired import Step, Strategy, StrategyKind
from reconciler.core.observed import InstanceStatus, Observed
from reconciler.core.plan import traffic_for
from reconciler.core.state import Phase, Result, Route, SetRoute, Verb


def overtaken() -> Scene:
    scene = STATES["first_serving"]()
    scene.commit("v2")
    scene.look()
    return scene


def test_a_first_release_that_is_overtaken_goes_on_serving():
    scene = overtaken()
    assert scene.state.stable == release("v1")
    assert scene.state.certified == ()
    assert scene.state.history[0].result is Result.SUPERSEDED
    for _ in range(20):
        scene.obey()
        sides = (scene.observed.traffic.stable, scene.observed.traffic.canary)
        assert release("v1").digest in {side.digest for side in sides if side}
    assert scene.state.rollout.release == release("v2")


def test_its_requests_are_not_counted_as_those_of_the_next_canary():
    scene = overtaken()
    assert scene.state.rollout is None
    scene.obey()
    scene.until(lambda state: state.rollout is not None)
    assert scene.observed.traffic.stable.digest == release("v1").digest
    assert scene.observed.traffic.canary is None


def test_it_does_not_have_to_be_ready_for_the_next_one_to_begin():
    scene = overtaken()
    scene.observed = replace(
        scene.observed, instances=instances(release("v1"), 2, InstanceStatus.FAILED, message="exit 1")
    )
    routes = [action.route for action in scene.look().due.actions if isinstance(action, SetRoute)]
    assert routes == [Route(8080, release("v1").digest, None, 0)]
    scene.observed = replace(scene.observed, traffic=traffic_for(routes[0], scene.observed))
    scene.look()
    assert scene.state.rollout.release == release("v2")


def test_it_can_still_get_its_certificate_when_it_is_asked_for_again():
    scene = overtaken()
    scene.until(lambda state: state.rollout is not None)
    scene.commit("v1")
    scene.until(lambda state: state.rollout is None)
    scene.until(lambda state: state.rollout is not None)
    assert scene.state.rollout.release == release("v1")
    scene.baking()
    assert scene.state.plan.actions[-1].route == Route(8080, None, release("v1").digest, 10_000)
    scene.bake()
    scene.drained()
    assert scene.state.certified == (release("v1"),)


def test_a_first_release_that_does_not_serve_yet_is_taken_away():
    scene = STATES["first_starting"]()
    scene.commit("v2")
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
    scene.until(lambda state: state.rollout is not None and state.rollout.attempt == 2)
    assert scene.state.stable is None


# --- the only release that serves is never taken away ----------------------------------------------------------------


def asked_for_again() -> Scene:
    """What serves without a certificate is wanted again, and the router has not confirmed the new attempt yet."""
    scene = overtaken()
    scene.until(lambda state: state.rollout is not None)
    scene.commit("v1")
    scene.until(lambda state: state.rollout is not None and state.stable is None)
    assert scene.state.rollout.confirmed is None
    return scene


def serves(scene: Scene) -> bool:
    traffic = scene.observed.traffic
    return traffic is not None and release("v1").digest in {
        side.digest for side in (traffic.stable, traffic.canary) if side
    }


def test_one_that_is_asked_for_again_and_overtaken_once_more_goes_on_serving():
    scene = asked_for_again()
    scene.commit("v3")
    for _ in range(20):
        scene.obey()
        assert serves(scene)
    assert scene.state.rollout.release == release("v3")


@pytest.mark.parametrize("missing", [Observed(error="Envoy does not answer"), Observed()])
def test_not_even_while_its_traffic_cannot_be_seen(missing):
    scene = asked_for_again()
    seen, scene.observed = scene.observed, missing
    scene.look()
    scene.commit("v3")
    scene.look()
    scene.observed = seen
    for _ in range(20):
        scene.obey()
        assert serves(scene)


def test_nothing_is_decided_on_a_first_release_while_nobody_sees_whether_it_serves():
    scene = STATES["first_starting"]()
    scene.obey()
    seen, scene.observed = scene.observed, Observed(error="Envoy does not answer")
    scene.commit("v2")
    scene.ask(Verb.ABORT)
    decision = scene.look()
    assert scene.state.rollout.phase is Phase.STEPPING
    assert not decision.answers[0].accepted
    scene.observed = seen
    scene.look()
    assert scene.state.rollout is None or scene.state.rollout.phase is Phase.ROLLING_BACK


def test_nobody_can_abort_the_only_release_that_serves():
    for scene in (STATES["first_serving"](), asked_for_again()):
        scene.ask(Verb.ABORT)
        decision = scene.obey()
        assert not decision.answers[0].accepted
        assert "commit another version" in decision.answers[0].message
        for _ in range(5):
            scene.obey()
            assert serves(scene)


# --- what is said meanwhile -------------------------------------------------------------------------------------------


def test_a_first_release_waits_for_its_instances_and_says_so_not_for_requests():
    scene = STATES["first_serving"]()
    scene.tick()
    waits = scene.look().waiting[0]
    assert waits.message == "certified when its 2 instances were ready for 10 s (2.0 s so far)"
    assert waits.who == "nobody: it is certified then"
    assert waits.deadline == pytest.approx(scene.inputs().now.wall + 8.0)
    scene.bake()
    scene.look()
    assert scene.state.rollout.phase is Phase.PROMOTING


def test_all_at_once_waits_for_its_instances_too():
    scene = STATES["idle"]()
    scene.commit("v2", strategy=Strategy(StrategyKind.ALL_AT_ONCE, (Step(10_000, 5.0),), 300.0, 3600.0, 60.0))
    scene.baking()
    scene.tick(canary=(3, 0), stable=(0, 0))
    assert "needs" not in scene.look().analysis.reason
    assert scene.look().waiting[0].message.startswith("certified when its 2 instances were ready for 5 s (")


def test_a_first_release_whose_instances_went_away_says_what_it_waits_for():
    scene = STATES["first_serving"]()
    scene.bake(20.0, canary=(3, 0), stable=(0, 0))
    scene.observed = replace(scene.observed, instances=scene.observed.instances[:1])
    assert scene.look().waiting[0].message == "certified as soon as its 2 instances are ready again"


def test_a_first_release_that_starts_is_given_up_at_the_deadline_and_a_later_one_rolled_back():
    assert STATES["first_starting"]().look().waiting[0].who == "nobody: given up at the deadline"
    assert STATES["starting"]().look().waiting[0].who == "nobody: rolled back at the deadline"


def test_instances_that_are_ready_wait_for_the_router_without_a_deadline():
    scene = STATES["first_starting"]()
    scene.obey()
    scene.obey()
    scene.observed = replace(scene.observed, traffic=None)
    waits = scene.look().waiting[0]
    assert (waits.condition, waits.deadline) == ("Traffic", None)
