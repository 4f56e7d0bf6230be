"""What the daemon counts and shows to Prometheus. What describes one environment goes when the environment does."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlsplit

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from reconciler.core.desired import Key
from reconciler.core.observed import Counters, Reading
from reconciler.core.state import Attempt, Result
from reconciler.core.view import EnvironmentView
from reconciler.metric_specs import SPECS

LONGEST_LABEL = 120
MOST_REPOS = 1000
FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
RESTORE = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
REMOTE = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

Labels = tuple[str, ...]


@dataclass(slots=True)
class _Series:
    """What is known and counted of one environment. Counts are by metric and by the labels after those of the key."""

    view: EnvironmentView | None = None
    last: dict[str, Counters] = field(default_factory=dict)
    counts: dict[tuple[str, Labels], int] = field(default_factory=dict)

    def add(self, metric: str, more: int, *labels: str) -> None:
        self.counts[metric, labels] = self.counts.get((metric, labels), 0) + more


class Telemetry:
    """The registry, and what the rest of the daemon tells it. Every method may be called from any thread."""

    def __init__(self, version: str) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._lock = Lock()
        self._series: dict[Key, _Series] = {}
        self._repos: set[str] = set()
        self._audit = 0
        self._parsed = 0
        ProcessCollector(registry=self.registry)
        self.registry.register(_Environments(self))
        self._restore = self._histogram("prodsprint_restore_seconds", RESTORE)
        self._reconcile = self._histogram("prodsprint_reconcile_duration_seconds", FAST)
        self._git_requests = self._counter("prodsprint_git_request_total")
        self._git_seconds = self._histogram("prodsprint_git_request_duration_seconds", REMOTE)
        self._git_success = self._gauge("prodsprint_source_last_success_timestamp_seconds")
        self._quota = self._gauge("prodsprint_git_rate_limit_remaining")
        self._webhooks = self._counter("prodsprint_webhook_requests_total")
        self._files = self._gauge("prodsprint_manifests")
        self._bad_files = self._gauge("prodsprint_manifests_with_problems")
        self._depth = self._gauge("prodsprint_queue_depth")
        self._oldest = self._gauge("prodsprint_queue_oldest_seconds")
        self._lag = self._gauge("prodsprint_scheduler_lag_seconds")
        self._pending = self._gauge("prodsprint_outbox_pending")
        self._dead = self._gauge("prodsprint_outbox_dead")
        self._calls = self._counter("prodsprint_grpc_requests_total")
        self._gauge("prodsprint_build_info").labels(version, platform.python_version()).set(1)

    def _counter(self, name: str) -> Counter:
        return Counter(name, SPECS[name].help, SPECS[name].labels, registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        return Gauge(name, SPECS[name].help, SPECS[name].labels, registry=self.registry)

    def _histogram(self, name: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, SPECS[name].help, SPECS[name].labels, registry=self.registry, buckets=buckets)

    # --- one environment ---------------------------------------------------------------------------------------------

    def environment(self, view: EnvironmentView) -> None:
        """Show how an environment is now."""
        with self._lock:
            self._of(view.key).view = view

    def measured(self, key: Key, reading: Reading) -> None:
        """Count the requests that a reading of the metrics source has seen since the one before."""
        with self._lock:
            series = self._of(key)
            for side, now in (("stable", reading.stable), ("canary", reading.canary)):
                if now is not None:
                    _count(series, side, now)

    def rollout_ended(self, key: Key, attempt: Attempt) -> None:
        """An attempt has gone into history."""
        with self._lock:
            series = self._of(key)
            series.add("prodsprint_rollout_total", 1, attempt.result)
            bad = attempt.bad_requests if attempt.result is Result.ROLLED_BACK else 0
            series.add("prodsprint_rollout_bad_requests_total", bad)
            if attempt.restore_seconds is not None:
                self._restore.labels(key.workspace, key.project, key.environment).observe(attempt.restore_seconds)

    def forget(self, key: Key) -> None:
        """An environment is gone, and all of its series go."""
        with self._lock:
            self._series.pop(key, None)
            with suppress(KeyError):
                self._restore.remove(key.workspace, key.project, key.environment)

    def _of(self, key: Key) -> _Series:
        return self._series.setdefault(key, _Series())

    # --- the daemon --------------------------------------------------------------------------------------------------

    def reconciled(self, seconds: float, result: str, stage: str = "all") -> None:
        """A look at a key took so long. ``result``: noop, acted, changed, stale, transient_error, terminal_error, error."""
        self._reconcile.labels(stage, result).observe(seconds)

    def git(self, url: str, request_type: str, result: str, seconds: float, now: float) -> None:
        """A request to a remote ended (``result``: success or error) at Unix time ``now``."""
        repo = self._repo(url)
        self._git_requests.labels(repo, request_type, result).inc()
        self._git_seconds.labels(request_type).observe(seconds)
        if result == "success":
            self._git_success.labels(repo).set(now)

    def quotas(self, left: Mapping[str, int]) -> None:
        """Requests that git servers still allow, by host."""
        for host, count in left.items():
            self._quota.labels(_label(host)).set(count)

    def webhook(self, forge: str, outcome: str) -> None:
        """A webhook came in."""
        self._webhooks.labels(forge, outcome).inc()

    def manifests(self, files: int, bad: int, parsed: int) -> None:
        """Manifest files in force, those with a problem, and how many were parsed since the start."""
        self._files.set(files)
        self._bad_files.set(bad)
        with self._lock:
            self._parsed = parsed

    def _repo(self, url: str) -> str:
        label = repo_label(url)
        with self._lock:
            if label not in self._repos and len(self._repos) >= MOST_REPOS:
                return "other"
            self._repos.add(label)
            return label

    def queue(self, depth: int, oldest: float, name: str = "keys") -> None:
        """Entries that wait for a worker, and the seconds that the oldest has waited."""
        self._depth.labels(name).set(depth)
        self._oldest.labels(name).set(oldest)

    def lag(self, seconds: float) -> None:
        """A timer fired so late."""
        self._lag.set(seconds)

    def audited(self, entries: int) -> None:
        """The audit has so many entries in all."""
        with self._lock:
            self._audit = entries

    def outbox(self, pending: int, dead: int) -> None:
        """Notifications that wait, and that were given up."""
        self._pending.set(pending)
        self._dead.set(dead)

    def called(self, method: str, code: str) -> None:
        """A gRPC call ended; ``method`` is ``Service/Method``."""
        self._calls.labels(method, code).inc()

    # --- what the collector shows ------------------------------------------------------------------------------------

    def environments(self) -> list[tuple[Key, EnvironmentView | None, dict[tuple[str, Labels], int]]]:
        """A copy of what is known by environment, sorted."""
        with self._lock:
            return [(key, self._series[key].view, dict(self._series[key].counts)) for key in sorted(self._series)]

    def totals(self) -> dict[str, int]:
        """What others count, by metric."""
        return {"prodsprint_audit_entries_total": self._audit, "prodsprint_manifest_parsed_total": self._parsed}


def _count(series: _Series, side: str, now: Counters) -> None:
    last = series.last.get(side)
    series.last[side] = now
    if last is None or last.epoch != now.epoch:
        last = Counters(now.epoch, 0, 0, 0)
    failed = max(0, now.failed - last.failed)
    succeeded = max(0, now.answered - last.answered - failed)
    series.add("prodsprint_requests_total", failed, side, "failed")
    series.add("prodsprint_requests_total", succeeded, side, "succeeded")


def repo_label(url: str) -> str:
    """Host and path of a repo: no credentials, no query, of bounded length."""
    parts = urlsplit(url)
    text = f"{parts.netloc.rpartition('@')[2]}{parts.path}" if "://" in url else url.rpartition("@")[2]
    return _label(text)


def _label(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


class _Environments(Collector):
    """Makes the series of environments when they are asked for: none can be left behind."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        shown = self._telemetry.environments()
        gauges = {name: GaugeMetricFamily(name, SPECS[name].help, labels=SPECS[name].labels) for name in _GAUGES}
        counters = {name: CounterMetricFamily(name, SPECS[name].help, labels=SPECS[name].labels) for name in _COUNTERS}
        for key, view, counts in shown:
            own = (key.workspace, key.project, key.environment)
            for (name, labels), count in counts.items():
                counters[name].add_metric((*own, *labels), count)
            for name, labels, value in _gauge_samples(view) if view else ():
                gauges[name].add_metric((*own, *(_label(one) for one in labels)), value)
        yield from (*gauges.values(), *counters.values())
        for name, value in self._telemetry.totals().items():
            yield CounterMetricFamily(name, SPECS[name].help, value=value)


_GAUGES = (
    "prodsprint_environment_info",
    "prodsprint_environment_condition",
    "prodsprint_rollout_step",
    "prodsprint_rollout_weight_ratio",
    "prodsprint_analysis_verdict",
)
_COUNTERS = (
    "prodsprint_requests_total",
    "prodsprint_rollout_total",
    "prodsprint_rollout_bad_requests_total",
)


def _gauge_samples(view: EnvironmentView) -> Iterator[tuple[str, Labels, float]]:
    state = view.state
    runs = view.desired or (state.stable.desired if state.stable else None)
    what = (runs.target, runs.strategy.kind) if runs else ("", "")
    suspended = "true" if state.pause else "false"
    yield "prodsprint_environment_info", (what[0], view.sync, view.health, what[1], suspended), 1
    for one in state.conditions:
        yield "prodsprint_environment_condition", (one.type, one.status, one.reason), 1
    if state.rollout is not None:
        yield "prodsprint_rollout_step", (), state.rollout.step + 1
        yield "prodsprint_rollout_weight_ratio", (), view.weight / 10_000
        if view.analysis is not None:
            yield "prodsprint_analysis_verdict", (view.analysis.verdict,), 1
