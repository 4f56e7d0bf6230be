"""The store: ``ports.Store`` on one SQL database.

Reads take a snapshot each. Writes go through the group commit: what several threads want to write at the same time becomes
one transaction, each writer's part in a savepoint of its own, with one fsync for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from reconciler.core.desired import Key
from reconciler.core.observed import Tick
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.state import Answer, KeyState, Plan, Request
from reconciler.ports import AuditEntry, ChainReport, Delivery, Transition
from reconciler.store import chain, outbox, requests, states, ticklog
from reconciler.store.chain import Origin
from reconciler.store.config import SqlConfigMemory
from reconciler.store.database import Database, open_database
from reconciler.store.faults import translate
from reconciler.store.group import GroupCommit, Job
from reconciler.store.tables import shapes, ticks

T = TypeVar("T")

WAITING_TICKS = 1000
"""Ticks that may wait in memory; one more writes them out first."""


class SqlStore:
    """Implements ``ports.Store``. Safe to share between threads; several processes may open the same file.

    Every method raises TransientError (locked, disk full) or TerminalError (not writable, damaged, closed), with the file and
    what to do, when the database does not answer.
    """

    def __init__(self, database: Database, notifiers: tuple[str, ...]) -> None:
        self._database = database
        self._notifiers = notifiers
        self._ticks = ticklog.TickBuffer()
        self._group = GroupCommit(self._run)
        self.config = SqlConfigMemory(database, self._group, notifiers)
        """What is remembered of config repos."""

    # --- state -------------------------------------------------------------------------------------------------------

    def load(self, key: Key) -> KeyState:
        """The state of a key; a new one (revision 0) when nothing is remembered."""
        with self._database.reading() as connection:
            return states.load(connection, key)

    def keys(self) -> tuple[Key, ...]:
        """Every key that has a state, sorted."""
        with self._database.reading() as connection:
            return states.keys(connection)

    def commit(self, transition: Transition) -> None:
        """Replace the state by compare-and-set, with all that the decision leaves. Raises StaleGenerationError.

        Ticks that wait are written in the same transaction: a decision on disk has its evidence there too.
        """
        change = states.Change(transition)
        state = transition.state
        origin = Origin(state.key, state.generation, transition.at)

        def work(connection: Connection) -> None:
            change.write(connection)
            requests.settle(connection, state.key, transition.answers)
            outbox.add(connection, chain.add(connection, origin, transition.records), self._notifiers)

        self._group.do(work)

    def plan(self, key: Key, generation: int) -> Plan | None:
        """A plan of the past, or the current one; the newest 200 are kept."""
        with self._database.reading() as connection:
            return states.plan(connection, key, generation)

    def inputs(self, key: Key, revision: int) -> str | None:
        """The recorded inputs of the decision that made this revision; the newest 200 are kept."""
        with self._database.reading() as connection:
            return states.inputs(connection, key, revision)

    # --- ticks -------------------------------------------------------------------------------------------------------

    def append(self, key: Key, ticks: tuple[Tick, ...]) -> None:
        """Add ticks to the log. They are read at once, and on disk after the next write of anybody, or ``flush``."""
        if len(self._ticks) >= WAITING_TICKS:
            self.flush()
        self._ticks.add(str(key), ticks)

    def flush(self) -> None:
        """Write the ticks that wait. Called every second or so, it bounds what a crash can lose."""
        if len(self._ticks):
            self._group.do(lambda _: None)

    def ticks(self, key: Key, attempt: int, limit: int = 100_000) -> tuple[Tick, ...]:
        """The newest ``limit`` ticks of an attempt, oldest first, those that wait included."""
        waiting = self._ticks.of(str(key), attempt)  # before the table: a tick that moves meanwhile is seen in both
        with self._database.reading() as connection:
            return ticklog.merge(ticklog.newest(connection, str(key), attempt, limit), waiting, limit)

    def prune(self, before: float) -> None:
        """Drop ticks of attempt 0 and delivered events from before that time, and older ticks of forgotten attempts.

        An attempt is forgotten once it is older than all in the state's history.
        """

        def work(connection: Connection) -> None:
            old = ticks.c.at < before
            connection.execute(delete(ticks).where(ticks.c.attempt == 0, old))
            for key in states.keys(connection):
                oldest = states.oldest_attempt(connection, key)
                forgotten = (ticks.c.key == str(key), ticks.c.attempt > 0, ticks.c.attempt < oldest)
                connection.execute(delete(ticks).where(*forgotten, old))
            connection.execute(delete(shapes).where(shapes.c.id.not_in(select(ticks.c.shape))))
            outbox.prune(connection, before)

        self._group.do(work)

    # --- requests ----------------------------------------------------------------------------------------------------

    def submit(self, key: Key, request: Request) -> int:
        """Store a request (its ``id`` is ignored) with its audit entry, and return its id."""

        def work(connection: Connection) -> int:
            identity = requests.add(connection, key, request)
            origin = Origin(key, states.generation(connection, key), request.at)
            records = (requests.record(identity, request),)
            outbox.add(connection, chain.add(connection, origin, records), self._notifiers)
            return identity

        return self._group.do(work)

    def requests(self, key: Key) -> tuple[Request, ...]:
        """Requests that nobody has decided on, oldest first."""
        with self._database.reading() as connection:
            return requests.waiting(connection, key)

    def answer(self, request: int) -> Answer | None:
        """What became of a request; None while it waits."""
        with self._database.reading() as connection:
            return requests.answer(connection, request)

    # --- audit -------------------------------------------------------------------------------------------------------

    def events(self, after: int, limit: int, workspace: str = "", key: str = "") -> tuple[AuditEntry, ...]:
        """Audit entries with an id greater than ``after``, oldest first, of one workspace or key where given."""
        with self._database.reading() as connection:
            return chain.after(connection, after, limit, workspace, key)

    def head(self) -> int:
        """Id of the newest audit entry; 0 when there is none."""
        with self._database.reading() as connection:
            return chain.newest(connection)

    def verify(self) -> tuple[ChainReport, ...]:
        """Recompute every workspace's chain; a report on the workspace "" says that whole chains are missing."""
        with self._database.reading() as connection:
            return tuple(chain.reports(connection))

    # --- outbox ------------------------------------------------------------------------------------------------------

    def due(self, now: float, limit: int) -> tuple[Delivery, ...]:
        """Deliveries to be tried by ``now``, oldest first."""
        with self._database.reading() as connection:
            return outbox.due(connection, now, limit)

    def delivered(self, delivery: int) -> None:
        """Mark as done."""
        self._group.do(lambda connection: outbox.delivered(connection, delivery))

    def failed(self, delivery: int, error: str, again: float | None) -> None:
        """Note a failed try; None for ``again`` makes it a dead letter."""
        self._group.do(lambda connection: outbox.failed(connection, delivery, error, again))

    def dead(self, limit: int) -> tuple[Delivery, ...]:
        """Dead letters, newest first."""
        with self._database.reading() as connection:
            return outbox.dead(connection, limit)

    def backlog(self) -> tuple[int, int]:
        """How many deliveries wait, and how many are dead letters."""
        with self._database.reading() as connection:
            return outbox.backlog(connection)

    def replay(self, delivery: int) -> bool:
        """Queue a dead letter again; False when there is no such one."""
        return self._group.do(lambda connection: outbox.replay(connection, delivery))

    def close(self) -> None:
        """Write what waits, release the database. May be called twice."""
        try:
            if not self._database.closed:
                self.flush()
        finally:
            self._database.close()

    # --- group commit ------------------------------------------------------------------------------------------------

    def _run(self, group: Sequence[Job[object]]) -> None:
        """Run a group as one transaction; when that fails as a whole, each job on its own, so that small ones still fit."""
        begun: list[bool] = []
        try:
            self._together(group, self._ticks.rows(), begun)
        except (TransientError, TerminalError) as error:
            if not begun or len(group) == 1:
                _fail(group, error)
                return
            for job in group:
                try:
                    self._together([job], [], [])
                except (TransientError, TerminalError) as own:
                    _fail([job], own)

    def _together(self, group: Sequence[Job[object]], rows: list[ticklog.Row], begun: list[bool]) -> None:
        with self._database.writing() as connection:
            begun.append(True)
            if rows:
                ticklog.write(connection, rows)
            for job in group:
                self._apart(connection, job)
        self._ticks.written(rows)
        for job in group:
            job.committed = True

    def _apart(self, connection: Connection, job: Job[object]) -> None:
        """Run one job in its savepoint. Its own errors stay its own; those of the database end the whole transaction.

        (SQLite may have ended it by itself, when the disk is full; then there is no savepoint left to go back to.)
        """
        savepoint = connection.begin_nested()
        try:
            job.run(connection)
        except IntegrityError as error:
            savepoint.rollback()
            job.error = translate(error, self._database.where)
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the writer whose work it is
            savepoint.rollback()
            job.error = error
        else:
            savepoint.commit()


def _fail(group: Sequence[Job[object]], error: Exception) -> None:
    for job in group:
        job.error = error


def open_store(url_or_path: str | Path, notifiers: tuple[str, ...] = (), *, patience: float = 5.0) -> SqlStore:
    """Open, or create, the store in a file, ``sqlite:///PATH`` or ``:memory:``, and migrate it to this version.

    Every audit record is queued for each of ``notifiers``. ``patience`` is how many seconds a lock is waited for. Raises
    TerminalError (not writable, damaged, not ours, of a newer version) or TransientError (locked, disk full).
    """
    return SqlStore(open_database(url_or_path, patience), notifiers)
