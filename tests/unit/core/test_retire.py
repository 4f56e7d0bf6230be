"""What becomes of a key that no manifest asks for any more."""

from __future__ import annotations

import pytest
from fakes.endings import ready, rest, serving
from fakes.scene import Scene
from fakes.situations import STATES
from fakes.values import STRATEGY, release

from reconciler.core.desired import OnDelete
from reconciler.core.observed import Instance, InstanceStatus, Observed
from reconciler.core.outcome import Done
from reconciler.core.state import ConditionStatus, Phase, Result, Scale, SetRoute, Verb, retired

SERVING = ("idle", "idle_with_history", "rolled_back")
BARRED = "prodsprint.yaml:3:1: unknown key"


# --- keep ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", SERVING)
def test_a_removed_manifest_leaves_what_serves_as_it_is_and_says_who_can_end_it(state):
    scene = STATES[state]()
    before = serving(scene)
    plan = scene.state.plan
    scene.remove()
    decision = scene.look()
    assert scene.state.plan == plan
    assert decision.due.actions == ()
    assert serving(scene) == before
    assert (ready(scene).status, ready(scene).reason) == (ConditionStatus.FALSE, "Tombstone")
    assert "prodsprint.yaml was removed by commit dddddddddddd; v" in ready(scene).message
    assert decision.waiting[0].message.endswith(" goes on serving, as onDelete: keep says")
    assert decision.waiting[0].condition == "Tombstone"
    assert "release retire" in decision.waiting[0].who


@pytest.mark.parametrize("on_delete", OnDelete)
@pytest.mark.parametrize("state", ["starting", "baking", "second_step_starting", "last_step", "held", "paused"])
def test_a_rollout_whose_manifest_is_removed_goes_back_and_bars_nothing(state, on_delete):
    scene = STATES[state]()
    certified = scene.state.stable
    scene.remove(on_delete)
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
    assert scene.state.rollout.result is Result.SUPERSEDED
    assert "was removed by commit" in scene.state.rollout.reason
    assert scene.state.quarantined == ()
    scene.until(lambda found: found.rollout is None)
    assert scene.state.stable == certified
    scene.commit("v3")
    scene.ask(Verb.RESUME)
    scene.until(lambda found: found.rollout is not None)
    assert scene.state.rollout.release.digest == release("v3").digest


def test_a_first_release_that_serves_nothing_yet_is_taken_away():
    scene = STATES["first_starting"]()
    scene.obey()
    scene.remove()
    rest(scene)
    assert scene.state.stable is None
    assert (scene.observed.traffic, scene.observed.instances) == (None, ())
    assert retired(scene.state)


def test_a_first_release_that_serves_goes_on_serving_without_a_certificate():
    scene = STATES["first_serving"]()
    scene.remove()
    rest(scene)
    assert serving(scene) == (release("v1").digest, 2)
    assert scene.state.certified == ()
    assert scene.state.history[0].result is Result.SUPERSEDED
    scene.commit("v1")
    scene.certify("v1")
    assert scene.state.certified[0].digest == release("v1").digest


@pytest.mark.parametrize("state", ["promoting", "draining", "restoring", "rolling_back"])
def test_what_is_certified_or_on_the_way_back_is_finished_first(state):
    scene = STATES[state]()
    kind, asked = scene.state.rollout.kind, scene.state.rollout.release.digest
    back = scene.state.rollout.phase is Phase.ROLLING_BACK
    scene.remove()
    rest(scene)
    digest, instances = serving(scene)
    assert instances == 2
    assert (digest == asked) != back, kind


def test_a_key_kept_may_still_be_rolled_back():
    scene = STATES["kept"]()
    scene.ask(Verb.ROLLBACK)
    scene.look()
    rest(scene)
    assert serving(scene) == (release("v1").digest, 2)


# --- destroy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [name for name in STATES if name not in ("nothing", "retired", "first_starting")])
def test_a_key_to_be_destroyed_ends_without_traffic_and_instances_from_every_state(state):
    scene = STATES[state]()
    past = {one.digest for one in scene.state.certified}
    scene.remove(OnDelete.DESTROY)
    records = rest(scene)
    assert (scene.observed.traffic, scene.observed.instances) == (None, ())
    assert scene.state.stable is None
    assert retired(scene.state)
    assert records.count("environment.retired") == 1
    assert past <= {one.digest for one in scene.state.certified}
    assert scene.state.history
    assert ready(scene).reason == "Retired"
    assert ready(scene).message == "retired by daemon: prodsprint.yaml was removed by commit dddddddddddd"
    assert scene.look().outcome == Done()


def test_traffic_goes_before_the_instances_which_get_time_to_finish():
    scene = Scene()
    scene.certify("v1", strategy=STRATEGY)
    scene.remove(OnDelete.DESTROY)
    generation = scene.state.generation
    decision = scene.look()
    assert scene.state.generation == generation + 1
    assert [type(action) for action in scene.state.plan.actions] == [SetRoute, Scale]
    assert [type(action) for action in decision.due.actions] == [SetRoute]
    assert [record.type for record in decision.records] == ["environment.retiring"]
    scene.obey()
    off = scene.seconds
    while scene.observed.instances:
        scene.obey()
    assert scene.seconds - off >= STRATEGY.drain
    scene.obey()
    assert retired(scene.state)


def test_every_look_at_what_is_gone_finds_nothing_to_do():
    scene = STATES["retired"]()
    for _ in range(5):
        decision = scene.look()
        assert (decision.changed, decision.due.actions, decision.outcome) == (False, (), Done())


def test_nothing_is_destroyed_while_it_cannot_be_observed():
    scene = STATES["retiring"]()
    seen, scene.observed = scene.observed, Observed(error="connection refused")
    for _ in range(5):
        scene.seconds += 60.0
        assert scene.look().due.actions == ()
    assert not retired(scene.state)
    scene.observed = seen
    rest(scene)
    assert retired(scene.state)


def test_instances_that_no_plan_names_keep_a_key_from_being_called_gone():
    scene = STATES["retiring"]()
    stray = Instance("stray", "e" * 64, 0, InstanceStatus.READY, "127.0.0.1:1")
    scene.observed = Observed((*scene.observed.instances, stray), scene.observed.traffic)
    decision = None
    for _ in range(100):
        decision = scene.obey()
        scene.seconds += 1.0
    assert scene.observed.instances == (stray,)
    assert not retired(scene.state)
    assert decision.waiting[0].condition == "Retiring"


def test_a_key_with_nothing_left_of_it_is_retired_whatever_the_manifest_said():
    scene = STATES["first_starting"]()
    scene.ask(Verb.ABORT)
    rest(scene)
    assert not retired(scene.state)
    scene.remove()
    decision = scene.look()
    assert retired(scene.state)
    assert [record.type for record in decision.records] == ["environment.retiring", "environment.retired"]
