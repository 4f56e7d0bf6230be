"""JSON Schema (2020-12) of the manifest language, for editors and CI, generated from the models and the installed adapters.

It gives the verdict that the daemon gives on one document, but for the codes in ``BEYOND``: what only shows when values are
compared. ``python -m reconciler.manifest.schema FOLDER`` writes the files.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from reconciler.manifest import kinds
from reconciler.manifest.models import API_VERSION, KINDS
from reconciler.manifest.problem import Code

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BEYOND = frozenset(
    {
        Code.INCONSISTENT,
        Code.WRONG_SCHEDULE,
        Code.WRONG_EXPRESSION,
        Code.UNKNOWN_TIME_ZONE,
        Code.UNKNOWN_ENVIRONMENT,
        Code.UNUSED_BLOCK,
        Code.DUPLICATE_NAME,
        Code.DUPLICATE_PORT,
        Code.CYCLE,
        Code.SELF_REFERENCE,
    }
)
"""Codes of problems in one document that the schema does not see."""
_REF = "#/$defs/"
_LAYERS = ("Project", "Environment", "Component", "Layer")
"""Models that stand around a target's block."""


class _Generator(GenerateJsonSchema):
    """Leaves out null, which no manifest holds, titles, which only repeat names, and defaults that only repeat others."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        default = schema.get("default", ...)
        if default is None or isinstance(default, BaseModel):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        keys, values = schema.get("keys_schema"), schema.get("values_schema")
        found: JsonSchemaValue = {"type": "object"}
        found |= {"propertyNames": self.generate_inner(keys)} if keys and keys["type"] != "str" else {}
        found |= {"additionalProperties": self.generate_inner(values)} if values else {}
        self.update_with_validations(found, schema, self.ValidationsMapping.object)
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


@cache
def document_schema(kind: str) -> JsonSchemaValue:
    """The schema of one kind of document. Raises KeyError for a kind that does not exist."""
    specs = {name: kinds.target(name).spec for name in kinds.target_names()}
    models = (KINDS[kind], *specs.values())
    refs, whole = models_json_schema([(model, "validation") for model in models], schema_generator=_Generator)
    definitions: dict[str, JsonSchemaValue] = whole["$defs"]
    names = {model: ref["$ref"].removeprefix(_REF) for (model, _), ref in refs.items()}
    definitions |= {names[spec]: _partial(definitions[names[spec]]) for spec in specs.values()}
    blocks = {name: {"$ref": f"{_REF}{names[spec]}"} for name, spec in specs.items()}
    for name in (*_LAYERS, *(["Target"] if kind == "Target" else [])):
        if name in definitions:
            definitions[name]["properties"] |= blocks
    for definition in definitions.values():
        _name_adapters(definition.get("properties", {}))
    root = definitions.pop(names[KINDS[kind]])
    if kind == "Target":
        root["properties"]["name"]["not"] = {"enum": list(specs)}
    used = {name: definitions[name] for name in sorted(_used(root, definitions))}
    return {"$schema": DIALECT, **_ordered(root), "$defs": used}


def _used(schema: object, definitions: dict[str, JsonSchemaValue]) -> set[str]:
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            waiting += inner.values()
            name = str(inner.get("$ref", "")).removeprefix(_REF)
            if name in definitions and name not in found:
                found.add(name)
                waiting.append(definitions[name])
        elif isinstance(inner, list):
            waiting += inner
    return found


def _partial(block: JsonSchemaValue) -> JsonSchemaValue:
    # The layers around an environment are merged, so none of them has to be complete.
    return {name: value for name, value in block.items() if name != "required"}


def _name_adapters(properties: dict[str, JsonSchemaValue]) -> None:
    """Let editors complete the names of adapters, and refuse others."""
    known = {"router": kinds.routers(), "source": kinds.metric_sources(), "type": kinds.target_names()}
    if "interval" not in properties:  # the source of an analysis stands beside its interval; the others are URLs
        known.pop("source")
    for name, adapters in known.items():
        if name in properties:
            kept = ("default", "description")
            properties[name] = {key: value for key, value in properties[name].items() if key in kept}
            properties[name]["enum"] = list(adapters)
    if "target" in properties:
        properties["target"]["examples"] = list(kinds.target_names())


def _ordered(root: JsonSchemaValue) -> JsonSchemaValue:
    first = ("apiVersion", "kind", "name", "workspace")
    properties = root["properties"]
    names = [*(name for name in first if name in properties), *(name for name in properties if name not in first)]
    return {**root, "properties": {name: properties[name] for name in names}}


@cache
def language_schema() -> JsonSchemaValue:
    """One schema for every kind: that of the document's own kind counts."""
    definitions: dict[str, JsonSchemaValue] = {}
    for kind in KINDS:
        whole = document_schema(kind)
        definitions |= whole["$defs"]
        definitions[kind] = {name: value for name, value in whole.items() if name not in {"$schema", "$defs"}}
    choices = [{"const": kind, "description": definitions[kind]["description"]} for kind in KINDS]
    return {
        "$schema": DIALECT,
        "title": "ProdSprint",
        "description": "A document of a ProdSprint manifest.",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "Version of the language."},
            "kind": {"type": "string", "oneOf": choices, "description": "Kind of the document."},
        },
        "allOf": [
            {
                "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
                "then": {"$ref": f"{_REF}{kind}"},
            }
            for kind in KINDS
        ],
        "$defs": dict(sorted(definitions.items())),
    }


def resolved(root: JsonSchemaValue, schema: JsonSchemaValue) -> JsonSchemaValue:
    """The schema itself where ``schema`` is a reference or a choice with one mapping in it."""
    if "$ref" in schema:
        return resolved(root, root["$defs"][schema["$ref"].removeprefix(_REF)])
    if "properties" in schema:
        return schema
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        found = resolved(root, choice)
        if "properties" in found:
            return found
    return schema


def text(kind: str = "") -> str:
    """The schema file of one kind, or of the whole language."""
    schema = document_schema(kind) if kind else language_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def files() -> dict[str, str]:
    """Every schema file by its name."""
    return {f"{kind.lower()}.schema.json": text(kind) for kind in KINDS} | {"prodsprint.schema.json": text()}


def write(folder: Path) -> None:
    """Write every schema file into ``folder``, which exists."""
    for name, content in files().items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "schema"))
