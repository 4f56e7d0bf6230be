"""What is wrong with a file before it is YAML, and what ruamel's complaints mean in our words."""

from __future__ import annotations

import re

from ruamel.yaml.error import MarkedYAMLError

from reconciler.manifest.problem import Code, Place, Problem, printable

_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]|\r(?!\n)")
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_BOM = b"\xef\xbb\xbf"


def unsafe(text: str) -> bool:
    """Whether a value holds a character that no manifest needs: control characters, half surrogates, line separators."""
    return _UNSAFE.search(text) is not None


def readable(file: str, content: bytes) -> tuple[str, Problem | None]:
    """Decode a file and look for characters that a manifest may not have: the text, or what is wrong with it."""
    if content.startswith(_UTF16) or b"\x00" in content[:4]:
        message = "the file is not UTF-8; it looks like UTF-16 or UTF-32"
        return "", Problem(Place(file, 1, 1), Code.FILE_ENCODING, message, "Save it as UTF-8")
    try:
        text = content.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(errors="replace")
        message = f"found the byte 0x{error.object[error.start]:02x}, which is not UTF-8"
        return "", Problem(_place(file, before, len(before)), Code.FILE_ENCODING, message, "Save the file as UTF-8")
    tab = text.find("\t")
    if tab >= 0:
        hint = 'Indent with spaces; inside a text write "\\t" in double quotes'
        return "", Problem(_place(file, text, tab), Code.YAML_TAB, "found a tab, manifests have none", hint)
    bad = _UNSAFE.search(text)
    if bad is not None:
        message = f"found the control character `{printable(bad.group())}`"
        return "", Problem(_place(file, text, bad.start()), Code.YAML_CONTROL, message, "Remove it")
    return text, None


def _place(file: str, text: str, index: int) -> Place:
    return Place(file, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


_START = "start"
_FOUND = "found"
_COMPLAINTS = (
    (
        "mapping values are not allowed",
        _FOUND,
        "found a second `:` in one line",
        "Put a text that has `: ` in it in quotes, or begin a new line",
    ),
    (
        "could not find expected ':'",
        _START,
        "found a line without `:`, expected `key: value`",
        "Add the `:`, or indent the line as part of the text before it",
    ),
    (
        "while scanning a quoted scalar",
        _START,
        "this quoted text does not end",
        "Add the closing quote",
    ),
    (
        "unknown escape",
        _FOUND,
        "found an unknown escape after `\\`",
        "Use single quotes, or write `\\\\` for a backslash",
    ),
    ("escape sequence of", _FOUND, "found an incomplete escape", "Use single quotes, or write `\\\\` for a backslash"),
    (
        "cannot start any token",
        _FOUND,
        "found a character that no plain text may begin with",
        "Put the text in quotes",
    ),
    (
        "expected <block end>",
        _FOUND,
        "this line does not belong to what is around it",
        "Give it the same indentation as its neighbours",
    ),
    ("expected ',' or ']'", _START, "this `[` list does not end", "Add the `]`, and a `,` between the items"),
    ("expected ',' or '}'", _START, "this `{` mapping does not end", "Add the `}`, and a `,` between the entries"),
    (
        "expected '<document start>'",
        _FOUND,
        "found more text after the end of the document",
        "Begin it with a `---` line",
    ),
    (
        "incompatible YAML",
        _FOUND,
        "another version of YAML is asked for, manifests are YAML 1.2",
        "Remove the `%YAML` line",
    ),
    ("expected the node content", _FOUND, "expected a value here", "Add the value, or put the text in quotes"),
)

_UNKNOWN = [_FOUND, "this is not YAML", "Look for a missing quote, `:` or indentation here or just before"]


def explain(file: str, error: MarkedYAMLError) -> Problem:
    """A syntax error in our words, at the place where a person would mend it."""
    said = f"{error.context or ''}\n{error.problem or ''}"
    where, message, hint = next((words for complaint, *words in _COMPLAINTS if complaint in said), _UNKNOWN)
    marks = (error.context_mark, error.problem_mark)
    first, second = marks if where == _START else marks[::-1]
    mark = first or second
    place = Place(file, mark.line + 1, mark.column + 1) if mark is not None else Place(file)
    return Problem(place, Code.YAML_SYNTAX, message, hint)
