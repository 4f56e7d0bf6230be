"""What is wrong with a file before it is YAML, and what libyaml's complaints mean in our words."""

from __future__ import annotations

import re
from typing import NamedTuple

from yaml import MarkedYAMLError, YAMLError

from reconciler.manifest.problem import Code, Place, Problem, printable

_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]|\r(?!\n)")
_SAFE = bytes(range(0x20, 0x7F)) + b"\n"
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_BOM = b"\xef\xbb\xbf"
_TAG_LINE = re.compile("^%TAG", re.MULTILINE)
TAG_FOUND = "found a tag (`!`), manifests have none", "Remove it, or put the text in quotes"
ALIAS_FOUND = (
    "found an anchor (`&`) or alias (`*`), manifests have none",
    "Write the value out, or put the text in quotes",
)


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
    if not content.translate(None, _SAFE) and "%TAG" not in text:
        return text, None  # as nearly every file
    return text, _odd(file, text)


def _odd(file: str, text: str) -> Problem | None:
    """The first thing in a decoded file that needs no parser to be refused."""
    tab = text.find("\t")
    if tab >= 0:
        hint = 'Indent with spaces; inside a text write "\\t" in double quotes'
        return Problem(_place(file, text, tab), Code.YAML_TAB, "found a tab, manifests have none", hint)
    bad = _UNSAFE.search(text)
    if bad is not None:
        message = f"found the control character `{printable(bad.group())}`"
        return Problem(_place(file, text, bad.start()), Code.YAML_CONTROL, message, "Remove it")
    tag = _TAG_LINE.search(text)  # looked for here, since libyaml compares each of them with all others
    if tag is not None:
        return Problem(_place(file, text, tag.start()), Code.YAML_TAG, *TAG_FOUND)
    return None


def _place(file: str, text: str, index: int) -> Place:
    return Place(file, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


class _Complaint(NamedTuple):
    """What libyaml says, and what we say instead."""

    said: str
    message: str
    hint: str
    code: Code = Code.YAML_SYNTAX
    start: bool = False
    """Whether the place to mend is where the thing begins, not where it went wrong."""


_ESCAPES = "Use single quotes, or write `\\\\` for a backslash"
_COMPLAINTS = (
    _Complaint(
        "mapping values are not allowed",
        "found a second `:` in one line",
        "Put a text that has `: ` in it in quotes, or begin a new line",
    ),
    _Complaint(
        "could not find expected ':'",
        "found a line without `:`, expected `key: value`",
        "Add the `:`, or indent the line as part of the text before it",
        start=True,
    ),
    _Complaint("while scanning a quoted scalar", "this quoted text does not end", "Add the closing quote", start=True),
    _Complaint("unknown escape", "found an unknown escape after `\\`", _ESCAPES),
    _Complaint("expected hexdecimal", "found an incomplete escape", _ESCAPES),
    _Complaint(
        "invalid Unicode character escape",
        "an escape names a character that does not exist",
        "Use an escape of at most \\U0010FFFF",
    ),
    _Complaint(
        "cannot start any token", "found a character that no plain text may begin with", "Put the text in quotes"
    ),
    _Complaint("while scanning an a", *ALIAS_FOUND, code=Code.YAML_ALIAS, start=True),
    _Complaint("while scanning a tag", *TAG_FOUND, code=Code.YAML_TAG, start=True),
    _Complaint("while parsing a tag", *TAG_FOUND, code=Code.YAML_TAG, start=True),
    _Complaint("undefined tag handle", *TAG_FOUND, code=Code.YAML_TAG, start=True),
    _Complaint(
        "while scanning a block scalar",
        "found more after the `|` or `>` that begins a text of several lines",
        "Begin the text on the next line; a text that itself begins with `|` or `>` has to be in quotes",
        start=True,
    ),
    _Complaint(
        "found unexpected ':'",
        "found a `:` inside of `[ ]` or `{ }` that neither ends a key nor is part of a text",
        "Write `key: value` with a space and a value, or put the text in quotes",
    ),
    _Complaint(
        "block sequence entries are not allowed",
        "found a `- ` list item in the middle of a line",
        "Begin the list on a new line, or put the text in quotes",
    ),
    _Complaint(
        "mapping keys are not allowed",
        "found a `? ` key in the middle of a line",
        "Put the text in quotes, or begin a new line",
    ),
    _Complaint(
        "expected ',' or ']'", "this `[` list does not end", "Add the `]`, and a `,` between the items", start=True
    ),
    _Complaint(
        "expected ',' or '}'", "this `{` mapping does not end", "Add the `}`, and a `,` between the entries", start=True
    ),
    _Complaint(
        "expected <document start>", "found more text after the end of the document", "Begin it with a `---` line"
    ),
    *(
        _Complaint(said, "another version of YAML is asked for, manifests are YAML 1.2", "Remove the `%YAML` line")
        for said in ("incompatible YAML", "%YAML directive")
    ),
    _Complaint(
        "directive",
        "found a line that begins with `%`, which is an instruction to the parser that it does not know",
        "Remove the line, or put the text in quotes",
    ),
    _Complaint("expected node content", "expected a value here", "Add the value, or put the text in quotes"),
)
_AFTER = _Complaint(
    "", "found more text after the end of the value", "Put the whole value in quotes, or remove the rest"
)
_ASTRAY = _Complaint(
    "", "this line does not belong to what is around it", "Give it the same indentation as its neighbours"
)
_UNKNOWN = _Complaint("", "this is not YAML", "Look for a missing quote, `:` or indentation here or just before")
_SURROGATE = _Complaint(
    "",
    "a text holds a control character or half of a surrogate pair",
    "Remove the escape that makes it",
    code=Code.YAML_CONTROL,
)
_HALF = re.compile(r"\\(u|U0000)[dD][89a-fA-F]")


def explain(file: str, text: str, error: YAMLError) -> Problem:
    """A syntax error in our words, at the place where a person would mend it. ``text`` is what the file holds."""
    if not isinstance(error, MarkedYAMLError):
        return Problem(Place(file), Code.YAML_SYNTAX, _UNKNOWN.message, _UNKNOWN.hint)
    said = f"{error.context or ''}\n{error.problem or ''}"
    words = next((one for one in _COMPLAINTS if one.said in said), _UNKNOWN)
    marks = (error.context_mark, error.problem_mark)
    first, second = marks if words.start else marks[::-1]
    mark = first or second
    if mark is None:
        return Problem(Place(file), words.code, words.message, words.hint)
    if words is _UNKNOWN and ("expected key" in said or "expected '-'" in said):
        alone = not text[mark.index - mark.column : mark.index].strip(" -")
        words = _ASTRAY if alone else _AFTER
    elif "invalid Unicode" in said and _HALF.match(text, mark.index - 2):
        words = _SURROGATE
    return Problem(Place(file, mark.line + 1, mark.column + 1), words.code, words.message, words.hint)
