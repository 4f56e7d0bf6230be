"""What a worker process is asked, and what it answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """One look at a remote, and the fetch that follows when it moved. ``deadline`` in seconds for all of it."""

    folder: str
    url: str
    deadline: float
    seen: str = ""
    """Digest of the refs that the mirror is known to hold; see ``Report.digest``."""
    branches: tuple[str, ...] = ()
    """Branches to look at, "" being the default one; all branches and tags when none is named."""
    username: str = ""
    token: str = field(default="", repr=False)
    key: str = ""
    most_bytes: int = 4096 * MIB
    most_refs: int = 100_000

    def pack(self) -> bytes:
        """The job as JSON."""
        return json.dumps(asdict(self)).encode()


def unpack(raw: bytes) -> Job:
    """The job that ``Job.pack`` wrote."""
    values = json.loads(raw)
    return Job(**{**values, "branches": tuple(values["branches"])})


@dataclass(frozen=True, slots=True)
class Quota:
    """What a server said about how often it may be asked."""

    remaining: int = -1
    """Requests left; -1 when it does not say."""
    wait: float = 0.0
    """Seconds to leave it alone; 0 when it does not ask for that."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a job went. ``error`` is a sentence; ``terminal`` says that it stays so until somebody changes something."""

    changed: bool = False
    same: bool = False
    """Whether the remote has just what ``Job.seen`` stands for; the fields below are then left out."""
    refs: int = 0
    default: str = ""
    digest: str = ""
    """Stands for all that was looked at, and is equal only where all of it is; "" when the mirror may hold something else."""
    error: str = ""
    terminal: bool = False
    damaged: bool = False
    """Whether files of the mirror seem to be damaged."""
    away: bool = False
    """Whether no answer at all came from the server."""
    limited: bool = False
    """Whether the server said that it is asked too often, or is too busy."""
    remaining: int = -1
    wait: float = 0.0
    """See ``Quota``."""

    def pack(self) -> bytes:
        """The report as JSON."""
        return json.dumps(asdict(self)).encode()


def read_report(raw: bytes) -> Report | None:
    """The report that ``Report.pack`` wrote; None when it is not that."""
    try:
        values = json.loads(raw)
        return Report(**{item.name: values[item.name] for item in fields(Report)})
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Refs:
    """What a remote advertises: branches and tags with their ids, and its default branch ("" when it names none)."""

    ids: dict[str, str]
    default: str

    @property
    def digest(self) -> str:
        """Hash over all of it."""
        return sha256(json.dumps([sorted(self.ids.items()), self.default]).encode()).hexdigest()

    def only(self, branches: tuple[str, ...]) -> Refs:
        """These branches alone, "" being the default one; everything when none is named."""
        if not branches:
            return self
        names = wanted(branches, self.default)
        return Refs({name: oid for name, oid in self.ids.items() if name in names}, self.default)


def wanted(branches: tuple[str, ...], default: str) -> frozenset[str]:
    """Full names of branches; ``default`` (a full name, or "") stands for ""."""
    return frozenset(f"refs/heads/{branch}" if branch else default for branch in branches) - {""}


def complete(ids: dict[str, str], top: str, default: str) -> Refs:
    """Refs of a server that may not say which branch is the default one; ``top`` is the commit of its HEAD."""
    return Refs(ids, default if default in ids else _guess(ids, top))


def _guess(ids: dict[str, str], top: str) -> str:
    """The default branch of a server too old to name it: main or master, else the only branch with HEAD's commit."""
    same = [name for name, oid in ids.items() if oid == top and name.startswith("refs/heads/")]
    usual = [name for name in ("refs/heads/main", "refs/heads/master") if name in same]
    return usual[0] if usual else same[0] if len(same) == 1 else ""
