"""What is wrong with a manifest, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MAX_SHOWN = 60
"""Characters of a found value that a message repeats."""


class Code(StrEnum):
    """The kinds of problems. Stable: people and scripts search for them; docs/manifest.md explains each."""

    FILE_REFUSED = "file-refused"
    FILE_SIZE = "file-size"
    FILE_ENCODING = "file-encoding"
    FILE_EMPTY = "file-empty"
    YAML_SYNTAX = "yaml-syntax"
    YAML_TAB = "yaml-tab"
    YAML_CONTROL = "yaml-control"
    YAML_ALIAS = "yaml-alias"
    YAML_TAG = "yaml-tag"
    YAML_KEY = "yaml-key"
    YAML_DUPLICATE = "yaml-duplicate"
    YAML_NUMBER = "yaml-number"
    YAML_NULL = "yaml-null"
    YAML_LIMIT = "yaml-limit"
    UNKNOWN_VERSION = "unknown-version"
    UNKNOWN_KIND = "unknown-kind"
    UNKNOWN_FIELD = "unknown-field"
    MISSING_FIELD = "missing-field"
    WRONG_TYPE = "wrong-type"
    WRONG_VALUE = "wrong-value"
    CONFLICTING_FIELDS = "conflicting-fields"
    INCONSISTENT = "inconsistent"
    WRONG_SCHEDULE = "wrong-schedule"
    WRONG_EXPRESSION = "wrong-expression"
    UNKNOWN_TIME_ZONE = "unknown-time-zone"
    SOURCE_URL = "source-url"
    UNKNOWN_ADAPTER = "unknown-adapter"
    UNUSED_BLOCK = "unused-block"
    DUPLICATE_NAME = "duplicate-name"
    DUPLICATE_PORT = "duplicate-port"
    UNKNOWN_ENVIRONMENT = "unknown-environment"
    CYCLE = "cycle"
    SELF_REFERENCE = "self-reference"
    UNKNOWN_PROJECT = "unknown-project"
    UNKNOWN_WORKSPACE = "unknown-workspace"
    NOT_ALLOWED = "not-allowed"
    QUOTA = "quota"
    REMOVAL_HELD = "removal-held"
    REWRITE_REFUSED = "rewrite-refused"
    MORE = "more"


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a manifest; line and column count characters from 1. 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        name = printable(self.file)
        return f"{name}:{self.line}:{self.column}" if self.line else name


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. ``message`` says what was found and expected, ``hint`` what to do; neither ends with a period."""

    place: Place
    code: Code
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}. {self.hint}"


def printable(text: str) -> str:
    """``text`` with everything that could steer a terminal or break a line written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(text: str) -> str:
    """``text`` between backticks, made printable, cut at MAX_SHOWN characters."""
    cut = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return f"`{printable(cut)}`"


def described(value: object) -> str:
    """A found value in words: its YAML type, and the value itself where that is short."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}" if value else "an empty text"
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
        case _:
            return "a mapping"


def undisclosed(value: object) -> str:
    """The YAML type of a found value that may be a secret."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a mapping"}
    return names.get(type(value), "another value")


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: backticked, separated by commas."""
    return ", ".join(quoted(name) for name in names)


def meant(found: str, known: Iterable[str], otherwise: str = "") -> str:
    """What to do about a name that is not known: the nearest known one, else ``otherwise`` or all of them."""
    names = sorted(known)
    folded = {name.replace("-", "").replace("_", "").lower(): name for name in names}
    close = difflib.get_close_matches(found.replace("-", "").replace("_", "").lower()[:MAX_SHOWN], folded, n=1)
    if close:
        return f"Did you mean {quoted(folded[close[0]])}?"
    if otherwise:
        return otherwise
    return f"Known here: {listed(names)}" if names else "Remove it"
