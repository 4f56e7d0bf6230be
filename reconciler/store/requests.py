"""Rows of requests: verbs of people, until somebody has decided on them, and what became of them."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, select, update

from reconciler.core.desired import Key
from reconciler.core.digest import canonical
from reconciler.core.state import Answer, Record, Request, Verb
from reconciler.store.codec import clean
from reconciler.store.tables import requests

SUBMITTED = "request.submitted"
"""Type of the audit record that a request leaves at once, whatever becomes of it."""

_ADD = insert(requests)
_OPEN = select(requests).where(requests.c.key == bindparam("of"), requests.c.accepted.is_(None)).order_by(requests.c.id)
_ANSWER = (
    update(requests)
    .where(requests.c.id == bindparam("one"), requests.c.key == bindparam("of"), requests.c.accepted.is_(None))
    .values(accepted=bindparam("verdict"), message=bindparam("text"))
)
_ANSWERED = select(requests).where(requests.c.id == bindparam("one"), requests.c.accepted.is_not(None))


def add(connection: Connection, key: Key, request: Request) -> int:
    """Store a request that waits, and return its id."""
    row = {
        "key": str(key),
        "verb": str(request.verb),
        "who": clean(request.who),
        "reason": clean(request.reason),
        "at": request.at,
        "expires": request.expires,
        "accepted": None,
        "message": "",
        "attempt": request.attempt,
        "step": request.step,
    }
    inserted = connection.execute(_ADD, row).inserted_primary_key
    return int(inserted[0]) if inserted else 0


def record(identity: int, request: Request) -> Record:
    """What the audit says of a request."""
    body = {
        "expires": request.expires,
        "reason": request.reason,
        "request": identity,
        "verb": request.verb,
    }
    message = f"{request.who} asked for {request.verb}: {request.reason}"
    return Record(SUBMITTED, request.who, message, canonical(body))


def waiting(connection: Connection, key: Key) -> tuple[Request, ...]:
    """Requests for a key that nobody has decided on, oldest first."""
    rows = connection.execute(_OPEN, {"of": str(key)})
    return tuple(
        Request(row.id, Verb(row.verb), row.who, row.reason, row.at, row.expires, row.attempt, row.step) for row in rows
    )


def settle(connection: Connection, key: Key, answers: tuple[Answer, ...]) -> None:
    """Note what became of requests for a key. The first answer counts."""
    rows = [
        {"one": answer.request, "of": str(key), "verdict": answer.accepted, "text": clean(answer.message)}
        for answer in answers
    ]
    if rows:
        connection.execute(_ANSWER, rows)


def answer(connection: Connection, identity: int) -> Answer | None:
    """What became of a request; None while it waits, and for an unknown one."""
    row = connection.execute(_ANSWERED, {"one": identity}).one_or_none()
    return None if row is None else Answer(row.id, row.accepted, row.message)
