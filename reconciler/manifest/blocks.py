"""The blocks of target kinds (``process:``), which may stand in every layer; their target kind models them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

from reconciler.manifest.kinds import target, target_names
from reconciler.manifest.layers import Written, merged
from reconciler.manifest.load import Document
from reconciler.manifest.marks import Path
from reconciler.manifest.problem import Code, Problem, described, quoted

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
"""What ``core.digest.canonical`` gives for plain JSON types, four times as fast."""


def without_blocks(value: Mapping[str, object]) -> dict[str, object]:
    """A mapping of the manifest without the blocks of targets in it."""
    kinds = target_names()
    return {name: inner for name, inner in value.items() if name not in kinds}


def together(kind: str, stack: Sequence[Written]) -> dict[str, object]:
    """What the layers, the nearest first, say together in the block of a kind."""
    found: dict[str, object] = {}
    for layer in stack:
        block = layer.value.get(kind)
        if isinstance(block, dict):
            found = merged(block, found) if found else block
    return found


def validated(kind: str, stack: Sequence[Written]) -> BaseModel:
    """The whole block of a kind. Raises ValidationError."""
    return target(kind).spec.model_validate(together(kind, stack), by_alias=True, by_name=False)


def split(kind: str, spec: BaseModel) -> tuple[str, str]:
    """Spec and runtime of a validated block, in canonical JSON.

    Fields that have their default are left out, so that a new version of the daemon with more of them starts no release.
    """
    runtime = target(kind).runtime
    written = spec.model_dump(mode="json")
    told = [name for name, default in _defaults(type(spec)) if getattr(spec, name) != default]
    behaviour = {name: written[name] for name in told if name not in runtime}
    return _canonical(behaviour), _canonical({name: written[name] for name in told if name in runtime})


@cache
def _defaults(spec: type[BaseModel]) -> tuple[tuple[str, Any], ...]:
    """Each field of a model and its default."""
    return tuple((name, one.get_default(call_default_factory=True)) for name, one in spec.model_fields.items())


def no_mappings(document: Document, base: Path, value: Mapping[str, object]) -> Iterator[Problem]:
    """Blocks in a mapping of the manifest that are none."""
    for kind in target_names():
        if kind in value and not isinstance(value[kind], dict):
            found = f"{quoted(kind)}: expected a mapping, found {described(value[kind])}"
            hint = "Write `key: value` lines below it, indented"
            yield Problem(document.place((*base, kind)), Code.WRONG_TYPE, found, hint)


def unused(
    document: Document, base: Path, value: Mapping[str, object], used: Sequence[str], why: str
) -> Iterator[Problem]:
    """Blocks in a mapping of the manifest that are for none of the ``used`` kinds; ``why`` is about {kind} and {used}."""
    for kind in target_names():
        if kind in value and kind not in used:
            found = f"{quoted(kind)} has no effect, because {why.format(kind=quoted(kind), used=quoted(used[0]))}"
            place = document.place((*base, kind), key=True)
            yield Problem(place, Code.UNUSED_BLOCK, found, "Remove it, or correct `target`")
