"""A target whose instances live in a dictionary and age by a FakeClock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fakes.clock import FakeClock

from reconciler.core.desired import Key, Release
from reconciler.core.observed import Instance, InstanceStatus
from reconciler.core.outcome import StaleGenerationError, TransientError


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How instances of a release behave: seconds to build, to become ready and to stop, and why they fail, if they do."""

    prepare: float = 0.0
    start: float = 0.0
    stop: float = 0.0
    fails: str = ""


@dataclass(slots=True)
class Slot:
    """One instance; times are the clock's ``elapsed``."""

    serial: int
    behaviour: Behaviour
    born: float
    gone: float = float("inf")
    back: float = 0.0
    restarts: int = 0


class FakeTarget:
    """``behaves`` tells how instances of a release behave; ``error`` makes observing and applying fail."""

    def __init__(self, clock: FakeClock, behaves: Callable[[Release], Behaviour] = lambda _: Behaviour()) -> None:
        self.error = ""
        self.kept: dict[Key, frozenset[str]] = {}
        self.applied: list[tuple[Key, str, int, int]] = []
        self._clock = clock
        self._behaves = behaves
        self._slots: dict[Key, dict[tuple[str, int], Slot]] = {}
        self._fences: dict[Key, int] = {}
        self._serial = 0

    def observe(self, key: Key) -> tuple[Instance, ...]:
        if self.error:
            raise TransientError(self.error)
        return self.running(key)

    def running(self, key: Key) -> tuple[Instance, ...]:
        """What is really there, whatever the target admits."""
        slots = self._slots.get(key, {})
        for name in [name for name, slot in slots.items() if slot.gone <= self._clock.elapsed]:
            del slots[name]
        return tuple(self._instance(digest, ordinal, slot) for (digest, ordinal), slot in sorted(slots.items()))

    def _instance(self, digest: str, ordinal: int, slot: Slot) -> Instance:
        status, message = self._status(slot)
        endpoint = f"127.0.0.1:{20_000 + slot.serial}" if status is not InstanceStatus.PREPARING else ""
        return Instance(f"{digest[:8]}-{slot.serial}", digest, ordinal, status, endpoint, slot.restarts, message)

    def _status(self, slot: Slot) -> tuple[InstanceStatus, str]:
        behaviour, age = slot.behaviour, self._clock.elapsed - slot.born
        if slot.gone != float("inf"):
            return InstanceStatus.STOPPING, ""
        if self._clock.elapsed < slot.back:
            return InstanceStatus.BACKING_OFF, "it went down"
        if age < behaviour.prepare:
            return InstanceStatus.PREPARING, "building"
        if age < behaviour.prepare + behaviour.start:
            return InstanceStatus.STARTING, ""
        return (InstanceStatus.FAILED, behaviour.fails) if behaviour.fails else (InstanceStatus.READY, "")

    def apply(self, key: Key, release: Release, count: int, generation: int) -> None:
        if generation < self.fence(key):
            raise StaleGenerationError(f"generation {generation} is older than {self._fences[key]}")
        self._fences[key] = generation
        if self.error:
            raise TransientError(self.error)
        self.applied.append((key, release.digest, count, generation))
        self.running(key)  # forgets what has stopped
        slots = self._slots.setdefault(key, {})
        for ordinal in range(count):
            slot = slots.get((release.digest, ordinal))
            if slot is None or slot.gone != float("inf"):
                slots[release.digest, ordinal] = self._start(release)
        for (digest, ordinal), slot in slots.items():
            if digest == release.digest and ordinal >= count:
                slot.gone = min(slot.gone, self._clock.elapsed + slot.behaviour.stop)

    def fence(self, key: Key) -> int:
        """The newest generation that was let in."""
        return self._fences.get(key, 0)

    def _start(self, release: Release) -> Slot:
        self._serial += 1
        return Slot(self._serial, self._behaves(release), self._clock.elapsed)

    def crash(self, key: Key, digest: str, ordinal: int, seconds: float = 1.0) -> bool:
        """Have an instance go down by itself and come back elsewhere after some seconds; False when there is none."""
        slot = self._slots.get(key, {}).get((digest, ordinal))
        if slot is None or slot.gone != float("inf"):
            return False
        self._serial += 1
        slot.serial, slot.restarts, slot.back = self._serial, slot.restarts + 1, self._clock.elapsed + seconds
        return True

    def keep(self, key: Key, digests: frozenset[str]) -> None:
        self.kept[key] = digests

    def close(self) -> None:
        pass
