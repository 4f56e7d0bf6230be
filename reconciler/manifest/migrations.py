"""Older versions of the language, and the steps from each to the next. ``migrate`` takes as many as it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.manifest.emit import STEP as INDENT
from reconciler.manifest.tree import Block, Entry, Scalar


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the version it leads to, and what changes a document in place. ``change`` raises Impossible."""

    to: str
    change: Callable[[Block], None]


class Impossible(ValueError):  # noqa: N818  # it is the document that cannot, not the code
    """A document cannot be brought to the next version. The message says what was found; ``path`` leads to it."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


def _from_v1alpha1(document: Block) -> None:
    """``metadata`` and ``spec`` go; an environment's ``strategy: {canary: {...}}`` becomes its ``release``."""
    for name in ("metadata", "spec"):
        _lift(document, name)
    environments = document.find("environments")
    if environments is None or not isinstance(environments.value, Block) or not environments.value.listed:
        return
    for index, item in enumerate(environments.value.entries):
        if isinstance(item.value, Block) and not item.value.listed:
            _release(item.value, index)


def _lift(document: Block, name: str) -> None:
    """Put the entries of a mapping in the place where it stands."""
    wrapper = document.find(name)
    if wrapper is None:
        return
    inner = _mapping(wrapper, name)
    for entry in inner.entries:
        if document.find(entry.name) is not None:
            raise Impossible(f"`{entry.name}` is there and in `{name}` too", name, entry.name)
    _shift(inner)
    at = document.entries.index(wrapper)
    _hand_over([*wrapper.before, *wrapper.beside], inner.entries, document, at)
    following = document.entries[at + 1].before if at + 1 < len(document.entries) else document.end
    following[:0] = inner.end
    document.entries[at : at + 1] = inner.entries


def _shift(block: Block) -> None:
    """Move the comments beside entries as far to the left as the entries go."""
    for entry in block.entries:
        entry.column = max(0, entry.column - INDENT)
        if isinstance(entry.value, Block):
            _shift(entry.value)


def _hand_over(notes: list[str], entries: list[Entry], document: Block, at: int) -> None:
    """Give comments to the first of ``entries``, else to what comes after place ``at`` of the document."""
    rest = document.entries[at + 1 :]
    heir = (entries or rest)[0].before if entries or rest else document.end
    heir[:0] = notes


def _release(environment: Block, index: int) -> None:
    entry = environment.find("strategy")
    if entry is None:
        return
    path = ("spec", "environments", index, "strategy")
    if environment.find("release") is not None:
        raise Impossible("`strategy` and `release` are there both", *path)
    if not isinstance(entry.value, Block) or entry.value.listed or len(entry.value.entries) != 1:
        raise Impossible("`strategy` has to hold `canary` or `allAtOnce` and nothing else", *path)
    (kind,) = entry.value.entries
    if kind.name not in _STRATEGIES:
        raise Impossible(f"there is no strategy `{kind.name}`", *path, kind.name)
    fields = _mapping(kind, *path, kind.name)
    if fields.find("strategy") is not None:
        raise Impossible(f"`strategy` is in `{kind.name}` already", *path, kind.name, "strategy")
    first = Entry(Scalar("strategy"), Scalar(_STRATEGIES[kind.name]), kind.before, kind.beside, kind.column)
    _shift(fields)
    flow = entry.value.flow and fields.flow
    entry.key = Scalar("release")
    entry.value = Block(listed=False, flow=flow, entries=[first, *fields.entries], end=[*fields.end, *entry.value.end])


_STRATEGIES = {"canary": "canary", "allAtOnce": "all-at-once"}


def _mapping(entry: Entry, *path: str | int) -> Block:
    if not isinstance(entry.value, Block) or entry.value.listed:
        raise Impossible(f"`{entry.name}` has to be a mapping", *path)
    return entry.value


STEPS: Mapping[str, Step] = {"prodsprint/v1alpha1": Step("prodsprint/v1", _from_v1alpha1)}
"""From each older version, the step to the next."""
