from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.place import Place
from fakes.values import KEY, desired
from gitrepos import Repo

from reconciler.catalog import Catalog
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.state import Key
from reconciler.core.view import summary
from reconciler.live import Live
from reconciler.source.git import Mirrors
from reconciler.store import SqlStore, open_store
from reconciler.workqueue import WorkQueue


class Desk:
    """What is known live of one place, with a real config repo that is not there yet."""

    def __init__(self, store: SqlStore, folder: Path) -> None:
        self.place, self.told = Place(store), 0
        self.config = folder / "config"
        fetches: WorkQueue[str] = WorkQueue(self.place.clock.seconds)
        self.catalog = Catalog(
            Mirrors(folder / "mirrors"),
            str(self.config),
            "",
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


def test_a_manifest_that_names_no_key_is_shown_among_the_problems(desk):
    Repo(desk.config).commit({"prodsprint.yaml": "kind: [\n"})
    desk.fetch()
    assert desk.live.environments() == ()
    assert [problem.partition(":")[0] for problem in desk.live.problems()] == ["prodsprint.yaml"]


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
