"""Tests that may be looked at as often as one likes: e-processes, kept as logarithms.

An e-process starts at 1 and, as long as its hypothesis is true, is not expected to grow whatever has been seen so far.
By Ville's inequality the probability that it ever reaches 1 / alpha is then at most alpha, at any time and however often
somebody looks; the mean of several is one again. With failure probabilities p_c of the canary and p_b of the control:

- ``RatioTest``: p_c <= null * p_b (alternatives above 1), or p_c >= null * p_b (alternatives below 1);
- ``BarTest``: p_c <= bar (alternatives above the bar), or p_c >= bar (alternatives below it).

In a tick with n_c and n_b requests and s failures in all, x of them the canary's, the ratio test multiplies by
(theta_k / theta_0)^x * ((1 - theta_k) / (1 - theta_0))^(s - x) for every alternative k, where theta_0 and theta_k are
the shares of the failures that a ratio of ``null`` and of ``null * psi_k`` would give the canary. Its expectation
is at most exp(p_b * [null n_c (u - 1) + n_b (v - 1)]) = 1, for every common p_b, another one in each tick if it likes.
``gamma`` <= 1, known before the tick, tempers the factor (see ``core.dispersion``), which keeps it an e-process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, inf, log, log1p
from typing import NamedTuple

FAILURE_RATIOS = (1.5, 2.5, 5.0, 15.0, 60.0)
"""How many times the tolerated ratio a regression may be, when failures are rare."""

SLOWNESS_RATIOS = (1.15, 1.3, 1.6, 2.5, 6.0, 20.0)
"""The same for the share of slow requests, which is not rare."""

HEALTHY_RATIOS = (1.0, 0.75, 0.5)
"""How often a healthy canary may fail compared with the control."""

BREACH_FACTORS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""How many times its budget a canary may fail."""

CERTAIN = 0.99
"""Largest failure probability among the alternatives: with 1, a single success would end the test."""

FLAWLESS_WEIGHT = 0.75
"""Of the pass side's mixture, on 'never fails': 327 requests without a failure then certify a bar of 1 % at 95 %."""

KEPT_SHARES = (0.5, 0.25, 0.1)
"""Of the bar, the other failure probabilities in that mixture, in equal parts."""

LADDER = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 50.0, 100.0)
"""Ratios among which the bounds of the interval for people are sought."""


def log_mean_exp(logs: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Logarithm of the (weighted) mean of the exponentials; never overflows. Weights add up to 1."""
    top = max(logs)
    if top == -inf:
        return top
    if weights is None:
        return top + log(sum([exp(one - top) for one in logs]) / len(logs))
    return top + log(sum([weight * exp(one - top) for one, weight in zip(logs, weights, strict=True)]))


class Exposure(NamedTuple):
    """One tick with failures: requests and failures of both sides, and the gamma that held."""

    canary: int
    canary_failed: int
    control: int
    control_failed: int
    gamma: float


class RatioTest:
    """Whether the canary fails more than ``null`` times as often as the control; less, with alternatives below 1."""

    __slots__ = ("_gains", "_null", "_ratios", "logs")

    def __init__(self, null: float, alternatives: Iterable[float]) -> None:
        self._null = null
        factors = tuple(alternatives)
        self._ratios = tuple(null * factor for factor in factors)
        self._gains = tuple(log(factor) for factor in factors)
        self.logs = [0.0] * len(factors)
        """Logarithm of the e-process of each alternative."""

    def falls(self, canary: int, control: int) -> list[float]:
        """What each failure of either side adds to the logarithms, before the canary's own add their gain."""
        base = log(self._null * canary + control)
        return [base - log(ratio * canary + control) for ratio in self._ratios]

    def add(self, failed: int, both: int, falls: list[float], gamma: float) -> None:
        """Take in one tick: the canary's failures, those of both sides, and ``falls`` of its requests."""
        own, all_of_them = gamma * failed, gamma * both
        self.logs = [
            one + own * gain + all_of_them * fall for one, gain, fall in zip(self.logs, self._gains, falls, strict=True)
        ]

    @property
    def log_e(self) -> float:
        """Logarithm of the e-process: the mean over the alternatives."""
        return log_mean_exp(self.logs)


class BarTest:
    """The canary's failures against a fixed probability; bars and alternatives are chosen when it is read."""

    __slots__ = ("failed", "kept")

    def __init__(self) -> None:
        self.failed = 0.0
        self.kept = 0.0

    def add(self, requests: int, failed: int, gamma: float) -> None:
        """Take in one tick."""
        self.failed += gamma * failed
        self.kept += gamma * (requests - failed)

    def log_breach(self, bar: float) -> float:
        """Logarithm of the e-process against 'fails at most ``bar``' (0 < bar < 0.99)."""
        others = [min(CERTAIN, bar * factor) for factor in BREACH_FACTORS]
        return log_mean_exp([self._log(other, bar) for other in others])

    def log_kept(self, bar: float) -> float:
        """Logarithm of the e-process against 'fails at least ``bar``' (0 < bar < 1)."""
        logs, weights = zip(*((self._log(other, bar), weight) for other, weight in _kept_mixture(bar)), strict=True)
        return log_mean_exp(logs, weights)

    def more_for(self, bar: float, threshold: float) -> float:
        """Requests without a failure that would bring ``log_kept`` to ``threshold``, independent ones (gamma = 1)."""
        if self.log_kept(bar) >= threshold:
            return 0.0
        low, high = (
            0.0,
            min(
                (threshold - log(weight) - self._log(other, bar)) / (log1p(-other) - log1p(-bar))
                for other, weight in _kept_mixture(bar)
            ),
        )
        further = BarTest()
        further.failed = self.failed
        while high - low > 0.5:
            middle = (low + high) / 2
            further.kept = self.kept + middle
            low, high = (low, middle) if further.log_kept(bar) >= threshold else (middle, high)
        return high

    def _log(self, other: float, bar: float) -> float:
        kept = self.kept * (log1p(-other) - log1p(-bar))
        if self.failed == 0:
            return kept
        return -inf if other == 0 else kept + self.failed * log(other / bar)


def _kept_mixture(bar: float) -> list[tuple[float, float]]:
    rest = (1 - FLAWLESS_WEIGHT) / len(KEPT_SHARES)
    return [(0.0, FLAWLESS_WEIGHT), *((bar * share, rest) for share in KEPT_SHARES)]


def ratio_interval(exposures: Sequence[Exposure], level: float) -> tuple[float, float]:
    """Bounds of p_c / p_b, each wrong with probability at most ``level`` at any time; 0 and infinity when there is none.

    A ratio on the ladder is excluded when the mean e-process of the steps beyond it reaches 1 / level.
    """
    own = sum(one.gamma * one.canary_failed for one in exposures)
    ticks = [(one.gamma * (one.canary_failed + one.control_failed), one.canary, one.control) for one in exposures]
    totals = [sum([mass * log(ratio * canary + control) for mass, canary, control in ticks]) for ratio in LADDER]

    def log_e(null: int, others: range) -> float:
        logs = [own * log(LADDER[other] / LADDER[null]) + totals[null] - totals[other] for other in others]
        return log_mean_exp(logs) if logs else 0.0

    threshold, size = -log(level), len(LADDER)
    low = [LADDER[null] for null in range(size) if log_e(null, range(null + 1, size)) >= threshold]
    high = [LADDER[null] for null in range(size) if log_e(null, range(null)) >= threshold]
    return max(low, default=0.0), min(high, default=inf)
