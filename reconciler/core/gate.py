"""Gates: may this digest go on? Each gate gives a verdict; the strictest one holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from reconciler.core.components import version_of
from reconciler.core.desired import DesiredState, Instant, Key
from reconciler.core.digest import revision_of, short, short_revision_of
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


@dataclass(frozen=True, slots=True)
class Dependency:
    """How an environment of another project is: what git asks of it, and whether that serves."""

    key: Key
    version: str
    """Name of the version that git asks for; empty when no manifest asks for the key."""
    digest: str
    """Digest of the release that git asks for."""
    certified: str
    """Digest of the certified release that serves; empty while there is none."""
    moving: bool
    """Whether a rollout is in progress."""
    barred: bool
    """Whether what git asks for was rolled back."""
    problem: str = ""
    """Why no manifest asks for the key, as far as that is known."""


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


def order(desired: DesiredState, predecessors: tuple[Predecessor, ...]) -> Verdict:
    """Environments are passed in order, each on the artifacts that all those before have certified."""
    certified = {one.environment for one in predecessors if one.revision == revision_of(desired)}
    missing = [name for name in desired.after if name not in certified]
    if not missing:
        return Verdict("order", Answer.ALLOW)
    names = " and ".join((", ".join(missing[:-1]), missing[-1]) if len(missing) > 1 else missing)
    have = "have" if len(missing) > 1 else "has"
    reason = f"{names} {have} not certified {version_of(desired)} ({short_revision_of(desired)}) yet"
    return Verdict("order", Answer.HOLD, reason, f"the rollout in {names}")


def dependency(desired: DesiredState, dependencies: tuple[Dependency, ...]) -> Verdict:
    """What a project needs has to serve what git asks of it before another release begins."""
    found = {one.key: one for one in dependencies}
    for key in desired.needs:
        lacks, who = _lacks(key, found.get(key))
        if lacks:
            reason = f"{desired.key.project} depends on {key}, {lacks}"
            return Verdict("dependency", Answer.HOLD, reason, who)
    return Verdict("dependency", Answer.ALLOW)


def _lacks(key: Key, found: Dependency | None) -> tuple[str, str]:
    """What a needed key lacks, and who can change it; empty when it serves what it should."""
    if found is None:
        return "which could not be looked at", "nobody: it is tried again"
    if not found.version:
        why = f": {found.problem}" if found.problem else ""
        return f"which no valid manifest asks for{why}", f"whoever writes the manifest of {key}"
    if found.moving:
        return f"whose rollout of {found.version} is in progress", f"the rollout of {key}"
    if found.barred:
        return f"whose {found.version} was rolled back", f"whoever commits another version of {key}"
    if found.certified != found.digest:
        return f"which does not serve {found.version} ({short(found.digest)}) yet", f"the rollout of {key}"
    return "", ""
