"""What a field means, may hold and is by default, for ``prodsprint explain FIELD``: from the schema that editors read."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.json_schema import JsonSchemaValue

from reconciler.manifest.models import KINDS
from reconciler.manifest.schema import document_schema, resolved

_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
}


@dataclass(frozen=True, slots=True)
class FieldHelp:
    """One field. ``default`` is as a manifest writes it, empty when there is none; ``fields`` are those inside a mapping."""

    path: str
    """Kind and names of the fields that lead to it, such as ``Project.environments.release.bake``."""
    type: str
    required: bool
    default: str
    description: str
    allowed: str
    fields: tuple[str, ...]


class UnknownFieldError(LookupError):
    """There is no such field; ``near`` are the paths that may be meant, the likeliest first."""

    def __init__(self, path: str, near: tuple[str, ...]) -> None:
        super().__init__(f"there is no field {path!r}")
        self.near = near


def field_help(path: str) -> FieldHelp:
    """Help on a field, by its path from a kind (``Freeze.cron``) or, without one, from a Project (``environments.port``).

    A kind alone gives help on the kind. Raises UnknownFieldError.
    """
    kind, *steps = _steps(path)
    root: JsonSchemaValue = document_schema(kind)
    schema, block = root, root
    required = True
    for step in steps:
        block = _within(root, schema)
        if step not in block.get("properties", {}):
            raise UnknownFieldError(path, _near(kind, steps))
        schema, required = block["properties"][step], step in block.get("required", ())
    inside = _within(root, schema)
    return FieldHelp(
        ".".join((kind, *steps)),
        _type(root, schema),
        required,
        _default(schema.get("default")),
        str(schema.get("description") or inside.get("description") or ""),
        _allowed(schema),
        tuple(inside.get("properties", ())),
    )


def field_paths(kind: str) -> Iterator[str]:
    """The path of every field of a kind, for completion. Raises KeyError for a kind that does not exist."""
    root = document_schema(kind)
    waiting = [(kind, root)]
    while waiting:
        path, schema = waiting.pop(0)
        for name, field in _within(root, schema).get("properties", {}).items():
            yield f"{path}.{name}"
            waiting.append((f"{path}.{name}", field))


def _steps(path: str) -> list[str]:
    steps = [step for step in path.replace("[]", "").split(".") if step]
    kinds = {kind.lower(): kind for kind in KINDS}
    if steps and steps[0].lower() in kinds:
        return [kinds[steps[0].lower()], *steps[1:]]
    return ["Project", *(steps or [path])]


def _default(value: object) -> str:
    if value in (None, [], {}):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _within(root: JsonSchemaValue, schema: JsonSchemaValue) -> JsonSchemaValue:
    """The mapping that a field holds, or that is an item of the list it holds."""
    found = resolved(root, schema)
    return _within(root, found["items"]) if "items" in found else found


def _near(kind: str, steps: list[str]) -> tuple[str, ...]:
    paths = [path for one in (kind, *(other for other in KINDS if other != kind)) for path in field_paths(one)]
    last = steps[-1].lower() if steps else ""
    same = [path for path in paths if path.rpartition(".")[2].lower() == last]
    names = {path.rpartition(".")[2].lower() for path in paths}
    close = difflib.get_close_matches(last, sorted(names), n=3)
    return tuple(same or [path for name in close for path in paths if path.rpartition(".")[2].lower() == name])[:5]


def _type(root: JsonSchemaValue, schema: JsonSchemaValue) -> str:
    if "$comment" in schema:
        return str(schema["$comment"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(root, one) for one in schema["anyOf"]))
    if "$ref" in schema:
        return _type(root, resolved(root, schema))
    if schema.get("type") == "array":
        return f"list of {_type(root, schema.get('items', {}))}"
    if "enum" in schema or "const" in schema:
        return "text"
    return _TYPES.get(str(schema.get("type")), "anything")


def _allowed(schema: JsonSchemaValue) -> str:
    """In words, what of the type is allowed."""
    for name, told in _WORDS.items():
        if name in schema:
            return told(schema[name])
    if "anyOf" in schema:
        choices = schema["anyOf"][:1] if "$comment" in schema else schema["anyOf"]
        return " or ".join(dict.fromkeys(found for one in choices if (found := _allowed(one))))
    each = _allowed(schema["items"]) if "items" in schema else ""
    return ", ".join(found for found in (_range(schema), each) if found)


def _meanings(choices: list[JsonSchemaValue]) -> str:
    return " ".join(f"{one['const']}: {one['description']}" for one in choices if "const" in one)


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "const": str,
    "enum": ", ".join,
    "oneOf": _meanings,
    "patternErrorMessage": lambda words: str(words).removeprefix("expected "),
}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
}


def _range(schema: JsonSchemaValue) -> str:
    return ", ".join(words.format(f"{schema[name]:g}") for name, words in _LIMITS.items() if name in schema)
