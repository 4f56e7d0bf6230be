"""What people ask for by verb, in every state."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.happenings import EVENTS, failed
from fakes.situations import STATES
from fakes.values import at, release

from reconciler.core.requests import PAUSE_SECONDS
from reconciler.core.state import Phase, Quarantine, Result, RolloutKind, Verb

ACCEPTED = {
    Verb.SYNC: set(STATES),
    Verb.PAUSE: set(STATES),
    Verb.RESUME: {"paused", "held"},
    Verb.PROMOTE: {"first_serving", "baking", "last_step", "held"},
    Verb.ABORT: set(STATES)
    - {"nothing", "first_serving", "idle", "idle_with_history", "rolled_back", "promoting", "draining"}
    - {"kept", "retiring", "retired"},
    Verb.ROLLBACK: set(STATES)
    - {"nothing", "first_serving", "idle", "promoting", "draining", "restoring", "retiring", "retired"},
    Verb.RETIRE: {"nothing", "kept", "retiring"},
}


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("state", STATES)
def test_who_may_ask_for_what_and_when(state, verb):
    scene = STATES[state]()
    scene.ask(verb)
    (answer,) = scene.look().answers
    assert answer.accepted == (state in ACCEPTED[verb]), answer.message
    assert answer.message


@pytest.mark.parametrize("verb", [Verb.ABORT, Verb.PROMOTE, Verb.RESUME])
@pytest.mark.parametrize("state", ["nothing", "idle"])
def test_a_refused_request_changes_nothing_but_the_record_of_it(state, verb):
    scene = STATES[state]()
    scene.look()
    before = scene.state
    scene.ask(verb)
    decision = scene.look()
    assert replace(scene.state, revision=before.revision) == before
    assert [record.type for record in decision.records] == [f"request.{verb}.refused"]
    assert decision.records[0].actor == "ada"


def test_an_abort_goes_back_and_quarantines():
    scene = STATES["baking"]()
    scene.ask(Verb.ABORT)
    decision = scene.look()
    assert decision.due.actions[0].route.canary is None
    assert scene.state.quarantined[0].digest == release("v3").digest
    assert [record.actor for record in decision.records] == ["ada", "ada"]
    scene.drained()
    assert scene.state.history[0].result is Result.ROLLED_BACK
    assert "aborted by ada: because" in scene.state.history[0].reason


def test_a_second_abort_adds_nothing():
    scene = STATES["baking"]()
    scene.ask(Verb.ABORT)
    scene.ask(Verb.ABORT)
    answers = scene.look().answers
    assert [answer.accepted for answer in answers] == [True, True]
    rollout = scene.state.rollout
    scene.ask(Verb.ABORT)
    scene.look()
    assert scene.state.rollout == rollout
    assert len(scene.state.quarantined) == 1


def test_an_abort_comes_too_late_once_the_release_is_certified():
    scene = STATES["last_step"]()
    scene.bake()
    scene.ask(Verb.ABORT)
    (answer,) = scene.look().answers
    assert not answer.accepted
    assert "ask for a rollback" in answer.message
    assert scene.state.rollout.phase is Phase.PROMOTING


def test_two_promotions_at_once_pass_one_step():
    scene = STATES["baking"]()
    scene.ask(Verb.PROMOTE)
    scene.ask(Verb.PROMOTE)
    assert [answer.accepted for answer in scene.look().answers] == [True, False]
    assert scene.state.rollout.step == 1


def test_a_promoted_last_step_is_certified_by_whoever_asked():
    scene = STATES["last_step"]()
    scene.ask(Verb.PROMOTE)
    decision = scene.look()
    assert scene.state.certified[0] == release("v3")
    assert ("rollout.passed", "ada") in [(record.type, record.actor) for record in decision.records]


def test_a_canary_that_is_down_is_not_promoted():
    scene = STATES["baking"]()
    failed(scene)
    scene.ask(Verb.PROMOTE)
    assert not scene.look().answers[0].accepted
    assert scene.state.rollout.phase is Phase.ROLLING_BACK


def test_a_promotion_is_of_the_step_that_was_seen_by_whoever_asked():
    scene = STATES["baking"]()
    scene.ask(Verb.PROMOTE)
    scene.ask(Verb.ABORT)
    asked, scene.requests = scene.requests, ()
    scene.bake()
    scene.look()
    scene.baking()
    scene.requests = asked[:1]  # it reached the daemon late: the next step is in force
    assert not scene.look().answers[0].accepted
    scene.commit("v4")
    scene.obey()
    scene.until(lambda state: state.rollout is None or state.rollout.phase is not Phase.ROLLING_BACK)
    scene.baking()
    for request in asked:
        scene.requests = (request,)
        assert not scene.look().answers[0].accepted
    assert scene.state.rollout.release == release("v4")


def test_a_promotion_that_names_no_attempt_is_of_whatever_is_in_progress():
    scene = STATES["baking"]()
    scene.ask(Verb.PROMOTE)
    scene.requests = (replace(scene.requests[0], attempt=0, step=0),)
    assert scene.look().answers[0].accepted


@pytest.mark.parametrize("event", ["unobservable", "asked to pause", "all gone"])
def test_what_is_not_there_or_not_seen_or_paused_is_not_promoted(event):
    scene = STATES["baking"]()
    EVENTS[event](scene)
    scene.ask(Verb.PROMOTE)
    assert not scene.look().answers[-1].accepted
    assert scene.state.rollout.step == 0


def test_a_pause_holds_promotion_but_not_the_way_back():
    scene = STATES["paused"]()
    scene.bake()
    decision = scene.look()
    assert scene.state.rollout.step == 0
    assert decision.waiting[0].condition == "Paused"
    scene.bake(canary=(1000, 300))
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK


def test_a_pause_holds_new_attempts_and_ends_by_itself():
    scene = STATES["idle"]()
    scene.ask(Verb.PAUSE)
    scene.look()
    scene.commit("v2")
    decision = scene.look()
    assert scene.state.rollout is None
    assert (decision.waiting[0].condition, decision.waiting[0].deadline) == (
        "Pause",
        at(scene.seconds).wall + PAUSE_SECONDS,
    )
    scene.seconds += PAUSE_SECONDS
    decision = scene.look()
    assert [record.type for record in decision.records] == ["pause.expired", "rollout.started"]
    assert scene.state.pause is None


@pytest.mark.parametrize(("seconds", "accepted"), [(60.0, True), (0.0, False), (-60.0, False)])
def test_a_pause_ends_when_it_was_asked_to_and_never_before_it_began(seconds, accepted):
    scene = STATES["idle"]()
    until = at(scene.seconds + seconds).wall
    scene.ask(Verb.PAUSE, expires=until)
    assert scene.look().answers[0].accepted == accepted
    assert (scene.state.pause is not None) == accepted
    assert not accepted or scene.state.pause.until == until


# --- rollback --------------------------------------------------------------------------------------------------------


def test_a_rollback_brings_the_release_before_back_and_quarantines_what_served():
    scene = STATES["idle_with_history"]()
    scene.ask(Verb.ROLLBACK)
    scene.look()
    rollout = scene.state.rollout
    assert (rollout.kind, rollout.release) == (RolloutKind.ROLLBACK, release("v1"))
    assert scene.state.quarantined[0].digest == release("v2").digest
    scene.drained()
    assert scene.state.stable == release("v1")
    assert scene.state.history[0].kind is RolloutKind.ROLLBACK
    assert scene.look().waiting[0].condition == "Quarantine"


def test_a_rollback_passes_over_what_is_quarantined():
    scene = STATES["idle_with_history"]()
    scene.certify("v3")
    bad = Quarantine(release("v2").digest, "it leaks", 0.0, 2)
    scene.state = replace(scene.state, quarantined=(bad,))
    scene.ask(Verb.ROLLBACK)
    scene.look()
    assert scene.state.rollout.release == release("v1")


@pytest.mark.parametrize("state", ["nothing", "idle"])
def test_a_rollback_without_anything_to_go_back_to_is_refused(state):
    scene = STATES[state]()
    scene.ask(Verb.ROLLBACK)
    assert not scene.look().answers[0].accepted
    assert scene.state.rollout is None
    assert scene.state.quarantined == ()


def test_a_second_rollback_goes_further_back_and_a_third_has_nowhere_to_go():
    scene = STATES["idle_with_history"]()
    scene.certify("v3")
    for version in ("v2", "v1"):
        scene.ask(Verb.ROLLBACK)
        scene.drained()
        assert scene.state.stable == release(version)
    scene.ask(Verb.ROLLBACK)
    assert not scene.look().answers[0].accepted
    assert scene.state.stable == release("v1")


def test_a_rollback_to_what_does_not_start_leaves_traffic_where_it_was():
    scene = STATES["restoring"]()
    scene.obey()
    failed(scene)
    scene.drained()
    assert scene.state.stable == release("v2")
    assert scene.observed.traffic.stable.digest == release("v2").digest


def test_a_commit_during_a_rollback_waits_for_its_end():
    scene = STATES["restoring"]()
    scene.commit("v9")
    scene.look()
    assert scene.state.rollout.kind is RolloutKind.ROLLBACK
    scene.until(lambda state: state.rollout is None)
    assert scene.state.stable == release("v1")
    scene.until(lambda state: state.rollout is not None)
    assert scene.state.rollout.release == release("v9")
