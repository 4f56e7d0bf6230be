"""Rows of the audit chain: adding to it, reading and verifying it. What is hashed is in ``core.audit``.

``chains`` holds the number and hash of the last entry of every workspace; its row of the empty name counts the entries of
all workspaces. That row gives the ids: taken under its lock and kept to the commit, they grow in commit order and leave no
gap, so that a watcher that has seen an id has seen all smaller ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from reconciler.core.audit import GENESIS, link, microseconds, verify
from reconciler.core.desired import Key
from reconciler.core.state import Record
from reconciler.ports import AuditEntry, ChainReport
from reconciler.store.codec import clean
from reconciler.store.tables import audit, chains

_ALL = ""
_HEADS = select(chains).where(chains.c.workspace.in_((_ALL, bindparam("workspace")))).with_for_update()
_ADD = insert(audit)
_MOVE = (
    update(chains)
    .where(chains.c.workspace == bindparam("of"))
    .values(seq=bindparam("to_seq"), hash=bindparam("to_hash"))
)
_COLUMNS = tuple(audit.c.keys())
_HEAD = select(chains.c.seq).where(chains.c.workspace == _ALL)


@dataclass(frozen=True, slots=True)
class Origin:
    """What the entries of one transaction have in common; ``at`` in Unix seconds."""

    key: Key
    generation: int
    at: float


def add(connection: Connection, origin: Origin, records: Sequence[Record]) -> tuple[int, ...]:
    """Add one entry per record to the workspace's chain, and return their ids."""
    if not records:
        return ()
    workspace = origin.key.workspace
    heads = {row.workspace: row for row in connection.execute(_HEADS, {"workspace": workspace})}
    newest = heads[_ALL].seq if _ALL in heads else 0
    seq, head = (heads[workspace].seq, heads[workspace].hash) if workspace in heads else (0, GENESIS)
    entries = []
    for count, record in enumerate(records, 1):
        entry = _entry(newest + count, seq + count, origin, record, head)
        head = entry.hash
        entries.append(entry)
    connection.execute(_ADD, [_row(entry) for entry in entries])
    _move(connection, heads, {_ALL: (newest + len(entries), GENESIS), workspace: (seq + len(entries), head)})
    return tuple(entry.id for entry in entries)


def _entry(identity: int, seq: int, origin: Origin, record: Record, previous: str) -> AuditEntry:
    entry = AuditEntry(
        id=identity,
        workspace=origin.key.workspace,
        seq=seq,
        at=origin.at,
        actor=clean(record.actor),
        key=str(origin.key),
        generation=origin.generation,
        type=record.type,
        message=clean(record.message),
        body=clean(record.body),
        previous=previous,
        hash="",
    )
    return replace(entry, hash=link(entry))


def _row(entry: AuditEntry) -> dict[str, object]:
    columns = {name: getattr(entry, name) for name in _COLUMNS}
    return {**columns, "at": microseconds(entry.at)}


def _move(connection: Connection, known: dict[str, Row[Any]], heads: dict[str, tuple[int, str]]) -> None:
    moved = [{"of": name, "to_seq": seq, "to_hash": text} for name, (seq, text) in heads.items() if name in known]
    new = [{"workspace": name, "seq": seq, "hash": text} for name, (seq, text) in heads.items() if name not in known]
    if moved:
        connection.execute(_MOVE, moved)
    if new:
        connection.execute(insert(chains), new)


def newest(connection: Connection) -> int:
    """Id of the newest entry; 0 when there is none."""
    return int(connection.execute(_HEAD).scalar() or 0)


def after(connection: Connection, cursor: int, limit: int, workspace: str, key: str) -> tuple[AuditEntry, ...]:
    """Entries with a greater id than ``cursor``, oldest first, of one workspace and key where they are not empty."""
    query = select(audit).where(audit.c.id > cursor).order_by(audit.c.id).limit(limit)
    if workspace:
        query = query.where(audit.c.workspace == workspace)
    if key:
        query = query.where(audit.c.key == key)
    return tuple(_read(row) for row in connection.execute(query))


def _read(row: Row[Any]) -> AuditEntry:
    columns = dict(zip(_COLUMNS, row, strict=True))
    return AuditEntry(**{**columns, "at": row.at / 1_000_000})


def reports(connection: Connection) -> Iterator[ChainReport]:
    """Verify the chain of every workspace, in order of their names. A fault of the whole table has the workspace ""."""
    heads = {row.workspace: (int(row.seq), str(row.hash)) for row in connection.execute(select(chains))}
    total, _ = heads.pop(_ALL, (0, GENESIS))
    rows = connection.execution_options(yield_per=1000).execute(select(audit).order_by(audit.c.workspace, audit.c.seq))
    for workspace, entries in groupby((_read(row) for row in rows), lambda entry: entry.workspace):
        yield _report(workspace, entries, heads.pop(workspace, (0, GENESIS)))
    for workspace, head in sorted(heads.items()):
        yield _report(workspace, (), head)
    found = connection.execute(select(func.count()).select_from(audit)).scalar_one()
    if found != total:
        yield ChainReport("", found, "", f"{total} entries were written in all workspaces together, {found} are there")


def _report(workspace: str, entries: Iterable[AuditEntry], head: tuple[int, str]) -> ChainReport:
    checked = verify(entries, *head)
    return ChainReport(workspace, checked.entries, checked.head, checked.fault)
