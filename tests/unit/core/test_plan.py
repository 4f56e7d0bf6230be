from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.values import KEY, STEPS, STRATEGY, at, instances, release
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.desired import FULL_WEIGHT, Step, StrategyKind
from reconciler.core.observed import Backend, InstanceStatus, Observed, Traffic
from reconciler.core.plan import (
    capacity,
    due,
    in_force,
    next_plan,
    ready,
    steps_of,
    traffic_for,
    wanted_actions,
)
from reconciler.core.state import KeyState, Phase, Rollout, RolloutKind, Route, Scale, SetRoute

V1, V2 = release("v1", instances=4), release("v2", instances=4)
NOW = at()


def rollout(of=V2, phase=Phase.STEPPING, step=0, kind=RolloutKind.RELEASE, **changes):
    return Rollout(2, kind, of, phase, step, NOW, NOW, **changes)


def state(stable=V1, **changes):
    return KeyState(KEY, stable=stable, certified=(stable,) if stable else (), **changes)


def planned(of: KeyState) -> KeyState:
    plan = next_plan(of, "why")
    return of if plan is None else replace(of, plan=plan, generation=plan.generation)


def traffic(stable=None, canary=None, weight=0, count=2, port=8080):
    def side(one):
        return one and Backend(one.digest, tuple(x.endpoint for x in instances(one, count)))

    return Traffic(port, side(stable), side(canary), weight)


# --- steps and capacity ----------------------------------------------------------------------------------------------


def test_a_canary_goes_through_its_steps():
    assert steps_of(rollout(), V1) == STEPS


@pytest.mark.parametrize(
    ("of", "kind", "stable", "steps"),
    [
        (V2, RolloutKind.RELEASE, None, (Step(FULL_WEIGHT, 10.0),)),
        (V2, RolloutKind.ROLLBACK, V1, (Step(FULL_WEIGHT, 0.0),)),
        (
            release("v2", strategy=replace(STRATEGY, kind=StrategyKind.ALL_AT_ONCE)),
            RolloutKind.RELEASE,
            V1,
            (Step(FULL_WEIGHT, 10.0),),
        ),
    ],
)
def test_what_has_no_control_has_one_step(of, kind, stable, steps):
    assert steps_of(rollout(of, kind=kind), stable) == steps


@pytest.mark.parametrize(
    ("size", "weight", "need"),
    [(4, 100, 1), (4, 2500, 1), (4, 2501, 2), (4, 10_000, 4), (1, 1, 1), (100, 500, 5), (3, 5000, 2)],
)
def test_capacity_is_rounded_up(size, weight, need):
    assert capacity(size, weight) == need


@given(st.integers(1, 500), st.integers(1, FULL_WEIGHT), st.integers(1, FULL_WEIGHT))
def test_capacity_carries_its_share_and_grows_with_the_weight(size, weight, other):
    assert 1 <= capacity(size, weight) <= size
    assert capacity(size, weight) * FULL_WEIGHT >= size * weight
    assert (capacity(size, weight) <= capacity(size, other)) or weight > other


# --- what a state asks for -------------------------------------------------------------------------------------------


def test_a_new_key_asks_for_nothing():
    assert wanted_actions(KeyState(KEY)) == ()
    assert next_plan(KeyState(KEY), "why") is None


def test_a_step_adds_capacity_before_traffic_and_keeps_the_control_whole():
    assert wanted_actions(state(rollout=rollout(step=1))) == (
        Scale(V1.digest, 4),
        Scale(V2.digest, 1),
        SetRoute(Route(8080, V1.digest, V2.digest, 2500), ((V2.digest, 1),)),
    )


def test_a_promotion_moves_traffic_before_it_stops_what_was_replaced():
    assert wanted_actions(state(rollout=rollout(phase=Phase.PROMOTING, step=2))) == (
        Scale(V2.digest, 4),
        SetRoute(Route(8080, V2.digest, None, 0), ((V2.digest, 1),)),
        Scale(V1.digest, 0),
    )


def test_the_way_back_begins_with_traffic():
    assert wanted_actions(state(rollout=rollout(phase=Phase.ROLLING_BACK))) == (
        SetRoute(Route(8080, V1.digest, None, 0), ((V1.digest, 1),)),
        Scale(V1.digest, 4),
        Scale(V2.digest, 0),
    )


def test_the_way_back_of_a_first_release_takes_its_traffic_away():
    assert wanted_actions(state(None, rollout=rollout(phase=Phase.ROLLING_BACK))) == (
        SetRoute(Route(8080, None, None, 0)),
        Scale(V2.digest, 0),
    )


STATES = [
    state(),
    state(None, rollout=rollout()),
    *(state(rollout=rollout(step=step)) for step in range(3)),
    *(state(rollout=rollout(phase=phase, step=2)) for phase in (Phase.PROMOTING, Phase.ROLLING_BACK)),
    state(None, rollout=rollout(phase=Phase.ROLLING_BACK)),
    state(rollout=rollout(kind=RolloutKind.ROLLBACK)),
]
states = st.sampled_from(STATES)


@given(states, states)
def test_a_plan_names_its_parent_and_every_release_it_needs(one, other):
    before = planned(one)
    after = planned(replace(other, plan=before.plan, generation=before.generation))
    if wanted_actions(one) == wanted_actions(other):
        assert after.plan is before.plan
    else:
        assert (after.plan.parent, after.plan.generation) == (before.generation, before.generation + 1)
        assert {one.digest for one in after.plan.releases} == {
            x.digest for x in after.plan.actions if isinstance(x, Scale)
        }
    assert next_plan(after, "another reason") is None


def test_the_digest_of_a_plan_is_that_of_its_actions_and_parent():
    one, same = planned(STATES[2]).plan, planned(STATES[2]).plan
    assert one.digest == same.digest == next_plan(STATES[2], "other words").digest
    assert one.digest != next_plan(replace(STATES[2], generation=7), "why").digest
    assert one.digest != next_plan(STATES[3], "why").digest


def test_a_plan_digest_is_the_same_in_every_version():
    assert planned(STATES[2]).plan.digest == "6185d5323b3e2ce80cff840db1859999f8201570d930b9d163a1f76f1c7b88c8"


# --- what is due -----------------------------------------------------------------------------------------------------

statuses = st.sampled_from(tuple(InstanceStatus))


@st.composite
def observations(draw):
    found = []
    for one in (V1, V2):
        for ordinal in draw(st.sets(st.integers(0, 5))):
            (made,) = instances(one, 1, draw(statuses))
            address = draw(st.sampled_from(("", f"127.0.0.1:{ordinal}")))
            found.append(replace(made, id=f"{one.digest[:4]}-{ordinal}", ordinal=ordinal, endpoint=address))
    sides = st.sampled_from((None, V1, V2))
    split = st.builds(traffic, sides, sides, st.sampled_from((0, 500, 2500, 10_000)), st.integers(0, 3))
    return Observed(tuple(found), draw(st.none() | split))


def served(observed: Observed, digest: str) -> bool:
    sides = (observed.traffic.stable, observed.traffic.canary) if observed.traffic else ()
    return any(side is not None and side.digest == digest for side in sides)


@given(states, observations(), st.none() | st.floats(0, 10), st.booleans())
def test_nothing_that_is_due_can_fail_a_request(of, observed, drained, fresh):
    found = due(planned(of).plan, observed, at(10.0), None if drained is None else at(drained), 5.0, fresh=fresh)
    for action in found.actions:
        if isinstance(action, Scale) and action.count == 0:
            assert not served(observed, action.digest)
            assert drained is not None
            assert drained <= 5.0
        if isinstance(action, SetRoute) and not in_force(action.route, observed):
            for digest, need in action.needs:
                assert ready(observed, digest) >= need or served(observed, digest)


@given(states, observations())
def test_whatever_is_not_done_is_due_or_says_what_it_waits_for(of, observed):
    found = due(planned(of).plan, observed, at(10.0), None, 5.0)
    assert found.finished == (not found.actions and not found.blocked)
    assert list(found.actions) == [one for one in planned(of).plan.actions if one in found.actions]


@given(states, observations())
def test_an_incomplete_observation_makes_nothing_due(of, observed):
    found = due(planned(of).plan, replace(observed, error="no answer"), NOW, NOW, 0.0, fresh=True)
    assert (found.actions, found.blocked, found.finished) == ((), "no answer", False)


def test_the_routes_of_a_fresh_plan_are_told_to_the_router_even_if_they_are_in_force():
    observed = Observed(instances(V1, 4), traffic(V1, count=4))
    plan = planned(state()).plan
    assert due(plan, observed, NOW, None, 0.0).finished
    assert due(plan, observed, NOW, None, 0.0, fresh=True).actions == (plan.actions[1],)


def test_instances_are_stopped_once_their_requests_had_time_to_finish():
    plan = planned(state(rollout=rollout(phase=Phase.PROMOTING, step=2))).plan
    observed = Observed((*instances(V1, 4), *instances(V2, 4)), traffic(V2, count=4))
    assert due(plan, observed, at(4.9), at(0.0), 5.0).actions == ()
    assert due(plan, observed, at(5.0), at(0.0), 5.0).actions == (Scale(V1.digest, 0),)


def test_the_endpoints_of_a_split_follow_its_instances():
    plan = planned(state()).plan
    moved = tuple(replace(one, endpoint=f"{one.endpoint}9") for one in instances(V1, 4))
    assert due(plan, Observed(moved, traffic(V1, count=4)), NOW, None, 0.0).actions == (plan.actions[1],)


def test_traffic_moves_to_the_other_side_of_the_split_even_if_nothing_is_ready():
    plan = planned(state()).plan
    down = instances(V1, 4, InstanceStatus.BACKING_OFF)
    assert plan.actions[1] in due(plan, Observed(down, traffic(None, V1, FULL_WEIGHT)), NOW, None, 0.0).actions
    assert plan.actions[1] not in due(plan, Observed(down, traffic(None, V2, FULL_WEIGHT)), NOW, None, 0.0).actions
    assert plan.actions[1] not in due(plan, Observed(down, traffic(V2, V1, 500)), NOW, None, 0.0).actions


@pytest.mark.parametrize("of", STATES)
def test_a_plan_interrupted_anywhere_is_resumed_to_the_same_end(of):
    start = Observed(instances(V1, 4), traffic(V1, count=4)) if of.stable else Observed()
    whole = carried_out(planned(of).plan, start, stop=99)
    assert due(planned(of).plan, whole, at(9), NOW, 5.0).finished
    for stop in range(4):
        part = carried_out(planned(of).plan, start, stop)
        assert carried_out(planned(of).plan, part, stop=99) == whole


def carried_out(plan, observed: Observed, stop: int) -> Observed:
    """The world after ``stop`` due actions were done, one after the other."""
    releases = {one.digest: one for one in plan.releases}
    for _ in range(stop):
        actions = due(plan, observed, at(9), NOW, 5.0).actions
        if not actions:
            break
        if isinstance(actions[0], Scale):
            others = [one for one in observed.instances if one.digest != actions[0].digest]
            mine = instances(releases[actions[0].digest], actions[0].count)
            observed = replace(observed, instances=tuple(sorted((*others, *mine), key=lambda one: one.id)))
        else:
            split = traffic_for(actions[0].route, observed)
            observed = replace(observed, traffic=split if split.stable or split.canary else None)
    return observed
