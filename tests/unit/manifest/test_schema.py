from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_samples import MINIMAL, compiled, edited

from reconciler.manifest.load import load
from reconciler.manifest.models import KINDS
from reconciler.manifest.schema import DIALECT, text

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "schema" / "project.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PORT = "    port: 8080\n"


def document(source: str):
    return load("f.yaml", source.encode()).documents[0].value


def test_schema_files_are_the_generated_ones(tmp_path):
    subprocess.run([sys.executable, "-m", "reconciler.manifest.schema", str(tmp_path)], check=True, cwd=ROOT)
    written = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    assert set(written) == {f"{kind.lower()}.schema.json" for kind in KINDS}
    for name, content in written.items():
        committed = (ROOT / "schema" / name).read_text(encoding="utf-8")
        assert content == committed, f"schema/{name} is old: run python -m reconciler.manifest.schema schema"


def test_schema_is_a_valid_one_of_the_dialect_and_holds_no_null():
    assert SCHEMA["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert "null" not in text("Project")


def test_minimal_manifest_and_example_are_valid():
    VALIDATOR.validate(document(MINIMAL))
    VALIDATOR.validate(document((ROOT / "prodsprint.example.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "change",
    [
        ("version: v1\n", ""),
        ("version: v1\n", "version: 1\n"),
        ("version: v1\n", "version: a..b\n"),
        ("version: v1\n", "version: v1\nowner: me\n"),
        ("hello\n", "Hello\n"),
        ("https://example.com/hello.git", "/srv/hello.git"),
        ("https://example.com/hello.git", "https://user:token@example.com/hello.git"),
        ("https://example.com/hello.git", "ext::sh -c id"),
        ("8080", "0"),
        ("8080", "'8080'"),
        ("name: prod", "name: none"),
        ("command", "comand"),
        ("command: python3 app.py", "command: {}"),
        (PORT, f"{PORT}    release: {{steps: [1]}}\n"),
        (PORT, f"{PORT}    release: {{steps: []}}\n"),
        (PORT, f"{PORT}    release: {{bake: soon}}\n"),
        (PORT, f"{PORT}    release: {{strategy: blue}}\n"),
        (PORT, f"{PORT}    analysis: {{tolerance: 0.5}}\n"),
        (PORT, f"{PORT}    analysis: {{errorBudget: 0.01}}\n"),
        (PORT, f"{PORT}    process: {{env: {{A: 1}}}}\n"),
        ("prodsprint/v1", "v1"),
    ],
)
def test_schema_and_daemon_both_refuse(change):
    manifest = edited(change)
    assert not VALIDATOR.is_valid(document(manifest))
    assert compiled(manifest).problems


def environments(odd: bool) -> st.SearchStrategy[dict[str, object]]:
    """Environments of a manifest: plausible ones, or with values mixed in that are odd in type or range."""

    def some(good, bad=()):
        return st.sampled_from([*good, *(bad if odd else ())])

    durations = some(["10s", "5m", "90s", 10, 12.5, " 1m30s "], ["0s", "x", "", -1, True, "99d", "1m1h"])
    shares = some(["1%", "0.25 %", "5%"], ["0%", "5", 5, "101%", ""])
    numbers = some([2, 3, 17], [0, 1, 1.5, -1, 10**10, "2", True])
    step = shares | st.fixed_dictionaries({"weight": shares}, optional={"bake": durations, "requests": numbers})
    blocks = {
        "release": {
            "strategy": some(["canary"], ["all-at-once", "other"]),
            "steps": st.tuples(step, st.just("100%")).map(list) | st.lists(step, max_size=3 if odd else 0),
            "bake": durations,
            "maxBake": some(["1h", "2d"], ["1s"]),
            "drain": durations,
        },
        "analysis": {"interval": durations, "errorBudget": shares, "tolerance": numbers, "passRatio": numbers},
        "process": {
            "command": some(["a b", ["a"]], [[], 5, [1], ""]),
            "build": some(["", "make", []]),
            "env": st.dictionaries(some(["A", "_b"], ["B C", "PORT", ""]), some(["x", ""], [1]), max_size=2),
            "healthFailures": numbers,
            "startDeadline": durations,
        },
    }
    optional = {name: st.fixed_dictionaries({}, optional=fields) for name, fields in blocks.items()}
    optional |= {
        "instances": numbers,
        "after": some(["none"], ["qa", "", "Prod"]),
        "version": some(["v1", "a/b"], ["-x", 1, "a.lock"]),
    }
    return st.fixed_dictionaries(
        {"name": some(["prod", "qa"], ["Prod"]), "port": some([1, 8080], [0, "1"])}, optional=optional
    )


def agreement(odd: bool) -> tuple[int, int]:
    """Compare schema and daemon on many manifests: how many both accept, and how many both refuse."""
    both = {True: 0, False: 0}

    @given(environments(odd))
    @settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow], database=None)
    def compare(environment):
        manifest = {**document(MINIMAL), "environments": [environment]}
        valid, accepted = VALIDATOR.is_valid(manifest), not compiled(json.dumps(manifest)).problems
        assert valid or not accepted
        if valid == accepted:
            both[accepted] += 1

    compare()
    return both[True], both[False]


def test_schema_accepts_whatever_the_daemon_accepts():
    accepted, _ = agreement(odd=False)
    assert accepted > 50


def test_daemon_refuses_whatever_the_schema_refuses():
    _, refused = agreement(odd=True)
    assert refused > 50
