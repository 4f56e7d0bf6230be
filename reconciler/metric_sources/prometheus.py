"""Counts requests by asking a Prometheus, with queries that anybody can try in its own page.

A side without ``sent`` is None; everything else that is missing, or is no count, makes the reading an error: nothing is
ever taken for 0 that a query does not say is 0.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from reconciler.core.desired import Key
from reconciler.core.observed import Counters, Reading
from reconciler.core.outcome import TransientError
from reconciler.exchange import Answer, Call, over_network
from reconciler.metric_sources._promql import Samples, combined, counters, number, samples
from reconciler.ports import Host, MetricsKind

MOST_BYTES = 2_000_000
SAME_START = 3.0
"""Seconds that two readings of one start time may differ by: it is computed from an uptime that is only whole seconds."""
START = "start"


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected http://HOST:PORT or https://HOST:PORT, maybe with a path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no user or password belongs here; use bearer_token_file")
    _ = parts.port  # raises ValueError
    return url.rstrip("/")


class Queries(BaseModel):
    """PromQL of cumulative counters (no ``rate()``); ``{side}`` becomes workspace/project/environment/stable or …/canary.

    The defaults are for a Prometheus that scrapes the Envoy of ``routers/envoy``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sent: str = (
        'sum(envoy_vhost_route_upstream_rq_total{envoy_route="{side}"})'
        ' + sum(envoy_vhost_route_upstream_rq_retry_limit_exceeded{envoy_route="{side}"})'
        ' + sum(envoy_cluster_upstream_cx_none_healthy{envoy_cluster_name="{side}"})'
    )
    answered: str = (
        'sum(envoy_vhost_route_upstream_rq{envoy_route="{side}",envoy_response_code!~"50[234]"}) or vector(0)'
    )
    failed: str = (
        'sum(envoy_vhost_route_upstream_rq_xx{envoy_route="{side}",envoy_response_code_class="5"}) or vector(0)'
    )
    buckets: str = 'sum by (le) (envoy_vhost_route_upstream_rq_time_bucket{envoy_route="{side}"})'
    start: str = "max(timestamp(envoy_server_uptime) - envoy_server_uptime)"
    """Unix time at which the counters began; empty for a source that cannot say. No ``{side}`` here."""


class Config(BaseModel):
    """Settings of the metrics source ``prometheus``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_web_address)] = Field(description="where Prometheus is, with its path prefix")
    queries: Queries = Queries()
    bucket_unit: Literal["ms", "s"] = Field(default="ms", description="unit of the histogram's edges (le)")
    timeout: float = Field(default=5.0, gt=0, le=60, description="seconds for one look")
    bearer_token_file: Path | None = Field(default=None, description="file with a token; read anew for each look")
    ca_file: Path | None = Field(default=None, description="certificates to trust instead of the system's (PEM)")


class PrometheusMetrics:
    """Asks one Prometheus; see ``ports.MetricsSource``."""

    def __init__(self, host: Host, config: BaseModel) -> None:
        self._clock = host.clock
        self._config = config if isinstance(config, Config) else Config.model_validate(config.model_dump())
        self._start: float | None = None

    def read(self, key: Key) -> Reading:
        """Read both sides with one query."""
        try:
            found = self._ask(combined(self._queries(key)))
            epoch = self._epoch(found)
            stable, canary = (self._side(found, role, epoch) for role in ("stable", "canary"))
        except (TransientError, OSError, ValueError) as error:
            return Reading(self._clock.now(), error=f"Prometheus at {self._config.url}: {error}")
        return Reading(self._clock.now(), stable, canary)

    def close(self) -> None:
        """Nothing is held."""

    def _queries(self, key: Key) -> dict[str, str]:
        texts = self._config.queries.model_dump()
        start = texts.pop(START)
        queries = {
            f"{role}.{name}": text.replace("{side}", key.side(role))
            for role in ("stable", "canary")
            for name, text in texts.items()
        }
        return {**queries, START: start} if start else queries

    def _side(self, found: Samples, role: str, epoch: str) -> Counters | None:
        return counters(found, role, epoch, 1.0 if self._config.bucket_unit == "ms" else 1000.0)

    def _epoch(self, found: Samples) -> str:
        start = number(found, START)
        if start is None:
            return ""
        if self._start is None or abs(start - self._start) > SAME_START:
            self._start = start
        return f"{self._start:.0f}"

    def _ask(self, query: str) -> Samples:
        config = self._config
        call = Call(
            target=f"{urlsplit(config.url).path}/api/v1/query",
            timeout=config.timeout,
            most=MOST_BYTES,
            headers=self._authorization(),
            body=f"query={quote(query, safe='')}&timeout={config.timeout:g}s".encode(),
        )
        tls = ssl.create_default_context(cafile=config.ca_file) if config.ca_file else None
        answer = over_network(config.url, call, self._clock, tls)
        if answer.status != 200:
            raise TransientError(_complaint(answer))
        try:
            return samples(json.loads(answer.body))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"its answer cannot be understood: {error}") from error

    def _authorization(self) -> dict[str, str]:
        if self._config.bearer_token_file is None:
            return {}
        token = self._config.bearer_token_file.read_text(encoding="utf-8").strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError(f"{self._config.bearer_token_file} holds no token")  # and its content is nobody's business
        return {"Authorization": f"Bearer {token}"}


def _complaint(answer: Answer) -> str:
    """The status, and what Prometheus says about it where it does."""
    try:
        words = str(json.loads(answer.body)["error"])[:300]
    except (ValueError, KeyError, TypeError):
        words = ""
    return f"status {answer.status}{': ' if words else ''}{words}"


KIND = MetricsKind(name="prometheus", config=Config, open=PrometheusMetrics)
