"""The values that decisions are made of: what is desired, what is observed, and what is remembered of one key.

Everything here is frozen. Weights are integers in hundredths of a percent (0 to 10000), durations are seconds,
wall-clock times are Unix seconds in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

FULL_WEIGHT = 10_000
"""All traffic, in hundredths of a percent."""


@dataclass(frozen=True, slots=True)
class Instant:
    """One reading of the clock: ``wall`` may jump; ``mono`` (CLOCK_BOOTTIME) never does within one ``boot``."""

    wall: float
    mono: float
    boot: str

    def since(self, earlier: Instant) -> float:
        """Seconds since an earlier instant; monotonic within one boot, else wall clock; never negative."""
        if self.boot == earlier.boot:
            return max(0.0, self.mono - earlier.mono)
        return max(0.0, self.wall - earlier.wall)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """(workspace, project, environment): the unit of queueing, locking and history."""

    workspace: str
    project: str
    environment: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.project}/{self.environment}"

    def side(self, role: str) -> str:
        """Name of one side of the traffic split (``stable`` or ``canary``), as routers and metrics sources know it."""
        return f"{self}/{role}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read ``workspace/project/environment``. Raises ValueError for anything else."""
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"expected workspace/project/environment, found {text!r}")
        return cls(*parts)


# --- desired ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Artifact:
    """The git commit that runs: a service repo's URL, the full object id, and the name it was asked for by."""

    source: str
    revision: str
    version: str


class StrategyKind(StrEnum):
    """How a release reaches all traffic."""

    CANARY = "canary"
    ALL_AT_ONCE = "all-at-once"


@dataclass(frozen=True, slots=True)
class Step:
    """One canary step: a weight, and the least time (seconds) and requests to the canary before it may be left."""

    weight: int
    bake: float
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Strategy:
    """Ordered steps (the last has FULL_WEIGHT) and the limits that hold for each of them, in seconds."""

    kind: StrategyKind
    steps: tuple[Step, ...]
    max_bake: float
    """Longest time a step may wait for evidence before it is held for a person."""
    hold_deadline: float
    """Longest time a held rollout waits for a person before it is rolled back."""
    progress_deadline: float
    """Longest time the instances of a step may take to become ready, builds included."""
    drain: float = 5.0
    """Time that instances without new requests get to finish what is in flight, before they are stopped."""


@dataclass(frozen=True, slots=True)
class AnalysisPolicy:
    """What the analysis has to show, and how sure it has to be. See ``core.analysis`` for the method."""

    source: str = "envoy"
    interval: float = 10.0
    """Seconds between two looks."""
    warmup: float = 0.0
    """Seconds at the start of the attempt whose requests are not counted (cold caches)."""
    error_budget: float = 0.01
    """Absolute failure probability that a healthy release stays under."""
    tolerance: float = 1.25
    """Ratio of failure probabilities, canary to control, that is still no regression."""
    pass_ratio: float = 2.0
    """Ratio that has to be excluded before a release is healthy against the control."""
    false_rollback: float = 0.01
    """Alpha: bound on the probability that an equally good release is ever called regressed."""
    false_pass: float = 0.05
    """Beta: bound on the probability that a release at the bar is ever called healthy."""
    no_data_after: float = 60.0
    """Seconds without one request to the canary before the verdict says no_data."""
    provider_error_after: float = 30.0
    """Seconds without one good reading before the verdict says provider_error."""


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What a commit asks for one key, fully resolved.

    ``spec`` is the target's own configuration in canonical JSON: the part that changes behaviour, and so is bound by the
    release digest. ``runtime`` (deadlines and the like, canonical JSON) is not.
    """

    key: Key
    artifact: Artifact
    target: str
    spec: str
    runtime: str
    instances: int
    port: int
    router: str
    strategy: Strategy
    analysis: AnalysisPolicy
    after: str | None
    """Name of the environment that has to have certified the same artifact first."""
    commit: str
    """Config repo commit this was compiled from."""
    path: str
    """Manifest file within the config repo."""


@dataclass(frozen=True, slots=True)
class Release:
    """A desired state frozen under its digest: all that is needed to run it again, without any repo."""

    digest: str
    desired: DesiredState


# --- observed --------------------------------------------------------------------------------------------------------


class InstanceStatus(StrEnum):
    """What one instance is doing. FAILED means that it will not get better by waiting."""

    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    BACKING_OFF = "backing_off"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a release, as its target reports it."""

    id: str
    digest: str
    ordinal: int
    status: InstanceStatus
    endpoint: str = ""
    """``host:port`` it listens on; empty until it has one."""
    restarts: int = 0
    """Times it went down by itself since it was first started."""
    message: str = ""
    """Why it is not ready, in words for people."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The instances of one release that get traffic, ``host:port`` each."""

    digest: str
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Where a router sends the requests that reach ``port``: ``weight`` of them to the canary, the rest to stable."""

    port: int
    stable: Backend | None
    canary: Backend | None
    weight: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What target and router report for one key. ``traffic`` is None while the router serves nothing for it."""

    instances: tuple[Instance, ...] = ()
    traffic: Traffic | None = None
    error: str = ""
    """Why the observation is incomplete; empty when it is whole. An incomplete one leads to no action but the way back."""
    instances_known: bool = False
    """Whether ``instances`` are all there are, in spite of ``error``; else they are those that could be seen."""
    traffic_known: bool = False
    """Whether ``traffic`` is what the router reports, in spite of ``error``."""

    @property
    def sees_instances(self) -> bool:
        """Whether the instances were observed in full."""
        return not self.error or self.instances_known

    @property
    def sees_traffic(self) -> bool:
        """Whether the router was observed."""
        return not self.error or self.traffic_known


# --- measured --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counters:
    """Cumulative integer counters of one side, as the metrics source holds them.

    ``epoch`` names the life of the counters (they restart at 0 in a new one). ``buckets`` are cumulative histogram counts:
    (upper edge in milliseconds, requests at most that slow), without the +Inf one; ``timed`` is the +Inf count.
    """

    epoch: str
    sent: int
    answered: int
    failed: int
    timed: int = 0
    buckets: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the metrics source for one key. A side that the source knows nothing of is None.

    ``error`` is set, and both sides are None, when the source could not be read.
    """

    at: Instant
    stable: Counters | None = None
    canary: Counters | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A reading that belongs to an attempt, with the weight that was observed (not asked for) at that time.

    ``step`` is the index of the step being baked, or -1 outside of one.
    """

    attempt: int
    seq: int
    step: int
    weight: int
    reading: Reading


@dataclass(frozen=True, slots=True)
class ControlHistory:
    """What is known of the control's failures before this attempt, for the overdispersion (``core.dispersion``).

    ``numerator / denominator`` is the estimate over blocks of ticks; ``denominator`` is also what the estimate is worth, in
    expected failures, capped by its degrees of freedom.
    """

    requests: int = 0
    failures: int = 0
    numerator: float = 0.0
    denominator: float = 0.0


# --- remembered ------------------------------------------------------------------------------------------------------


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


# --- plan and conditions are values of the state too; their behaviour lives in core.plan and core.condition ------------


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
