"""What targets, routers and metrics sources report: instances, traffic, counters. Everything here is frozen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.desired import Instant


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
