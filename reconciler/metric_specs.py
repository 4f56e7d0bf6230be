"""The metrics by name: what docs/metrics.md is written from, and ``telemetry`` is made of."""

from __future__ import annotations

from dataclasses import dataclass

KEY = ("workspace", "project", "environment")


@dataclass(frozen=True, slots=True)
class Spec:
    """Name, kind (gauge, counter, histogram), labels and meaning of one metric."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


def _specs() -> tuple[Spec, ...]:
    gauge, counter, histogram = "gauge", "counter", "histogram"
    status = ("target", "sync_status", "health_status", "mode", "suspended")
    rows: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
        ("environment_info", gauge, (*KEY, *status), "Always 1; how an environment is. mode: its release strategy."),
        ("environment_condition", gauge, (*KEY, "condition", "status", "reason"), "Always 1; its conditions."),
        ("rollout_step", gauge, KEY, "Number of the current step, from 1, of the rollout in progress."),
        ("rollout_weight_ratio", gauge, KEY, "Observed share of traffic, 0 to 1, of the rollout in progress."),
        ("analysis_verdict", gauge, (*KEY, "verdict"), "Always 1; what the evidence of the rollout in progress says."),
        ("requests_total", counter, (*KEY, "side", "outcome"), "Requests answered; outcome: succeeded, failed."),
        ("rollout_total", counter, (*KEY, "outcome"), "Attempts that ended: promoted, rolled_back, superseded."),
        ("rollout_bad_requests_total", counter, KEY, "Requests that met a version that was rolled back."),
        ("restore_seconds", histogram, KEY, "Time from the verdict to the observed return of all traffic."),
        ("reconcile_duration_seconds", histogram, ("stage", "result"), "Time of a look; noop: it changed nothing."),
        ("git_request_total", counter, ("repo", "request_type", "result"), "Requests to git remotes."),
        ("git_request_duration_seconds", histogram, ("request_type",), "Time of requests to git remotes."),
        ("source_last_success_timestamp_seconds", gauge, ("repo",), "When a git remote was last read."),
        ("git_rate_limit_remaining", gauge, ("host",), "Requests that a git server still allows, where it says so."),
        (
            "webhook_requests_total",
            counter,
            ("forge", "outcome"),
            "Webhooks received; docs/webhooks.md has the outcomes.",
        ),
        ("manifests", gauge, (), "Manifest files in force."),
        ("manifests_with_problems", gauge, (), "Manifest files that have a problem."),
        ("manifest_parsed_total", counter, (), "Manifest files read and validated; those that are remembered are not."),
        ("queue_depth", gauge, ("queue",), "Entries that wait for a worker."),
        ("queue_oldest_seconds", gauge, ("queue",), "How long the oldest of them has waited."),
        ("scheduler_lag_seconds", gauge, (), "How late the last timer fired."),
        ("audit_entries_total", counter, (), "Entries in the audit."),
        ("outbox_pending", gauge, (), "Notifications that wait to be delivered."),
        ("outbox_dead", gauge, (), "Notifications that were given up."),
        ("grpc_requests_total", counter, ("method", "code"), "Calls of the gRPC API that ended."),
        ("build_info", gauge, ("version", "python"), "Always 1; what runs."),
    )
    return tuple(Spec(f"prodsprint_{name}", kind, labels, text) for name, kind, labels, text in rows)


SPECS = {spec.name: spec for spec in _specs()}

PAGE = """\
# Metrics

The daemon serves these on `http://127.0.0.1:7480/metrics` (`--http`), beside the `process_*` ones of every Prometheus client.
`GET /healthz` says that the process lives, `GET /readyz` whether it works (503 with the reasons when not).

Series of an environment go when the environment does. Status words are those of the command line and the gRPC API.
`repo` is host and path, without credentials; after the first 1000 repos it is `other`.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The text of docs/metrics.md."""
    rows = []
    for spec in SPECS.values():
        labels = ", ".join(f"`{label}`" for label in spec.labels) or "-"
        rows.append(f"| `{spec.name}` | {spec.kind} | {labels} | {spec.help} |\n")
    return PAGE + "".join(rows)
