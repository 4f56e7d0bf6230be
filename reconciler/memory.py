"""What is remembered of config repos between two starts, so that a restart parses nothing and forgets nothing.

A cache as far as manifests go (they can be read again from the mirror), and more than that for what git does not say any
more: which commit was applied, what is kept in force, what was removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from reconciler.core.desired import DesiredState, Key
from reconciler.core.state import Record


@dataclass(frozen=True, slots=True)
class Applied:
    """The commit of a config repo (``URL#branch``) that is in force, and who signed it (empty when nobody has to)."""

    repo: str
    commit: str
    signer: str = ""
    name: str = ""
    """What the paths of its files began with."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A manifest file in force. ``why`` is the reason when it could not be read at all, and ``blob`` is empty then."""

    repo: str
    path: str
    blob: str
    why: str = ""


class Carry(StrEnum):
    """Why a key has a desired state that no manifest gives."""

    KEPT = "kept"
    """Its manifest has a problem."""
    HELD = "held"
    """Its manifest was removed by a commit over the budget."""
    TOMBSTONE = "tombstone"


@dataclass(frozen=True, slots=True)
class Carried:
    """A desired state that stays although no manifest gives it, and the commit since when."""

    key: Key
    carry: Carry
    desired: DesiredState
    commit: str


@dataclass(frozen=True, slots=True)
class Survivor:
    """A document other than a project that is in force although its file does not give it any more: path, and draft."""

    identity: str
    path: str
    record: bytes


@dataclass(frozen=True, slots=True)
class Remembered:
    """Everything that a restart begins with."""

    applied: tuple[Applied, ...] = ()
    files: tuple[KnownFile, ...] = ()
    carried: tuple[Carried, ...] = ()
    since: Mapping[Key, str] = field(default_factory=dict)
    """The commit that each desired state began with."""
    survivors: tuple[Survivor, ...] = ()
    granted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """What projects (``workspace/name``) may use of their quotas."""
    versions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """The commit that each version of a source was found at."""


@dataclass(frozen=True, slots=True)
class Memo:
    """What one compilation changed. ``None`` for a path or key forgets it."""

    applied: tuple[Applied, ...] = ()
    files: Mapping[str, KnownFile | None] = field(default_factory=dict)
    carried: Mapping[Key, Carried | None] = field(default_factory=dict)
    since: Mapping[Key, str | None] = field(default_factory=dict)
    survivors: Mapping[str, Survivor | None] = field(default_factory=dict)
    granted: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict)
    versions: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    records: Mapping[str, bytes] = field(default_factory=dict)
    """Drafts of blobs, encoded."""


class ConfigMemory(Protocol):
    """Remembers config repos. Every write is durable when the call returns. Raises TransientError or TerminalError."""

    def load(self) -> Remembered:
        """All but the drafts."""
        ...

    def records(self, language: str, blobs: Iterable[str] | None = None) -> dict[str, bytes]:
        """Encoded drafts of that language version by blob id: those of ``blobs``, or all."""
        ...

    def save(self, language: str, memo: Memo) -> None:
        """Write what a compilation changed, in one transaction."""
        ...

    def forget_records(self, language: str, used: frozenset[str]) -> None:
        """Drop drafts of other versions, and of blobs that no file has any more."""
        ...

    def drop(self, repos: frozenset[str]) -> None:
        """Forget the commits and files of repos that are not followed any more."""
        ...

    def note(self, subject: Key, records: tuple[Record, ...], at: float) -> None:
        """Leave audit entries, and their events, about something that is no decision on a key (Unix seconds)."""
        ...
