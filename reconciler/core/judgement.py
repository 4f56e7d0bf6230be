"""From evidence to one of five verdicts, with one sentence of numbers for people."""

from __future__ import annotations

from enum import StrEnum
from math import inf, log

from reconciler.core.desired import FULL_WEIGHT, Instant, Step
from reconciler.core.fold import Bar, Caught, Fold, Metric
from reconciler.core.latency import TAILS
from reconciler.core.sequential import ratio_interval
from reconciler.core.units import percent_words


class Verdict(StrEnum):
    """What the evidence says of the canary."""

    HEALTHY = "healthy"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"
    PROVIDER_ERROR = "provider_error"


def judge(fold: Fold, step: Step, bar: Bar, *, current: bool, now: Instant) -> tuple[Verdict, str]:
    """Verdict and reason for ``step``; ``current`` tells that the last tick belongs to it."""
    if fold.unanswered:
        return Verdict.REGRESSED, f"canary answered none of the {fold.observer.sent:,} requests it was sent"
    if fold.caught is not None:
        return Verdict.REGRESSED, _regressed(fold, fold.caught)
    return _without_measurement(fold, current=current, now=now) or _weigh(fold, step, bar, current=current)


def _without_measurement(fold: Fold, *, current: bool, now: Instant) -> tuple[Verdict, str] | None:
    policy, seen = fold.policy, fold.observer
    unread = seen.unread_for(now)
    # Between two looks nobody reads: a long interval is no fault of the source.
    if unread >= max(policy.provider_error_after, 2 * policy.interval):
        cause = f": {seen.error}" if seen.error else ""
        return Verdict.PROVIDER_ERROR, f"no good reading of the metrics source for {unread:.0f} s{cause}"
    if current and seen.silence >= policy.no_data_after:
        return Verdict.NO_DATA, f"no request was sent to the canary for {seen.silence:.0f} s"
    return None


def _weigh(fold: Fold, step: Step, bar: Bar, *, current: bool) -> tuple[Verdict, str]:
    incident = _incident(fold)
    if incident:
        return Verdict.INCONCLUSIVE, incident
    shown = _failures_shown(fold, bar)
    compared = _latency_compared(fold, step)
    missing = [
        *_requests_missing(fold, step, current=current),
        *([] if shown else [_failures_missing(fold, bar)]),
        *(_latency_missing(fold, bar) if compared else []),
    ]
    if missing:
        return Verdict.INCONCLUSIVE, f"{_counts(fold)}: needs " + " and ".join(missing)
    sure = f"{_percent(1 - fold.policy.false_pass)} sure"
    latency = "latency no worse" if compared else "latency not judged (no timed control requests beside it)"
    return Verdict.HEALTHY, f"{_counts(fold)}: {shown}, {sure}; {latency}"


# --- one question each -------------------------------------------------------------------------------------------------


def _incident(fold: Fold) -> str:
    """Why failures beyond the budget neither blame nor clear the canary; empty when it keeps its budget."""
    budget, threshold = fold.policy.error_budget, -log(fold.policy.false_rollback)
    if fold.failures.canary_breach.log_breach(budget) < threshold:
        return ""
    over = f"{_counts(fold)}: over the budget of {_percent(budget)}"
    if fold.failures.control_breach.log_breach(budget) >= threshold:
        return f"shared incident: {over}, and so is the control"
    if fold.failures.control_requests == 0:
        return f"{over}, not yet surely so without a control to compare with"
    return f"{over}, but not yet surely worse than the control"


def _failures_shown(fold: Fold, bar: Bar) -> str:
    """What is certified of the canary's failures, against the budget or the control; empty when neither is."""
    threshold = -log(fold.policy.false_pass)
    if fold.failures.kept.log_kept(bar.share) >= threshold:
        return f"fails less than {_percent(bar.share)}{_exposure(bar)}"
    if fold.failures.passes[bar.ratio].log_e >= threshold:
        return f"fails less than {bar.ratio:.3g} times as often as the control{_exposure(bar)}"
    return ""


def _exposure(bar: Bar) -> str:
    return "" if bar.weight == FULL_WEIGHT else f", good enough for {percent_words(bar.weight)} of the traffic"


def _requests_missing(fold: Fold, step: Step, *, current: bool) -> list[str]:
    seen = fold.observer.step_requests if current else 0
    if not step.requests:
        # Never healthy with zero measurements, even where a step asks for none.
        return [] if seen else ["a first canary request in this step"]
    more = step.requests - seen
    word = "request" if more == 1 else "requests"
    return [f"{more:,} more canary {word} in this step (it asks for {step.requests:,})"] if more > 0 else []


def _failures_missing(fold: Fold, bar: Bar) -> str:
    more = fold.failures.kept.more_for(bar.share, -log(fold.policy.false_pass)) / fold.failures.pass_gamma
    count = f"about {_round_up(more):,} more canary requests without a failure"
    return f"{count} to show that it fails less than {_percent(bar.share)}"


def _latency_compared(fold: Fold, step: Step) -> bool:
    """Whether the control's latency is there to compare with; a step with all traffic leaves none for a first comparison."""
    if not fold.latency.edges:
        return False
    requests, _, others, _ = fold.latency.totals[0]
    return step.weight < FULL_WEIGHT or (requests > 0 and others > 0)


def _latency_missing(fold: Fold, bar: Bar) -> list[str]:
    """Latency is shown by few requests of the upper fifth being slow: against the control's, or against the fifth."""
    latency, threshold = fold.latency, -log(fold.policy.false_pass)
    if not latency.edges or latency.passes[bar.ratio].log_e >= threshold:
        return []
    share = min(0.5, TAILS[0] * bar.ratio)
    if latency.flawless.log_kept(share) >= threshold:
        return []
    requests, slow, _, _ = latency.totals[0]
    edge = latency.edges[0].canary
    return [f"more fast answers ({slow:,} of {requests:,} took over {edge:g} ms) to show that it is not slower"]


# --- words -----------------------------------------------------------------------------------------------------------


def _regressed(fold: Fold, caught: Caught) -> str:
    sure = f"{_percent(1 - fold.policy.false_rollback)} sure at any time"
    if caught.metric is Metric.LATENCY:
        return _slower(fold, caught, sure)
    ours = f"canary failed {_of(caught.canary_failed, caught.canary_requests)}"
    if caught.metric is Metric.ALONE:
        bar = _percent(fold.failures.alone_bar or fold.policy.error_budget)
        return f"{ours}, more than {bar} with no control to compare with, {sure}"
    low, _ = ratio_interval(fold.failures.exposures[: caught.exposures], fold.policy.false_rollback)
    times = max(low, fold.policy.tolerance)
    theirs = f"control {_of(caught.control_failed, caught.control_requests, noun='')}"
    return f"{ours}, {theirs}: at least {times:g} times as often, {sure}"


def _slower(fold: Fold, caught: Caught, sure: str) -> str:
    edge, (requests, slow, others, others_slow) = fold.latency.edges[caught.edge], caught.slow
    ours = f"{_of(slow, requests)} of the canary took over {edge.canary:g} ms"
    theirs = f"{_of(others_slow, others, noun='')} of the control over {edge.control:g} ms"
    return f"{ours}, {theirs}: slower, {sure}"


def _counts(fold: Fold) -> str:
    seen = fold.failures
    return f"canary failed {_of(seen.canary_failed, seen.canary_requests)}"


def _of(part: int, whole: int, noun: str = " requests") -> str:
    share = f" ({_percent(part / whole)})" if whole else ""
    return f"{part:,} of {whole:,}{noun}{share}"


def _percent(share: float) -> str:
    percent = 100 * share
    digits = 1 if percent == 0 or percent >= 1 else 2
    return f"{percent:.{digits}f}".rstrip("0").rstrip(".") + " %"


def _round_up(count: float) -> int | str:
    return "very many" if count == inf else int(-(-count // 1))
