"""What the core needs of the world, as protocols, and the records by which adapters are found.

A port raises only the three families of ``core.outcome``. Observing never changes anything. Applying is idempotent, returns
without waiting for the result (the next observation shows it), and refuses a generation older than one it has seen
(StaleGenerationError).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from reconciler.core.desired import Instant, Key, Release
from reconciler.core.observed import Instance, Reading, Tick, Traffic
from reconciler.core.state import Answer, KeyState, Plan, Record, Request


class Clock(Protocol):
    """The only way to know the time."""

    def now(self) -> Instant:
        """Read wall clock, boot-time clock and boot id together."""
        ...


class Checkouts(Protocol):
    """Gives targets the files of a service repo at one commit."""

    def checkout(self, source: str, revision: str, into: Path) -> None:
        """Write the tree of commit ``revision`` (40 hex digits) below the new folder ``into``; no hooks, no filters.

        Raises TerminalError when the mirror does not hold the commit or the tree cannot be written safely.
        """
        ...


class Target(Protocol):
    """Runs releases."""

    def observe(self, key: Key) -> tuple[Instance, ...]:
        """Report every instance of the key, of any release. Raises TransientError when that cannot be known."""
        ...

    def apply(self, key: Key, release: Release, count: int, generation: int) -> None:
        """Work towards ``count`` instances of the release, ordinals 0 to count-1; 0 removes all of them.

        Returns at once. Called again for the same arguments until observation shows the count. What has already failed is
        reported by ``observe`` as FAILED, not raised.
        """
        ...

    def keep(self, key: Key, digests: frozenset[str]) -> None:
        """Drop cached artifacts of the key that belong to none of these releases."""
        ...

    def close(self) -> None:
        """Release what the adapter holds; instances go on running. May be called twice."""
        ...


class Router(Protocol):
    """Splits traffic."""

    def observe(self, key: Key) -> Traffic | None:
        """Report the split that is in force, confirmed by the router itself; None when it serves nothing for the key."""
        ...

    def apply(self, key: Key, traffic: Traffic, generation: int) -> None:
        """Ask for a split. Returns once it is written; ``observe`` shows when it is in force."""
        ...

    def close(self) -> None:
        """Release what the adapter holds; traffic goes on flowing. May be called twice."""
        ...


class MetricsSource(Protocol):
    """Counts requests."""

    def read(self, key: Key) -> Reading:
        """Read the counters of both sides now. Never raises: trouble is a Reading with ``error``."""
        ...

    def close(self) -> None:
        """Release what the adapter holds. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as it leaves through the outbox. ``body`` is JSON text."""

    id: int
    type: str
    key: str
    at: float
    body: str


@dataclass(frozen=True, slots=True)
class Transition:
    """What one decision leaves: committed whole, or not at all."""

    state: KeyState
    """The next state; its ``revision`` is the loaded one's plus 1."""
    records: tuple[Record, ...]
    """One audit entry and one outgoing event each, in order."""
    answers: tuple[Answer, ...]
    """Requests decided on by this transition."""
    at: float
    inputs: str
    """Canonical JSON of what was decided on, for replay."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One link of a workspace's chain. ``id`` orders entries of all workspaces; ``seq`` counts within one, from 1."""

    id: int
    workspace: str
    seq: int
    at: float
    actor: str
    key: str
    generation: int
    type: str
    message: str
    body: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """Outcome of verifying one workspace's chain: number of good entries, its head, and the first fault ("" for none)."""

    workspace: str
    entries: int
    head: str
    fault: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one notifier."""

    id: int
    notifier: str
    event: Event
    attempts: int
    error: str = ""


class Store(Protocol):
    """Remembers. Every write is durable when the call returns, but for ``append`` (see there)."""

    def load(self, key: Key) -> KeyState:
        """The state of a key; a new one (revision 0) when nothing is remembered."""
        ...

    def keys(self) -> tuple[Key, ...]:
        """Every key that has a state, sorted."""
        ...

    def commit(self, transition: Transition) -> None:
        """Replace the state if its stored revision is ``state.revision - 1``, else raise StaleGenerationError.

        The same transaction adds the plan (when its generation is new), records, deliveries, answers and inputs.
        """
        ...

    def append(self, key: Key, ticks: tuple[Tick, ...]) -> None:
        """Add ticks to the log; durable with the next group commit. A tick that is there already is left as it is."""
        ...

    def ticks(self, key: Key, attempt: int, limit: int = 100_000) -> tuple[Tick, ...]:
        """The newest ``limit`` ticks of an attempt, oldest first. Attempt 0 holds those taken outside of one."""
        ...

    def prune(self, before: float) -> None:
        """Drop ticks of attempt 0, and delivered events, from before that Unix time."""
        ...

    def submit(self, key: Key, request: Request) -> int:
        """Store a request (its ``id`` is ignored) with its audit entry, and return its id."""
        ...

    def requests(self, key: Key) -> tuple[Request, ...]:
        """Requests that nobody has decided on, oldest first."""
        ...

    def answer(self, request: int) -> Answer | None:
        """What became of a request; None while it waits."""
        ...

    def plan(self, key: Key, generation: int) -> Plan | None:
        """A plan of the past, or the current one; None when it is unknown."""
        ...

    def inputs(self, key: Key, revision: int) -> str | None:
        """The recorded inputs of the decision that made this revision."""
        ...

    def events(self, after: int, limit: int, workspace: str = "", key: str = "") -> tuple[AuditEntry, ...]:
        """Audit entries with an id greater than ``after``, oldest first, of one workspace or key where given."""
        ...

    def head(self) -> int:
        """Id of the newest audit entry; 0 when there is none."""
        ...

    def verify(self) -> tuple[ChainReport, ...]:
        """Recompute every workspace's chain."""
        ...

    def due(self, now: float, limit: int) -> tuple[Delivery, ...]:
        """Deliveries to be tried by ``now``, oldest first."""
        ...

    def delivered(self, delivery: int) -> None:
        """Mark as done."""
        ...

    def failed(self, delivery: int, error: str, again: float | None) -> None:
        """Note a failed try; None for ``again`` makes it a dead letter."""
        ...

    def dead(self, limit: int) -> tuple[Delivery, ...]:
        """Dead letters, newest first."""
        ...

    def backlog(self) -> tuple[int, int]:
        """How many deliveries wait, and how many are dead letters."""
        ...

    def replay(self, delivery: int) -> bool:
        """Queue a dead letter again; False when there is no such one."""
        ...

    def close(self) -> None:
        """Write what waits, release the database. May be called twice."""
        ...


class Notifier(Protocol):
    """Tells somebody."""

    def send(self, event: Event) -> None:
        """Deliver one event. Raises TransientError (try again) or TerminalError (dead letter)."""
        ...

    def close(self) -> None:
        """Release what the adapter holds. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """What an adapter may use of its surroundings."""

    data: Path
    """A folder of the adapter's own below the data directory."""
    clock: Clock
    checkouts: Checkouts
    listen: str = "127.0.0.1"
    """IP address on which routers take the requests of users."""


@dataclass(frozen=True, slots=True)
class TargetKind:
    """What a module in ``targets/`` exports as KIND.

    ``spec`` models the manifest block of the kind's name. ``runtime`` names those of its fields that do not change
    behaviour, and so are left out of the release digest. ``local`` says that what it runs is served on this machine, where
    a port can be had only once.
    """

    name: str
    spec: type[BaseModel]
    runtime: frozenset[str]
    open: Callable[[Host], Target]
    local: bool = True


@dataclass(frozen=True, slots=True)
class RouterKind:
    """What a module in ``routers/`` exports as KIND."""

    name: str
    open: Callable[[Host], Router]


@dataclass(frozen=True, slots=True)
class MetricsKind:
    """What a module in ``metric_sources/`` exports as KIND; ``config`` models its settings."""

    name: str
    config: type[BaseModel]
    open: Callable[[Host, BaseModel], MetricsSource]


@dataclass(frozen=True, slots=True)
class NotifierKind:
    """What a module in ``notifiers/`` exports as KIND; ``config`` models its settings."""

    name: str
    config: type[BaseModel]
    open: Callable[[BaseModel, Clock], Notifier]
