"""Where libyaml and YAML 1.2 part, and what is said about a file that is no YAML."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reconciler.manifest.load import load

MISTAKES = {
    "text after a quoted value": (
        "a: 'x' y\n",
        "1:8: found more text after the end of the value. Put the whole value in quotes, or remove the rest",
    ),
    "apostrophe in single quotes": (
        "a: 'it's'\nb: 1\n",
        "1:8: found more text after the end of the value. Put the whole value in quotes, or remove the rest",
    ),
    "quote without end": ("a: 1\nb: 'x\nc: 2\n", "2:4: this quoted text does not end. Add the closing quote"),
    "bracket without end": (
        "a: [1, 2\nb: 3\n",
        "1:4: this `[` list does not end. Add the `]`, and a `,` between the items",
    ),
    "brace without comma": (
        "a: {b: 1 c: 2}\n",
        "1:4: this `{` mapping does not end. Add the `}`, and a `,` between the entries",
    ),
    "colon without space in braces": (
        "a: {b:}\n",
        (
            "1:6: found a `:` inside of `[ ]` or `{ }` that neither ends a key nor is part of a text. "
            "Write `key: value` with a space and a value, or put the text in quotes"
        ),
    ),
    "no colon": (
        "a: 1\nb\n",
        "2:1: found a line without `:`, expected `key: value`. Add the `:`, or indent the line as part of the text before it",
    ),
    "list in the line of its key": (
        "a: - b\n",
        "1:4: found a `- ` list item in the middle of a line. Begin the list on a new line, or put the text in quotes",
    ),
    "comparison as a version": (
        "version: >=1.2\n",
        (
            "1:10: found more after the `|` or `>` that begins a text of several lines. "
            "Begin the text on the next line; a text that itself begins with `|` or `>` has to be in quotes"
        ),
    ),
    "unknown escape": (
        'a: "\\d+"\n',
        "1:5: found an unknown escape after `\\`. Use single quotes, or write `\\\\` for a backslash",
    ),
    "incomplete escape": (
        'a: "\\x4"\n',
        "1:7: found an incomplete escape. Use single quotes, or write `\\\\` for a backslash",
    ),
    "character that does not exist": (
        'a: "\\U00110000"\n',
        "1:7: an escape names a character that does not exist. Use an escape of at most \\U0010FFFF",
    ),
    "half of a surrogate pair": (
        'a: "\\ud83d"\n',
        "1:7: a text holds a control character or half of a surrogate pair. Remove the escape that makes it",
    ),
    "pattern without quotes": (
        "a: *.py\n",
        "1:4: found an anchor (`&`) or alias (`*`), manifests have none. Write the value out, or put the text in quotes",
    ),
    "tag handle": (
        "a: !e!x 1\n",
        "1:4: found a tag (`!`), manifests have none. Remove it, or put the text in quotes",
    ),
    "tag that Python cannot hold": (
        "a: !%ed%a0%80 1\n",
        "1:1: found a tag (`!`), manifests have none. Remove it, or put the text in quotes",
    ),
    "at sign": (
        "a: @b\n",
        "1:4: found a character that no plain text may begin with. Put the text in quotes",
    ),
    "percent sign at the beginning of a line": (
        "a: 1\n---\n%b: 2\n",
        (
            "3:3: found a line that begins with `%`, which is an instruction to the parser that it does not know. "
            "Remove the line, or put the text in quotes"
        ),
    ),
    "text after the document": (
        "{a: 1}\nb: 2\n",
        "2:1: found more text after the end of the document. Begin it with a `---` line",
    ),
    "nothing before a comma": ("a: [, b]\n", "1:5: expected a value here. Add the value, or put the text in quotes"),
    "wrong indentation": (
        "a:\n  b: 1\n c: 2\n",
        "3:2: this line does not belong to what is around it. Give it the same indentation as its neighbours",
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_prints(text, expected):
    problems = load("f.yaml", text.encode()).problems
    assert str(problems[-1]) == f"f.yaml:{expected}"


def value(text: str) -> object:
    loaded = load("f.yaml", text.encode())
    assert not loaded.problems
    (document,) = loaded.documents
    return document.value


def test_yaml_1_2_may_be_asked_for_and_nothing_else():
    assert value("%YAML 1.2\n---\na: 1\n") == {"a": 1}
    for version in ("1.1", "1.0", "1.3", "2.0", "1." + "9" * 300):
        (problem, *_) = load("f.yaml", f"%YAML {version}\n---\na: no\n".encode()).problems
        assert problem.code == "yaml-syntax"
        assert "YAML" in str(problem)


def test_keys_are_texts_whatever_they_look_like():
    assert value("1: a\nno: b\n1e3: c\n'x y': d\nnull: e\n") == {
        "1": "a",
        "no": "b",
        "1e3": "c",
        "x y": "d",
        "null": "e",
    }
    assert value('? a\n: 1\n? "b"\n: 2\n') == {"a": 1, "b": 2}


def test_colons_and_hashes_belong_to_texts_where_yaml_says_so():
    assert value("{a: b:c, d: [http://x/y, e#f]}\n") == {"a": "b:c", "d": ["http://x/y", "e#f"]}
    assert value('{"a":1}\n') == {"a": 1}
    assert value("a: b # c\nd: 'e # f'\n") == {"a": "b", "d": "e # f"}


@pytest.mark.parametrize("sign", ["\x85", "\u2028", "\u2029"])
def test_line_breaks_of_yaml_1_1_are_refused(sign):
    (problem,) = load("f.yaml", f"a: x{sign}b: y\n".encode()).problems
    assert problem.code == "yaml-control"
    assert str(problem.place) == "f.yaml:1:5"


def test_a_byte_order_mark_may_stand_first_and_nowhere_else():
    assert value("\ufeffa: 1\n") == {"a": 1}
    (problem,) = load("f.yaml", "a: 1\n---\n\ufeffb: 2\n".encode()).problems
    assert (problem.code, str(problem.place)) == ("yaml-control", "f.yaml:3:1")


def test_windows_line_ends_are_read():
    loaded = load("f.yaml", b"a: |\r\n  x\r\n  y\r\nb: 1\r\n")
    assert loaded.documents[0].value == {"a": "x\ny\n", "b": 1}
    assert str(loaded.documents[0].place(("b",))) == "f.yaml:4:4"


def test_columns_count_characters_beyond_the_basic_plane_once():
    loaded = load("f.yaml", "😀: [😀😀, x]\n".encode())
    assert str(loaded.documents[0].place(("😀", 1))) == "f.yaml:1:9"
    assert str(load("f.yaml", "a: 😀😀 b: c\n".encode()).problems[0].place) == "f.yaml:1:8"


def test_the_same_text_may_be_the_end_of_nothing():
    loaded = load("f.yaml", b"a: 1\n---\n[\n")
    assert [document.value for document in loaded.documents] == [{"a": 1}]
    assert not loaded.whole


def test_a_pyyaml_without_its_c_parser_is_refused_in_one_sentence(tmp_path):
    code = (
        "import sys; sys.modules['yaml._yaml'] = None\n"
        "from reconciler.core.outcome import TerminalError\n"
        "try:\n    import reconciler.manifest.load\nexcept TerminalError as error:\n    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.startswith("this installation of PyYAML lacks its C parser; install ")
