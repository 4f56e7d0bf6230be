"""Gates: may this digest go on? Each gate gives a verdict; the strictest one holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from reconciler.core.desired import DesiredState, Instant
from reconciler.core.digest import short
from reconciler.core.state import KeyState


class Answer(IntEnum):
    """Ordered by strictness."""

    ALLOW = 0
    HOLD = 1
    DENY = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one gate says, why, who can change it, and until when (Unix seconds) it holds; None = no end by itself."""

    gate: str
    answer: Answer
    reason: str = ""
    who: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The environment that has to have certified the same artifact first, and the revision it certified last."""

    environment: str
    revision: str | None


def fold(verdicts: Iterable[Verdict]) -> Verdict:
    """The strictest verdict, the first one among equals; allow when there are none."""
    strictest = Verdict("none", Answer.ALLOW)
    for verdict in verdicts:
        if verdict.answer > strictest.answer:
            strictest = verdict
    return strictest


def quarantine(state: KeyState, digest: str) -> Verdict:
    """A digest that was rolled back is not rolled out again, although git still names it."""
    for row in state.quarantined:
        if row.digest == digest:
            reason = f"release {short(digest)} is quarantined: {row.reason}"
            return Verdict("quarantine", Answer.DENY, reason, "whoever commits another version")
    return Verdict("quarantine", Answer.ALLOW)


def manifest(desired: DesiredState | None) -> Verdict:
    """What no manifest asks for any more gets no more traffic than it has."""
    if desired is not None:
        return Verdict("manifest", Answer.ALLOW)
    reason = "no valid manifest asks for this key any more, so that the rollout does not go on"
    return Verdict("manifest", Answer.HOLD, reason, "whoever brings the manifest back, or prodsprint release abort")


def pause(state: KeyState, now: Instant) -> Verdict:
    """A person holds promotion for a time."""
    held = state.pause
    if held is None or held.until <= now.wall:
        return Verdict("pause", Answer.ALLOW)
    return Verdict(
        "pause", Answer.HOLD, f"paused by {held.who}: {held.reason}", "prodsprint release resume", held.until
    )


def order(desired: DesiredState, predecessor: Predecessor | None) -> Verdict:
    """Environments are passed in order, each on the artifact that the one before certified."""
    if desired.after is None:
        return Verdict("order", Answer.ALLOW)
    if predecessor is not None and predecessor.revision == desired.artifact.revision:
        return Verdict("order", Answer.ALLOW)
    reason = f"{desired.after} has not certified {desired.artifact.version} ({short(desired.artifact.revision)}) yet"
    return Verdict("order", Answer.HOLD, reason, f"the rollout in {desired.after}")
