"""How much is let in: token buckets, and a memory of what was let in already. All of bounded size."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field

MOST_PEERS = 4096
KNOWN_FOR = 3600.0
"""Seconds that an address is known by after it proved itself."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second in the long run, and so many at once."""

    each_second: float
    burst: float


@dataclass(slots=True)
class Bucket:
    """Tokens that come back with time. ``now`` is in seconds of a clock that only goes forward."""

    rate: Rate
    tokens: float = field(init=False)
    at: float = float("-inf")

    def __post_init__(self) -> None:
        self.tokens = self.rate.burst

    def take(self, now: float) -> bool:
        """Take a token; False when there is none."""
        if self.empty(now):
            return False
        self.tokens -= 1
        return True

    def empty(self, now: float) -> bool:
        """Whether no token is there."""
        back = (now - self.at) * self.rate.each_second if now > self.at else 0.0
        self.tokens, self.at = min(self.rate.burst, self.tokens + back), max(now, self.at)
        return self.tokens < 1


class Seen:
    """Remembers digests for ``window`` seconds, ``most`` at the same time (then the oldest are forgotten early)."""

    def __init__(self, window: float, most: int) -> None:
        self._window, self._most = window, most
        self._at: OrderedDict[bytes, float] = OrderedDict()

    def has(self, digest: bytes, now: float) -> bool:
        """Whether the digest was added within the window."""
        while self._at and now - next(iter(self._at.values())) > self._window:
            self._at.popitem(last=False)
        return digest in self._at

    def add(self, digest: bytes, now: float) -> None:
        """Remember a digest from now on."""
        self._at[digest] = now
        if len(self._at) > self._most:
            self._at.popitem(last=False)


class Failures:
    """Who may try: an address that failed too often waits, and when all together did, so do all but proven addresses."""

    def __init__(self, each: Rate, together: Rate) -> None:
        self._each = each
        self._together = Bucket(together)
        self._peers: OrderedDict[str, Bucket] = OrderedDict()
        self._proven: OrderedDict[str, float] = OrderedDict()

    def blocks(self, peer: str, now: float) -> bool:
        """Whether a request from this address is refused unread."""
        own = self._peers.get(network(peer))
        if own is not None and own.empty(now):
            return True
        proven = self._proven.get(network(peer))
        return self._together.empty(now) and (proven is None or now - proven > KNOWN_FOR)

    def failed(self, peer: str, now: float) -> None:
        """Note a request that proved nothing."""
        name = network(peer)
        bucket = self._peers.pop(name, None) or Bucket(self._each)
        self._peers[name] = bucket
        bucket.take(now)
        self._together.take(now)
        if len(self._peers) > MOST_PEERS:
            self._peers.popitem(last=False)

    def proven(self, peer: str, now: float) -> None:
        """Note a request that proved where it comes from."""
        name = network(peer)
        self._proven.pop(name, None)
        self._proven[name] = now
        if len(self._proven) > MOST_PEERS:
            self._proven.popitem(last=False)


def network(peer: str) -> str:
    """What one host can have for itself: an IPv4 address, or the first half of an IPv6 one."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    return str(int(address) >> 64) if address.version == 6 else peer
