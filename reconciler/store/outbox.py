"""Rows of the outbox: one delivery per audit entry and notifier, from waiting to done or dead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, update

from reconciler.core.audit import microseconds
from reconciler.core.digest import canonical
from reconciler.ports import Delivery, Event
from reconciler.store.codec import clean
from reconciler.store.tables import audit, deliveries

_WAITING, _DONE, _DEAD = "waiting", "done", "dead"

_ADD = insert(deliveries)
_JOINED = select(
    deliveries.c.id,
    deliveries.c.notifier,
    deliveries.c.attempts,
    deliveries.c.error,
    audit.c.id.label("event"),
    audit.c.type,
    audit.c.key,
    audit.c.at,
    audit.c.actor,
    audit.c.generation,
    audit.c.message,
    audit.c.body,
    audit.c.workspace,
    audit.c.seq,
    audit.c.hash,
).join(audit, audit.c.id == deliveries.c.event)
_DUE = (
    _JOINED.where(deliveries.c.status == _WAITING, deliveries.c.due <= bindparam("now"))
    .order_by(deliveries.c.id)
    .limit(bindparam("limit"))
)
_BURIED = _JOINED.where(deliveries.c.status == _DEAD).order_by(deliveries.c.id.desc()).limit(bindparam("limit"))
_COUNTS = select(deliveries.c.status, func.count()).where(deliveries.c.status != _DONE).group_by(deliveries.c.status)
_ONE = deliveries.c.id == bindparam("one")
_DELIVERED = update(deliveries).where(_ONE, deliveries.c.status == _WAITING).values(status=_DONE)
_FAILED = (
    update(deliveries)
    .where(_ONE, deliveries.c.status == _WAITING)
    .values(
        attempts=deliveries.c.attempts + 1,
        error=bindparam("why"),
        status=bindparam("next"),
        due=bindparam("again"),
    )
)
_REPLAY = (
    update(deliveries).where(_ONE, deliveries.c.status == _DEAD).values(status=_WAITING, due=0.0, attempts=0, error="")
)


def add(connection: Connection, events: Iterable[int], notifiers: tuple[str, ...]) -> None:
    """Queue every event for every notifier, due at once (whatever the clock says)."""
    rows = [
        {"event": event, "notifier": name, "status": _WAITING, "due": 0.0, "attempts": 0, "error": ""}
        for event in events
        for name in notifiers
    ]
    if rows:
        connection.execute(_ADD, rows)


def due(connection: Connection, now: float, limit: int) -> tuple[Delivery, ...]:
    """Waiting deliveries whose time has come by ``now``, oldest first."""
    return tuple(_read(row) for row in connection.execute(_DUE, {"now": now, "limit": limit}))


def dead(connection: Connection, limit: int) -> tuple[Delivery, ...]:
    """Dead letters, newest first."""
    return tuple(_read(row) for row in connection.execute(_BURIED, {"limit": limit}))


def backlog(connection: Connection) -> tuple[int, int]:
    """How many deliveries wait, and how many are dead letters."""
    counts: dict[str, int] = {status: number for status, number in connection.execute(_COUNTS)}  # noqa: C416  # rows
    return counts.get(_WAITING, 0), counts.get(_DEAD, 0)


def delivered(connection: Connection, delivery: int) -> None:
    """Mark a waiting delivery as done."""
    connection.execute(_DELIVERED, {"one": delivery})


def failed(connection: Connection, delivery: int, error: str, again: float | None) -> None:
    """Count a failed try of a waiting delivery, which is next tried at ``again``, or never (None)."""
    status = _DEAD if again is None else _WAITING
    connection.execute(_FAILED, {"one": delivery, "why": clean(error), "next": status, "again": again or 0.0})


def replay(connection: Connection, delivery: int) -> bool:
    """Queue a dead letter again, with all its tries; False when there is no such one."""
    return connection.execute(_REPLAY, {"one": delivery}).rowcount == 1


def prune(connection: Connection, before: float) -> None:
    """Drop what was delivered and happened before that time."""
    old = exists().where(audit.c.id == deliveries.c.event, audit.c.at < microseconds(before))
    connection.execute(delete(deliveries).where(deliveries.c.status == _DONE, old))


def _read(row: Any) -> Delivery:
    body = {
        "actor": row.actor,
        "data": _data(row.body),
        "generation": row.generation,
        "hash": row.hash,
        "message": row.message,
        "seq": row.seq,
        "workspace": row.workspace,
    }
    event = Event(row.event, row.type, row.key, row.at / 1_000_000, clean(canonical(body)))
    return Delivery(row.id, row.notifier, event, row.attempts, row.error)


def _data(body: str) -> object:
    """What a record said; text that is no JSON stays text, since one bad entry must not hold up all others."""
    try:
        return json.loads(body)
    except ValueError:
        return body
