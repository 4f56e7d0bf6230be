"""What git asks for: keys, artifacts, strategies and desired states; and the time.

Everything here is frozen. Weights are integers in hundredths of a percent (0 to 10000), durations are seconds, wall-clock
times are Unix seconds in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
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


class OnDelete(StrEnum):
    """What becomes of an environment whose manifest is removed."""

    KEEP = "keep"
    """It goes on serving what it serves, without a release to come, until somebody says otherwise."""
    DESTROY = "destroy"
    """Traffic goes, then the instances."""


@dataclass(frozen=True, slots=True)
class Component:
    """One of several services that are released together: what of a desired state it has for itself."""

    name: str
    artifact: Artifact
    spec: str
    runtime: str
    instances: int
    port: int


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
    after: tuple[str, ...]
    """Names of the environments that have to have certified the same artifacts first."""
    commit: str
    """Config repo commit this was compiled from."""
    path: str
    """Manifest file within the config repo."""
    needs: tuple[Key, ...] = ()
    """Environments of other projects that have to serve what git asks of them first (``dependsOn``)."""
    on_delete: OnDelete = OnDelete.KEEP
    component: str = ""
    """Name of the component that the fields above describe; empty for a project that is one service."""
    components: tuple[Component, ...] = ()
    """The other components, in the order of the manifest. All share the target's kind, the router, strategy and verdict."""


@dataclass(frozen=True, slots=True)
class Release:
    """A desired state frozen under its digest: all that is needed to run it again, without any repo."""

    digest: str
    desired: DesiredState


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a key whose manifest was removed: the last valid desired state, and the commit that removed it."""

    desired: DesiredState
    commit: str
