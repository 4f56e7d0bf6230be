from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from manifest_samples import MINIMAL, compiled

from reconciler.manifest.load import load
from reconciler.manifest.models import KINDS
from reconciler.manifest.problem import Code
from reconciler.manifest.schema import BEYOND, document_schema, resolved

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "prodsprint.example.yaml").read_text(encoding="utf-8")
DOCS = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
FIRST = EXAMPLE.partition("\n---\n")[0]
VALUES = [document.value for document in load("f.yaml", EXAMPLE.encode()).documents]
LAYERS = ("", ".environments", ".components", ".defaults")
"""Blocks around an environment: what one of them shows need not be shown in the others."""
LAYER_FIELDS = {"target", "instances", "router", "onDelete", "release", "analysis", "process"}


def blocks(root, value, schema, path=""):
    """Every mapping of a document with the schema of its block, by the path of the block."""
    schema = resolved(root, schema)
    if isinstance(value, list):
        for item in value:
            yield from blocks(root, item, schema.get("items", {}), path)
    elif isinstance(value, dict) and "properties" in schema:
        yield path, value, schema
        for name, child in schema["properties"].items():
            yield from blocks(root, value.get(name), child, f"{path}.{name}")


def required_only(root, value, schema):
    """The document without every field that has a default. Target blocks lose only fields with a written default."""
    schema = resolved(root, schema)
    if isinstance(value, list):
        return [required_only(root, item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    kept = {"command", "source", "version"} if schema is root else {"port"}
    kept |= set(schema.get("required", ["command"]))
    return {
        name: required_only(root, item, schema["properties"][name])
        for name, item in value.items()
        if name in kept or (schema is root and name == "process")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_example_shows_every_field(kind):
    root = document_schema(kind)
    shown: dict[str, set[str]] = {}
    known: dict[str, set[str]] = {}
    for value in VALUES:
        for path, block, schema in blocks(root, value, root) if value["kind"] == kind else ():
            shown.setdefault(path, set()).update(block)
            known.setdefault(path, set()).update(schema["properties"])
    if kind == "Project":
        assert set().union(*(shown[path] for path in LAYERS if path in shown)) >= LAYER_FIELDS
        for path in LAYERS:
            known[path] = known.get(path, set()) - LAYER_FIELDS | shown.get(path, set())
        # What stands in several layers is shown whole in one of them.
        shown = {path: fields for path, fields in shown.items() if not path.startswith(".components.")}
        known = {
            path: fields
            for path, fields in known.items()
            if not path.startswith(".components.") and path != ".defaults"
        }
    elif kind in {"Workspace", "Target"}:
        within = (".defaults.", ".process")
        shown = {path: fields for path, fields in shown.items() if not path.startswith(within)}
        known = {path: fields for path, fields in known.items() if not path.startswith(within)}
    assert shown == known
    assert known


def test_values_shown_are_the_defaults():
    root = document_schema("Project")
    whole, bare = compiled(FIRST), compiled(json.dumps(required_only(root, VALUES[0], root)))
    assert not whole.problems
    assert not bare.problems
    assert len(whole.desired) == 2
    assert dict(bare.desired) == {
        key: replace(desired, path="prodsprint.yaml") for key, desired in whole.desired.items()
    }


def test_every_document_of_the_example_is_sound():
    snapshot = compiled(EXAMPLE)
    assert [str(problem) for problem in snapshot.problems] == []
    assert {value["kind"] for value in VALUES} == set(KINDS)
    assert len(snapshot.desired) == 5


NO_COMMENT = {
    *("process", "environments", "release", "steps", "analysis"),  # there are lines about them above
    *(
        "apiVersion",
        "kind",
        "workspace",
        "name",
        "source",
        "version",
        "target",
        "reason",
        "timeZone",
        "duration",
    ),  # shown once
}


def test_every_field_has_a_comment():
    told: set[str] = set()
    for line in EXAMPLE.splitlines():
        field = re.match(r"[- ]*(\w+):", line)
        if field and "#" in line:
            told.add(field[1])
        elif field and field[1] not in NO_COMMENT:
            assert line.strip() == "port: 8081" or field[1] == "environments", line
    assert told >= NO_COMMENT - {"process", "environments", "release", "steps", "analysis"}


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


def test_docs_mark_the_codes_that_the_schema_does_not_find():
    assert set(re.findall(r"^\| `([a-z-]+)` \| \* ", DOCS, re.MULTILINE)) == {code.value for code in BEYOND}


def test_docs_name_every_kind():
    assert re.findall(r"^\| `([A-Z]\w+)` \|", DOCS, re.MULTILINE) == list(KINDS)
