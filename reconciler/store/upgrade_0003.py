"""States, plans and recorded inputs of schema 0002 in the form of 0003: an environment may come after several others."""

from __future__ import annotations

from typing import Any

_DESIRED = {"key", "artifact", "target", "spec", "after"}
"""Fields that only a desired state has all of, of that version and of this one."""
_INPUTS = {"now", "state", "desired", "observed"}


def upgrade(form: dict[str, Any]) -> dict[str, Any]:
    """The same decoded JSON in the new form. What is in it already stays as it is; ``form`` itself is not changed."""
    new = {name: _inner(value) for name, value in form.items()}
    if new.keys() >= _DESIRED:
        new["after"] = _names(new["after"])
    if new.keys() >= _INPUTS and "predecessor" in new:
        before = new.pop("predecessor")
        new["predecessors"] = [] if before is None else [before]
    return new


def _inner(value: object) -> object:
    if isinstance(value, dict):
        return upgrade(value)
    if isinstance(value, list):
        return [_inner(one) for one in value]
    return value


def _names(after: object) -> object:
    if after is None:
        return []
    return [after] if isinstance(after, str) else after
