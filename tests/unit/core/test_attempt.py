"""How attempts begin, end and follow each other: commits in every order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.scene import Scene
from fakes.situations import STATES
from fakes.values import POLICY, STEPS, STRATEGY, at, counters, desired, release

from reconciler.core.attempt import _met
from reconciler.core.desired import Step
from reconciler.core.gate import Predecessor
from reconciler.core.observed import ControlHistory, Observed, Reading, Tick
from reconciler.core.state import ConditionType, Phase, Quarantine, Result, Scale, Verb


def condition(scene: Scene, kind: ConditionType):
    return next(one for one in scene.look().state.conditions if one.type is kind)


# --- begin -----------------------------------------------------------------------------------------------------------


def test_a_first_commit_begins_an_attempt_and_says_so():
    scene = Scene(desired=desired("v1"))
    decision = scene.look()
    assert [record.type for record in decision.records] == ["rollout.started"]
    assert decision.due.actions == (Scale(release("v1").digest, 2),)
    assert scene.state.rollout.attempt == 1


def test_an_attempt_fixes_the_history_of_the_control():
    scene = STATES["idle"]()
    scene.commit("v2")
    history = ControlHistory(1000, 5, 6.0, 4.0)
    scene.extra = {"control": history}
    scene.look()
    scene.extra = {}
    scene.look()
    assert scene.state.rollout.control == history


def test_a_commit_that_asks_for_what_serves_begins_nothing():
    scene = STATES["idle"]()
    scene.commit("v1", commit="f" * 40)
    decision = scene.look()
    assert scene.state.rollout is None
    assert decision.records == ()
    assert scene.state.stable.desired.commit == "f" * 40


def test_new_settings_take_effect_without_an_attempt():
    scene = STATES["idle"]()
    scene.commit("v1", instances=5, strategy=replace(STRATEGY, drain=9.0))
    decision = scene.look()
    assert [record.type for record in decision.records] == ["settings.changed"]
    assert decision.due.actions == (Scale(release("v1").digest, 5), scene.state.plan.actions[1])
    assert (
        scene.state.certified[0]
        == scene.state.stable
        == release("v1", instances=5, strategy=replace(STRATEGY, drain=9.0))
    )


def test_a_bad_release_polled_again_is_not_tried_again_but_another_is():
    scene = STATES["rolled_back"]()
    scene.commit("v3", commit="f" * 40, analysis=replace(POLICY, interval=9.0))
    for _ in range(5):
        scene.obey()
    assert scene.state.rollout is None
    assert condition(scene, ConditionType.STALLED).reason == "Quarantined"
    assert condition(scene, ConditionType.READY).reason == "Quarantine"
    scene.commit("v3", spec='{"command":["serve","--fixed"]}')
    scene.look()
    assert scene.state.rollout is not None


def test_an_environment_waits_for_the_one_before():
    scene = STATES["idle"]()
    scene.commit("v2", after=("staging",))
    assert scene.look().waiting[0].condition == "Order"
    scene.extra = {"predecessors": (Predecessor("staging", desired("v2").artifact.revision),)}
    scene.look()
    assert scene.state.rollout.release.desired.artifact.version == "v2"


@pytest.mark.parametrize("observed", [Observed(), Observed(error="connection refused")])
def test_no_attempt_begins_before_all_traffic_is_seen_on_what_serves(observed):
    scene = STATES["idle"]()
    scene.commit("v2")
    whole, scene.observed = scene.observed, observed
    assert scene.look().waiting[-1].condition == "Settling"
    assert scene.state.rollout is None
    scene.observed = whole
    scene.look()
    assert scene.state.rollout is not None


def test_a_manifest_that_is_gone_leaves_what_runs():
    scene = STATES["idle"]()
    scene.desired = None
    decision = scene.look()
    assert decision.due.finished
    assert condition(scene, ConditionType.READY).reason == "NoManifest"


def test_a_broken_manifest_leaves_the_newest_good_one_in_force():
    scene = STATES["baking"]()
    scene.problem = "prodsprint.yaml:3:1: unknown key"
    assert scene.look().state.rollout == STATES["baking"]().state.rollout
    assert condition(scene, ConditionType.READY).message == scene.problem


# --- one after the other ---------------------------------------------------------------------------------------------


def test_two_commits_in_quick_succession_make_one_canary_for_the_newest():
    scene = STATES["baking"]()
    scene.commit("v4")
    scene.look()
    assert (scene.state.rollout.phase, scene.state.rollout.result) == (Phase.ROLLING_BACK, Result.SUPERSEDED)
    scene.commit("v5")
    scene.until(lambda state: state.rollout is not None and state.rollout.attempt == 4)
    assert scene.state.rollout.release == release("v5")
    assert scene.state.stable == release("v2")
    assert [one.result for one in scene.state.history[:1]] == [Result.SUPERSEDED]
    assert scene.state.quarantined == ()


def test_a_commit_during_the_way_back_waits_for_its_end():
    scene = STATES["rolling_back"]()
    scene.commit("v4")
    scene.obey()
    assert scene.state.rollout.release == release("v3")
    scene.until(lambda state: state.rollout is None)
    assert [one.digest for one in scene.observed.instances] == [release("v2").digest] * 2
    scene.until(lambda state: state.rollout is not None)
    assert scene.state.rollout.release == release("v4")


def test_a_commit_that_reverts_in_mid_canary_takes_the_short_way_back():
    scene = STATES["baking"]()
    scene.commit("v2")
    scene.drained()
    assert scene.state.stable == release("v2")
    assert scene.state.history[0].result is Result.SUPERSEDED
    assert scene.state.quarantined == ()
    assert condition(scene, ConditionType.READY).reason == "Certified"


def test_a_commit_in_the_look_that_promotes_does_not_change_what_is_promoted():
    scene = STATES["last_step"]()
    scene.bake()
    scene.commit("v4")
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
    assert scene.state.certified[0] == release("v2")
    scene = STATES["promoting"]()
    scene.commit("v4")
    scene.drained()
    assert scene.state.stable == release("v3")
    assert scene.state.certified[0] == release("v3")


def test_a_canary_that_is_bad_is_quarantined_even_if_a_newer_commit_has_come():
    scene = STATES["baking"]()
    scene.bake(canary=(1000, 300))
    scene.commit("v4")
    scene.look()
    assert scene.state.rollout.result is Result.ROLLED_BACK
    assert scene.state.quarantined[0].digest == release("v3").digest


# --- the end ---------------------------------------------------------------------------------------------------------


def test_an_attempt_ends_when_nothing_of_it_is_left_and_not_before():
    scene = STATES["rolling_back"]()
    scene.obey()
    scene.obey()
    scene.seconds += 10.0
    decision = scene.look()
    assert decision.due.actions == (Scale(release("v3").digest, 0),)
    assert decision.waiting[0].condition == "RollingBack"
    scene.obey()
    scene.obey()
    assert scene.state.rollout is None
    past = scene.state.history[0]
    assert (past.attempt, past.version, past.result) == (3, "v3", Result.ROLLED_BACK)


def test_an_attempt_does_not_end_on_an_incomplete_observation():
    scene = STATES["rolling_back"]()
    scene.observed = Observed(error="no answer")
    for _ in range(5):
        scene.seconds += 100.0
        scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK


def reading(*sides, error=""):
    return Reading(at(), *sides, error=error)


@pytest.mark.parametrize(
    ("readings", "met"),
    [
        ((), 0),
        ((reading(None, counters(50)),), 0),
        ((reading(None, counters(50)), reading(None, counters(80))), 30),
        ((reading(), reading(None, counters(80))), 80),
        ((reading(None, counters(50)), reading(None, counters(7, epoch="2"))), 7),
        ((reading(None, counters(50)), reading(None, counters(7))), 7),
        ((reading(None, counters(50)), reading(error="down"), reading(None, counters(80))), 30),
        ((reading(None, counters(50)), reading(), reading(None, counters(3, epoch="2"))), 3),
    ],
)
def test_requests_met_are_counted_over_restarts_and_gaps(readings, met):
    ticks = tuple(Tick(1, number, 0, 500, one) for number, one in enumerate(readings, 1))
    assert _met(ticks) == met


def test_history_and_attempt_numbers_go_on_over_everything():
    scene = STATES["idle_with_history"]()
    scene.certify("v3")
    scene.ask(Verb.ROLLBACK)
    scene.drained()
    scene.state = replace(scene.state, quarantined=(Quarantine("0" * 64, "bad", 0.0, 1),))
    scene.certify("v4", strategy=replace(STRATEGY, steps=(*STEPS[:-1], Step(10_000, 4.0))))
    assert [one.attempt for one in scene.state.history] == [5, 4, 3, 2, 1]
    assert scene.state.attempts == 5


# --- newer settings in the middle of one -----------------------------------------------------------------------------


def test_a_first_release_whose_port_cannot_be_had_moves_to_the_port_of_a_newer_commit():
    scene = Scene(desired=desired("v1", port=8080))
    scene.obey()
    scene.commit("v1", port=9090)
    decision = scene.look()
    assert [record.type for record in decision.records] == ["settings.changed"]
    scene.until(lambda state: state.rollout.confirmed is not None)
    assert scene.inputs().observed.traffic.port == 9090
    assert scene.state.rollout.attempt == 1


def test_newer_settings_change_neither_the_attempt_nor_the_rules_it_began_under():
    scene = STATES["baking"]()
    before = scene.state.rollout
    scene.commit(before.release.desired.artifact.version, instances=7, strategy=replace(STRATEGY, max_bake=1.0))
    scene.look()
    after = scene.state.rollout
    assert (after.attempt, after.step, after.confirmed) == (before.attempt, before.step, before.confirmed)
    assert after.release.desired.instances == 7
    assert after.release.desired.strategy == before.release.desired.strategy
    assert not scene.look().records


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"strategy": replace(STRATEGY, steps=STEPS[1:])}, "steps"),
        (
            {"strategy": replace(STRATEGY, max_bake=1.0), "analysis": replace(POLICY, interval=5.0)},
            "deadlines and analysis",
        ),
    ],
)
def test_rules_that_are_for_the_next_release_are_told_while_they_are(changes, what):
    scene = STATES["baking"]()
    version = scene.state.rollout.release.desired.artifact.version
    assert "NextRelease" not in [one.condition for one in scene.look().waiting]
    scene.commit(version, **changes)
    commit = scene.desired.commit[:12]
    last = scene.look().waiting[-1]
    assert last.message == (
        f"the {what} of commit {commit} are for the next release: this one goes on by 5 % → 25 % → 100 %, as it began"
    )
    assert last.condition == "NextRelease"
    assert scene.look().waiting[0].condition == "Analysis"
    scene.commit(version)
    assert [one.condition for one in scene.look().waiting] == ["Analysis"]
