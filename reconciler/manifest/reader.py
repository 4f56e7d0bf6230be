"""Events of libyaml's parser to plain values, with what is wrong on the way.

Nothing is composed by the library: it would recurse as deep as the file says, and it would resolve words and numbers as
YAML 1.1. Here a file is refused before anything large is built from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn

from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from reconciler.core.outcome import TerminalError
from reconciler.manifest.marks import Event, Spot, Spots, position
from reconciler.manifest.problem import Code, quoted
from reconciler.manifest.scalar import NUMERIC, WORDS, resolve
from reconciler.manifest.syntax import ALIAS_FOUND, TAG_FOUND, unsafe

try:
    from yaml import CSafeLoader
except ImportError:  # never the pure parser instead: it is 15 times slower and reads some files differently
    raise TerminalError(
        "this installation of PyYAML lacks its C parser; install PyYAML from a wheel, or libyaml's headers and build it again"
    ) from None

MAX_DEPTH = 64
MAX_NODES = 50_000

Report = Callable[[Code, tuple[int, int], str, str], None]
"""Takes a problem's code, line and column, message and hint. Raises StopReading when there are too many."""


class StopReading(Exception):  # noqa: N818  # no error of ours: the problem is reported already
    """Nothing more can be learned from the file."""


class Reader:
    """Reads the documents of one file."""

    def __init__(self, text: str, report: Report) -> None:
        self._next: Callable[[], Event] = CSafeLoader(text.encode()).get_event
        self._text = text
        self._bang = "!" in text
        self._report = report
        self._room = MAX_NODES
        self._seen: Event | None = None

    @property
    def last(self) -> tuple[int, int]:
        """Line and column of the last thing that was looked at."""
        return position(self._seen) if self._seen is not None else (1, 1)

    def documents(self) -> Iterator[tuple[object, Spot]]:
        """The value of each document, and where things are in it.

        Raises StopReading after the problem that says why, yaml.YAMLError for what is not YAML, ValueError for text that
        Python cannot hold.
        """
        while not isinstance(event := self._next(), StreamEndEvent):
            if not isinstance(event, DocumentStartEvent):
                continue
            if event.version not in {None, (1, 2)}:
                found = f"YAML {'.'.join(map(str, event.version))} is asked for, manifests are YAML 1.2"
                self._report(Code.YAML_SYNTAX, position(event), found, "Remove the `%YAML` line")
            root = self._next()
            value, inside = self._value(root, None, 0)
            self._next()  # the end of the document, or what keeps it from ending
            yield value, (root, root, inside)

    def _value(self, event: Event, key: Event | None, depth: int) -> tuple[object, Spots | None]:
        """The value that begins with ``event``, and what is inside; ``key`` is its key in a mapping."""
        self._look(event)
        kind = type(event)
        if kind is ScalarEvent:
            text = event.value
            if event.implicit[0] and (text in WORDS or text[0] in NUMERIC):
                return self._resolved(event, key, depth), None
            return text, None
        if kind is AliasEvent:
            return _said(event), None
        if depth >= MAX_DEPTH:
            self._stop(Code.YAML_LIMIT, f"values are nested more than {MAX_DEPTH} deep", "Flatten it")
        return self._mapping(depth + 1) if kind is MappingStartEvent else self._sequence(depth + 1)

    def _mapping(self, depth: int) -> tuple[object, Spots]:
        items: dict[str, object] = {}
        spots: dict[str, Spot] = {}
        take, read, name_of = self._next, self._value, self._key
        while type(key := take()) is not MappingEndEvent:
            name = name_of(key, spots)
            event = take()
            value, inside = read(event, key, depth)
            if name not in items:
                items[name] = value
                spots[name] = (key, event, inside)
        return items, spots

    def _sequence(self, depth: int) -> tuple[object, Spots]:
        items: list[object] = []
        spots: list[Spot] = []
        take, read = self._next, self._value
        while type(event := take()) is not SequenceEndEvent:
            value, inside = read(event, None, depth)
            items.append(value)
            spots.append((event, event, inside))
        return items, spots

    def _key(self, event: Event, known: dict[str, Spot]) -> str:
        self._look(event)
        if type(event) is AliasEvent:
            return _said(event)
        if type(event) is not ScalarEvent:
            found = "a key has to be a text, found a list or mapping"
            self._stop(Code.YAML_KEY, found, "If it is a text that begins with `{` or `[`, put it in quotes")
        name = event.value
        if name in known:
            line, column = position(known[name][0])
            found = f"{quoted(name)} is there twice, first at {line}:{column}"
            self._say(Code.YAML_DUPLICATE, found, "Remove one of them")
        elif name == "<<" and event.implicit[0]:
            found, hint = "found the merge key `<<`, manifests have no merging", "Write the fields out"
            self._say(Code.YAML_ALIAS, found, hint)
        return name

    def _look(self, event: Event) -> None:
        """Refuse what no node may have."""
        self._seen = event
        self._room -= 1
        if self._room < 0:
            found = f"the file has more than {MAX_NODES} values"
            self._stop(Code.YAML_LIMIT, found, "Split it into several *.prodsprint.yaml files")
        # What stands there is not repeated: it may be a secret that was meant to be a text.
        if event.anchor is not None:
            self._say(Code.YAML_ALIAS, *ALIAS_FOUND)
        if self._bang and self._text.startswith("!", event.start_mark.index):
            self._say(Code.YAML_TAG, *TAG_FOUND)
        if type(event) is ScalarEvent and event.style == '"' and unsafe(event.value):
            found = "a text holds a control character or half of a surrogate pair"
            self._say(Code.YAML_CONTROL, found, "Remove the escape that makes it")

    def _resolved(self, event: Event, key: Event | None, depth: int) -> object:
        try:
            value = resolve(event.value)
        except ValueError as error:
            found = f"this number cannot be used: {error}"
            self._say(Code.YAML_NUMBER, found, "Write a smaller number, or put it in quotes if it is a text")
            return 0
        if value is None and depth:
            found = f"{quoted(_said(key))} has no value" if key is not None else "a list item has no value"
            spot = position(key or event)
            self._report(Code.YAML_NULL, spot, found, 'Give it one (`""` is the empty text), or remove it')
        return value

    def _say(self, code: Code, message: str, hint: str) -> None:
        self._report(code, self.last, message, hint)

    def _stop(self, code: Code, message: str, hint: str) -> NoReturn:
        self._say(code, message, hint)
        raise StopReading


def _said(event: Event) -> str:
    """The text of a scalar, or what stands where an alias does."""
    return str(event.value) if isinstance(event, ScalarEvent) else f"*{event.anchor}"
