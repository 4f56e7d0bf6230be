"""Older versions of the language, and the steps from each to the next. ``migrate`` takes as many as it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from reconciler.manifest.layout import STEP
from reconciler.manifest.roundtrip import above, note_lines, shift, unfold


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the version it leads to, and what changes a document in place. ``change`` raises Impossible."""

    to: str
    change: Callable[[CommentedMap], None]


class Impossible(ValueError):  # noqa: N818  # it is the document that cannot, not the code
    """A document cannot be brought to the next version. The message says what was found; ``path`` leads to it."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


def _from_v1alpha1(document: CommentedMap) -> None:
    """``metadata`` and ``spec`` go; an environment's ``strategy: {canary: {...}}`` becomes its ``release``."""
    for name in ("metadata", "spec"):
        if name in document:
            _lift(document, name)
    environments = document.get("environments")
    for index, item in enumerate(environments if isinstance(environments, CommentedSeq) else ()):
        if isinstance(item, CommentedMap) and "strategy" in item:
            _release(item, index)


def _lift(document: CommentedMap, name: str) -> None:
    """Put the entries of a mapping in the place where it stands."""
    inner = _mapping(document, name, name)
    for key in inner:
        if key in document:
            raise Impossible(f"`{key}` is there and in `{name}` too", name, key)
    unfold(document, name)
    shift(inner, STEP)
    at = list(document).index(name)
    _, before, beside, below = document.ca.items.pop(name, [None] * 4)
    del document[name]
    for place, (key, value) in enumerate(inner.items(), at):
        document.insert(place, key, value)
    document.ca.items.update(inner.ca.items)
    following = list(document)[at + len(inner) :]
    above(document, next(iter(following), None), inner.ca.end)
    notes = [*(before or []), *note_lines(beside.value if beside else ""), *(below or [])]
    above(document, next(iter([*inner, *following]), None), notes)


def _release(environment: CommentedMap, index: int) -> None:
    path = ("spec", "environments", index, "strategy")
    if "release" in environment:
        raise Impossible("`strategy` and `release` are there both", *path)
    outer = environment["strategy"]
    if not isinstance(outer, CommentedMap) or len(outer) != 1:
        raise Impossible("`strategy` has to hold `canary` or `allAtOnce` and nothing else", *path)
    (kind,) = outer
    if kind not in _STRATEGIES:
        raise Impossible(f"there is no strategy `{kind}`", *path, kind)
    fields = _mapping(outer, kind, *path, kind)
    if "strategy" in fields:
        raise Impossible(f"`strategy` is in `{kind}` already", *path, kind, "strategy")
    if outer.fa.flow_style():
        fields.fa.set_flow_style()
    else:
        unfold(outer, kind)
    shift(fields, 4 * STEP)
    first = next(iter(fields), None)
    _, before, beside, below = outer.ca.items.pop(kind, [None] * 4)
    above(fields, first, below or [])
    fields.ca.end = [*fields.ca.end, *outer.ca.end]
    fields.insert(0, "strategy", _STRATEGIES[kind])
    fields.ca.items["strategy"] = [None, before, beside, None]
    fields.ca.comment = outer.ca.comment
    at = list(environment).index("strategy")
    del environment["strategy"]
    environment.insert(at, "release", fields)
    if "strategy" in environment.ca.items:
        environment.ca.items["release"] = environment.ca.items.pop("strategy")


_STRATEGIES = {"canary": "canary", "allAtOnce": "all-at-once"}


def _mapping(holder: CommentedMap, name: str, *path: str | int) -> CommentedMap:
    value = holder[name]
    if not isinstance(value, CommentedMap):
        raise Impossible(f"`{name}` has to be a mapping", *path)
    return value


STEPS: Mapping[str, Step] = {"prodsprint/v1alpha1": Step("prodsprint/v1", _from_v1alpha1)}
"""From each older version, the step to the next."""
