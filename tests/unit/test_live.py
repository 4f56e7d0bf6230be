from __future__ import annotations

import pickle
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from config_desk import Desk as ConfigDesk
from fakes.place import Place
from fakes.values import KEY, desired
from gitrepos import Repo
from prodsprint import v1

from reconciler.api.status import Queries
from reconciler.catalog import Catalog
from reconciler.config_repos import ConfigRepo
from reconciler.core.desired import Key, OnDelete
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.state import KeyState, Verb
from reconciler.core.view import summary
from reconciler.live import Live
from reconciler.manifest.drafter import Drafter
from reconciler.ports import Transition
from reconciler.source.git import Mirrors
from reconciler.store import SqlStore, open_store
from reconciler.store.codec import decode_state, encode_state
from reconciler.workqueue import WorkQueue


class Desk:
    """What is known live of one place, with a real config repo that is not there yet."""

    def __init__(self, store: SqlStore, folder: Path) -> None:
        self.place, self.told = Place(store), 0
        self.config = folder / "config"
        fetches: WorkQueue[str] = WorkQueue(self.place.clock.seconds)
        self.catalog = Catalog(
            Mirrors(folder / "mirrors"),
            (ConfigRepo(str(self.config)),),
            store.config,
            Drafter(0),
            self.place.clock,
            fetches,
            lambda _: None,
            lambda *_: None,
            lambda seconds: seconds,
        )
        self.live = Live(store, self.catalog, self.place.clock, lambda _: None, self.tell)

    def tell(self) -> None:
        self.told += 1

    def fetch(self) -> None:
        self.catalog.process(str(self.config))
        self.catalog.process("")

    def says(self, key: Key = KEY) -> str:
        view = self.live.environment(key)
        assert view is not None
        return summary(view)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = open_store(":memory:")
    yield Desk(store, tmp_path)
    store.close()


@pytest.mark.parametrize("error", [TransientError("port 80 is taken"), TerminalError("port 80 is taken")])
def test_why_an_action_failed_is_shown_until_it_works(desk, error):
    def refuse(*_: Any) -> None:
        raise error

    desk.place.desires.commit(desired("v1"))
    real, desk.place.target.apply = desk.place.target.apply, refuse
    desk.live.saw(desk.place.look())
    assert desk.says() == "port 80 is taken"
    desk.place.target.apply = real
    desk.live.saw(desk.place.look())
    assert "port 80" not in desk.says()


def test_why_a_look_came_to_no_decision_is_shown_until_one_does(desk):
    desk.place.desires.commit(desired("v1"))
    desk.live.saw(desk.place.look())
    desk.live.undecided(KEY, TransientError("the disk is full"))
    assert desk.says() == "the disk is full"
    desk.live.saw(desk.place.look())
    assert "disk" not in desk.says()


def test_a_state_that_cannot_be_read_is_shown_and_hides_no_other(desk, tmp_path):
    store = open_store(tmp_path / "prodsprint.db")
    other = Key("acme", "other", "prod")
    for key in (KEY, other):
        store.commit(Transition(KeyState(key, revision=1), (), (), 1.0, "{}"))
    with closing(sqlite3.connect(tmp_path / "prodsprint.db", isolation_level=None)) as database:
        database.execute("UPDATE states SET state = '{\"newer\": 1}' WHERE key = ?", (str(KEY),))
    desk.live = Live(store, desk.catalog, desk.place.clock, lambda _: None, desk.tell)
    views = {key: desk.live.environment(key) for key in desk.live.listed()}
    assert f"the state of {KEY} cannot be read" in views[KEY].problem
    assert "state" not in views[other].problem
    store.close()


def test_a_config_repo_that_is_away_is_shown_for_every_key_until_it_is_back(desk):
    desk.place.desires.commit(desired("v1"))
    desk.live.saw(desk.place.look())
    desk.fetch()
    assert desk.live.problems()[0].startswith("the config repo cannot be read: ")
    waiting = desk.live.environment(KEY).waiting
    assert [one.condition for one in waiting][-1] == "ConfigRepo"
    repo = Repo(desk.config)
    commit = repo.commit({"README": "hello"})
    desk.fetch()
    assert desk.live.problems() == ()
    desk.config.rename(desk.config.with_name("away"))
    desk.fetch()
    assert f"its commit {commit[:12]} stays in force" in desk.live.problems()[0]


def test_a_config_repo_that_is_away_is_no_concern_of_keys_that_another_one_speaks_for(tmp_path):
    place = ConfigDesk(tmp_path, "shop", "play")
    for name, port in (("shop", 8080), ("play", 8081)):
        place.commit({"prodsprint.yaml": place.project(name, port)}, repo=name)
    live = Live(place.store, place.catalog, place.clock, lambda _: None, lambda: None)
    folder = place.git["play"].path
    folder.rename(folder.with_name("away"))
    place.look()
    waits = {key.project: [one.condition for one in live.environment(key).waiting] for key in live.listed()}
    assert waits == {"shop": [], "play": ["ConfigRepo"]}
    assert len(live.problems()) == 1
    place.catalog.close()
    place.catalog.mirrors.close()
    place.store.close()


def test_a_manifest_that_names_no_key_is_shown_among_the_problems(desk):
    Repo(desk.config).commit({"prodsprint.yaml": "kind: [\n"})
    desk.fetch()
    assert desk.live.listed() == ()
    assert [problem.partition(":")[0] for problem in desk.live.problems()] == ["prodsprint.yaml"]


@pytest.mark.parametrize("verb", [Verb.PROMOTE, Verb.ABORT])
def test_what_is_asked_of_a_rollout_is_for_the_attempt_and_step_in_progress(desk, verb):
    desk.place.release("v1")
    desk.place.desires.commit(desired("v2"))
    while desk.place.store.load(KEY).rollout is None:
        desk.live.saw(desk.place.look())
    rollout = desk.place.store.load(KEY).rollout
    desk.live.submit(KEY, verb, "ann", "looks good", None)
    desk.live.submit(KEY, Verb.PAUSE, "ann", "lunch", None)
    first, second = desk.place.store.requests(KEY)
    assert (first.attempt, first.step) == (rollout.attempt, rollout.step)
    assert rollout.attempt == 2
    assert (second.attempt, second.step) == (0, 0)


def test_a_dead_letter_that_is_replayed_is_told_of_at_once(desk):
    assert not desk.live.replay(7)
    assert desk.told == 0
    desk.place.desires.commit(desired("v1"))
    store = open_store(":memory:", ("hook",))
    desk.place.store = desk.live.store = store
    desk.place.ports = desk.place.fresh()
    desk.place.look()
    (letter,) = [one.id for one in store.due(1e12, 1)]
    store.failed(letter, "gone", None)
    assert desk.live.replay(letter)
    assert desk.told == 1
    store.close()


# --- many keys -------------------------------------------------------------------------------------------------------


class Counting:
    """A store that counts the states it is asked for."""

    def __init__(self, inner: SqlStore) -> None:
        self.inner, self.loads = inner, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def load(self, key: Key) -> KeyState:
        self.loads += 1
        return self.inner.load(key)


def fleet(store: SqlStore, count: int) -> list[Key]:
    keys = [Key("acme", f"project-{number:05}", "prod") for number in range(count)]
    for key in keys:
        store.commit(Transition(KeyState(key, revision=1), (), (), 1.0, "{}"))
    return keys


def test_whatever_is_asked_of_one_key_reads_that_key_alone(desk):
    store = Counting(desk.live.store)
    keys = fleet(store, 300)
    live = Live(store, desk.catalog, desk.place.clock, lambda _: None, desk.tell)
    assert store.loads == 0
    assert live.knows(keys[7])
    assert not live.knows(Key("acme", "nobody", "prod"))
    assert live.environment(Key("acme", "nobody", "prod")) is None
    assert store.loads == 0
    assert live.environment(keys[7]).state.revision == 1
    assert store.loads == 1
    assert live.after(keys[7]) == ()
    assert store.loads == 1


def test_a_page_of_a_list_reads_the_states_of_that_page(desk):
    store = Counting(desk.live.store)
    keys = fleet(store, 300)
    live = Live(store, desk.catalog, desk.place.clock, lambda _: None, desk.tell)
    live.stored = dict.fromkeys(keys, False)  # all of them were looked at
    queries = Queries(live)
    page = queries.environments(v1.ListEnvironmentsRequest(page_size=10))
    assert [one.key for one in page.environments] == [str(key) for key in keys[:10]]
    assert store.loads == 11  # one more tells whether there is another page
    rest = queries.environments(v1.ListEnvironmentsRequest(page_size=1000, page_token=page.next_page_token))
    assert [one.key for one in rest.environments] == [str(key) for key in keys[10:]]
    assert queries.projects(v1.ListProjectsRequest(page_size=5)).projects[4].keys == [str(keys[4])]


def test_what_is_kept_of_a_look_is_only_what_the_store_does_not_have(desk):
    for version in ("v1", "v2", "v3"):
        desk.place.release(version)
    look = desk.place.look()
    kept = desk.live.saw(look)
    assert (kept.state.certified, kept.state.history, kept.state.plan) == ((), (), None)
    assert kept.state.stable.desired is look.inputs.desired
    whole = desk.live.environment(KEY)
    assert whole.state == desk.place.store.load(KEY)
    assert (whole.sync, whole.health, whole.weight) == (kept.sync, kept.health, kept.weight) == ("Synced", "Healthy", 0)


def test_a_retired_key_is_gone_from_lists_and_its_history_stays(desk):
    desk.place.release("v1", on_delete=OnDelete.DESTROY)
    desk.live.saw(desk.place.look())
    assert desk.live.listed() == (KEY,)
    desk.place.desires.remove(KEY)
    look = desk.place.look()
    while not look.retired:
        desk.live.saw(look)
        assert desk.live.listed() == (KEY,)
        desk.place.clock.advance(1.0)
        look = desk.place.look()
    desk.live.saw(look)
    assert desk.live.listed() == ()
    again = Live(desk.place.store, desk.catalog, desk.place.clock, lambda _: None, desk.tell)  # the next daemon
    assert again.listed() == ()
    for live in (desk.live, again):
        live.forget(KEY)
        assert [one.version for one in live.environment(KEY).state.history] == ["v1"]
    desk.place.desires.commit(desired("v2"))
    desk.live.saw(desk.place.look())
    assert desk.live.listed() == (KEY,)


def test_a_key_at_rest_takes_little_memory(desk):
    desk.place.release("v1")
    desk.place.release("v2")
    look = desk.place.look()
    state, count = encode_state(look.decision.state), 1000
    keys = [replace(KEY, project=f"project-{number}") for number in range(count)]
    wanted = {key: desired("v2", key) for key in keys}
    observed = pickle.dumps(look.inputs.observed)
    tracemalloc.start()
    for key in keys:
        seen = pickle.loads(observed)  # what a target reports is new at every look
        now = replace(decode_state(state, str(key)), key=replace(key))
        now = replace(now, stable=replace(now.stable, desired=replace(now.stable.desired, key=replace(key))))
        inputs = replace(look.inputs, state=now, desired=wanted[key], observed=seen)
        desk.live.saw(replace(look, inputs=inputs, decision=replace(look.decision, state=now)))
    used = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    assert used < 5000
