"""The lines of a manifest file: comments and empty lines are brought into form here.

ruamel.yaml keeps both as they are: a comment stays in the column where it was, wherever the lines around it go, and in a
few places it gets lost.

Only for files that ``load`` found nothing wrong with.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from yaml import CSafeLoader
from yaml.events import (
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from reconciler.manifest.marks import Event

STEP = 2
_COMMENT = re.compile("#.*")
_HEADER = re.compile(r"[|>][-+0-9]*")
_DIGIT = re.compile("[|>][-+]?[1-9]")
# Without types, as the events are.
_SCALAR: Any = ScalarEvent
_END: Any = StreamEndEvent
_LIST: Any = SequenceStartEvent
_STARTS: Any = (MappingStartEvent, SequenceStartEvent)
_ENDS: Any = (MappingEndEvent, SequenceEndEvent)
_NODES: Any = (ScalarEvent, *_STARTS)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment of a file. ``line`` and ``column`` are from 0."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Part:
    """The source of one document without the lines around it. ``apart``: an empty line is at its end."""

    text: str
    apart: bool


def parts(text: str) -> list[Part]:
    """The documents of a file in order; empty ones are left out, and their comments go to the next, else to the last."""
    found: list[Part] = []
    held: list[str] = []
    start, filled = 0, False
    for event in _events(text):
        if isinstance(event, _END) or getattr(event, "explicit", False):
            piece = text[start : event.start_mark.index].lstrip("\n")
            held += [piece] if filled else [comment.text for comment in comments(piece)]
            start = event.end_mark.index
            if filled:
                found.append(Part("\n".join(held), apart=piece.replace(" ", "").endswith("\n\n")))
                held, filled = [], False
        elif isinstance(event, MappingStartEvent):
            filled = True
    found[-1] = Part(found[-1].text + "".join(f"{line}\n" for line in held), apart=False)
    return found


def comments(text: str) -> list[Comment]:
    """Every comment of a file, in order."""
    return list(_comments(text, _events(text)))


def _events(text: str) -> list[Event]:
    loader = CSafeLoader(text.encode())
    return list(iter(loader.get_event, None))


def _comments(text: str, events: list[Event]) -> Iterator[Comment]:
    lines = text.split("\n")
    line = column = 0
    for event in events:
        if isinstance(event, (_SCALAR, _END)):
            start, end = event.start_mark, event.end_mark
            yield from _between(lines, (line, column), (start.line, start.column))
            line, column = end.line, end.column
            header = _HEADER.match(lines[start.line], start.column) if _long(event) else None
            if header is not None:
                yield from _between(lines, (start.line, header.end()), (start.line + 1, 0))


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> Iterator[Comment]:
    for number in range(start[0], min(end[0] + 1, len(lines))):
        line = lines[number][: end[1]] if number == end[0] else lines[number]
        found = _COMMENT.search(line, start[1] if number == start[0] else 0)
        if found is not None:
            yield Comment(found.group().rstrip(), number, found.start())


def _long(event: Event) -> bool:
    """Whether it is a text after ``|`` or ``>``."""
    return isinstance(event, _SCALAR) and event.style in {"|", ">"}


def arranged(text: str) -> str:
    """A document with each comment in the column of what it belongs to, one empty line at most, and no spaces at line ends.

    A comment alone on its line belongs to what is below; one that is indented deeper than that closes the block above. One
    right below another that is beside something, in the same column, goes on with that.
    """
    return _Arrangement(_raised(text)).text()


def _raised(text: str) -> str:
    """Take comments to where ruamel.yaml keeps them: out of brackets, and above where there is nothing yet to be beside."""
    lines, events = text.split("\n"), _events(text)
    notes = {one.line: one for one in _comments(text, events)}
    above: dict[int, str] = {}
    dashes = [(line, (line,)) for line, note in notes.items() if lines[line][: note.column].strip(" ") == "-"]
    for row, places in [*_cramped(lines, events), *dashes]:
        for note in [notes.pop(place) for place in places if place in notes]:
            indent = lines[row][: len(lines[row]) - len(lines[row].lstrip(" "))]
            above[row] = f"{above.get(row, '')}{indent}{note.text}\n"
            lines[note.line] = lines[note.line][: note.column]
    return "\n".join(above.get(row, "") + line for row, line in enumerate(lines)) if above else text


def _cramped(lines: list[str], events: list[Event]) -> Iterator[tuple[int, Iterable[int]]]:
    """Lines whose comments have to go elsewhere, after the line that they go above."""
    depth = row = start = 0
    inner = False
    for event in events:
        line = event.start_mark.line
        code = lines[line][: event.start_mark.column].rstrip(" ") if isinstance(event, _NODES) else ""
        if depth or getattr(event, "flow_style", False):
            if not depth:
                start, row = line, line if code else row
            depth += isinstance(event, _STARTS) - isinstance(event, _ENDS)
            if not depth:
                yield row, range(start, event.end_mark.line if inner else len(lines))
        elif isinstance(event, _NODES):
            if not code and isinstance(event, _SCALAR) and lines[row].partition(" #")[0].rstrip(" ").endswith(":"):
                yield row, range(row, line)
            row, inner = line, True
            if _long(event) and (code.endswith("-") or not event.value.strip(" \n")):
                yield line, (line,)


class _Arrangement:
    def __init__(self, text: str) -> None:
        self._source = text.split("\n")
        self._events = _events(text)
        self._comments = {one.line: one for one in _comments(text, self._events)}
        self._held: set[int] = set()
        """Lines that begin within a text of several lines."""
        self._open: set[int] = set()
        """Lines that end within one."""
        self._texts: set[int] = set()
        """Lines of long texts that find their indentation by themselves."""
        for event in self._events:
            if isinstance(event, _SCALAR):
                self._hold(event)
        self._columns = dict(self._placed())
        self._pad = " " * max(self._columns.values(), default=0)

    def _hold(self, event: Event) -> None:
        first, last = event.start_mark.line, event.end_mark.line
        if _long(event) and not event.value:  # else a comment below that moves to the right would become the text
            line, column = self._source[first], event.start_mark.column
            self._source[first] = line[:column] + _HEADER.sub('"" ', line[column:], count=1)
        elif _long(event):
            last -= not event.end_mark.column
            ended = not event.value.endswith(("\n\n", " ", " \n"))  # empty lines below it are not its own
            while ended and last > first and not self._source[last].strip():
                last -= 1
        self._held.update(range(first + 1, last + 1))
        if _long(event) and not _DIGIT.match(self._source[first], event.start_mark.column):
            self._texts.update(range(first + 1, last + 1))
        self._open.update(range(first + _long(event), last + _long(event)))

    def text(self) -> str:
        """The document as it is to be. A long text at its end that has no line break there gets none: it would be another."""
        ended = not self._source[-1].strip() or len(self._source) - 1 not in self._held
        return "\n".join(self._lines()) + "\n" * ended

    def _lines(self) -> Iterator[str]:
        room = False
        gap = False
        for number, source in enumerate(self._source):
            line = source if number in self._open else source.rstrip(" ")
            if number in self._columns:
                line = " " * self._columns[number] + line.lstrip(" ")
            if number in self._texts and line:
                line = self._pad + line  # lest a comment that moves to the right should end up in the text
            if not line and number not in self._held:
                gap = room
                continue
            if gap:
                yield ""
            yield line
            gap, room = False, not self._opens(number, line)

    def _opens(self, number: int, line: str) -> bool:
        """Whether a block begins below."""
        comment = self._comments.get(number)
        code = line[: comment.column].rstrip(" ") if comment is not None and number not in self._columns else line
        return code.endswith((":", " -")) or code == "-"

    def _alone(self) -> Iterator[Comment]:
        """Comments that are on a line of their own and go on with none beside something."""
        last = None
        for comment in self._comments.values():
            goes_on = last is not None and (last.line + 1, last.column) == (comment.line, comment.column)
            beside = comment.line in self._held or self._source[comment.line][: comment.column].strip()
            last = comment if beside or goes_on else None
            if last is None:
                yield comment

    def _placed(self) -> Iterator[tuple[int, int]]:
        """For each line with a comment of its own the column of the comment."""
        pending = deque(self._alone())
        blocks: list[tuple[Event, int]] = []
        depth = 0
        for event, following in zip(self._events, self._following(), strict=True):
            if isinstance(event, _ENDS):
                if depth:
                    depth -= 1
                    continue
                start, column = blocks.pop()
                while pending and _closes(pending[0], start, following, self._source):
                    yield pending.popleft().line, column
            elif isinstance(event, _NODES):
                depth += isinstance(event, _STARTS) and event.flow_style
                column = _entered(event, blocks)
                while pending and pending[0].line <= event.start_mark.line:
                    yield pending.popleft().line, column
        yield from ((comment.line, 0) for comment in pending)

    def _following(self) -> list[Event]:
        """For each event the next one that begins something: it, or one after it."""
        found: list[Event] = []
        for event in reversed(self._events):
            found.append(event if isinstance(event, (*_NODES, _END)) else found[-1])
        return found[::-1]


def _entered(event: Event, blocks: list[tuple[Event, int]]) -> int:
    """Open the block that begins with an event, if any. Returns the column of comments above."""
    if isinstance(event, _STARTS) and not event.flow_style:
        blocks.append((event, _column(event, blocks)))
        if len(blocks) > 1 and isinstance(blocks[-2][0], _LIST):
            return blocks[-2][1]  # what is inside of an item goes above its dash
    return blocks[-1][1] if blocks else 0


def _column(event: Event, blocks: list[tuple[Event, int]]) -> int:
    """Where a block of entries will begin: lists stand below their key, two further right, and so do the items of a list."""
    if not blocks:
        return 0
    outer, column = blocks[-1]
    listed = isinstance(outer, _LIST) and isinstance(event, _LIST)
    return column + STEP * (1 + listed)


def _closes(comment: Comment, block: Event, following: Event, lines: list[str]) -> bool:
    """Whether a comment is the last thing in a block."""
    number, column = following.start_mark.line, block.start_mark.column
    if isinstance(following, _END):
        return bool(comment.column >= column)
    depth = len(lines[number]) - len(lines[number].lstrip(" "))
    return comment.line < number and depth < comment.column and bool(comment.column >= column)
