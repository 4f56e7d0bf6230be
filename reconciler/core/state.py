"""What is remembered of one key: releases, the attempt in progress, plans, conditions, requests and history.

Everything here is frozen; wall-clock times are Unix seconds in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.core.desired import Instant, Key, Release
from reconciler.core.observed import ControlHistory


class Phase(StrEnum):
    """Where a rollout is. STEPPING covers capacity, traffic and bake of the current step."""

    STEPPING = "stepping"
    PROMOTING = "promoting"
    ROLLING_BACK = "rolling_back"


class Result(StrEnum):
    """How an attempt ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"


class RolloutKind(StrEnum):
    """Why there is a rollout: a new release, or the way back to a certified one."""

    RELEASE = "release"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt in progress."""

    attempt: int
    kind: RolloutKind
    release: Release
    phase: Phase
    step: int
    started: Instant
    entered: Instant
    """When the current step or phase was entered."""
    confirmed: Instant | None = None
    """When the router first confirmed the traffic of this step or phase; None until then."""
    result: Result | None = None
    """Set once the way back has begun: how the attempt will be recorded."""
    reason: str = ""
    held: Instant | None = None
    """Since when the step waits for a person; None when it does not."""
    extended: float = 0.0
    """Seconds of bake that a person has granted on top of the strategy's longest."""
    control: ControlHistory = field(default_factory=ControlHistory)
    """The control's history up to the start of the attempt: fixed then, so that no look can choose it."""
    restarts: int = 0
    """How often its instances had gone down by themselves before they got traffic: that is no failure of the canary."""
    served: bool = False
    """Whether it had all traffic before the attempt began: an overtaken first release that is asked for again."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A digest that may not be rolled out again, and why."""

    digest: str
    reason: str
    at: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A finished attempt, for history and for the choice of where to go back to."""

    attempt: int
    kind: RolloutKind
    digest: str
    version: str
    revision: str
    commit: str
    result: Result
    reason: str
    started: float
    ended: float
    bad_requests: int = 0
    """Requests that the canary answered in this attempt."""
    restore_seconds: float | None = None
    """From the verdict to the observed return of all traffic; None when nothing had to be restored."""


class Verb(StrEnum):
    """What a person may ask of the daemon for one key."""

    SYNC = "sync"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"
    ROLLBACK = "rollback"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Request:
    """A verb that waits to be decided on. ``expires`` (Unix seconds) bounds what a pause leaves behind.

    ``attempt`` and ``step`` (``Rollout.step``, from 0) are what was seen by whoever asks to promote or to abort; attempt 0
    binds the request to nothing.
    """

    id: int
    verb: Verb
    who: str
    reason: str
    at: float
    expires: float | None = None
    attempt: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened in a transition, for the audit chain and the outbox. ``body`` is canonical JSON."""

    type: str
    """Dotted and stable, such as ``rollout.rolled_back``."""
    actor: str
    """Who caused it: ``daemon`` or an identity."""
    message: str
    """One sentence for people."""
    body: str = "{}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request."""

    request: int
    accepted: bool
    message: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Promotion is held by a person until ``until`` (Unix seconds) or a resume; the way back is not."""

    who: str
    reason: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Retirement:
    """A key is taken out of service, for good: traffic first, then the instances."""

    who: str
    reason: str
    began: Instant
    confirmed: Instant | None = None
    """When the router first confirmed that nothing is sent there any more; None until then."""
    ended: float | None = None
    """When nothing of it was left (Unix seconds); None until then."""


@dataclass(frozen=True, slots=True)
class Route:
    """The traffic split a plan asks for, by digest; endpoints are looked up when it is applied."""

    port: int
    stable: str | None
    canary: str | None
    weight: int


@dataclass(frozen=True, slots=True)
class KeyState:
    """All that is remembered of one key; one row, replaced by compare-and-set on ``revision``."""

    key: Key
    revision: int = 0
    """Number of commits of this row; what compare-and-set compares."""
    generation: int = 0
    """Number of the newest plan; the fencing token of actions."""
    attempts: int = 0
    """Number of the last attempt."""
    stable: Release | None = None
    """The release that serves: certified, and what a rollback goes back to."""
    certified: tuple[Release, ...] = ()
    """Releases that completed their bake, newest first; the first is ``stable``."""
    quarantined: tuple[Quarantine, ...] = ()
    rollout: Rollout | None = None
    pause: Pause | None = None
    plan: Plan | None = None
    conditions: tuple[Condition, ...] = ()
    history: tuple[Attempt, ...] = ()
    """Finished attempts, newest first, bounded."""
    retirement: Retirement | None = None
    """Why and how the key goes, or went, out of service; None while it is to stay."""
    problem: str = ""
    """What was last recorded to be wrong with the manifest; empty once it is mended."""


def retired(state: KeyState) -> bool:
    """Whether the key was taken out of service, and nothing of it is left but its history."""
    return state.retirement is not None and state.retirement.ended is not None


@dataclass(frozen=True, slots=True)
class Scale:
    """Run ``count`` instances of a release; 0 stops and removes them."""

    digest: str
    count: int
    kind: str = "scale"


@dataclass(frozen=True, slots=True)
class SetRoute:
    """Send traffic as ``route`` says."""

    route: Route
    needs: tuple[tuple[str, int], ...] = ()
    """(digest, ready instances) that have to be there before: capacity first."""
    kind: str = "route"


Action = Scale | SetRoute


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered actions for one key. Complete, immutable, saved before anyone acts on it."""

    key: Key
    generation: int
    parent: int
    actions: tuple[Action, ...]
    releases: tuple[Release, ...]
    """Every release the actions name."""
    reason: str
    digest: str = ""


class ConditionType(StrEnum):
    """The questions a condition answers."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    HEALTHY = "Healthy"
    DRIFTED = "Drifted"


class ConditionStatus(StrEnum):
    """The answers."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One answer, with its reason (CamelCase), message for people, and since when (Unix seconds)."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str
    generation: int
    since: float = field(default=0.0)
