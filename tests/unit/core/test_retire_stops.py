"""What keeps a key from being taken out of service, and who may do so."""

from __future__ import annotations

import pytest
from fakes.endings import ready, rest, serving
from fakes.situations import STATES
from fakes.values import desired, release

from reconciler.core.desired import OnDelete
from reconciler.core.state import Verb, retired

BARRED = "prodsprint.yaml:3:1: unknown key"


# --- never on a guess ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [name for name in STATES if name not in ("retiring", "retired")])
@pytest.mark.parametrize("problem", ["", "the config repo has not been read yet", BARRED])
def test_a_desired_state_that_is_only_missing_destroys_nothing(state, problem):
    scene = STATES[state]()
    scene.desired, scene.tombstone, scene.problem = None, None, problem
    for _ in range(20):
        decision = scene.obey()
        scene.seconds += 1.0
        assert scene.state.retirement is None
        assert not [record for record in decision.records if record.type.startswith("environment.")]


def test_a_tombstone_beside_a_problem_destroys_nothing():
    scene = STATES["idle"]()
    scene.remove(OnDelete.DESTROY)
    scene.problem = BARRED
    before = serving(scene)
    for _ in range(10):
        scene.obey()
    assert scene.state.retirement is None
    assert serving(scene) == before


def test_destroying_stops_while_it_is_not_known_what_git_asks_for_and_does_not_hurry():
    scene = STATES["retiring"]()
    scene.obey()
    instances = scene.observed.instances
    scene.tombstone, scene.problem = None, "the config repo has not been read yet"
    for _ in range(10):
        scene.seconds += 60.0
        decision = scene.obey()
        assert decision.due.actions == ()
    assert scene.observed.instances == instances
    assert decision.waiting[0].condition == "Retiring"
    assert decision.outcome.delay == scene.inputs().resync
    scene.problem = ""
    rest(scene)
    assert retired(scene.state)


@pytest.mark.parametrize("looks", range(8))
def test_a_manifest_that_comes_back_stops_it_anywhere_and_releases_again(looks):
    scene = STATES["idle_with_history"]()
    scene.remove(OnDelete.DESTROY)
    for _ in range(looks):
        scene.obey()
        scene.seconds += 2.0
    was = scene.state.retirement
    scene.commit("v2")
    decision = scene.look()
    assert scene.state.retirement is None
    assert ("environment.returned" in [record.type for record in decision.records]) == (was is not None)
    if was is not None and was.ended is not None:
        scene.certify("v2")
    rest(scene)
    assert serving(scene) == (release("v2").digest, 2)
    assert scene.state.stable.digest == release("v2").digest


def test_what_was_barred_before_it_was_retired_stays_barred():
    scene = STATES["rolled_back"]()
    scene.remove(OnDelete.DESTROY)
    rest(scene)
    scene.commit("v3")
    decision = scene.look()
    assert scene.state.rollout is None
    assert decision.waiting[0].condition == "Quarantine"


# --- by a person -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["kept", "idle", "baking"])
def test_a_person_retires_what_no_manifest_asks_for(state):
    scene = STATES[state]()
    scene.desired = None
    scene.ask(Verb.RETIRE)
    decision = scene.look()
    assert decision.answers[0].accepted
    assert ("environment.retiring", "ada") in [(record.type, record.actor) for record in decision.records]
    assert "environment.retired" in rest(scene)
    assert (scene.observed.traffic, scene.observed.instances) == (None, ())
    assert scene.state.retirement.reason == "retired by ada: because"
    assert ready(scene).message == "retired by ada: because"


@pytest.mark.parametrize(
    ("wanted", "problem", "why"),
    [
        (desired("v2"), "", "prodsprint.yaml asks for it"),
        (desired("v2"), BARRED, "prodsprint.yaml asks for it"),
        (None, "the config repo has not been read yet", "is not known: the config repo"),
    ],
)
def test_a_person_does_not_retire_what_git_asks_for_or_may_ask_for(wanted, problem, why):
    scene = STATES["idle_with_history"]()
    scene.desired, scene.problem = wanted, problem
    scene.ask(Verb.RETIRE)
    (answer,) = scene.look().answers
    assert not answer.accepted
    assert why in answer.message
    assert scene.state.retirement is None


def test_what_is_retired_is_not_rolled_back_into_service():
    scene = STATES["retired"]()
    scene.ask(Verb.ROLLBACK)
    (answer,) = scene.look().answers
    assert not answer.accepted
    assert "bring its manifest back" in answer.message
