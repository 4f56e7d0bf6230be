"""JSON Schema (2020-12) of the manifest language, for editors and CI, generated from the models.

It accepts whatever the daemon accepts. What one field alone does not show (ascending steps, ranges of durations, a port
that is taken) only the daemon refuses. ``python -m reconciler.manifest.schema FOLDER`` writes the files.
"""

from __future__ import annotations

import copy
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from reconciler.manifest import kinds
from reconciler.manifest.models import KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/"


class _Generator(GenerateJsonSchema):
    """Leaves out null, which no manifest holds, and titles, which only repeat names."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


@cache
def document_schema(kind: str) -> JsonSchemaValue:
    """The schema of one kind of document. Raises KeyError for a kind that does not exist."""
    specs = {name: kinds.target(name).spec for name in kinds.target_names()}
    wanted = [(model, "validation") for model in (KINDS[kind], *specs.values())]
    refs, whole = models_json_schema(wanted, schema_generator=_Generator)  # type: ignore[arg-type]
    definitions: dict[str, JsonSchemaValue] = whole["$defs"]
    names = {model: ref["$ref"].removeprefix(_REF) for (model, _), ref in refs.items()}
    blocks = {name: _partial(definitions[names[spec]]) for name, spec in specs.items()}
    for spec in specs.values():
        definitions.pop(names[spec], None)
    root = definitions.pop(names[KINDS[kind]])
    root["properties"] |= blocks
    if "environments" in root["properties"]:
        inner = root["properties"]["environments"]["items"]["$ref"].removeprefix(_REF)
        definitions[inner]["properties"] |= copy.deepcopy(blocks)
    return {"$schema": DIALECT, **root, "$defs": dict(sorted(definitions.items()))}


def _partial(block: JsonSchemaValue) -> JsonSchemaValue:
    # The project's block and the environment's are merged, so neither has to be complete.
    return {name: value for name, value in block.items() if name != "required"}


def resolved(root: JsonSchemaValue, schema: JsonSchemaValue) -> JsonSchemaValue:
    """The schema itself where ``schema`` is a reference or a choice with one mapping in it."""
    if "$ref" in schema:
        return resolved(root, root["$defs"][schema["$ref"].removeprefix(_REF)])
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        found = resolved(root, choice)
        if "properties" in found:
            return found
    return schema


def text(kind: str) -> str:
    """The schema file of one kind."""
    return json.dumps(document_schema(kind), indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Write the schema of every kind into ``folder``, which exists."""
    for kind in KINDS:
        (folder / f"{kind.lower()}.schema.json").write_text(text(kind), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "schema"))
