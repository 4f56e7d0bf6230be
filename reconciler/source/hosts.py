"""What is known of servers: until when they want to be left alone, and how often they may still be asked.

All repos of one server share it: when one is told to wait, the others fail at once and ask nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from reconciler.core.outcome import backoff
from reconciler.ports import Clock
from reconciler.source.address import Address
from reconciler.source.job import Report
from reconciler.source.trouble import HostAwayError, LaterError, RateLimitedError

LIMITED_BASE, LIMITED_MOST = 5.0, 300.0
"""Seconds to wait, doubling, for a busy server that does not say how long."""
AWAY_BASE, AWAY_MOST = 0.5, 60.0
"""Seconds to wait, doubling, after a server did not answer."""
MOST_HOSTS = 10_000
"""Manifests name hosts: those remembered are the ones asked last."""
USUAL = {"https": 443, "http": 80, "ssh": 22}


@dataclass(slots=True)
class _Host:
    away: int = 0
    busy: int = 0
    """Failures of that kind in a row."""
    until: float = 0.0
    """Boot-time seconds before which it is not asked."""
    why: str = ""
    limited: bool = False
    remaining: int = -1


class Hosts:
    """Thread-safe. A server is (scheme, host, port); ``clock`` counts the waiting."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    def check(self, address: Address) -> None:
        """Raises RateLimitedError or HostAwayError while the server of ``address`` has to be left alone."""
        with self._guard:
            host = self._hosts.get(_name(address))
            left = host.until - self._clock.now().mono if host else 0.0
            if host is None or left <= 0:
                return
            raise _error(host, address, left)

    def note(self, address: Address, report: Report) -> LaterError | None:
        """Remember how a job went; returns the error to raise when the server has to be left alone now."""
        name = _name(address)
        if not name:
            return None
        with self._guard:
            host = self._hosts.pop(name, None) or _Host()
            self._hosts[name] = host  # the last one asked is the last one to be forgotten
            if len(self._hosts) > MOST_HOSTS:
                del self._hosts[next(iter(self._hosts))]
            wait = self._judge(host, report)
            # A good answer to a question that was under way already does not shorten the waiting.
            host.until = max(host.until, self._clock.now().mono + wait)
            return _error(host, address, wait) if report.limited or report.away else None

    @staticmethod
    def _judge(host: _Host, report: Report) -> float:
        """Seconds to leave it alone from now on."""
        if report.remaining >= 0:
            host.remaining = report.remaining
        host.busy = host.busy + 1 if report.limited else 0
        host.away = host.away + 1 if report.away else 0
        host.limited = report.limited or not report.away
        host.why = report.error.partition(": ")[2] or "the server allows no more requests for now"
        if report.limited:
            return report.wait or backoff(host.busy, base=LIMITED_BASE, most=LIMITED_MOST)
        if report.away:
            return backoff(host.away, base=AWAY_BASE, most=AWAY_MOST)
        return report.wait if report.remaining == 0 else 0.0

    def quotas(self) -> dict[str, int]:
        """Requests left, by server (``host`` or ``host:port``), of those that say so."""
        with self._guard:
            found = {name: host.remaining for name, host in self._hosts.items() if host.remaining >= 0}
        return {name.partition("://")[2]: left for name, left in found.items()}


def _error(host: _Host, address: Address, left: float) -> LaterError:
    kind = RateLimitedError if host.limited else HostAwayError
    return kind(f"{address.url}: {host.why}", max(left, 0.001))


def _name(address: Address) -> str:
    """``scheme://host``, with the port if it is not the usual one; "" for a repo on this machine."""
    if address.local:
        return ""
    try:
        port = urlsplit(address.url).port if "://" in address.url else None
    except ValueError:
        port = None
    usual = port is None or port == USUAL.get(address.scheme)
    return f"{address.scheme}://{address.host.lower()}{'' if usual else f':{port}'}"
