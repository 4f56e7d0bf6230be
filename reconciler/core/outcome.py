"""How one look at a key ends, and the three families of errors at the edges."""

from __future__ import annotations

from dataclasses import dataclass


class TransientError(Exception):
    """It may work later: retry with back-off."""


class TerminalError(Exception):
    """It will not work until a commit or a person changes something."""


class StaleGenerationError(Exception):
    """Somebody moved on: drop what was decided, load again."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to wait for but an event."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Look again after ``delay`` seconds, because of ``reason``."""

    delay: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stalled:
    """Waits for a commit or a person; looked at again only on an event or the next resync."""

    reason: str


Outcome = Done | RequeueAfter | Stalled


def backoff(failures: int, *, base: float = 0.5, most: float = 60.0) -> float:
    """Seconds to wait after ``failures`` consecutive failures (>= 1): doubling from ``base``, at most ``most``."""
    return float(min(most, base * 2 ** min(failures - 1, 30)))
