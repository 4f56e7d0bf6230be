"""One key with its whole world, on fakes and a real store."""

from __future__ import annotations

from typing import Any

from fakes.clock import FakeClock
from fakes.desires import FakeDesires
from fakes.metrics import FakeMetrics
from fakes.router import FakeRouter
from fakes.target import FakeTarget
from fakes.values import KEY, desired, release

from reconciler.core.desired import Key
from reconciler.reconcile import Look, Ports, reconcile
from reconciler.store import SqlStore


class Place:
    """One key with its world; ``look`` reconciles it once and lets a little time pass."""

    def __init__(self, store: SqlStore) -> None:
        self.clock = FakeClock()
        self.desires = FakeDesires()
        self.targets = {"fake": FakeTarget(self.clock), "other": FakeTarget(self.clock)}
        self.router = FakeRouter(self.clock)
        self.metrics = FakeMetrics(self.clock)
        self.store = store
        self.ports = self.fresh()

    def fresh(self) -> Ports:
        """The ports of a daemon that has just started."""
        return Ports(
            self.clock,
            self.store,
            self.desires,
            self.targets.__getitem__,
            lambda _: self.router,
            lambda _: self.metrics,
        )

    @property
    def target(self) -> FakeTarget:
        return self.targets["fake"]

    def look(self, key: Key = KEY) -> Look:
        look = reconcile(key, self.ports)
        self.clock.advance(0.1)
        return look

    def serve(self) -> None:
        """Requests for both sides that exist, one in a thousand failed."""
        for role, sent in (("stable", 9000), ("canary", 1000)):
            self.metrics.record(KEY, role, sent, sent // 1000)

    def release(self, version: str, **changes: Any) -> None:
        """Bring a version into service."""
        self.desires.commit(desired(version, **changes))
        digest = release(version, **changes).digest
        for _ in range(300):
            self.look()
            self.serve()
            self.clock.advance(1.0)
            stable = self.store.load(KEY).stable
            if stable is not None and stable.digest == digest and self.store.load(KEY).rollout is None:
                self.look()
                return
        raise AssertionError(f"{version} was not promoted: {self.store.load(KEY)}")
