from __future__ import annotations

from dataclasses import replace

from fakes.scene import Scene
from fakes.situations import STATES
from fakes.values import KEY, release

from reconciler.core.inputs import Draft
from reconciler.core.rollback import MOST_QUARANTINED, certified_before, quarantine, turn_back
from reconciler.core.state import KeyState, Phase, Quarantine, Result, Verb

V1, V2, V3 = release("v1"), release("v2"), release("v3")


def draft(state: KeyState) -> Draft:
    return Draft(Scene(state=state).inputs(), state)


def test_what_is_gone_back_to_is_the_newest_certified_one_that_neither_serves_nor_is_quarantined():
    state = KeyState(KEY, stable=V3, certified=(V3, V2, V1))
    assert certified_before(state) == V2
    assert certified_before(replace(state, quarantined=(Quarantine(V2.digest, "bad", 0.0, 2),))) == V1
    assert certified_before(replace(state, certified=(V3,))) is None
    assert certified_before(KeyState(KEY)) is None


def test_what_serves_need_not_be_the_newest_certified_one():
    assert certified_before(KeyState(KEY, stable=V1, certified=(V3, V1))) == V3


def test_a_digest_is_quarantined_once_with_the_newest_reason():
    here = draft(KeyState(KEY))
    quarantine(here, V1.digest, "first", 1)
    quarantine(here, V2.digest, "other", 2)
    quarantine(here, V1.digest, "again", 3)
    assert [(row.digest, row.reason) for row in here.state.quarantined] == [(V1.digest, "again"), (V2.digest, "other")]


def test_the_oldest_quarantines_are_forgotten():
    here = draft(KeyState(KEY))
    for number in range(MOST_QUARANTINED + 5):
        quarantine(here, f"{number:064x}", "bad", number)
    assert len(here.state.quarantined) == MOST_QUARANTINED
    assert here.state.quarantined[0].attempt == MOST_QUARANTINED + 4


def test_turning_back_twice_is_turning_back_once():
    here = draft(STATES["baking"]().state)
    turn_back(here, "regressed")
    once = here.state
    turn_back(here, "something else", result=Result.SUPERSEDED, actor="ada")
    assert here.state == once
    assert (once.rollout.phase, once.rollout.reason, once.rollout.result) == (
        Phase.ROLLING_BACK,
        "regressed",
        Result.ROLLED_BACK,
    )
    assert [record.type for record in here.records] == ["rollout.rolling_back"]


def test_a_certified_release_is_not_turned_back():
    here = draft(STATES["promoting"]().state)
    turn_back(here, "too late")
    assert here.state == STATES["promoting"]().state


def test_a_superseded_release_is_not_quarantined():
    here = draft(STATES["baking"]().state)
    turn_back(here, "newer commit", result=Result.SUPERSEDED)
    assert here.state.quarantined == ()
    assert here.records[0].type == "rollout.superseded"


def test_the_files_of_more_than_five_certified_releases_are_not_kept():
    scene = STATES["idle"]()
    for version in ("v2", "v3", "v4", "v5", "v6", "v7"):
        scene.certify(version)
    assert [one.desired.artifact.version for one in scene.state.certified] == ["v7", "v6", "v5", "v4", "v3"]
    scene.ask(Verb.ROLLBACK)
    scene.look()
    assert scene.state.rollout.release == release("v6")


def test_what_git_still_names_stays_in_quarantine_however_old():
    scene = Scene(desired=V1.desired)
    here = Draft(scene.inputs(), scene.state)
    quarantine(here, V1.digest, "bad", 1)
    for number in range(MOST_QUARANTINED + 5):
        quarantine(here, f"{number:064x}", "bad", number)
    assert V1.digest in {row.digest for row in here.state.quarantined}


# --- a rollback is never lost ----------------------------------------------------------------------------------------


def test_a_rollback_that_is_given_up_bars_neither_release():
    scene = STATES["restoring"]()
    scene.ask(Verb.ABORT)
    scene.look()
    scene.drained()
    assert scene.state.stable == V2
    assert scene.state.quarantined == ()
    assert certified_before(scene.state) == V1


def test_a_rollback_whose_instances_are_late_can_be_asked_for_again():
    scene = STATES["restoring"]()
    scene.seconds += V1.desired.strategy.progress_deadline + 1.0
    scene.look()
    assert scene.state.rollout.phase is Phase.ROLLING_BACK
    scene.drained()
    assert {row.digest for row in scene.state.quarantined} == {V2.digest}
    scene.ask(Verb.ROLLBACK)
    assert scene.look().answers[0].accepted
    scene.drained()
    assert scene.state.stable.digest == V1.digest


def test_a_rollback_follows_the_newest_settings():
    scene = Scene()
    scene.certify("v1", port=8080, instances=2)
    scene.certify("v2", port=9090, instances=3)
    scene.ask(Verb.ROLLBACK)
    scene.drained()
    assert scene.state.stable.digest == V1.digest
    assert (scene.state.stable.desired.port, scene.state.stable.desired.instances) == (9090, 3)
    assert scene.state.certified[0] == scene.state.stable
    assert scene.observed.traffic.port == 9090
    assert len(scene.observed.instances) == 3
