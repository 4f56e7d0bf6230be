"""A manifest file as it is written: entries in order, each with its comments. What ``fmt`` and ``migrate`` change.

A comment belongs to the entry on its line, else to the entry below it; one that is indented deeper than that entry closes the
block above. Only for files that ``load`` found nothing wrong with.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from yaml import CSafeLoader
from yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from reconciler.manifest.marks import Event

_COMMENT = re.compile(r"#[^\r\n]*")
_SPACES = re.compile(" *")
_HEADER_COMMENT = re.compile(r"[|>][-+0-9]*[ ]+(#[^\r\n]*)")
_STARTS = (ScalarEvent, MappingStartEvent, SequenceStartEvent, DocumentStartEvent, StreamEndEvent)
_ENDS = (MappingEndEvent, SequenceEndEvent)


@dataclass(slots=True)
class Scalar:
    """A text as the parser gives it, and how it is written: plain (``""``), ``'``, ``"``, ``|`` or ``>``."""

    text: str
    style: str = ""
    lines: tuple[str, ...] = ()
    """Of style ``>``: the lines in the file, without their indentation."""


@dataclass(slots=True)
class Entry:
    """An entry of a mapping, or an item of a list (then ``key`` is None)."""

    key: Scalar | None
    value: Scalar | Block
    before: list[str] = field(default_factory=list)
    """Comments above it; an empty one is an empty line."""
    beside: list[str] = field(default_factory=list)
    """Comment at the end of its line, and the lines that go on with it below."""
    column: int = 0
    """Where that comment begins, from 0."""

    @property
    def name(self) -> str:
        """The key's text; empty for an item of a list."""
        return self.key.text if self.key is not None else ""


@dataclass(slots=True)
class Block:
    """A mapping or a list."""

    listed: bool
    flow: bool = False
    """Whether it is written in braces or brackets."""
    entries: list[Entry] = field(default_factory=list)
    end: list[str] = field(default_factory=list)
    """Comments after the last entry, indented like it; an empty one at the end of a document is an empty line there."""

    def find(self, name: str) -> Entry | None:
        """The entry of that key."""
        return next((entry for entry in self.entries if entry.name == name), None)


@dataclass(frozen=True, slots=True)
class _Comment:
    text: str
    index: int
    line: int
    column: int
    alone: bool
    """Whether nothing else is on its line."""
    apart: bool
    """Whether an empty line is above it."""


def parse(text: str) -> list[Block]:
    """The documents of a file that are mappings, in order; empty ones are left out, and their comments go to the next."""
    return _Parser(text).documents()


def comments(text: str) -> list[str]:
    """Every comment of a file, in order."""
    return [comment.text for comment in _Parser(text).pending]


class _Parser:
    def __init__(self, text: str) -> None:
        loader = CSafeLoader(text.encode())
        self._events: list[Event] = list(iter(loader.get_event, None))
        self._text = text
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._following = self._look_ahead()
        self._at = 0
        self._last: Entry | None = None
        self._line = -1
        self.pending = deque(self._comments())

    def documents(self) -> list[Block]:
        found: list[Block] = []
        while self._at < len(self._events) - 1:
            event = self._next()
            if isinstance(event, MappingStartEvent):
                self._last = None
                block = self._block(event)
                self._close(block, -1)
                following = self._following[self._at]
                line = following.start_mark.line
                if isinstance(following, DocumentStartEvent) and self._apart(line):
                    block.end.append("")
                found.append(block)
        if found:
            found[-1].end += [comment.text for comment in self.pending]  # of an empty document at the end
        return found

    def _comments(self) -> Iterator[_Comment]:
        at = 0
        for event in self._events:
            start, end = event.start_mark.index, event.end_mark.index
            if isinstance(event, ScalarEvent):
                yield from self._between(at, start)
                header = _HEADER_COMMENT.match(self._text, start) if event.style in {"|", ">"} else None
                if header is not None:
                    yield self._comment(header.start(1), header[1])
                at = end
        yield from self._between(at, len(self._text))

    def _between(self, start: int, end: int) -> Iterator[_Comment]:
        for found in _COMMENT.finditer(self._text, start, end):
            yield self._comment(found.start(), found.group())

    def _comment(self, index: int, text: str) -> _Comment:
        line = bisect_left(self._breaks, index)
        begin = self._breaks[line - 1] + 1 if line else 0
        alone = not self._text[begin:index].strip()
        return _Comment(text.rstrip(), index, line, index - begin, alone, self._apart(line))

    def _apart(self, line: int) -> bool:
        """Whether the line above is empty."""
        if not line:
            return False
        return not self._text[self._breaks[line - 2] + 1 if line > 1 else 0 : self._breaks[line - 1]].strip()

    def _indent(self, line: int) -> int:
        begin = self._breaks[line - 1] + 1 if line else 0
        return _SPACES.match(self._text, begin).end() - begin  # type: ignore[union-attr]  # it matches everywhere

    def _look_ahead(self) -> list[Event]:
        """For each event the next one that begins something: it, or one after it."""
        found: list[Event] = []
        for event in reversed(self._events):
            found.append(event if isinstance(event, _STARTS) else found[-1])
        return found[::-1]

    def _node(self, holder: Entry) -> Scalar | Block:
        """The value that begins at the current event; leaves the last event of it current."""
        event = self._events[self._at]
        first, last = event.start_mark.line, event.end_mark.line
        if isinstance(event, ScalarEvent):
            self._last, self._line = holder, first if event.style in {"|", ">"} else last
            return self._scalar(event)
        return self._block(event, holder)

    def _scalar(self, event: Event) -> Scalar:
        if event.style != ">":
            return Scalar(event.value, event.style or "")
        source = self._text[event.start_mark.index : event.end_mark.index].replace("\r\n", "\n")
        header, _, rest = source.partition("\n")
        lines = rest.rstrip("\n ").split("\n")
        first = next((line for line in lines if line.strip()), "")
        indent = len(first) - len(first.lstrip(" "))
        kept = tuple(line[indent:] for line in lines)
        odd = any(sign in header.partition("#")[0] for sign in "+123456789") or event.value.rstrip("\n").endswith(" ")
        if odd or any(line.endswith(" ") for line in kept):
            return Scalar(event.value, "|")  # spaces at the end of lines would not survive
        return Scalar(event.value, ">", kept)

    def _block(self, event: Event, holder: Entry | None = None) -> Block:
        block = Block(isinstance(event, SequenceStartEvent), bool(event.flow_style))
        while not isinstance(self._next(), _ENDS):
            block.entries.append(self._entry(listed=block.listed))
        if block.flow:
            end = self._events[self._at].end_mark
            self._take(block.end if block.entries or holder is None else holder.before, end.index)
            self._last, self._line = holder, end.line
        else:
            self._close(block, event.start_mark.column)
        return block

    def _next(self) -> Event:
        self._at += 1
        return self._events[self._at]

    def _entry(self, *, listed: bool) -> Entry:
        event = self._events[self._at]
        start = event.start_mark
        entry = Entry(None, Scalar(""))
        self._take(entry.before, start.index)
        if self._apart(start.line):
            entry.before.append("")
        if not listed:
            entry.key = Scalar(event.value, event.style or "")
            self._last, self._line = entry, event.end_mark.line
            self._at += 1
        entry.value = self._node(entry)
        return entry

    def _take(self, into: list[str], limit: int) -> None:
        """Give the comments before ``limit`` to the last entry where they are beside it, else to ``into``."""
        while self.pending and self.pending[0].index < limit:
            comment = self.pending.popleft()
            if not self._beside(comment):
                into += [""] * comment.apart
                into.append(comment.text)

    def _beside(self, comment: _Comment) -> bool:
        last = self._last
        if last is None:
            return False
        if not comment.alone and comment.line == self._line:
            last.before += last.beside
            last.beside, last.column = [comment.text], comment.column
            return True
        goes_on = comment.alone and last.beside and comment.column == last.column
        if goes_on and comment.line == self._line + len(last.beside):
            last.beside.append(comment.text)
            return True
        return False

    def _close(self, block: Block, column: int) -> None:
        """Give comments that are indented like the block, and deeper than what comes next, to its end."""
        following = self._following[self._at]
        ends = isinstance(following, (DocumentStartEvent, StreamEndEvent))
        depth = -1 if ends else self._indent(following.start_mark.line)
        limit = following.start_mark.index
        while self.pending and (comment := self.pending[0]).index < limit:
            if self._beside(comment):
                self.pending.popleft()
            elif comment.column >= column and comment.column > depth:
                self.pending.popleft()
                block.end += [""] * comment.apart
                block.end.append(comment.text)
            else:
                break
