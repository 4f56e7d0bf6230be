"""Counts requests with the statistics of the Envoy that routes them (``routers/envoy.py``).

| counter | of requests sent to the side, those that |
|---|---|
| ``sent`` | were begun; those in flight are in it |
| ``answered`` | got a status from the service: 1xx to 4xx, and 5xx but for 502, 503 and 504 |
| ``failed`` | ended with any 5xx, or were cut off by the service: the larger of the two numbers |
| ``timed`` | were answered completely; their times are in the buckets, up to a second later than in the rest |

502, 503 and 504 are what Envoy itself says when there was no answer, and cannot be told from the service's own: they are
failures, and no answers. A connection failure that a retry made good is neither. What a client gives up is sent only.
Every counter is a sum or a maximum of Envoy's own, and so never decreases within an epoch, whatever the moment of reading.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from reconciler.core.desired import Instant, Key
from reconciler.core.observed import Counters, Reading
from reconciler.core.outcome import TransientError
from reconciler.exchange import Answer, Call, over_unix_socket
from reconciler.ports import Host, MetricsKind

TIMEOUT = 1.0
MOST_BYTES = 50_000_000
SHARED_FOR = 0.2
"""Seconds that one scrape serves all keys for."""
_FILTER = (
    r"^vhost\..*\.route\..*\.upstream_rq_(total|retry_limit_exceeded|[1-5]xx|5..|time)$"
    r"|^cluster\..*\.upstream_cx_(none_healthy|destroy_remote_with_active_rq)$"
)
_TARGET = "/stats?format=json&histogram_buckets=cumulative&filter="
_GATEWAY = (502, 503, 504)


class Config(BaseModel):
    """Settings of the metrics source ``envoy``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    router: Path | None = Field(
        default=None, description="folder of the router envoy; by default the one in the same data directory"
    )


@dataclass(frozen=True, slots=True)
class _Scrape:
    at: Instant
    epoch: str
    values: dict[str, int]
    times: dict[str, tuple[tuple[float, int], ...]]


class EnvoyMetrics:
    """Reads Envoy's admin interface; see ``ports.MetricsSource``."""

    def __init__(self, host: Host, config: BaseModel) -> None:
        given = config.router if isinstance(config, Config) else None
        self._admin_file = (given or host.data.parent.parent / "routers" / "envoy") / "admin"
        self._clock = host.clock
        self._last: _Scrape | None = None

    def read(self, key: Key) -> Reading:
        """Read both sides. A side that Envoy does not serve is None."""
        try:
            scrape = self._scrape()
        except (TransientError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            return Reading(self._clock.now(), error=f"Envoy's statistics cannot be read: {error}")
        return Reading(scrape.at, _counters(scrape, key, "stable"), _counters(scrape, key, "canary"))

    def close(self) -> None:
        """Nothing is held."""

    def _scrape(self) -> _Scrape:
        now, last = self._clock.now(), self._last
        if last is not None and now.boot == last.at.boot and now.since(last.at) < SHARED_FOR:
            return last
        socket = Path(self._admin_file.read_text(encoding="utf-8"))
        answer = over_unix_socket(socket, Call(_TARGET + _escaped(_FILTER), TIMEOUT, MOST_BYTES), self._clock)
        if answer.status != 200:
            raise TransientError(f"status {answer.status}")
        values, times = _parse(json.loads(answer.body)["stats"])
        self._last = _Scrape(now, f"{now.boot}/{_life(answer)}", values, times)
        return self._last


def _escaped(text: str) -> str:
    return "".join(one if one.isalnum() else f"%{ord(one):02X}" for one in text)


def _life(answer: Answer) -> str:
    """Names the process that answered: its id and start time. Raises OSError when it has just ended."""
    fields = Path(f"/proc/{answer.peer}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return f"{answer.peer}/{fields[19]}"


def _parse(stats: list[Any]) -> tuple[dict[str, int], dict[str, tuple[tuple[float, int], ...]]]:
    values = {one["name"]: int(one["value"]) for one in stats if "name" in one}
    histograms = [one for group in stats for one in group.get("histograms", ())]
    return values, {
        one["name"]: tuple((float(edge["upper_bound"]), int(edge["cumulative"])) for edge in one["buckets"])
        for one in histograms
    }


def _counters(scrape: _Scrape, key: Key, role: str) -> Counters | None:
    route, cluster = f"vhost.{key}.route.{key.side(role)}.upstream_rq_", f"cluster.{key.side(role)}.upstream_cx_"
    begun = scrape.values.get(f"{route}total")
    if begun is None:
        return None

    def of(name: str) -> int:
        return scrape.values.get(name, 0)  # Envoy makes the others when they are first needed

    own_errors = sum(of(f"{route}{code}") for code in range(500, 600) if code not in _GATEWAY)
    answered = sum(of(f"{route}{digit}xx") for digit in "1234") + own_errors
    failed = max(of(f"{route}5xx"), of(f"{cluster}destroy_remote_with_active_rq"))
    sent = begun + of(f"{route}retry_limit_exceeded") + of(f"{cluster}none_healthy")
    times = scrape.times.get(f"{route}time", ())
    # The last edge stands for +Inf. Read at slightly different moments, the parts may exceed the whole: never say so.
    return Counters(
        epoch=scrape.epoch,
        sent=max(sent, answered, failed),
        answered=answered,
        failed=failed,
        timed=times[-1][1] if times else 0,
        buckets=times[:-1],
    )


KIND = MetricsKind(name="envoy", config=Config, open=EnvoyMetrics)
