"""What cannot be observed is said, and waited for: by all but the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.scene import Scene
from fakes.situations import STATES
from fakes.values import release

from reconciler.core.decide import WATCHING
from reconciler.core.observed import Observed, Traffic
from reconciler.core.plan import traffic_for
from reconciler.core.state import Phase, Route, SetRoute

ERROR = "cannot read instance.json"
BACK = Route(8080, release("v2").digest, None, 0)


def without_target(seen: Observed) -> Observed:
    return Observed((), seen.traffic, ERROR, traffic_known=True)


def without_router(seen: Observed) -> Observed:
    return Observed(seen.instances, None, ERROR, instances_known=True)


def routes(scene: Scene) -> list[Traffic]:
    """The splits that are due, as the router would be asked for them."""
    decision = scene.look()
    assert all(isinstance(action, SetRoute) for action in decision.due.actions)
    return [traffic_for(one.route, scene.observed, decision.state.plan.actions) for one in decision.due.actions]


@pytest.mark.parametrize("state", STATES)
def test_it_is_the_first_thing_that_a_key_waits_for(state):
    scene = STATES[state]()
    scene.observed = Observed(error=ERROR)
    first = scene.look().waiting[0]
    assert (first.condition, first.message) == ("NotObserved", ERROR)
    assert first.who


@pytest.mark.parametrize("blind", [without_target, without_router])
@pytest.mark.parametrize("state", [name for name in STATES if name not in ("rolling_back", "superseded")])
def test_nothing_is_done_on_half_an_observation(state, blind):
    scene = STATES[state]()
    scene.observed = blind(scene.observed)
    assert routes(scene) == []


@pytest.mark.parametrize("blind", [without_target, without_router])
@pytest.mark.parametrize("state", ["rolling_back", "superseded"])
def test_all_traffic_goes_back_on_half_an_observation(state, blind):
    scene = STATES[state]()
    before = scene.observed.traffic.stable
    scene.observed = blind(scene.observed)
    assert routes(scene) == [Traffic(8080, before, None, 0)]


def test_the_return_of_the_traffic_is_confirmed_by_the_router_alone():
    scene = STATES["rolling_back"]()
    whole = scene.observed
    scene.observed = without_target(whole)
    scene.observed = replace(scene.observed, traffic=routes(scene)[0])
    assert routes(scene) == []
    assert scene.state.rollout.confirmed is not None
    assert scene.state.rollout.phase is Phase.ROLLING_BACK  # its instances are still to be stopped
    scene.observed = replace(whole, traffic=scene.observed.traffic)
    scene.until(lambda state: state.rollout is None)
    assert scene.state.history[0].restore_seconds == 0.0


def test_no_traffic_goes_to_a_release_that_nobody_has_endpoints_of():
    scene = STATES["rolling_back"]()
    scene.observed = Observed(error=ERROR)
    assert routes(scene) == []
    canary = replace(scene.observed, traffic=None, traffic_known=True)
    scene.observed = canary
    assert routes(scene) == []


def test_a_router_that_does_not_answer_is_not_asked_ten_times_a_second_for_ever():
    scene = STATES["rolling_back"]()
    scene.observed = without_router(scene.observed)
    scene.seconds += 2.0
    scene.look()
    assert scene.look().outcome.delay == WATCHING
