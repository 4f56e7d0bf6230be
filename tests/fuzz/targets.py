"""What is fuzzed: each target takes any bytes, and what it asserts holds for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache

from jsonschema import Draft202012Validator

from reconciler.api.forges import Check, Forge, claim
from reconciler.api.request import (
    EmptyError,
    EncodedError,
    MalformedError,
    TooLargeError,
    body_length,
    read_body,
    read_head,
)
from reconciler.core import units
from reconciler.core.outcome import TerminalError
from reconciler.core.secret import Secret
from reconciler.manifest.draft import draft_file
from reconciler.manifest.load import MAX_DEPTH, Loaded, load
from reconciler.manifest.rewrite import Rewritten, migrated, tidied
from reconciler.manifest.scalar import resolve
from reconciler.manifest.schema import document_schema
from reconciler.source.treediff import differing
from reconciler.source.trees import Entry, entries

FORMS = (
    (units.parse_duration, units.format_duration),
    (units.parse_percent, units.format_percent),
    (units.parse_size, units.format_size),
    (units.parse_money, units.format_money),
)
LONGEST = 1e11
"""Seconds from which on milliseconds get lost in a float; fields allow far less."""
LIMIT = 64 * 1024
SECRET = Secret("not to be guessed, whatever is sent")


def loader(data: bytes) -> None:
    """A file is read, or refused with problems whose places lie in it."""
    loaded = load("f.yaml", data)
    assert loaded.documents or loaded.problems
    assert not loaded.problems or all(problem.message and problem.hint for problem in loaded.problems)
    lines = [*data.decode(errors="replace").split("\n"), ""]  # what is missing at the end is missed below it
    for problem in loaded.problems:
        place = problem.place
        assert place.line <= len(lines)
        assert not place.line or place.column <= len(lines[place.line - 1]) + 1
    for document in loaded.documents:
        assert plain(document.value, 0)
        for path, mark in document.marks.items():
            assert document.place(path).line == mark.value[0] <= len(lines)


def plain(value: object, depth: int) -> bool:
    """Whether a value is made of what YAML's core schema knows, and no deeper than it may be."""
    if isinstance(value, dict):
        return depth < MAX_DEPTH and all(type(key) is str and plain(one, depth + 1) for key, one in value.items())
    if isinstance(value, list):
        return depth < MAX_DEPTH and all(plain(one, depth + 1) for one in value)
    return value is None or type(value) in {str, int, float, bool}


def scalars(data: bytes) -> None:
    """A text is a quantity whose short form is the same quantity, or ValueError says what was expected."""
    text = data.decode(errors="replace")
    for parse, write in FORMS:
        try:
            value = parse(text)
        except ValueError:
            continue
        if isinstance(value, float) and value > LONGEST:
            continue
        assert parse(write(value)) == value
        assert write(parse(write(value))) == write(value)
    try:
        found = resolve(text)
    except ValueError:
        return
    assert found is None or type(found) in {str, int, float, bool}


def manifests(data: bytes) -> None:
    """Whatever is wrong with a manifest is a problem; what the models accept, the JSON Schema accepts."""
    found = draft_file("f.yaml", "", data)
    assert found.problems or found.drafts
    if found.problems:
        return
    for document in load("f.yaml", data).documents:
        assert validator(document.value["kind"]).is_valid(document.value)


@cache
def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(document_schema(kind))


def fmt(data: bytes) -> None:
    """What is written anew stays so; only values that a field takes for the same one differ."""
    before, found = load("f.yaml", data), tidied("f.yaml", data)
    if rewritten(before, found):
        assert tidied("f.yaml", found.text.encode()).text == found.text


def migrate(data: bytes) -> None:
    """What is migrated needs no migration."""
    before, found = load("f.yaml", data), migrated("f.yaml", data)
    if rewritten(before, found) and found.steps:
        again = migrated("f.yaml", found.text.encode())
        assert (again.text, again.steps) == (found.text, ())


def rewritten(before: Loaded, found: Rewritten) -> bool:
    """Whether a file was written anew. A loss that the engine saw is a bug too, unless ruamel.yaml excuses it."""
    if found.problems:
        lost = [problem for problem in found.problems if "written anew" in problem.message]
        assert not lost or excused(before, found)
        return False
    return True


def excused(before: Loaded, found: Rewritten) -> bool:
    """Whether a refusal is ruamel.yaml's.

    It may drop comments of a list in a list, which no kind of manifest has; and it does not parse all that libyaml does,
    such as `{?: 1}` and `a: |# comment`.
    """
    unparsed = any(name in str(found.problems[0]) for name in ("ParserError", "ScannerError"))
    return unparsed or any(nested(document.value) for document in before.documents)


def nested(value: object) -> bool:
    """Whether a value holds a list in a list."""
    if isinstance(value, dict):
        return any(nested(one) for one in value.values())
    return isinstance(value, list) and any(isinstance(one, list) or nested(one) for one in value)


def trees(data: bytes) -> None:
    """A tree object is read to its last byte, or refused."""
    whole(data)


def whole(data: bytes) -> list[Entry] | None:
    try:
        found = list(entries(data))
    except TerminalError:
        return None
    assert all(len(entry.oid) == 40 for entry in found)
    return found


def changes(data: bytes) -> None:
    """The difference of two trees is that of their entries, as long as no name is there twice."""
    at = data[0] % (len(data) or 1) if data else 0
    old, new = data[1 : 1 + at], data[1 + at :]
    before, after = whole(old), whole(new)
    try:
        gone, come = differing(old, new)
    except TerminalError:
        assert before is None or after is None
        return
    if before is not None and after is not None and apart(before) and apart(after):
        assert set(gone) == set(before) - set(after)
        assert set(come) == set(after) - set(before)


def apart(found: list[Entry]) -> bool:
    return len({entry.name for entry in found}) == len(found)


@cache
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def webhooks(data: bytes) -> None:
    """A request is understood or refused, and nothing that is made up counts as signed."""
    loop().run_until_complete(request(data))


async def request(data: bytes) -> None:
    reader = asyncio.StreamReader(limit=LIMIT)
    reader.feed_data(data)
    reader.feed_eof()
    try:
        head = await read_head(reader)
        checks = [Check(forge, SECRET, claim(forge, head, 0.0)) for forge in Forge]
        async for piece in read_body(reader, body_length(head, LIMIT), LIMIT):
            for check in checks:
                check.feed(piece)
    except (MalformedError, EmptyError, TooLargeError, EncodedError):
        return
    assert not any(check.holds() for check in checks)


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (loader, scalars, manifests, fmt, migrate, trees, changes, webhooks)
}
