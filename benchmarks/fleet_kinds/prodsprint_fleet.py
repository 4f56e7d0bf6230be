"""A target, a router and a metrics source that only remember what they were asked for: for fleets no machine could run.

Registered as an outside package would be, by entry points; instances are ready at once, and survive the daemon in a file.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from reconciler.core.desired import Key, Release
from reconciler.core.observed import Backend, Instance, InstanceStatus, Reading, Traffic
from reconciler.core.outcome import StaleGenerationError, TransientError
from reconciler.ports import Clock, Host, MetricsKind, RouterKind, TargetKind


class Fleet(BaseModel):
    """The block ``fleet:``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str
    env: dict[str, str] = Field(default_factory=dict)
    health: str = "/"
    fails: bool = False
    """Whether its instances cannot even be looked at."""


class Fences:
    """The newest generation of each key."""

    def __init__(self) -> None:
        self._seen: dict[Key, int] = {}

    def check(self, key: Key, generation: int) -> None:
        if generation < self._seen.get(key, 0):
            raise StaleGenerationError(f"{key}: generation {generation} is older than {self._seen[key]}")
        self._seen[key] = generation


class FleetTarget:
    """Instances by key and digest: only their number."""

    def __init__(self, host: Host) -> None:
        self._file = host.data / "counts.json"
        self._fences = Fences()
        self._counts: dict[str, dict[str, int]] = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._bad: set[Key] = set()

    def observe(self, key: Key) -> tuple[Instance, ...]:
        if key in self._bad:
            raise TransientError(f"{key}: its host does not answer")
        return tuple(
            Instance(f"{digest[:8]}-{ordinal}", digest, ordinal, InstanceStatus.READY, f"10.0.0.1:{ordinal + 1}")
            for digest, count in self._counts.get(str(key), {}).items()
            for ordinal in range(count)
        )

    def apply(self, key: Key, release: Release, count: int, generation: int) -> None:
        self._fences.check(key, generation)
        if json.loads(release.desired.spec).get("fails"):
            self._bad.add(key)
            raise TransientError(f"{key}: its host does not answer")
        counts = self._counts.setdefault(str(key), {})
        counts[release.digest] = count
        if not count:
            del counts[release.digest]

    def keep(self, key: Key, digests: frozenset[str]) -> None:
        pass

    def close(self) -> None:
        _write(self._file, self._counts)


class FleetRouter:
    """Splits by key."""

    def __init__(self, host: Host) -> None:
        self._file = host.data / "routes.json"
        self._fences = Fences()
        stored = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._routes = {key: _traffic(value) for key, value in stored.items()}

    def observe(self, key: Key) -> Traffic | None:
        return self._routes.get(str(key))

    def apply(self, key: Key, traffic: Traffic, generation: int) -> None:
        self._fences.check(key, generation)
        if traffic.stable is None and traffic.canary is None:
            self._routes.pop(str(key), None)
        else:
            self._routes[str(key)] = traffic

    def close(self) -> None:
        _write(
            self._file, {key: [t.port, _form(t.stable), _form(t.canary), t.weight] for key, t in self._routes.items()}
        )


def _write(file: Path, value: object) -> None:
    file.write_text(json.dumps(value), encoding="ascii")


def _form(side: Backend | None) -> list[object] | None:
    return [side.digest, side.endpoints] if side else None


def _traffic(form: list) -> Traffic:
    port, stable, canary, weight = form
    sides = [Backend(side[0], tuple(side[1])) if side else None for side in (stable, canary)]
    return Traffic(port, sides[0], sides[1], weight)


class Silence:
    """Nobody sends the fleet any requests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def read(self, _key: Key) -> Reading:
        return Reading(self._clock.now())

    def close(self) -> None:
        pass


class Nothing(BaseModel):
    """No settings."""


TARGET = TargetKind("fleet", Fleet, frozenset(), FleetTarget, local=False)
ROUTER = RouterKind("fleet", FleetRouter)
METRICS = MetricsKind("fleet", Nothing, lambda host, _config: Silence(host.clock))
