"""Failed requests of the canary, compared with the control's and with the budget."""

from __future__ import annotations

from reconciler.core.desired import AnalysisPolicy
from reconciler.core.dispersion import NO_HISTORY, PRIOR, Dispersion
from reconciler.core.evidence import Delta
from reconciler.core.observed import ControlHistory
from reconciler.core.sequential import FAILURE_RATIOS, HEALTHY_RATIOS, BarTest, Exposure, RatioTest

WORST_BAR = 0.9


class Failures:
    """The error side of an attempt. Every gamma comes from ticks before the one it is applied to."""

    __slots__ = (
        "_history",
        "_own_spread",
        "_policy",
        "_spread",
        "alone",
        "alone_bar",
        "canary_breach",
        "canary_failed",
        "canary_requests",
        "control_breach",
        "control_failed",
        "control_requests",
        "exposures",
        "fail",
        "fail_gamma",
        "kept",
        "pass_gamma",
        "passes",
    )

    def __init__(self, policy: AnalysisPolicy, bars: tuple[float, ...], history: ControlHistory) -> None:
        self._policy, self._history = policy, history
        self._spread, self._own_spread = Dispersion(), Dispersion()
        self.canary_requests = self.canary_failed = self.control_requests = self.control_failed = 0
        self.fail_gamma, self.pass_gamma = self._gammas()
        self.fail = RatioTest(policy.tolerance, FAILURE_RATIOS)
        self.passes = {bar: RatioTest(bar, [ratio / bar for ratio in HEALTHY_RATIOS]) for bar in bars}
        """By the ratio that has to be excluded."""
        self.kept, self.canary_breach, self.control_breach = BarTest(), BarTest(), BarTest()
        self.alone = BarTest()
        """The canary's requests while there was no control."""
        self.alone_bar: float | None = None
        """What ``alone`` is held against; fixed by what was known when it began."""
        self.exposures: list[Exposure] = []
        """Ticks with failures, for the ratio interval."""

    def _gammas(self) -> tuple[float, float]:
        phi = self._spread.phi(self._history)
        # A canary may clump its failures where the control does not: it has to show the more for it.
        own = self._own_spread.phi(NO_HISTORY) if self.canary_failed else PRIOR
        return 1 / phi, 1 / max(phi, own)

    def add(self, canary: Delta | None, control: Delta | None, *, alone: bool) -> None:
        """Take in one tick: the sides that count, and whether the canary has no control to be compared with."""
        ours = (canary.ended, canary.failed) if canary is not None else (0, 0)
        theirs = (control.ended, control.failed) if control is not None else (0, 0)
        if ours[0]:
            self._judge_canary(ours, theirs, alone=alone)
        self.control_breach.add(*theirs, self.fail_gamma)
        self.control_requests += theirs[0]
        self.control_failed += theirs[1]
        self._spread.add(*theirs)
        self._own_spread.add(*ours)
        self.fail_gamma, self.pass_gamma = self._gammas()

    def _judge_canary(self, ours: tuple[int, int], theirs: tuple[int, int], *, alone: bool) -> None:
        (requests, failed), (others, others_failed) = ours, theirs
        both = failed + others_failed
        if others and both:
            self.fail.add(failed, both, self.fail.falls(requests, others), self.fail_gamma)
            for test in self.passes.values():
                test.add(failed, both, test.falls(requests, others), self.pass_gamma)
            self.exposures.append(Exposure(requests, failed, others, others_failed, self.fail_gamma))
        if alone:
            self._judge_alone(requests, failed)
        self.kept.add(requests, failed, self.pass_gamma)
        self.canary_breach.add(requests, failed, self.fail_gamma)
        self.canary_requests += requests
        self.canary_failed += failed

    def _judge_alone(self, requests: int, failed: int) -> None:
        if self.alone_bar is None:
            # A service that always fails more often than its budget is no worse for having all the traffic.
            usual = self.control_failed / self.control_requests if self.control_requests else 0.0
            self.alone_bar = min(WORST_BAR, max(self._policy.error_budget, self._policy.tolerance * usual))
        self.alone.add(requests, failed, self.fail_gamma)

    @property
    def log_alone(self) -> float:
        """Logarithm of the e-process of the ticks without a control: 0 when there were none."""
        return 0.0 if self.alone_bar is None else self.alone.log_breach(self.alone_bar)
