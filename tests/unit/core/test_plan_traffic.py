"""Where requests go: endpoints, splits in force, and the canary's share."""

from __future__ import annotations

from dataclasses import replace

from fakes.happenings import EVENTS
from fakes.scene import Scene
from fakes.situations import STATES
from fakes.values import KEY, at, instances, release

from reconciler.core.observed import Backend, InstanceStatus, Observed, Traffic
from reconciler.core.plan import alone, due, endpoints, in_force, next_plan, observed_weight, traffic_for
from reconciler.core.state import KeyState, Phase, Route, SetRoute

V1, V2 = release("v1", instances=4), release("v2", instances=4)


def traffic(stable=None, canary=None, weight=0, count=2, port=8080):
    def side(one):
        return one and Backend(one.digest, tuple(x.endpoint for x in instances(one, count)))

    return Traffic(port, side(stable), side(canary), weight)


def test_requests_go_to_what_is_ready_else_to_what_still_listens():
    first, second, third = instances(V1, 3)
    unwell = replace(second, status=InstanceStatus.UNHEALTHY)
    starting = replace(third, status=InstanceStatus.STARTING)
    assert endpoints(Observed((unwell, first, starting)), V1.digest) == (first.endpoint,)
    assert endpoints(Observed((unwell, starting)), V1.digest) == (unwell.endpoint,)
    assert endpoints(Observed((starting,)), V1.digest) == ()


def test_a_split_is_in_force_by_digests_and_weight_whatever_its_endpoints():
    route = Route(8080, V1.digest, V2.digest, 500)
    assert in_force(route, Observed((), traffic(V1, V2, 500, count=0)))
    assert not in_force(route, Observed((), traffic(V1, V2, 501)))
    assert not in_force(route, Observed((), traffic(V1, V2, 500, port=8081)))
    assert not in_force(route, Observed())
    assert in_force(Route(8080, None, None, 0), Observed())
    assert in_force(alone(V1), Observed((), traffic(V1)))


def test_the_canarys_share_is_what_is_in_force():
    found = (None, traffic(V1), traffic(V1, V2, 500), traffic(None, V2, 500))
    assert [observed_weight(one) for one in found] == [0, 0, 500, 10_000]


# --- fewer instances -------------------------------------------------------------------------------------------------

FEWER = release("v1", instances=2)
PLAN = next_plan(KeyState(KEY, stable=FEWER), "fewer are asked for")
SCALE, ROUTE = PLAN.actions


def test_fewer_instances_lose_their_traffic_before_they_are_stopped():
    here = instances(V1, 4)
    found = due(PLAN, Observed(here, traffic(V1, count=4)), at(), None, 5.0)
    assert found.actions == (ROUTE,)
    assert "still get traffic" in found.blocked
    split = traffic_for(ROUTE.route, Observed(here), PLAN.actions)
    assert split.stable.endpoints == tuple(one.endpoint for one in here[:2])
    assert due(PLAN, Observed(here, split), at(), None, 5.0).actions == (SCALE,)
    assert due(PLAN, Observed(here[:2], split), at(), None, 5.0).finished


def test_an_instance_that_is_to_be_stopped_serves_as_long_as_no_other_does():
    down = tuple(replace(one, status=InstanceStatus.STARTING) for one in instances(V1, 2))
    here = (*down, *instances(V1, 4)[2:])
    split = traffic_for(ROUTE.route, Observed(here), PLAN.actions)
    assert split.stable.endpoints == tuple(one.endpoint for one in here[2:])
    assert SCALE in due(PLAN, Observed(here, split), at(), None, 5.0).actions


def test_more_instances_are_started_while_the_others_serve():
    here = instances(V1, 1)
    assert due(PLAN, Observed(here, traffic(V1, count=1)), at(), None, 5.0).actions == (SCALE,)


# --- what is not there any more --------------------------------------------------------------------------------------


def test_a_release_whose_instances_are_all_down_keeps_the_endpoints_that_the_router_has():
    there = traffic(V1, V2, 500)
    down = tuple(replace(one, status=InstanceStatus.BACKING_OFF, endpoint="") for one in instances(V1, 2))
    found = traffic_for(Route(8080, V1.digest, V2.digest, 500), Observed((*down, *instances(V2, 1)), there))
    assert found.stable == there.stable
    assert found.canary.endpoints == tuple(one.endpoint for one in instances(V2, 1))


def test_stable_instances_that_go_down_during_a_canary_move_no_traffic():
    scene = STATES["baking"]()
    EVENTS["stable down"](scene)
    assert not any(isinstance(action, SetRoute) for action in scene.look().due.actions)


def test_requests_meet_a_new_port_only_once_the_release_is_certified():
    scene = Scene()
    scene.certify("v1", port=8080)
    scene.commit("v2", port=9090)
    for _ in range(3):
        scene.baking()
        assert scene.observed.traffic.port == 8080
        scene.bake()
        scene.look()
    assert scene.state.rollout.phase is Phase.PROMOTING
    scene.drained()
    assert scene.observed.traffic.port == 9090
