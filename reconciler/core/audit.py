"""The audit chain: what is hashed of an entry, and how a chain of entries is verified.

Every entry carries the hash of the one before it, so that nobody can change, drop, insert or reorder one without changing
all that follow. ``docs/audit.md`` shows the same in a few lines that need nothing of this package.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from reconciler.core.digest import canonical, sha256

FORM = "prodsprint.audit/1"
"""Version of the hashed form, part of what is hashed."""

GENESIS = "0" * 64
"""What the first entry of a chain names as its predecessor."""


class Entry(Protocol):
    """One link (``ports.AuditEntry``). ``at`` is in Unix seconds, and hashed as whole microseconds."""

    @property
    def id(self) -> int: ...  # noqa: D102 - described by ports.AuditEntry, as are those below
    @property
    def workspace(self) -> str: ...  # noqa: D102
    @property
    def seq(self) -> int: ...  # noqa: D102
    @property
    def at(self) -> float: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def generation(self) -> int: ...  # noqa: D102
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def message(self) -> str: ...  # noqa: D102
    @property
    def body(self) -> str: ...  # noqa: D102
    @property
    def previous(self) -> str: ...  # noqa: D102
    @property
    def hash(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Checked:
    """Outcome of verifying one chain: good entries, the hash of the last of them, the first fault ("" for none)."""

    entries: int = 0
    head: str = GENESIS
    fault: str = ""


def microseconds(seconds: float) -> int:
    """Whole microseconds: a number that every language writes the same way. Raises ValueError for NaN and infinity."""
    if seconds != seconds or seconds in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN is what differs from itself
        raise ValueError(f"not a time: {seconds}")
    return round(seconds * 1_000_000)


def form(entry: Entry) -> str:
    """The text that is hashed: a JSON array of the form's version and every column but ``id`` and ``hash``, in order."""
    return canonical(
        (
            FORM,
            entry.workspace,
            entry.seq,
            microseconds(entry.at),
            entry.actor,
            entry.key,
            entry.generation,
            entry.type,
            entry.message,
            entry.body,
            entry.previous,
        )
    )


def link(entry: Entry) -> str:
    """The hash that the entry has to carry: hex SHA-256 of its form."""
    return sha256(form(entry))


def verify(entries: Iterable[Entry], seq: int, head: str) -> Checked:
    """Recompute one workspace's chain, given in the order of ``seq``.

    ``seq`` and ``head`` are the number and the hash of the last entry as they were kept elsewhere: without them, a chain
    that was cut at its end looks whole.
    """
    good = Checked()
    newest = 0
    for entry in entries:
        fault = _fault(entry, good, newest)
        if fault:
            return Checked(good.entries, good.head, fault)
        good, newest = Checked(entry.seq, entry.hash), entry.id
    return Checked(good.entries, good.head, _tail(good, seq, head))


def _fault(entry: Entry, before: Checked, newest: int) -> str:
    expected = before.entries + 1
    if entry.seq < expected:
        return f"entry {entry.seq} is there twice"
    if entry.seq > expected:
        return f"entry {expected} is missing: {before.entries} is followed by {entry.seq}"
    if entry.previous != before.head:
        return f"entry {entry.seq} does not continue entry {before.entries}: it names another predecessor"
    if entry.hash != link(entry):
        return f"entry {entry.seq} was changed: its content does not have the hash it carries"
    if entry.id <= newest:
        return f"entry {entry.seq} was moved: its id {entry.id} is not greater than {newest}"
    return ""


def _tail(good: Checked, seq: int, head: str) -> str:
    if good.entries < seq:
        return f"the last {seq - good.entries} of {seq} entries are missing"
    if good.entries > seq:
        return f"entries after {seq} were added behind the head"
    if good.head != head:
        return f"the head names another hash than entry {seq} has"
    return ""
