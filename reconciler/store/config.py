"""``memory.ConfigMemory`` in the store's database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Table, bindparam, delete, insert, select

from reconciler.core.desired import DesiredState, Key
from reconciler.core.outcome import TerminalError
from reconciler.core.state import Record
from reconciler.memory import Applied, Carried, Carry, KnownFile, Memo, Remembered, Survivor
from reconciler.store import chain, outbox
from reconciler.store.chain import Origin
from reconciler.store.database import Database
from reconciler.store.group import GroupCommit
from reconciler.store.tables import applied, carried, drafts, files, granted, since, survivors, versions

V = TypeVar("V")
AT_ONCE = 500
"""Names in one query: SQLite takes some ten thousand, other databases fewer."""


@cache
def _desired() -> TypeAdapter[DesiredState]:
    return TypeAdapter(DesiredState)


class SqlConfigMemory:
    """Implements ``memory.ConfigMemory`` beside the keys' states, with the same group commit."""

    def __init__(self, database: Database, group: GroupCommit, notifiers: tuple[str, ...]) -> None:
        self._database = database
        self._group = group
        self._notifiers = notifiers

    def load(self) -> Remembered:
        """All but the drafts."""
        with self._database.reading() as connection:
            return Remembered(
                tuple(Applied(*row) for row in connection.execute(select(applied))),
                tuple(KnownFile(*row) for row in connection.execute(select(files))),
                tuple(_carried(*row) for row in connection.execute(select(carried))),
                {Key.parse(key): commit for key, commit in connection.execute(select(since))},
                tuple(
                    Survivor(identity, path, bytes(record))
                    for identity, path, record in connection.execute(select(survivors))
                ),
                {project: tuple(json.loads(usage)) for project, usage in connection.execute(select(granted))},
                {(source, name): commit for source, name, commit in connection.execute(select(versions))},
            )

    def records(self, language: str, blobs: Iterable[str] | None = None) -> dict[str, bytes]:
        """Encoded drafts of that language version by blob id: those of ``blobs``, or all."""
        wanted = select(drafts.c.blob, drafts.c.record).where(drafts.c.language == language)
        with self._database.reading() as connection:
            if blobs is None:
                return {blob: bytes(record) for blob, record in connection.execute(wanted)}
            found: dict[str, bytes] = {}
            for some in _chunks(blobs):
                rows = connection.execute(wanted.where(drafts.c.blob.in_(some)))
                found |= {blob: bytes(record) for blob, record in rows}
            return found

    def save(self, language: str, memo: Memo) -> None:
        """Write what a compilation changed, in one transaction."""

        def work(connection: Connection) -> None:
            heads = {one.repo: one for one in memo.applied}
            _replace(connection, applied, heads, lambda one: (one.repo, one.commit, one.signer, one.name))
            _replace(connection, files, memo.files, lambda one: (one.repo, one.path, one.blob, one.why), column="path")
            _replace(connection, carried, _texts(memo.carried), _carried_row)
            _replace(connection, since, _texts(memo.since), lambda commit: (commit,), keyed=True)
            _replace(connection, survivors, memo.survivors, lambda one: (one.identity, one.path, one.record))
            _replace(connection, granted, memo.granted, lambda usage: (json.dumps(usage),), keyed=True)
            _resolved(connection, memo.versions)
            records = {blob: (blob, language, data) for blob, data in memo.records.items()}
            _replace(connection, drafts, records, lambda row: row)

        self._group.do(work)

    def forget_records(self, language: str, used: frozenset[str]) -> None:
        """Drop drafts of other versions, and of blobs that no file has any more."""

        def work(connection: Connection) -> None:
            connection.execute(delete(drafts).where(drafts.c.language != language))
            there = connection.execute(select(drafts.c.blob)).scalars().all()
            for some in _chunks(blob for blob in there if blob not in used):
                connection.execute(delete(drafts).where(drafts.c.blob.in_(some)))

        self._group.do(work)

    def drop(self, repos: frozenset[str]) -> None:
        """Forget the commits and files of repos that are not followed any more."""

        def work(connection: Connection) -> None:
            for table in (applied, files):
                connection.execute(delete(table).where(table.c.repo.in_(repos)))

        self._group.do(work)

    def note(self, subject: Key, records: tuple[Record, ...], at: float) -> None:
        """Leave audit entries, and their events, about something that is no decision on a key (Unix seconds)."""

        def work(connection: Connection) -> None:
            outbox.add(connection, chain.add(connection, Origin(subject, 0, at), records), self._notifiers)

        self._group.do(work)


def _texts(by_key: Mapping[Key, V]) -> dict[str, V]:
    return {str(key): value for key, value in by_key.items()}


def _replace(
    connection: Connection,
    table: Table,
    changes: Mapping[str, V | None],
    row: Callable[[V], tuple[object, ...]],
    *,
    column: str = "",
    keyed: bool = False,
) -> None:
    """Put rows in the place of those with the same name; ``keyed``: the name comes before what ``row`` gives."""
    if not changes:
        return
    name = table.c[column] if column else next(iter(table.primary_key))
    connection.execute(delete(table).where(name == bindparam("gone")), [{"gone": one} for one in changes])
    names = table.c.keys()
    rows = [
        dict(zip(names, (((one,) if keyed else ()) + row(value)), strict=True))
        for one, value in changes.items()
        if value is not None
    ]
    if rows:
        connection.execute(insert(table), rows)


def _resolved(connection: Connection, found: Mapping[tuple[str, str], str | None]) -> None:
    if not found:
        return
    mine = (versions.c.source == bindparam("of"), versions.c.version == bindparam("named"))
    connection.execute(delete(versions).where(*mine), [{"of": source, "named": name} for source, name in found])
    rows = [{"source": s, "version": name, "commit": commit} for (s, name), commit in found.items() if commit]
    if rows:
        connection.execute(insert(versions), rows)


def _carried_row(one: Carried) -> tuple[object, ...]:
    return str(one.key), str(one.carry), _desired().dump_json(one.desired).decode(), one.commit


def _carried(key: str, carry: str, desired: str, commit: str) -> Carried:
    try:
        return Carried(Key.parse(key), Carry(carry), _desired().validate_json(desired), commit)
    except (ValidationError, ValueError) as error:
        raise TerminalError(f"what is kept for {key} cannot be read: {error}. Restore a backup") from error


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    left = iter(names)
    while some := list(islice(left, AT_ONCE)):
        yield some
