"""Opens a database, hands out connections, and brings its schema up to date."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from reconciler.core.outcome import TerminalError
from reconciler.store import tables
from reconciler.store.faults import translated

MEMORY = ":memory:"


class Database:
    """An open database with the schema of this version.

    A file is in WAL mode with ``synchronous=FULL``: a commit is on disk when it returns, and readers never wait for a
    writer. ``:memory:`` is one connection, and so everybody takes turns.
    """

    def __init__(self, where: str, patience: float) -> None:
        self.where = where
        self._engine = _engine(where, patience)
        self._turn = threading.RLock() if where == MEMORY else nullcontext()
        self.closed = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent snapshot. Raises TransientError or TerminalError for what is wrong with the database."""
        with self._open(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that is on disk when the block ends; none of it is when the block raises. Errors: ``reading``."""
        with self._open(writes=True) as connection:
            yield connection

    @contextmanager
    def _open(self, *, writes: bool) -> Iterator[Connection]:
        if self.closed:
            raise TerminalError(f"the database {self.where} was closed")
        with self._turn, translated(self.where), self._engine.connect() as connection:
            connection.execution_options(writes=writes)
            with connection.begin():
                yield connection

    def use_write_ahead_log(self) -> None:
        """Switch the file over; it remembers. Raises TerminalError where the file system cannot do it."""
        with translated(self.where), self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            try:
                mode = driver.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            except sqlite3.Error as error:
                raise DBAPIError("PRAGMA journal_mode", None, error) from error
        if mode != "wal":
            raise TerminalError(
                f"the database {self.where} lies on a file system without shared memory (a network share?): "
                f"it stays in {mode!r} mode. Choose a local folder"
            )

    def close(self) -> None:
        """Release the file. May be called twice."""
        self.closed = True
        with self._turn:
            self._engine.dispose()


def open_database(url_or_path: str | Path, patience: float) -> Database:
    """Open or create a database, and migrate it. ``patience`` is how many seconds a lock is waited for.

    Raises TerminalError when it cannot be used (not writable, damaged, not ours, of a newer version), TransientError
    when it cannot be used now.
    """
    where = _place(url_or_path)
    if where != MEMORY:
        _create(Path(where))
    database = Database(where, patience)
    try:
        _bring_up_to_date(database)
    except BaseException:
        database.close()
        raise
    return database


def _place(url_or_path: str | Path) -> str:
    text = str(url_or_path)
    scheme, found, rest = text.partition("://")
    if not found:
        return text
    if scheme != "sqlite":
        raise TerminalError(f"unknown kind of database {scheme!r}; known is: sqlite:///PATH, or just a path")
    return rest.removeprefix("/") or MEMORY


def _create(path: Path) -> None:
    """Make the file readable for its owner alone; SQLite gives its companions the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise TerminalError(
            f"the database {path} cannot be opened. The folder has to exist, and both to be writable for this user "
            f"({error.strerror})"
        ) from error


def _engine(where: str, patience: float) -> Engine:
    url = URL.create("sqlite", database=where)
    if where == MEMORY:
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        engine = create_engine(url, pool_size=8, max_overflow=56, pool_timeout=patience)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins no transactions: `begin` below does
        connection.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock first: one that begins by reading could find its snapshot outdated when it writes.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _bring_up_to_date(database: Database) -> None:
    with database.reading() as connection:
        current = _version(connection, database.where)
    if current == tables.HEAD:
        return
    if database.where != MEMORY:
        database.use_write_ahead_log()
    with database.writing() as connection:
        current = _version(connection, database.where)  # another process may have been faster
        if current is None:
            tables.metadata.create_all(connection)
            connection.execute(insert(tables.version).values(version_num=tables.HEAD))
        elif current < tables.HEAD:
            from reconciler.store.migrations import upgrade  # noqa: PLC0415 - Alembic takes 0.1 s of a cold start

            upgrade(connection)


def _version(connection: Connection, where: str) -> str | None:
    """The schema's version; "" before the first, None for an empty database. Raises TerminalError for a foreign one."""
    names = inspect(connection).get_table_names()
    if not names:
        return None
    if tables.version.name not in names:
        raise TerminalError(f"the database {where} is not one of prodsprint: it holds {', '.join(sorted(names)[:3])}")
    current = connection.execute(select(tables.version.c.version_num)).scalar() or ""
    if current > tables.HEAD:
        raise TerminalError(
            f"the database {where} was written by a newer prodsprint: its schema is {current}, this one knows up to "
            f"{tables.HEAD}. Start the newer version, or restore a backup from before the upgrade"
        )
    return str(current)
