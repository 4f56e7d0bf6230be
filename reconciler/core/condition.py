"""Conditions: what is true of a key now, and since when."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.core.state import Condition, ConditionStatus, ConditionType


def true(kind: ConditionType, reason: str, message: str) -> Condition:
    """A condition that holds; generation and time are filled in by ``merge``."""
    return Condition(kind, ConditionStatus.TRUE, reason, message, 0)


def false(kind: ConditionType, reason: str, message: str) -> Condition:
    """A condition that does not hold; generation and time are filled in by ``merge``."""
    return Condition(kind, ConditionStatus.FALSE, reason, message, 0)


@dataclass(frozen=True, slots=True)
class _Says:
    status: ConditionStatus
    reason: str
    message: str


def merge(old: tuple[Condition, ...], new: tuple[Condition, ...], generation: int, now: float) -> tuple[Condition, ...]:
    """Stamp new conditions: the transition time moves only when status, reason or message changed."""
    before = {one.type: one for one in old}
    merged = []
    for one in new:
        last = before.get(one.type)
        if last and _Says(last.status, last.reason, last.message) == _Says(one.status, one.reason, one.message):
            merged.append(replace(one, generation=generation, since=last.since))
        else:
            merged.append(replace(one, generation=generation, since=now))
    return tuple(merged)


def find(conditions: tuple[Condition, ...], kind: ConditionType) -> Condition | None:
    """The condition of that type, if it is there."""
    return next((one for one in conditions if one.type is kind), None)
