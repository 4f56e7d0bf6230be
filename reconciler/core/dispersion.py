"""How much more the control's failures vary from tick to tick than independent ones would.

Retry storms, batch clients and one bad tenant make failures come in clumps. An e-process that takes each of them for
independent news calls a good release regressed far too often, so its logarithm is multiplied by gamma = 1 / phi, where
phi is the ratio of the observed variance to the binomial one, estimated on the control, from the past only.
"""

from __future__ import annotations

from itertools import chain, pairwise
from statistics import median

from reconciler.core.evidence import LONGEST_GAP, Observer
from reconciler.core.observed import ControlHistory, Tick

BLOCK = 15
"""Ticks compared with their own mean: short enough that a slow drift of the failure rate does not count as clumping."""

SAFETY = 1.2
"""Factor on the estimate, because it is one."""

PRIOR_WEIGHT = 4.0
"""What the prior counts for, in expected failures."""


PRIOR = 1.0
"""Overdispersion before anything went wrong: failures come one by one. Where that is wrong at first, the rule that no
tick decides alone (``core.fold``) bears it until the control has shown how its failures clump."""

NO_HISTORY = ControlHistory()


class Dispersion:
    """Running sums over blocks of ticks; the last block may be open."""

    __slots__ = ("_denominator", "_failures", "_freedom", "_nn", "_numerator", "_nx", "_requests", "_ticks", "_xx")

    def __init__(self) -> None:
        self._numerator = self._denominator = 0.0
        self._freedom = 0
        self._open()

    def _open(self) -> None:
        self._ticks = self._requests = self._failures = self._nn = self._nx = self._xx = 0

    def add(self, requests: int, failures: int) -> None:
        """Take in one tick; one without requests tells nothing."""
        if requests == 0:
            return
        self._ticks += 1
        self._requests += requests
        self._nn += requests * requests
        if failures:
            self._failures += failures
            self._nx += requests * failures
            self._xx += failures * failures
        if self._ticks == BLOCK:
            self._numerator, self._denominator, self._freedom = self._sums()
            self._open()

    def _sums(self) -> tuple[float, float, int]:
        """Numerator and denominator of the estimate, and its degrees of freedom, with the open block."""
        if self._failures == 0 or self._ticks < 2:
            return self._numerator, self._denominator, self._freedom
        share = self._failures / self._requests
        squares = self._xx - 2 * share * self._nx + share * share * self._nn
        freedom = self._ticks - 1
        return (
            self._numerator + squares * self._ticks / freedom,
            self._denominator + self._failures * (1 - share),
            self._freedom + freedom,
        )

    def estimate(self) -> tuple[float, float]:
        """Numerator and denominator whose quotient is phi; the denominator is what the estimate is worth.

        That is the number of expected failures, but never more than half the degrees of freedom: three ticks say
        little about the variance, however many failures they have.
        """
        numerator, denominator, freedom = self._sums()
        if denominator <= 0:
            return 0.0, 0.0
        worth = 1 / (2 / freedom + 1 / denominator)
        return numerator / denominator * worth, worth

    def phi(self, history: ControlHistory) -> float:
        """The estimate with its safety factor, joined with the history's and drawn to the prior; at least 1."""
        numerator, worth = self.estimate()
        numerator = SAFETY * (numerator + history.numerator) + PRIOR_WEIGHT * PRIOR
        phi = numerator / (PRIOR_WEIGHT + worth + history.denominator)
        return phi if phi > 1 else 1.0


def control_history(ticks: tuple[Tick, ...]) -> ControlHistory:
    """What ticks outside of any attempt, oldest first, say of the stable side, in whole blocks of ticks."""
    observer, dispersion = Observer(0.0, 0.0), Dispersion()
    gaps = [later.reading.at.since(tick.reading.at) for tick, later in pairwise(ticks)]
    # An attempt, or a daemon that was down, leaves a hole: what happened in it is not one tick's worth.
    longest = LONGEST_GAP * median(gaps) if gaps else 0.0
    requests = failures = 0
    seen: list[tuple[int, int]] = []
    for tick, gap in zip(ticks, chain((0.0,), gaps), strict=False):
        look = observer.add(tick)
        if look is not None and look.control is not None and look.control.ended and gap <= longest:
            seen.append((look.control.ended, look.control.failed))
    for ended, failed in seen[: len(seen) // BLOCK * BLOCK]:
        dispersion.add(ended, failed)
        requests += ended
        failures += failed
    numerator, worth = dispersion.estimate()
    return ControlHistory(requests, failures, numerator, worth)
