"""A manifest that cannot be taken keeps its project as it was: what is said of that, and how often."""

from __future__ import annotations

import pytest
from fakes.endings import ready, serving
from fakes.situations import STATES
from fakes.troubles import HELD, UNPUSHED

from reconciler.core.condition import find
from reconciler.core.state import ConditionStatus, ConditionType

BROKEN = "prodsprint.yaml:3:1: `versoin` is not known. Did you mean `version`?"
RUNNING = ("idle", "idle_with_history", "baking", "held", "rolled_back", "promoting")


def stalled(scene):
    return find(scene.state.conditions, ConditionType.STALLED)


def told(scene, *problems):
    """Types of what is recorded of the manifest while its problem is each of these, looked at several times."""
    found = []
    for problem in problems:
        scene.problem = problem
        for _ in range(3):
            found += [one for one in scene.look().records if one.type.startswith(("manifest.", "removal."))]
            scene.seconds += 1.0
    return found


@pytest.mark.parametrize("state", [name for name in RUNNING if name != "held"])
def test_a_broken_manifest_stalls_what_stays_in_force_until_it_is_mended(state):
    scene = STATES[state]()
    scene.problem = BROKEN
    scene.look()
    assert (stalled(scene).status, stalled(scene).reason) == (ConditionStatus.TRUE, "ManifestProblem")
    assert stalled(scene).message == BROKEN
    assert (ready(scene).status, ready(scene).reason) == (ConditionStatus.FALSE, "ManifestProblem")
    scene.problem = ""
    scene.look()
    assert stalled(scene) is None or stalled(scene).reason != "ManifestProblem"
    assert ready(scene).reason != "ManifestProblem"


def test_a_rollout_that_is_held_says_that_first():
    scene = STATES["held"]()
    scene.problem = BROKEN
    decision = scene.look()
    assert stalled(scene).reason == "Held"
    assert [one.condition for one in decision.waiting] == ["Held", "ManifestProblem"]


def test_a_broken_manifest_changes_nothing_of_what_serves_and_says_who_can_mend_it():
    scene = STATES["idle"]()
    before, plan = serving(scene), scene.state.plan
    scene.problem = BROKEN
    decision = scene.obey()
    assert (serving(scene), scene.state.plan, decision.due.actions) == (before, plan, ())
    first = decision.waiting[0]
    assert (first.condition, first.message, first.who) == ("ManifestProblem", BROKEN, "whoever mends prodsprint.yaml")
    assert first.next_look is not None


@pytest.mark.parametrize("state", RUNNING)
def test_each_change_of_the_problem_is_recorded_once(state):
    scene = STATES[state]()
    other = BROKEN.replace(":3:", ":4:")
    records = told(scene, BROKEN, other, "", BROKEN, "")
    assert [one.type for one in records] == [
        "manifest.broken", "manifest.broken", "manifest.mended", "manifest.broken", "manifest.mended",
    ]  # fmt: skip
    assert records[0].message == f"{BROKEN}; commit {scene.desired.commit[:12]} stays in force"
    assert '"path":"prodsprint.yaml"' in records[0].body


def test_a_cause_that_is_worded_anew_neither_flaps_nor_commits():
    scene = STATES["idle"]()
    assert len(told(scene, f"{BROKEN} (timed out)")) == 1
    since = stalled(scene).since
    for cause in ("connection refused", "status 503 (gave up)", ""):
        scene.problem = f"{BROKEN} ({cause})" if cause else BROKEN
        decision = scene.look()
        assert not decision.changed
        assert decision.waiting[0].message == scene.problem
    assert stalled(scene).since == since


def test_what_is_not_known_for_a_while_is_neither_broken_nor_mended():
    scene = STATES["idle"]()
    wanted = scene.desired
    assert len(told(scene, BROKEN)) == 1
    scene.desired = None  # a daemon that was just started has not read the config repo yet
    assert told(scene, "the config repo has not been read yet") == []
    scene.desired = wanted
    assert told(scene, BROKEN) == []


def test_a_manifest_that_never_was_in_force_breaks_nothing():
    scene = STATES["nothing"]()
    assert told(scene, BROKEN, "") == []
    assert stalled(scene) is None


def test_a_version_that_is_not_pushed_yet_is_waited_for_and_is_no_broken_manifest():
    scene = STATES["idle"]()
    assert told(scene, UNPUSHED) == []
    assert stalled(scene) is None
    assert (scene.look().waiting[0].condition, ready(scene).reason) == ("RevisionNotFound", "ManifestProblem")


def test_a_removal_that_is_held_is_called_that_and_holds_no_document():
    scene = STATES["idle"]()
    records = told(scene, HELD[1], HELD[2], "")
    assert [one.type for one in records] == ["removal.held", "removal.ended"]
    assert "apiVersion" not in records[0].message
    scene.problem = HELD[1]
    decision = scene.look()
    assert (stalled(scene).reason, ready(scene).reason) == ("RemovalHeld", "RemovalHeld")
    assert "apiVersion" not in stalled(scene).message + ready(scene).message + decision.waiting[0].message
    assert decision.waiting[0].condition == "RemovalHeld"


def test_a_manifest_that_is_removed_while_it_is_broken_is_not_called_mended():
    scene = STATES["idle"]()
    told(scene, BROKEN)
    scene.remove()
    assert told(scene, "") == []
    assert scene.state.problem == ""
    assert stalled(scene) is None
