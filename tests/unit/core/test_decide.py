"""Every state against everything that can happen in it, and what has to be true of each decision."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.happenings import EVENTS
from fakes.scene import Scene
from fakes.situations import EXPECTED, STATES

from reconciler.core.decide import CONFIRMING, SETTLING, WATCHING
from reconciler.core.digest import release_digest
from reconciler.core.inputs import RESYNC, Decision
from reconciler.core.observed import InstanceStatus, Observed
from reconciler.core.outcome import Done, RequeueAfter
from reconciler.core.plan import endpoints, in_force, wanted_actions
from reconciler.core.state import ConditionType, KeyState, Phase, Result, RolloutKind, Scale, SetRoute


def check(before: KeyState, scene: Scene, decision: Decision) -> None:
    """What is true of every decision."""
    after = decision.state
    assert after.revision == before.revision + (1 if decision.changed else 0)
    assert decision.changed == bool(decision.records or after != before)
    assert wanted_actions(after) == (after.plan.actions if after.plan else ())
    if after.plan != before.plan:
        assert (after.plan.parent, after.plan.generation) == (before.generation, before.generation + 1)
        assert after.generation == after.plan.generation
    check_due(scene, decision)
    check_attempt(before, after)
    check_words(scene, decision)


def check_due(scene: Scene, decision: Decision) -> None:
    observed = scene.observed
    if observed.error:
        assert decision.due.actions == () or decision.state.rollout.phase is Phase.ROLLING_BACK
    for action in decision.due.actions:
        assert action in decision.state.plan.actions
        if isinstance(action, Scale) and action.count == 0:
            assert not _served(observed, action.digest)
        if isinstance(action, SetRoute):
            ends = decision.state.retirement is not None and scene.desired is None and not scene.problem
            serves = observed.traffic is not None and not ends
            assert action.route.stable or action.route.canary or not serves, "traffic is sent to nothing"
        if isinstance(action, SetRoute) and not in_force(action.route, observed):
            for digest in (action.route.stable, action.route.canary):
                gains = digest is not None and not _served(observed, digest)
                assert not gains or endpoints(observed, digest)


def _served(observed: Observed, digest: str) -> bool:
    traffic = observed.traffic
    return traffic is not None and any(
        side is not None and side.digest == digest for side in (traffic.stable, traffic.canary)
    )


def check_attempt(before: KeyState, after: KeyState) -> None:
    bad = {row.digest for row in before.quarantined}
    begun = after.rollout is not None and (before.rollout is None or before.rollout.attempt != after.rollout.attempt)
    if begun:
        assert after.rollout.attempt == after.attempts == before.attempts + 1
        assert after.rollout.release.digest not in bad
        assert after.rollout.phase is Phase.STEPPING
    elif after.rollout is not None and before.rollout is not None:
        assert before.rollout.phase is Phase.STEPPING or after.rollout.phase is before.rollout.phase
        assert after.rollout.step in (before.rollout.step, before.rollout.step + 1)
    numbers = [one.attempt for one in after.history]
    assert len(numbers) == len(set(numbers))
    ended = {one.attempt for one in after.history} - {one.attempt for one in before.history}
    assert len(ended) <= 1
    if after.stable != before.stable and after.stable is not None and not ended:
        assert before.stable is not None  # new settings of the same release
        assert after.stable.digest == before.stable.digest


def check_words(scene: Scene, decision: Decision) -> None:
    kinds = [one.type for one in decision.state.conditions]
    assert len(kinds) == len(set(kinds))
    assert {ConditionType.READY, ConditionType.HEALTHY, ConditionType.DRIFTED} <= set(kinds)
    for one in decision.waiting:
        assert one.condition
        assert one.message
        assert one.who
    if scene.observed.error:
        assert decision.waiting[0].condition == "NotObserved"
        assert (one.next_look is not None) == isinstance(decision.outcome, RequeueAfter)
    state, wanted = decision.state, scene.desired
    synced = wanted is None or (state.stable is not None and state.stable.digest == release_digest(wanted))
    if not synced and state.rollout is None and not decision.changed:
        assert decision.waiting, "it neither goes on nor says what it waits for"


@pytest.mark.parametrize("name", EXPECTED)
def test_the_states_are_what_they_are_called(name):
    assert EXPECTED[name](STATES[name]().state)


def look(scene: Scene) -> Decision:
    """Look, and check what is true of every decision."""
    before, asked = scene.state, {request.id for request in scene.requests}
    decision = scene.look()
    check(before, scene, decision)
    assert {answer.request for answer in decision.answers} == asked
    return decision


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_state_takes_every_event_and_then_rests(state, event):
    scene = STATES[state]()
    EVENTS[event](scene)
    for _ in range(3):
        look(scene)
    decision = look(scene)
    assert not decision.changed
    assert not decision.records
    assert not decision.answers


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_waiting_alone_never_makes_a_state_restless(state, event):
    scene = STATES[state]()
    EVENTS[event](scene)
    changes = 0
    for _ in range(12):
        scene.seconds += 0.7
        changes += look(scene).changed
    assert changes <= 5


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", [name for name in EVENTS if name not in ("unobservable", "failed", "manifest gone")])
def test_a_world_that_obeys_brings_every_attempt_to_its_end(state, event):
    scene = STATES[state]()
    EVENTS[event](scene)
    for number in range(150):
        before = scene.state
        decision = scene.obey()
        check(before, scene, decision)
        rollout = scene.state.rollout
        if rollout is None and decision.due.finished and not decision.changed and scene.state.pause is None:
            break
        if rollout is not None and rollout.confirmed is not None:
            scene.tick(canary=(1000, 0), stable=(1000, 0))
        if number == 50:
            scene.seconds += 90_000.0  # a pause has expired by then, and so has the patience with a held step
    rollout = scene.state.rollout
    assert rollout is None or (rollout.held is not None and scene.state.stable is None)
    assert scene.look().due.finished


UNMET = ("first_starting", "starting")
MET = ("baking", "second_step_starting", "last_step", "held", "paused")
BACK = [
    *((state, event) for state in MET for event in ("failed", "crashed", "asked to abort", "asked to rollback")),
    *((state, "regressed") for state in MET if state != "second_step_starting"),
    *((state, event) for state in UNMET for event in ("failed", "asked to abort", "asked to rollback")),
]


@pytest.mark.parametrize(("state", "event"), BACK)
def test_the_way_back_needs_nothing_but_the_router(state, event):
    scene = STATES[state]()
    if state in UNMET:
        scene.obey()  # the instances are there from now on
    scene.desired, scene.problem = None, "the config repo is gone"
    EVENTS[event](scene)
    look(scene)
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
    assert scene.state.rollout.result is Result.ROLLED_BACK
    assert scene.state.quarantined[0].digest == scene.state.rollout.release.digest


def test_the_states_cover_every_phase_and_kind():
    rollouts = [make().state.rollout for make in STATES.values()]
    assert {one.phase for one in rollouts if one} == set(Phase)
    assert {one.kind for one in rollouts if one} == set(RolloutKind)


# --- when to look again ----------------------------------------------------------------------------------------------


def _delay(scene: Scene) -> float:
    for _ in range(5):
        decision = scene.look()
        if not decision.changed:
            return decision.outcome.delay
    raise AssertionError("it does not rest")


@pytest.mark.parametrize(
    ("state", "event", "delay"),
    [
        ("idle", "nothing", RESYNC),
        ("rolled_back", "nothing", RESYNC),
        ("idle", "stable down", WATCHING),
        ("idle", "unobservable", WATCHING),
        ("idle", "all gone", SETTLING),
        ("draining", "nothing", SETTLING),
        ("draining", "unobservable", WATCHING),
        ("starting", "nothing", SETTLING),
        ("rolling_back", "nothing", CONFIRMING),
        ("baking", "nothing", WATCHING),
    ],
)
def test_a_key_is_looked_at_again_when_something_can_have_happened(state, event, delay):
    scene = STATES[state]()
    EVENTS[event](scene)
    assert _delay(scene) == pytest.approx(delay)


def test_an_instance_that_has_failed_for_good_is_not_looked_at_ten_times_a_second():
    scene = STATES["idle"]()
    dead = tuple(replace(one, status=InstanceStatus.FAILED, message="exit 1") for one in scene.observed.instances)
    scene.observed = replace(scene.observed, instances=dead)
    assert _delay(scene) == WATCHING


def test_a_router_that_never_confirms_is_not_asked_fifty_times_a_second_for_ever():
    scene = STATES["rolling_back"]()
    scene.seconds += 2.0
    assert _delay(scene) == SETTLING
    assert scene.state.rollout.confirmed is None


@pytest.mark.parametrize("status", [InstanceStatus.UNHEALTHY, InstanceStatus.BACKING_OFF, InstanceStatus.STARTING])
@pytest.mark.parametrize("state", ["idle", "starting", "baking", "promoting", "rolling_back"])
def test_words_of_instances_that_move_with_every_look_make_no_state_restless(state, status):
    scene = STATES[state]()
    for number in range(10):
        found = tuple(replace(one, status=status, message=f"try {number}") for one in scene.observed.instances)
        scene.observed = replace(scene.observed, instances=found)
        decision = look(scene)
    assert not decision.changed


def test_words_of_an_instance_that_failed_for_good_are_said():
    scene = STATES["idle"]()
    dead = tuple(replace(one, status=InstanceStatus.FAILED, message="exit 1") for one in scene.observed.instances)
    scene.observed = replace(scene.observed, instances=dead)
    said = {one.type: one.message for one in scene.look().state.conditions}
    assert said[ConditionType.HEALTHY].endswith(": exit 1")


def test_a_condition_that_never_rests_is_no_reason_to_hurry():
    scene = STATES["idle"]()
    for number in range(5):
        scene.observed = Observed(error=f"no answer within {number} s")
        decision = scene.look()
    assert decision.changed
    assert decision.outcome.delay == WATCHING


def test_a_key_that_nobody_asks_anything_for_is_done():
    scene = STATES["nothing"]()
    scene.look()
    assert scene.look().outcome == Done()
