"""Where every effective field of an environment comes from: which layer says it, in which line, and what that overrides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.core.desired import DesiredState, Key, StrategyKind
from reconciler.core.units import format_percent
from reconciler.manifest.blocks import together
from reconciler.manifest.draft import draft_file
from reconciler.manifest.layers import DEFAULTS, Layers, Written, owners
from reconciler.manifest.load import Document, load
from reconciler.manifest.marks import Path
from reconciler.manifest.problem import Place
from reconciler.manifest.project import read_project
from reconciler.manifest.schema import document_schema, resolved
from reconciler.manifest.stack import LAYER_FIELDS, Surroundings, components, workspace_of

BUILT_IN = "built-in"
_PLAIN = re.compile(r"(?!.*:(\s|$))[A-Za-z0-9_./%@:][^\s,\[\]{}#&*!|>'\"`]*( [^\s,\[\]{}#&*!|>'\"`:]+)*")
"""Texts that need no quotes in a list or mapping."""
_COMMON = ("owners", "dependsOn")
"""Fields of the project alone that every environment shares."""
_STEPS = ("release", "steps")
Spot = tuple[Written, Path]
"""A layer and a field in it."""


class UnknownKeyError(LookupError):
    """There is no such environment in these files, or what it asks for cannot be told. Says which."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one layer says. ``place`` is None for what is built in."""

    value: str
    layer: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Row:
    """One effective field: what counts first, and behind it what that overrides, the nearest layer first."""

    path: str
    said: tuple[Said, ...]

    @property
    def value(self) -> str:
        """As a manifest would write it; for a variable of a service only how long it is."""
        return self.said[0].value


def explain(files: Mapping[str, bytes], key: Key) -> tuple[Row, ...]:
    """Every effective field of an environment in these manifests (path to content). Raises UnknownKeyError."""
    layers = _layers(files)
    claims = [one for path, content in files.items() for one in _documents(path, content, key)]
    if len(claims) != 1:
        where = " and ".join(str(one.place(("name",))) for one in claims)
        raise UnknownKeyError(f"two documents claim {key}: {where}" if claims else f"there is no {key} in these files")
    return explain_document(claims[0], layers, key)


def explain_document(document: Document, layers: Layers, key: Key) -> tuple[Row, ...]:
    """The same for a Project document. Raises UnknownKeyError."""
    asked = read_project(document, layers)
    reason = document.first or next(map(str, asked.problems), "") or asked.held
    if reason:
        raise UnknownKeyError(f"what {key} asks for cannot be told: {reason}")
    states = [wish.desired for wish in asked.wishes]
    index = next((index for index, state in enumerate(states) if state.key == key), None)
    if index is None:
        raise UnknownKeyError(
            f"the project has no environment `{key.environment}`: {document.place(('environments',))}"
        )
    return tuple(_Table(Surroundings(document, index, layers), states[index], components(document)).rows())


def _layers(files: Mapping[str, bytes]) -> Layers:
    speaking = {path: content for path, content in files.items() if any(word in content for word in DEFAULTS)}
    return Layers.of(draft for path, content in speaking.items() for draft in draft_file(path, "", content).drafts)


def _documents(path: str, content: bytes, key: Key) -> Iterator[Document]:
    if key.project.encode() not in content:
        return
    for document in load(path, content).documents:
        value = document.value
        if not isinstance(value, dict) or value.get("kind") != "Project":
            continue
        if (workspace_of(value), value.get("name")) == (key.workspace, key.project):
            yield document


class _Table:
    """The rows of one environment."""

    def __init__(self, around: Surroundings, state: DesiredState, parts: Sequence[Written]) -> None:
        self.around = around
        self.state = state
        self.parts = parts
        self.root: Any = document_schema("Project")

    def rows(self) -> Iterator[Row]:
        own, project = self.around.own, self.around.project
        fields = self.root["$defs"]["Environment"]["properties"]
        if not self.parts:
            yield from self._origin("", None)
        yield self._row("after", [(own, ("after",))], ", ".join(self.state.after) or "none")
        for name in _COMMON:
            yield self._row(name, [(project, (name,))], "none")
        for name in (name for name in fields if name in LAYER_FIELDS and not (self.parts and name == "instances")):
            for path, built_in in self._leaves((name,), fields[name], {}):
                yield self._row(".".join(map(str, path)), _all(self.around.stack, path), built_in)
        if not self.parts:
            yield from self._block("", None)
        for part in self.parts:
            prefix = f"components.{part.value['name']}."
            yield from self._origin(prefix, part)
            yield self._row(f"{prefix}instances", _all(self.around.of(part), ("instances",)), "1")
            yield from self._block(prefix, part)

    def _origin(self, prefix: str, part: Written | None) -> Iterator[Row]:
        """What runs at which port: of a component, or of a single service."""
        own, project, name = self.around.own, self.around.project, str(part.value["name"]) if part else ""
        between: list[Spot] = [(part, ("version",))] if part else []
        nearest: Path = ("versions", name) if part else ("version",)
        yield self._row(f"{prefix}source", [*((one, ("source",)) for one in (part, project) if one)], "")
        yield self._row(f"{prefix}version", [(own, nearest), *between, (project, ("version",))], "")
        yield self._row(f"{prefix}port", [(own, ("ports", name) if part else ("port",))], "")

    def _block(self, prefix: str, part: Written | None) -> Iterator[Row]:
        kind, stack = self.around.kind, self.around.of(part)
        block = self.root["$defs"]["Environment"]["properties"][kind]
        for path, built_in in self._leaves((kind,), block, together(kind, stack)):
            yield self._row(prefix + ".".join(map(str, path)), _all(stack, path), built_in)

    def _leaves(self, path: Path, schema: Any, value: object) -> Iterator[tuple[Path, str]]:
        """The fields in a field, and what is built in for each."""
        found = resolved(self.root, schema)
        inside = value if isinstance(value, dict) else {}
        if "properties" in found:
            for name, one in found["properties"].items():
                yield from self._leaves((*path, name), one, inside.get(name))
        elif found.get("type") == "object" and inside:
            for name in inside:
                yield (*path, name), ""
        elif path != _STEPS or self.state.strategy.kind is not StrategyKind.ALL_AT_ONCE:
            yield path, self._built_in(path, schema)

    def _built_in(self, path: Path, schema: Any) -> str:
        if path == ("release", "strategy"):
            return str(self.state.strategy.kind)
        if path == _STEPS:
            return f"[{', '.join(format_percent(step.weight) for step in self.state.strategy.steps)}]"
        if "default" not in schema:
            return ""
        return written(schema["default"]) if schema["default"] else "none"

    def _row(self, name: str, places: Iterable[Spot], built_in: str) -> Row:
        said = [_said(layer, path) for layer, path in places if (*layer.base, *path) in layer.document.marks]
        return Row(name, (*said, *([Said(built_in or "none", BUILT_IN, None)] if built_in or not said else [])))


def _all(stack: Sequence[Written], path: Path) -> list[Spot]:
    return [(layer, path) for layer in owners(stack, path)]


def _said(layer: Written, path: Path) -> Said:
    value: Any = layer.value
    for step in path:
        value = value[step]
    raw = layer.document.raw((*layer.base, *path))
    secret = any(isinstance(step, str) and step.lower().endswith("env") for step in path)
    count = len(str(value))
    text = f"({count} character{'' if count == 1 else 's'})" if secret else raw or written(value)
    return Said(text, layer.title, layer.place(path))


def written(value: object) -> str:
    """A value in one line, as a manifest may write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{written(name)}: {written(one)}' for name, one in value.items())}}}"
    return str(value)
