"""What a step in progress does not count against the canary, and what keeps it from going on."""

from __future__ import annotations

from dataclasses import replace

from fakes.happenings import EVENTS
from fakes.scene import Scene
from fakes.situations import STATES
from fakes.values import STRATEGY, instances, release

from reconciler.core.state import Phase, Verb


def _restarted(scene: Scene, ordinal: int, times: int = 1) -> None:
    digest = scene.state.rollout.release.digest
    found = tuple(
        replace(one, restarts=times) if (one.digest, one.ordinal) == (digest, ordinal) else one
        for one in scene.observed.instances
    )
    scene.observed = replace(scene.observed, instances=found)


# --- starts that failed before any traffic ---------------------------------------------------------------------------


def test_a_start_that_failed_before_any_traffic_is_not_held_against_the_canary():
    scene = STATES["starting"]()
    scene.obey()
    _restarted(scene, 0)
    scene.baking()
    scene.look()
    assert scene.state.rollout.phase is Phase.STEPPING
    _restarted(scene, 0, times=2)
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
    assert "went down by itself 1 time" in scene.state.rollout.reason


def test_neither_is_one_of_an_instance_that_only_a_later_step_starts():
    scene = STATES["second_step_starting"]()
    scene.commit("v3", instances=5)
    scene.state = replace(scene.state, rollout=replace(scene.state.rollout, release=release("v3", instances=5)))
    mine = instances(release("v3"), 2)
    others = tuple(one for one in scene.observed.instances if one.digest != mine[0].digest)
    scene.observed = replace(scene.observed, instances=(*others, *mine))
    _restarted(scene, 1)
    scene.baking()
    scene.look()
    assert scene.state.rollout.phase is Phase.STEPPING
    assert scene.state.rollout.restarts == 1
    _restarted(scene, 0)
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK


# --- a manifest that is gone -----------------------------------------------------------------------------------------


def test_a_rollout_that_no_manifest_asks_for_waits_until_it_is_back():
    scene = STATES["last_step"]()
    wanted, scene.desired = scene.desired, None
    for _ in range(3):
        scene.bake()
        decision = scene.look()
    assert decision.waiting[0].condition == "NoManifest"
    assert scene.state.rollout.phase is Phase.STEPPING
    scene.desired = wanted
    scene.look()
    assert scene.state.rollout.phase is Phase.PROMOTING


def test_the_way_back_does_not_wait_for_the_manifest():
    scene = STATES["baking"]()
    scene.desired = None
    EVENTS["regressed"](scene)
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK


def test_nobody_promotes_what_no_manifest_asks_for():
    scene = STATES["baking"]()
    scene.desired = None
    scene.ask(Verb.PROMOTE)
    assert not scene.look().answers[0].accepted


# --- the hold deadline -----------------------------------------------------------------------------------------------


def test_a_held_step_reaches_its_deadline_while_it_is_paused():
    scene = STATES["held"]()
    scene.ask(Verb.PAUSE)
    scene.look()
    scene.seconds += STRATEGY.hold_deadline - 10.0
    assert {one.condition for one in scene.look().waiting} == {"Paused", "Held"}
    scene.seconds += 20.0
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
