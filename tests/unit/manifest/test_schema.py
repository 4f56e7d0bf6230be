from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from manifest_kinds import SAMPLES
from manifest_samples import MINIMAL, edited

from reconciler.manifest.draft import draft_file
from reconciler.manifest.kinds import target, target_names
from reconciler.manifest.load import load
from reconciler.manifest.models import KINDS
from reconciler.manifest.problem import Code
from reconciler.manifest.schema import BEYOND, DIALECT, document_schema, files, language_schema, resolved

ROOT = Path(__file__).parents[3]
PORT = "    port: 8080\n"


def pattern(validator, expected, instance, schema):
    # JSON Schema's `$` is ECMAScript's: the very end, and not before a last line break as in Python.
    if isinstance(instance, str) and not re.search(re.sub(r"\$(?=\||\)|$)", r"\\Z", expected), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match")


Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": pattern})
VALIDATORS = {kind: Validator(document_schema(kind)) for kind in KINDS}
WHOLE = Validator(language_schema())


def document(source: str):
    return load("f.yaml", source.encode()).documents[0].value


def problems(value) -> list:
    return list(draft_file("f.prodsprint.yaml", "", json.dumps(value).encode()).problems)


def beyond(problem) -> bool:
    """Whether the schema need not see it: a named code, or what other documents may provide."""
    required = {
        name for kind in target_names() for name, field in target(kind).spec.model_fields.items() if field.is_required()
    }
    elsewhere = any(problem.message.startswith(f"`{name}` is missing") for name in required)
    return (
        problem.code in BEYOND
        or (problem.code is Code.MISSING_FIELD and elsewhere)
        or (problem.code is Code.UNKNOWN_ADAPTER and problem.message.startswith("`target`"))
    )


def test_schema_files_are_the_generated_ones(tmp_path):
    subprocess.run([sys.executable, "-m", "reconciler.manifest.schema", str(tmp_path)], check=True, cwd=ROOT)
    written = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    assert written == files()
    committed = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "schema").iterdir()}
    assert written.keys() == committed.keys()
    for name, content in written.items():
        assert content == committed[name], f"schema/{name} is old: run python -m reconciler.manifest.schema schema"


@pytest.mark.parametrize("name", [f"{kind.lower()}.schema.json" for kind in KINDS] + ["prodsprint.schema.json"])
def test_schemas_are_valid_ones_of_the_dialect_reach_no_network_and_hold_no_null(name):
    schema = json.loads(files()[name])
    assert schema["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    assert "null" not in text
    assert "$id" not in text
    assert set(re.findall(r'"\$ref": "([^"]*)"', text)) <= {f"#/$defs/{name}" for name in schema["$defs"]}


def fields(schema, root, path=""):
    for name, field in schema.get("properties", {}).items():
        inner = resolved(root, field)
        yield f"{path}.{name}", field
        inner = resolved(root, inner.get("items", {})) if inner.get("type") == "array" else inner
        yield from fields(inner, root, f"{path}.{name}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_says_what_it_means_so_that_editors_show_it(kind):
    root = document_schema(kind)
    found = dict(fields(root, root))
    assert len(found) > 5
    assert [
        path for path, field in found.items() if not resolved(root, field).get("description", field.get("description"))
    ] == []


def test_minimal_manifest_and_example_are_valid():
    VALIDATORS["Project"].validate(document(MINIMAL))
    VALIDATORS["Project"].validate(document((ROOT / "prodsprint.example.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_valid_for_schema_and_daemon(name):
    sample = SAMPLES[name]
    assert problems(sample) == []
    VALIDATORS[sample["kind"]].validate(sample)
    WHOLE.validate(sample)


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
        ("command: python3 app.py", "command: ''"),
        ("command: python3 app.py", 'command: "\'unclosed"'),
        (PORT, f"{PORT}    release: {{steps: [1]}}\n"),
        (PORT, f"{PORT}    release: {{steps: []}}\n"),
        (PORT, f"{PORT}    release: {{bake: soon}}\n"),
        (PORT, f"{PORT}    release: {{bake: 8d}}\n"),
        (PORT, f"{PORT}    release: {{strategy: blue}}\n"),
        (PORT, f"{PORT}    analysis: {{tolerance: 0.5}}\n"),
        (PORT, f"{PORT}    analysis: {{interval: 100ms}}\n"),
        (PORT, f"{PORT}    analysis: {{errorBudget: 0.01}}\n"),
        (PORT, f"{PORT}    analysis: {{errorBudget: 51%}}\n"),
        (PORT, f"{PORT}    process: {{env: {{A: 1}}}}\n"),
        (PORT, f"{PORT}    ports: {{web: 8081, worker: 8082}}\n"),
        (PORT, "    ports: {web: 8081, worker: 8082}\n"),
        (PORT, f"{PORT}    after: []\n"),
        (PORT, f"{PORT}    after: [prod, none]\n"),
        ("prodsprint/v1", "v1"),
    ],
)
def test_schema_and_daemon_both_refuse(change):
    value = document(edited(change))
    assert not VALIDATORS["Project"].is_valid(value)
    assert not WHOLE.is_valid(value)
    assert problems(value)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("approval", {"removal": "ab" * 6}),
        ("approval", {"project": None}),
        ("approval", {"release": None}),
        ("approval", {"release": "0123456789a"}),
        ("removal", {"project": "shop"}),
        ("waiver", {"scope": {}}),
        ("waiver", {"gates": ["*"]}),
        ("waiver", {"expires": "2026-12-24T18:00:00"}),
        ("waiver", {"expires": "2026-02-29"}),
        ("waiver", {"expires": None}),
        ("freeze", {"cron": None}),
        ("freeze", {"timeZone": None}),
        ("freeze", {"from": "2026-12-24T18:00:00Z"}),
        ("freeze", {"cron": "@daily"}),
        ("freeze", {"cron": "0 0 18 * * fri"}),
        ("freeze", {"cron": "60 0 * * *"}),
        ("freeze", {"duration": "5M"}),
        ("holidays", {"until": None}),
        ("holidays", {"timeZone": None}),
        ("monthly", {"start": "2026-01-30T12:00"}),
        ("monthly", {"rrule": "FREQ=HOURLY"}),
        ("monthly", {"rrule": "FREQ=SECONDLY;COUNT=1"}),
        ("components", {"components": [{"name": "web", "version": "v1"}]}),
        ("components", {"source": None}),
        ("pack", {"rules": []}),
        ("pack", {"version": "1.4"}),
        ("target", {"type": "mainframe"}),
        ("target", {"name": "process"}),
        ("target", {"sharedWith": "everybody"}),
        ("workspace", {"quotas": {"cost": "1200 usd/month"}}),
        ("workspace", {"quotas": {"memory": "64gb"}}),
        ("workspace", {"allow": {"sources": ["https://github.com"]}}),
        ("workspace", {"allow": {"paths": ["../other/**"]}}),
        ("workspace", {"owners": ["ada"]}),
    ],
)
def test_what_one_document_shows_is_refused_by_both(name, change):
    value = {**SAMPLES[name], **change}
    value = {key: item for key, item in value.items() if item is not None}
    found = problems(value)
    assert [problem for problem in found if not beyond(problem)]
    assert not VALIDATORS[value["kind"]].is_valid(value)


# --- the same verdict on whatever people write ---

SCALARS = [
    *(
        "",
        "x",
        "none",
        "all",
        "*",
        "prod",
        "web",
        "web-1",
        "A",
        "a.b",
        "a" * 41,
        "5m",
        "90s",
        "1h30m",
        "1h90m",
        "5M",
        "-3s",
    ),
    *(
        "0s",
        "8d",
        "30d",
        "31d",
        "1e3s",
        "500ms",
        "0.5m",
        "0.0001s",
        "1.5 h",
        " 5m",
        "5m\n",
        "1%",
        "5 %",
        "0%",
        "100%",
        "101%",
    ),
    *(
        "0.001%",
        "51%",
        "64MiB",
        "1GB",
        "64gb",
        "0B",
        "1200 USD/month",
        "1200 usd/month",
        "1.5 EUR/day",
        "1200",
        "v1",
        "a..b",
    ),
    *(
        "a/b",
        "v1.lock",
        "https://example.com/a",
        "https://example.com/",
        "https://me:pw@example.com/a",
        "git@example.com:a",
    ),
    *(
        "ada@example.com",
        "group:a",
        "group:",
        "0123456789ab",
        "0123456789AB",
        "abc",
        "2026-12-24",
        "2026-02-29",
        "2026-12-24T18:00",
    ),
    *(
        "2026-12-24T18:00:00Z",
        "2026-12-24T25:00:00Z",
        "2026-12-24 18:00",
        "0 18 * * fri",
        "* * * * *",
        "@daily",
        "1-5 * * * *",
    ),
    *(
        "FREQ=DAILY",
        "FREQ=HOURLY",
        "FREQ=WEEKLY;BYDAY=FR",
        "FREQ=DAILY;COUNT=0",
        "UTC",
        "Europe/Paris",
        "../etc",
        "teams/**",
        "a/../b",
    ),
    *(
        "keep",
        "destroy",
        "canary",
        "all-at-once",
        "finish",
        "envoy",
        "prometheus",
        "process",
        "block",
        "1.4.0",
        "01.4.0",
    ),
    *("rollout.*", "CVE-2026-1", "SEC 1", "true", "a && b"),
    *(0, 1, 2, 2.0, 3, 1.5, -1, 8080, 65535, 65536, 10**10, 1e300, 0.01, True, False),
]
COLLECTIONS = [
    [],
    {},
    ["a"],
    ["a", "a"],
    ["1%", "100%"],
    ["100%", "1%"],
    [1],
    {"a": 1},
    {"web": 8080, "worker": 8081},
    {"web": "v1"},
    {"env": {"PORT": "1"}},
    {"env": {"A": "x"}},
    {"command": "x"},
    {"name": "prod"},
    {"name": "web", "version": "v1"},
    {"project": "a"},
    {"bake": "1h", "maxBake": "1m"},
]
VALUES = (
    st.sampled_from(SCALARS)
    | st.sampled_from(COLLECTIONS)
    | st.integers(-5, 70000)
    | st.floats(allow_nan=False, allow_infinity=False)
)
COUNTS = st.sampled_from(
    [0, 1, 2, 5, 10, 23, 24, 30, 31, 59, 60, 90, 100, 600, 3600, 86400, 86401, 10**7]
) | st.integers(0, 400)
DURATIONS = st.builds(
    "{}{}".format,
    COUNTS,
    st.sampled_from(["ms", "s", "m", "h", "d", ".5s", ".001h", "m30s", "h05m", "d23h", "d24h", "s1ms"]),
)
SIZES = st.builds("{}{}".format, COUNTS, st.sampled_from(["B", "kB", "MB", "MiB", " GiB", "TiB", "PB", "KB"]))
SHARES = st.builds("{}{}%".format, st.integers(0, 101), st.sampled_from(["", ".1", ".01", ".05", ".001", " "]))
MONEY = st.builds(
    "{}{} {}/{}".format,
    COUNTS,
    st.sampled_from(["", ".5", ".05", ".005"]),
    st.sampled_from(["USD", "EUR", "eur"]),
    st.sampled_from(["hour", "month", "week"]),
)
TIMES = st.builds(
    "{}-{:02}-{:02}{}{}".format,
    st.sampled_from([1999, 2000, 2026, 2028, 2099]),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from(["", "T00:00", "T23:59:59", "T24:00", "T12:30:00.5"]),
    st.sampled_from(["", "Z", "+01:00", "-14:59", "+15:00", "z"]),
)
CRONS = st.lists(
    st.sampled_from(["*", "0", "5", "*/5", "1-5", "30", "31", "2", "feb", "mon-fri", "7", "60", "L"]),
    min_size=4,
    max_size=6,
).map(" ".join)
RULES = st.lists(
    st.sampled_from(
        [
            "BYDAY=MO",
            "BYDAY=1MO",
            "COUNT=2",
            "UNTIL=20300101",
            "BYMONTH=2",
            "BYMONTHDAY=30",
            "BYSETPOS=1",
            "INTERVAL=2",
            "BYHOUR=24",
        ]
    ),
    max_size=3,
).flatmap(
    lambda parts: st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY", "HOURLY"]).map(
        lambda one: ";".join([f"FREQ={one}", *parts])
    )
)
TYPED = {
    "duration": DURATIONS,
    "size": SIZES,
    "percentage": SHARES,
    "money": MONEY,
    "time": TIMES,
    "cron expression": CRONS,
    "recurrence rule": RULES,
}
KNOWN = {
    path.rpartition(".")[2]: field
    for kind in KINDS
    for path, field in fields(document_schema(kind), document_schema(kind))
}
FIELDS = sorted(KNOWN)


def places(value, path=()):
    """Every place in a document, as a path."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def at(value, path):
    for step in path:
        value = value[step]
    return value


def typed(path):
    """What may be written in a field with a unit or a time in it; None for other fields."""
    return TYPED.get(KNOWN.get(path[-1], {}).get("$comment", ""))


@st.composite
def mutants(draw):
    value = copy.deepcopy(SAMPLES[draw(st.sampled_from(sorted(SAMPLES)))])
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        paths = list(places(value))[1:]
        how = draw(st.sampled_from(["typed", "typed", "typed", "replace", "remove", "add", "twice"]))
        some = [path for path in paths if typed(path) is not None] if how == "typed" else []
        path = draw(st.sampled_from(some or paths))
        around, last = at(value, path[:-1]), path[-1]
        if how == "remove":
            del around[last]
        elif how == "twice" and isinstance(around, list):
            around.append(copy.deepcopy(around[last]))
        elif how == "add" and isinstance(around, dict):
            around[draw(st.sampled_from(FIELDS))] = copy.deepcopy(draw(VALUES))
        else:
            around[last] = copy.deepcopy(draw(typed(path) if some else VALUES))
    return value


def test_schema_and_daemon_give_the_same_verdict():
    seen: Counter[object] = Counter()

    @given(mutants())
    @settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def compare(value):
        assume(value.get("kind") in list(KINDS))
        valid, found = VALIDATORS[value["kind"]].is_valid(value), problems(value)
        assert valid == WHOLE.is_valid(value)
        if valid:
            assert [problem for problem in found if not beyond(problem)] == [], value
            seen["sound" if not found else "beyond"] += 1
        else:
            assert found, value
            seen["refused"] += 1

    compare()
    assert seen["sound"] > 100
    assert seen["refused"] > 300
    assert seen["beyond"] > 5
