from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.manifest.load import MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_PROBLEMS, Mark, load
from reconciler.manifest.problem import Code

SEED = """\
a: &x [1, "b\\u00e9", {c: 'd'}]
f: |
  text
  more
# note
? k
: !t *x
---
- - 1e3
  - ~
...
%YAML 1.2
---
"""


def only(content: str | bytes):
    loaded = load("f.yaml", content.encode() if isinstance(content, str) else content)
    return loaded.documents[0].value if loaded.documents and not loaded.problems else loaded.problems


def codes(content: str | bytes) -> list[str]:
    return [
        problem.code.value
        for problem in load("f.yaml", content if isinstance(content, bytes) else content.encode()).problems
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("12:30:45", "12:30:45"),
        ("1e3", 1000.0),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("+1", 1),
        ("-0.5", -0.5),
        (".5", 0.5),
        ("1.", 1.0),
        (".", "."),
        ("true", True),
        ("False", False),
        ("TrUe", "TrUe"),
        ("2026-11-20", "2026-11-20"),
        ('"1"', "1"),
        ("'true'", "true"),
        ("5%", "5%"),
        ("1.2.3", "1.2.3"),
        ('""', ""),
        ('"\\u263a"', "☺"),
        ("=", "="),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    found = only(f"a: {text}\n")["a"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_value_has_its_position():
    loaded = load("f.yaml", b"\xef\xbb\xbfa: 1\nb:\n  - x\n  -   c: [p, q]\n")
    place = loaded.documents[0].place
    assert [str(place(path)) for path in (("a",), ("b", 0), ("b", 1, "c"), ("b", 1, "c", 1))] == [
        "f.yaml:1:4",
        "f.yaml:3:5",
        "f.yaml:4:10",
        "f.yaml:4:14",
    ]
    assert str(place(("b", 1, "c"), key=True)) == "f.yaml:4:7"
    assert str(place(("b", 1, "nowhere", "deeper"))) == "f.yaml:4:7"


def test_columns_count_characters_not_bytes():
    assert str(load("f.yaml", "é: ☺☺ #\nü: [é, &x 1]\n".encode()).problems[0].place) == "f.yaml:2:8"


def test_several_documents_share_a_file_and_empty_ones_are_skipped():
    loaded = load("f.yaml", b"---\na: 1\n---\n---\nb: 2\n---\n")
    assert [document.value for document in loaded.documents] == [{"a": 1}, {"b": 2}]
    assert loaded.problems == ()


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (BOMB, "yaml-alias"),
        ("a: &a [*a]\n", "yaml-alias"),
        ("a: &a\n  <<: *a\n", "yaml-alias"),
        ("<<: {a: 1}\n", "yaml-alias"),
        ("a: 1\na: 2\n", "yaml-duplicate"),
        ('a: 1\n"a": 2\n', "yaml-duplicate"),
        ("{a: 1, a: 2}\n", "yaml-duplicate"),
        ("a: !!python/object/apply:os.system [id]\n", "yaml-tag"),
        ("a: !!binary aGk=\n", "yaml-tag"),
        ("a: ! x\n", "yaml-tag"),
        ("%TAG ! tag:example.com,2026:\n---\na: !x 1\n", "yaml-tag"),
        ("a: 1".encode("utf-16"), "file-encoding"),
        ("a: 1".encode("utf-16-le"), "file-encoding"),
        ("a: 1".encode("utf-32"), "file-encoding"),
        (b"a: \xff\n", "file-encoding"),
        (b"a: \xed\xa0\x80\n", "file-encoding"),
        ("a:\n\tb: 1\n", "yaml-tab"),
        ("a: x\ty\n", "yaml-tab"),
        ("a: \x1b[31m\n", "yaml-control"),
        ("a: 1\rb: 2\n", "yaml-control"),
        ("a: x\u2028y\n", "yaml-control"),
        ('a: "\\0"\n', "yaml-control"),
        ('a: "\\e[31m"\n', "yaml-control"),
        ('a: "\\ud800"\n', "yaml-control"),
        ('a: "\\UFFFFFFFF"\n', "yaml-syntax"),
        ('a: "\\U00110000"\n', "yaml-syntax"),
        ("a: .nan\n", "yaml-number"),
        ("a: -.inf\n", "yaml-number"),
        ("a: 1e999\n", "yaml-number"),
        (f"a: {'9' * 5000}\n", "yaml-number"),
        ("a:\n", "yaml-null"),
        ("a: ~\n", "yaml-null"),
        ("- null\n", "yaml-null"),
        ("? [a]\n: 1\n", "yaml-key"),
        ("a: {{ template }}\n", "yaml-key"),
        ("%YAML 1.1\n---\na: 1\n", "yaml-syntax"),
        ("%YAML 3.0\n---\na: 1\n", "yaml-syntax"),
        ("", "file-empty"),
        ("# nothing here\n", "file-empty"),
        ("---\n---\n", "file-empty"),
        ("x" * (MAX_BYTES + 1), "file-size"),
        ("a: " + "x" * 10_000_000, "file-size"),
        ("[" * 10_000, "yaml-limit"),
        ("- " * 10_000 + "a", "yaml-limit"),
        ("".join(" " * n + "a:\n" for n in range(1200)), "yaml-limit"),
        ("[" + "1," * (MAX_NODES + 1) + "]", "yaml-limit"),
        ("---\n" * (MAX_NODES + 1), "yaml-limit"),
        ("[" + "1," * 1_000_000 + "]", "file-size"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_hostile_file_is_refused(content, code):
    found = codes(content)
    assert found
    assert found[0] == code


@pytest.mark.parametrize(
    "content", ["a: " + "x" * 1_000_000, 'a: "' + "\\n" * 500_000 + '"', "# x\n" * 250_000 + "a: 1"]
)
def test_large_but_simple_file_is_read(content):
    assert "a" in only(content)


def test_nesting_up_to_the_limit_is_read():
    assert not codes("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    assert codes("[" * (MAX_DEPTH + 1) + "1" + "]" * (MAX_DEPTH + 1)) == ["yaml-limit"]


def test_a_flood_of_problems_ends():
    found = load("f.yaml", b"a: *x\n" * 10_000).problems
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1].code is Code.MORE


def test_a_problem_spoils_only_its_own_document():
    loaded = load("f.yaml", b"a: 1\n---\nb: *x\n---\nc: 3\n")
    assert [document.first == "" for document in loaded.documents] == [True, False, True]
    assert loaded.whole


def test_what_may_be_a_secret_is_not_repeated():
    for content in ("env: {P: &hunter2}\n", "env: {P: *hunter2}\n", "env: {P: !hunter2 x}\n", "env: {P: 'hunter2}\n"):
        assert codes(content)
        assert "hunter2" not in "".join(str(problem) for problem in load("f.yaml", content.encode()).problems)


def test_marks_are_a_mapping_of_every_path():
    marks = load("f.yaml", b"a: [x, {b: 1.0}]\n").documents[0].marks
    assert list(marks) == [(), ("a",), ("a", 0), ("a", 1), ("a", 1, "b")]
    assert len(marks) == 5
    assert marks["a", 1, "b"] == Mark((1, 12), (1, 9), "1.0")
    assert marks["a", 0].raw == "x"
    for missing in (("b",), ("a", 2), ("a", "b"), ("a", 0, 0), (0,)):
        assert missing not in marks
        assert marks.get(missing) is None


def test_file_name_cannot_steer_a_terminal():
    assert str(load("x\x1b[2J\n.yaml", b"a:\n").problems[0]).startswith("x\\x1b[2J\\n.yaml:1:1: ")


@given(st.binary(max_size=200))
@example(b"%")
@example(b"%YAML 1.")
@example(b"a: |9999999999\n")
def test_no_bytes_raise(content):
    load("f.yaml", content)


@given(st.lists(st.tuples(st.integers(0, len(SEED)), st.sampled_from([*"[]{}:,-?&*!|>%@`'\"#\n \\~<"])), max_size=6))
@settings(max_examples=200)
def test_no_mutation_of_a_rich_file_raises(changes):
    text = SEED
    for at, sign in changes:
        text = text[:at] + sign + text[at:]
    for problem in load("f.yaml", text.encode()).problems:
        assert problem.message
        assert problem.place.file == "f.yaml"
