"""Opens adapters by name when they are first needed, and closes them all at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from reconciler import registry
from reconciler.breaker import Breaker
from reconciler.core.outcome import TerminalError
from reconciler.ports import Checkouts, Clock, Host, MetricsSource, Notifier, Router, Target
from reconciler.settings import Settings

A = TypeVar("A", Target, Router, MetricsSource, Notifier)


@dataclass(slots=True)
class Family(Generic[A]):
    """Adapters of one family by name; each is opened once, however many threads ask for it."""

    open: Callable[[str], A]
    opened: dict[str, A] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, name: str) -> A:
        """The adapter of that name. Raises TerminalError or TransientError when it cannot be opened."""
        with self.lock:
            if name not in self.opened:
                self.opened[name] = self.open(name)
            return self.opened[name]

    def close(self) -> None:
        """Close every adapter that was opened."""
        with self.lock:
            for adapter in self.opened.values():
                adapter.close()
            self.opened.clear()


class Adapters:
    """The adapters of one daemon: each gets a folder of its own below the data directory."""

    def __init__(self, settings: Settings, clock: Clock, checkouts: Checkouts) -> None:
        self._settings = settings
        self._clock = clock
        self._checkouts = checkouts
        self.targets: Family[Target] = Family(lambda name: registry.target(name).open(self._host("targets", name)))
        self.routers: Family[Router] = Family(lambda name: registry.router(name).open(self._host("routers", name)))
        self.metrics: Family[MetricsSource] = Family(self._metrics)

    def _host(self, family: str, name: str) -> Host:
        folder = self._settings.data_dir / family / name
        folder.mkdir(parents=True, exist_ok=True)
        return Host(folder, self._clock, self._checkouts, self._settings.listen)

    def _metrics(self, name: str) -> MetricsSource:
        kind = registry.metrics(name)
        given: dict[str, object] = {}
        if name == "envoy":
            given = {"router": self._settings.data_dir / "routers" / "envoy"}
        elif name == "prometheus":
            if not self._settings.prometheus:
                raise TerminalError(
                    "analysis.source is prometheus, but the daemon was started without --prometheus URL"
                )
            given = {"url": self._settings.prometheus}
        source = kind.open(self._host("metric_sources", name), kind.config.model_validate(given))
        return Breaker(source, self._clock)

    def notifiers(self) -> dict[str, Notifier]:
        """The notifiers that events go to: the log, and the webhook when one is configured."""
        settings = self._settings
        wanted: dict[str, dict[str, object]] = {"log": {}}
        if settings.webhook:
            wanted["webhook"] = {"url": settings.webhook, "secret_file": settings.webhook_secret}
        kinds = {name: registry.notifier(name) for name in wanted}
        return {name: kind.open(kind.config.model_validate(wanted[name]), self._clock) for name, kind in kinds.items()}

    def close(self) -> None:
        """Close all of them."""
        for family in (self.metrics, self.routers, self.targets):
            family.close()
