"""The simulated world: virtual time, what happens in it and when, and the traffic that fills the counters."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import log, log1p

from fakes.clock import FakeClock
from fakes.desires import FakeDesires
from fakes.metrics import FakeMetrics
from fakes.router import FakeRouter
from fakes.target import Behaviour, FakeTarget

from reconciler.core.desired import FULL_WEIGHT, DesiredState, Key, Release
from reconciler.core.digest import release_digest
from reconciler.core.observed import Backend, InstanceStatus, Traffic
from reconciler.store.database import Database, open_database


@dataclass(frozen=True, slots=True)
class Truth:
    """What a version is really like, which nobody in the simulation knows: share of failures, and how it starts."""

    fails: float = 0.001
    behaviour: Behaviour = field(default_factory=Behaviour)

    @property
    def good(self) -> bool:
        return self.fails < 0.01 and not self.behaviour.fails and self.behaviour.start < 30.0


@dataclass(slots=True)
class Seen:
    """For how long, and by how many requests, the split now in force has been met."""

    split: tuple[str | None, str | None, int] | None = None
    seconds: float = 0.0
    canary_requests: int = 0


class World:
    """Everything outside of the replicas. ``rate`` is requests per second to every key that is served."""

    def __init__(self, seed: int, truths: dict[str, Truth], rate: float = 1000.0) -> None:
        self.clock = FakeClock()
        self.desires = FakeDesires()
        self.metrics = FakeMetrics(self.clock)
        self.router = FakeRouter(self.clock)
        self.target = FakeTarget(self.clock, lambda release: self.truth(release).behaviour)
        self.database: Database = open_database(":memory:", 1.0)
        self.truths = truths
        self.rate = rate
        self.fails: dict[str, float] = {}
        """The true share of failures by release digest."""
        self.lost = 0
        """Requests that met an endpoint where nothing listens."""
        self.seen: dict[Key, Seen] = {}
        self._chance = random.Random(f"traffic {seed}")
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        self._crashed: set[str] = set()
        self.keys: set[Key] = set()
        """Every key that was ever asked for: what runs goes on being served without a manifest."""

    def truth(self, release: Release) -> Truth:
        return self.truths[release.desired.artifact.version]

    def commit(self, desired: DesiredState) -> None:
        """Have git ask for something else from now on."""
        self.desires.commit(desired)
        self.keys.add(desired.key)
        self.fails[release_digest(desired)] = self.truths[desired.artifact.version].fails

    def crash(self, key: Key, digest: str, ordinal: int, seconds: float) -> None:
        """Have an instance go down by itself."""
        if self.target.crash(key, digest, ordinal, seconds):
            self._crashed.add(digest)

    def crashed(self, digest: str) -> bool:
        """Whether an instance of a release ever went down by itself: then the release may be blamed for it."""
        return digest in self._crashed

    def any_crashed(self) -> bool:
        """Whether any instance ever went down by itself: only then may requests be lost."""
        return bool(self._crashed)

    # --- time --------------------------------------------------------------------------------------------------------

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        """Have something happen at a time."""
        self._serial += 1
        heapq.heappush(self._events, (seconds, self._serial, event))

    def next_event(self) -> float | None:
        return self._events[0][0] if self._events else None

    def last_event(self) -> float:
        return max((moment for moment, _, _ in self._events), default=0.0)

    def pass_until(self, seconds: float) -> bool:
        """Let time pass up to ``seconds``, or to the first event before that, which happens; then True."""
        event = self.next_event()
        happens = event is not None and event <= seconds
        self._flow(event if happens and event is not None else seconds)
        if happens:
            heapq.heappop(self._events)[2]()
        return happens

    def _flow(self, until: float) -> None:
        while True:
            change = self.router.next_change()
            stop = until if change is None else min(until, change)
            duration = stop - self.clock.elapsed
            if duration > 0:
                for key in sorted(self.keys):
                    self._serve(key, duration)
                self.clock.advance(duration)
            if stop >= until:
                return

    # --- traffic -----------------------------------------------------------------------------------------------------

    def _serve(self, key: Key, duration: float) -> None:
        traffic = self.router.in_force(key)
        seen = self.seen.setdefault(key, Seen())
        split = split_of(traffic)
        if split != seen.split:
            self.seen[key] = seen = Seen(split)
        seen.seconds += duration
        if traffic is None or self.router.error:
            return
        requests = int(self.rate * duration + self._chance.random())
        canary = self._binomial(requests, canary_share(traffic) / FULL_WEIGHT)
        seen.canary_requests += canary
        self._hit(key, "canary", traffic.canary, canary)
        self._hit(key, "stable", traffic.stable, requests - canary)

    def _hit(self, key: Key, role: str, side: Backend | None, requests: int) -> None:
        if side is None:
            return
        listening = {one.endpoint for one in self.target.running(key) if one.status is InstanceStatus.READY}
        if not requests:
            self.metrics.record(key, role, 0, 0)
        else:
            gone = sum(endpoint not in listening for endpoint in side.endpoints)
            lost = requests * gone // len(side.endpoints) if side.endpoints else requests
            self.lost += lost
            failed = self._binomial(requests - lost, self.fails[side.digest])
            self.metrics.record(key, role, requests, lost + failed)

    def _binomial(self, n: int, p: float) -> int:
        if p <= 0 or p >= 1:
            return n if p >= 1 else 0
        if n * p * (1 - p) > 25:
            return min(n, max(0, round(self._chance.gauss(n * p, (n * p * (1 - p)) ** 0.5))))
        # The gaps between rare events are geometric: as many draws as there are events.
        found, place = -1, 0
        while place <= n:
            found += 1
            place += 1 + int(log(1.0 - self._chance.random()) / log1p(-p))
        return found


def split_of(traffic: Traffic | None) -> tuple[str | None, str | None, int] | None:
    """Digests and weight of a split, without its endpoints."""
    if traffic is None:
        return None
    return (traffic.stable and traffic.stable.digest, traffic.canary and traffic.canary.digest, traffic.weight)


def canary_share(traffic: Traffic) -> int:
    """Share of the requests that meet the canary, in hundredths of a percent."""
    if traffic.canary is None:
        return 0
    return traffic.weight if traffic.stable is not None else FULL_WEIGHT


def share_of(traffic: Traffic | None, digest: str) -> int:
    """Share of the requests that meet a release, in hundredths of a percent."""
    if traffic is None:
        return 0
    canary = canary_share(traffic)
    share = canary if traffic.canary is not None and traffic.canary.digest == digest else 0
    return share + (FULL_WEIGHT - canary if traffic.stable is not None and traffic.stable.digest == digest else 0)
