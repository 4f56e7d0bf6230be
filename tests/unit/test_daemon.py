from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.place import Place
from fakes.values import KEY, desired
from gitrepos import Repo

from reconciler.core.desired import Key
from reconciler.core.outcome import TransientError
from reconciler.daemon import Daemon
from reconciler.reconcile import Look
from reconciler.settings import Settings
from reconciler.store import SqlStore, open_store

STAGING = Key(KEY.workspace, KEY.project, "staging")


class Linked:
    """A snapshot in which one environment waits for the other."""

    desired: dict[Key, object] = {}  # noqa: RUF012  # nothing is put into it
    key_problems: dict[Key, str] = {}  # noqa: RUF012
    tombstones: dict[Key, object] = {}  # noqa: RUF012

    def dependants(self, key: Key) -> tuple[Key, ...]:
        return (STAGING,) if key == KEY else ()


class BusyTarget:
    """A target that another environment of the project keeps busy."""

    def __init__(self) -> None:
        self.busy = True
        self.kept: list[Key] = []

    def keep(self, key: Key, digests: frozenset[str]) -> None:
        if self.busy:
            raise TransientError("another environment of the project is being prepared")
        self.kept.append(key)

    def close(self) -> None:
        pass


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    config = Repo(tmp_path / "config.git")
    config.commit({"README": "hello"})
    daemon = Daemon(Settings(config_repo=config.url, data_dir=tmp_path / "data"))
    (tmp_path / "data").mkdir()
    daemon._build()
    yield daemon
    daemon._shutdown()


@pytest.fixture
def place() -> Iterator[Place]:
    store: SqlStore = open_store(":memory:")
    yield Place(store)
    store.close()


def settling(place: Place) -> Look:
    """The look that certified a release."""
    place.desires.commit(desired("v1"))
    for _ in range(100):
        look = place.look()
        if look.inputs.state.certified != look.decision.state.certified:
            return look
        place.clock.advance(1.0)
    raise AssertionError("nothing was certified")


def test_a_target_that_is_busy_ends_nothing_and_is_asked_again_at_the_next_look(daemon, place):
    target = daemon.adapters.targets.opened["fake"] = BusyTarget()
    look = settling(place)
    daemon.catalog.snapshot = Linked()
    daemon._watch(KEY, look, "changed", 0.1)
    assert daemon.queue.take_due() == STAGING  # those who wait for this environment go on all the same
    assert daemon.threads.failure is None
    target.busy = False
    daemon._watch(KEY, place.look(), "noop", 0.1)
    assert target.kept == [KEY]
    daemon._watch(KEY, place.look(), "noop", 0.1)
    assert target.kept == [KEY]
