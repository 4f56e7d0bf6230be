from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from manifest_samples import MINIMAL, compiled

from reconciler.manifest.load import load
from reconciler.manifest.problem import Code
from reconciler.manifest.schema import document_schema, resolved

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "prodsprint.example.yaml").read_text(encoding="utf-8")
DOCS = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
SCHEMA = document_schema("Project")
VALUE = load("f.yaml", EXAMPLE.encode()).documents[0].value


def blocks(value, schema, path=""):
    """Every mapping of a document with the schema of its block, by the path of the block."""
    schema = resolved(SCHEMA, schema)
    if isinstance(value, list):
        for item in value:
            yield from blocks(item, schema.get("items", {}), path)
    elif isinstance(value, dict) and "properties" in schema:
        yield path, value, schema
        for name, child in schema["properties"].items():
            yield from blocks(value.get(name), child, f"{path}.{name}")


def required_only(value, schema):
    """The document without every field that has a default. Target blocks lose only fields with a written default."""
    schema = resolved(SCHEMA, schema)
    if isinstance(value, list):
        return [required_only(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    kept = schema.get("required", ["command"])
    return {
        name: required_only(item, schema["properties"][name])
        for name, item in value.items()
        if name in kept or (schema is SCHEMA and name == "process")
    }


def test_example_shows_every_field():
    shown: dict[str, set[str]] = {}
    known: dict[str, set[str]] = {}
    for path, value, schema in blocks(VALUE, SCHEMA):
        shown.setdefault(path, set()).update(value)
        known.setdefault(path, set()).update(schema["properties"])
    known[".environments"].discard("process")  # it is shown in the project
    assert shown == known
    assert len(known) == 6


def test_values_shown_are_the_defaults():
    import json

    whole, bare = compiled(EXAMPLE), compiled(json.dumps(required_only(VALUE, SCHEMA)))
    assert not whole.problems
    assert not bare.problems
    assert len(whole.desired) == 2
    assert bare.desired == {key: replace(desired, path="prodsprint.yaml") for key, desired in whole.desired.items()}


def test_every_field_has_a_comment():
    for line in EXAMPLE.splitlines():
        field = re.match(r"[- ]*(\w+):", line)
        if field and field[1] not in {"process", "environments", "release", "steps", "analysis"}:
            required_elsewhere = line.strip() in {"- name: prod", "port: 8081"}
            assert "#" in line or required_elsewhere, line


def test_minimal_manifest_of_the_docs_works_in_at_most_12_lines():
    (manifest,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    assert manifest == MINIMAL
    assert len(manifest.splitlines()) <= 12
    assert not compiled(manifest).problems


@pytest.mark.parametrize("code", list(Code))
def test_every_problem_code_is_documented(code):
    assert f"| `{code.value}` |" in DOCS


def test_docs_name_no_code_that_does_not_exist():
    assert set(re.findall(r"^\| `([a-z-]+)` \|", DOCS, re.MULTILINE)) == {code.value for code in Code}
