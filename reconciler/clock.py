"""The only place that reads the time or entropy."""

from __future__ import annotations

import random
import secrets
import select
import time
from collections.abc import Callable
from pathlib import Path

from reconciler.core.desired import Instant
from reconciler.ports import Clock


def boot_id() -> str:
    """The kernel's id of this boot; the same for every process until the machine restarts."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class SystemClock:
    """The real time. CLOCK_BOOTTIME also counts suspended time, and is the same for every process of one boot."""

    def __init__(self) -> None:
        self._boot = boot_id()

    def now(self) -> Instant:
        """Read wall clock and boot-time clock together."""
        return Instant(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), self._boot)


def token() -> str:
    """A new secret with 256 bits of entropy, safe in a URL and a file."""
    return secrets.token_urlsafe(32)


def jitter(seconds: float, share: float = 0.2) -> float:
    """``seconds``, moved by at most ``share`` either way, so that many timers do not fire together."""
    return seconds * (1 + share * (2 * random.random() - 1))


def within(seconds: float, check: Callable[[], bool], clock: Clock) -> bool:
    """Whether ``check`` becomes true within so many seconds; it is asked twenty times a second."""
    start = clock.now()
    while not check():
        if clock.now().since(start) > seconds:
            return False
        select.select([], [], [], 0.05)
    return True
