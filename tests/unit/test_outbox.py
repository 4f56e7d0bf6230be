from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.core.desired import Instant, Key
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.state import KeyState, Record
from reconciler.outbox import BATCH, Outbox, Retry
from reconciler.ports import Event, Transition
from reconciler.store import SqlStore, open_store


@dataclass
class HandClock:
    mono: float = 1000.0

    def now(self) -> Instant:
        return Instant(1_700_000_000 + self.mono, self.mono, "boot")


@dataclass
class Recipient:
    """A notifier that notes what it got, and fails as it is told."""

    got: list[tuple[str, str]] = field(default_factory=list)
    tried: int = 0
    error: Exception | None = None
    poison: str = ""
    """Key whose events fail."""

    def send(self, event: Event) -> None:
        self.tried += 1
        if self.error and self.poison in {"", event.key}:
            raise self.error
        self.got.append((event.key, event.type))

    def close(self) -> None:
        """Hold nothing."""


@dataclass
class World:
    store: SqlStore
    clock: HandClock
    recipients: dict[str, Recipient]
    revisions: dict[Key, int] = field(default_factory=dict)

    def outbox(self, retry: Retry | None = None) -> Outbox:
        return Outbox(self.store, self.recipients, self.clock, retry, spread=lambda seconds: seconds)

    def happen(self, project: str, *types: str) -> None:
        key = Key("shop", project, "prod")
        self.revisions[key] = self.revisions.get(key, 0) + 1
        records = tuple(Record(name, "daemon", f"{name} happened") for name in types)
        self.store.commit(
            Transition(KeyState(key, revision=self.revisions[key]), records, (), self.clock.now().wall, "{}")
        )


@pytest.fixture
def world() -> Iterator[World]:
    names = ("good", "bad")
    store = open_store(":memory:", names)
    yield World(store, HandClock(), {name: Recipient() for name in names})
    store.close()


def test_every_event_reaches_every_notifier_once_in_order(world: World) -> None:
    outbox = world.outbox()
    assert outbox.process_due() is None
    world.happen("a", "one", "two")
    world.happen("b", "three")
    assert outbox.process_due() is None
    expected = [("shop/a/prod", "one"), ("shop/a/prod", "two"), ("shop/b/prod", "three")]
    assert [recipient.got for recipient in world.recipients.values()] == [expected, expected]
    outbox.process_due()
    assert world.recipients["good"].tried == 3


def test_a_dead_notifier_delays_no_other_and_is_tried_ever_more_rarely(world: World) -> None:
    bad, good = world.recipients["bad"], world.recipients["good"]
    bad.error = TransientError("down")
    outbox = world.outbox()
    for number in range(3):
        world.happen(f"p{number}", "x")
    waits = []
    for _ in range(5):
        tried = bad.tried
        wait = outbox.process("bad")
        assert wait
        assert bad.tried == tried + 1
        assert outbox.process("bad") == wait
        assert bad.tried == tried + 1
        waits.append(wait)
        world.clock.mono += wait
    assert waits == [1, 2, 4, 8, 16]
    assert outbox.process("good") is None
    assert len(good.got) == 3
    bad.error = None
    world.clock.mono += 600
    assert outbox.process("bad") is None
    assert sorted(bad.got) == sorted(good.got)


def test_a_backlog_of_one_notifier_does_not_hide_the_events_of_another(world: World) -> None:
    world.recipients["bad"].error = TransientError("down")
    outbox = world.outbox()
    types = tuple(str(number) for number in range(3 * BATCH))
    world.happen("a", *types)
    for _ in range(10):
        outbox.process_due()
    assert len(world.recipients["good"].got) == 3 * BATCH
    world.happen("b", "late")
    outbox.process_due()
    assert world.recipients["good"].got[-1] == ("shop/b/prod", "late")


def test_an_event_that_always_fails_holds_up_only_its_own_key_and_keeps_the_order_there(world: World) -> None:
    bad = world.recipients["bad"]
    bad.error, bad.poison = TransientError("cannot digest this"), "shop/a/prod"
    outbox = world.outbox(Retry(attempts=5))
    world.happen("a", "one", "two")
    world.happen("b", "three", "four")
    outbox.process("bad")
    world.clock.mono += 1
    outbox.process("bad")
    assert [kind for _, kind in bad.got] == ["three", "four"]
    bad.error = None
    world.clock.mono += 100
    assert outbox.process("bad") is None
    assert [kind for _, kind in bad.got] == ["three", "four", "one", "two"]


def test_terminal_error_and_too_many_tries_make_dead_letters_that_can_be_replayed(world: World) -> None:
    bad = world.recipients["bad"]
    outbox = world.outbox(Retry(attempts=3))
    bad.error = TerminalError("answered 404")
    world.happen("a", "one")
    assert outbox.process("bad") is None
    bad.error = TransientError("down")
    world.happen("a", "two")
    for _ in range(3):
        world.clock.mono += 1000
        outbox.process("bad")
    tried = bad.tried
    world.clock.mono += 1000
    assert outbox.process("bad") is None
    assert bad.tried == tried == 4
    two, one = world.store.dead(10)
    assert (one.event.type, one.error) == ("one", "answered 404")
    assert (two.event.type, two.error) == ("two", "given up after 3 tries: down")
    bad.error = None
    for letter in (one, two):
        assert world.store.replay(letter.id)
    outbox.process("bad")
    assert [kind for _, kind in bad.got] == ["one", "two"]
    assert world.store.dead(10) == ()


def test_a_bug_in_a_notifier_is_an_error_of_its_delivery(world: World) -> None:
    world.recipients["bad"].error = ZeroDivisionError("oops")
    world.happen("a", "one")
    outbox = world.outbox(Retry(attempts=1))
    outbox.process_due()
    (letter,) = world.store.dead(10)
    assert letter.error == "given up after 1 tries: ZeroDivisionError: oops"
    assert len(world.recipients["good"].got) == 1


def test_a_new_daemon_goes_on_where_the_killed_one_was_and_in_order(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a.db", ("bad",))
    world = World(store, HandClock(), {"bad": Recipient(error=TransientError("down"))})
    world.happen("a", "one", "two")
    world.outbox().process_due()
    store.close()
    again = open_store(tmp_path / "a.db", ("bad",))
    survivor = World(again, HandClock(), {"bad": Recipient()})
    assert survivor.outbox().process_due() is None
    assert [kind for _, kind in survivor.recipients["bad"].got] == ["one", "two"]
    again.close()


class Flaky(Recipient):
    """Closes the store as soon as it has received something: the mark is lost, the event is not."""

    store: SqlStore

    def send(self, event: Event) -> None:
        super().send(event)
        self.store.close()


def test_what_was_sent_and_could_not_be_marked_is_sent_again_after_a_crash(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a.db", ("bad",))
    flaky = Flaky()
    flaky.store = store
    world = World(store, HandClock(), {"bad": flaky})
    world.happen("a", "one")
    outbox = world.outbox()
    assert outbox.process_due() == pytest.approx(5.0)
    assert outbox.process_due() == pytest.approx(5.0)
    assert flaky.tried == 1
    again = open_store(tmp_path / "a.db", ("bad",))
    survivor = World(again, HandClock(), {"bad": Recipient()})
    survivor.outbox().process_due()
    assert len(survivor.recipients["bad"].got) == 1
    again.close()


def test_events_for_a_notifier_that_is_gone_become_dead_letters(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.happen("a", "one")
    del world.recipients["bad"]
    with caplog.at_level(logging.WARNING):
        assert world.outbox().process_due() is None
    (letter,) = world.store.dead(10)
    assert "no notifier 'bad' is configured" in letter.error
    assert len(world.recipients["good"].got) == 1


def test_more_than_one_batch_asks_for_another_look_at_once(world: World) -> None:
    world.happen("a", *(str(number) for number in range(BATCH + 1)))
    outbox = world.outbox()
    assert outbox.process("good") == pytest.approx(0.0)
    while outbox.process("good") is not None:
        assert len(world.recipients["good"].got) <= BATCH
    assert [kind for _, kind in world.recipients["good"].got] == [str(number) for number in range(BATCH + 1)]
