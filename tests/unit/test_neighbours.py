"""What a key waits for in others, and what becomes of it when its manifest is removed: on fakes and a real store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fakes.place import Place
from fakes.values import KEY, desired

from reconciler.core.desired import Key, OnDelete
from reconciler.core.digest import release_digest
from reconciler.core.state import Quarantine, Request, RolloutKind, Verb, retired
from reconciler.ports import Transition
from reconciler.reconcile import Look, kept
from reconciler.store import open_store

DATABASE = Key("acme", "database", "prod")


@pytest.fixture
def place() -> Iterator[Place]:
    store = open_store(":memory:")
    yield Place(store)
    store.close()


def certify(place: Place, key: Key, version: str = "v1") -> Look:
    """Bring a version of another key into service; the look that settled it."""
    place.desires.commit(desired(version, key))
    settled = None
    for _ in range(200):
        look = place.look(key)
        settled = look if look.settled else settled
        if settled is not None and not look.decision.changed:
            return settled
        for role, sent in (("stable", 9000), ("canary", 1000)):
            place.metrics.record(key, role, sent, 0)
        place.clock.advance(1.0)
    raise AssertionError(f"{key} was not certified: {place.store.load(key)}")


def test_an_environment_waits_for_every_one_before_and_says_which_are_missing(place):
    first, second, last = (replace(KEY, environment=name) for name in ("first", "second", "last"))
    place.release("v1")
    place.desires.commit(desired("v1", last, after=(KEY.environment, "first", "second")))
    look = place.look(last)
    assert look.decision.waiting[0].message.startswith("first and second have not certified v1")
    assert place.store.load(last).rollout is None
    for key in (first, second):
        certify(place, key)
    place.look(last)
    assert place.store.load(last).rollout is not None


# --- what a project depends on ---------------------------------------------------------------------------------------


def waits_for(look: Look) -> tuple[str, str]:
    (wait,) = [one for one in look.decision.waiting if one.condition == "Dependency"]
    return wait.message, wait.who


def test_a_release_waits_until_what_it_needs_serves_what_git_asks_of_it(place):
    place.desires.commit(desired("v1", needs=(DATABASE,)))
    message, who = waits_for(place.look())
    assert message == "shop depends on acme/database/prod, which no valid manifest asks for"
    assert "acme/database/prod" in who
    place.desires.commit(desired("v1", DATABASE))
    assert "which does not serve v1" in waits_for(place.look())[0]
    place.look(DATABASE)
    assert "whose rollout of v1 is in progress" in waits_for(place.look())[0]
    assert place.store.load(KEY).rollout is None
    assert certify(place, DATABASE).settled
    place.look()
    assert place.store.load(KEY).rollout is not None


def test_a_need_without_a_manifest_says_what_is_known_of_it(place):
    place.desires.problems[DATABASE] = "database.yaml:3:1: unknown key"
    place.desires.commit(desired("v1", needs=(DATABASE,)))
    assert waits_for(place.look())[0].endswith("asks for: database.yaml:3:1: unknown key")


def test_a_need_whose_newest_release_was_rolled_back_holds_and_says_so(place):
    certify(place, DATABASE)
    place.store.submit(DATABASE, Request(0, Verb.SYNC, "ada", "just so", place.clock.now().wall))
    state = place.store.load(DATABASE)
    bad = desired("v2", DATABASE)
    barred = (Quarantine(release_digest(bad), "20 % failed", 0.0, 2),)
    place.store.commit(Transition(replace(state, revision=state.revision + 1, quarantined=barred), (), (), 1.0, "{}"))
    place.desires.commit(bad)
    place.desires.commit(desired("v1", needs=(DATABASE,)))
    message, who = waits_for(place.look())
    assert "whose v2 was rolled back" in message
    assert "whoever commits another version of acme/database/prod" in who
    place.desires.commit(desired("v1", DATABASE))  # git goes back to what serves
    assert place.look(DATABASE).settled is False
    place.look()
    assert place.store.load(KEY).rollout is not None


def test_what_is_needed_never_holds_a_running_rollout_or_the_way_back(place):
    certify(place, DATABASE)
    place.release("v1", needs=(DATABASE,))
    place.release("v2", needs=(DATABASE,))
    place.desires.commit(desired("v3", needs=(DATABASE,)))
    place.look()
    place.desires.commit(desired("v2", DATABASE))
    place.look(DATABASE)
    assert place.store.load(DATABASE).rollout is not None
    place.release("v3", needs=(DATABASE,))
    place.store.submit(KEY, Request(0, Verb.ROLLBACK, "ada", "it leaks", place.clock.now().wall))
    place.look()
    assert place.store.load(KEY).rollout.kind is RolloutKind.ROLLBACK


def test_a_key_at_rest_reads_the_state_of_no_other(place):
    certify(place, DATABASE)
    place.release("v1", needs=(DATABASE,))
    inputs = place.look().inputs
    assert (inputs.dependencies, inputs.predecessors) == ((), ())


# --- a removed manifest ----------------------------------------------------------------------------------------------


def test_a_service_that_is_removed_and_to_be_destroyed_leaves_nothing_but_its_history(place):
    place.release("v1", on_delete=OnDelete.DESTROY)
    place.desires.remove(KEY)
    looks = []
    for _ in range(100):
        looks.append(place.look())
        place.clock.advance(0.5)
        if looks[-1].retired:
            break
    assert looks[-1].settled
    assert (place.router.in_force(KEY), place.target.running(KEY)) == (None, ())
    state = place.store.load(KEY)
    assert retired(state)
    assert kept(state) == frozenset()
    assert state.history[0].version == "v1"
    assert [entry.type for entry in place.store.events(0, 1000)][-2:] == ["environment.retiring", "environment.retired"]
    assert not place.look().retired


def test_what_git_asks_is_asked_again_before_each_step_of_an_end(place):
    place.release("v1", on_delete=OnDelete.DESTROY)
    place.desires.remove(KEY)
    place.look()
    place.desires.tombstones.clear()
    place.desires.problems[KEY] = "the config repo has not been read yet"
    for _ in range(20):
        place.clock.advance(5.0)
        place.look()
    assert len(place.target.running(KEY)) == 2
