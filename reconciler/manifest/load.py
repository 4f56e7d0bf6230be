"""Bytes of a manifest file to plain values, with the position of every key and value.

Built on the events of ruamel's pure Python parser, so that a file is refused before anything large is built from it: nothing
here recurses, and work is bounded by MAX_BYTES, MAX_NODES and MAX_DEPTH.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from reconciler.manifest.problem import Code, Place, Problem, quoted
from reconciler.manifest.scalar import resolve
from reconciler.manifest.syntax import explain, readable, unsafe

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 50_000
MAX_PROBLEMS = 50
"""Problems reported of one file."""

Path = tuple[str | int, ...]
"""Where a value is within a document: keys and list indices from the root."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Positions (from 1) of a value and of its key; in a list, ``key`` is the position of the item."""

    value: tuple[int, int]
    key: tuple[int, int]
    raw: str = ""
    """Source text of a plain scalar."""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document. ``first`` is its first problem: with one, its values serve only to tell whose they are."""

    file: str
    value: object
    marks: Mapping[Path, Mark]
    first: str

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Position of the value at ``path`` (or of its key), or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            mark = self.marks.get(path[:length])
            if mark is not None:
                return Place(self.file, *(mark.key if key or length < len(path) else mark.value))
        return Place(self.file)

    def raw(self, path: Path) -> str:
        """Source text of the plain scalar at ``path``; empty for anything else."""
        mark = self.marks.get(path)
        return mark.raw if mark else ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file holds: its documents in order, and what is wrong with it. Not ``whole``: it was not read to its end."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]
    whole: bool


def load(file: str, content: bytes) -> Loaded:
    """Parse a manifest file. Never raises: whatever is wrong is a problem with its position."""
    builder = _Builder(file)
    if len(content) > MAX_BYTES:
        found = f"the file has {len(content)} bytes, at most {MAX_BYTES} are read"
        builder.report(Code.FILE_SIZE, (0, 0), found, "Split it into several *.prodsprint.yaml files")
        return builder.loaded()
    text, problem = readable(file, content)
    if problem is not None:
        return Loaded((), (problem,), whole=False)
    try:
        builder.run(text)
    except _StopError:
        pass
    except MarkedYAMLError as error:
        builder.problems.append(explain(file, error))
    except (ValueError, OverflowError):  # ruamel converts \U escapes without looking at their range
        found, hint = "an escape names a character that does not exist", "Use an escape of at most \\U0010FFFF"
        builder.report(Code.YAML_SYNTAX, builder.last, found, hint)
    else:
        builder.finish()
    return builder.loaded()


class _StopError(Exception):
    """Nothing more can be learned from the file."""


@dataclass(slots=True)
class _Frame:
    """A collection being built; ``key`` and ``spot`` are the mapping key that waits for its value."""

    items: dict[str, object] | list[object]
    path: Path
    key: str | None = None
    spot: tuple[int, int] = (0, 0)

    @property
    def wants_key(self) -> bool:
        return isinstance(self.items, dict) and self.key is None

    def add(self, value: object) -> None:
        if isinstance(self.items, list):
            self.items.append(value)
        elif self.key is not None:
            self.items.setdefault(self.key, value)
            self.key = None


@dataclass(slots=True)
class _Builder:
    file: str
    problems: list[Problem] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    marks: dict[Path, Mark] = field(default_factory=dict)
    stack: list[_Frame] = field(default_factory=list)
    root: object = None
    nodes: int = 0
    before: int = 0
    whole: bool = False
    last: tuple[int, int] = (1, 1)

    def report(self, code: Code, spot: tuple[int, int], message: str, hint: str) -> None:
        """Add a problem, unless there are too many already: then stop."""
        if len(self.problems) >= MAX_PROBLEMS:
            self.problems.append(more(self.file))
            raise _StopError
        self.problems.append(Problem(Place(self.file, *spot), code, message, hint))

    def loaded(self) -> Loaded:
        return Loaded(tuple(self.documents), tuple(self.problems), self.whole)

    def run(self, text: str) -> None:
        for event in YAML(typ="safe", pure=True).parse(text):
            self.last = (event.start_mark.line + 1, event.start_mark.column + 1)
            self._take(event)

    def finish(self) -> None:
        self.whole = bool(self.documents)
        if not self.documents and not self.problems:
            hint = "Remove the file if its projects are to go"
            self.report(Code.FILE_EMPTY, (0, 0), "the file holds no manifest", hint)

    def _take(self, event: Event) -> None:
        if isinstance(event, NodeEvent):
            self._node(event)
        elif isinstance(event, DocumentStartEvent):
            self._open(event)
        elif isinstance(event, DocumentEndEvent):
            self._close()
        elif self.stack:  # the end of a collection: every other event is one of a stream
            self.stack.pop()

    def _open(self, event: DocumentStartEvent) -> None:
        self.marks, self.root, self.before = {}, None, len(self.problems)
        if event.version is not None and tuple(event.version) != (1, 2):
            found = f"YAML {'.'.join(map(str, event.version))} is asked for, manifests are YAML 1.2"
            self.report(Code.YAML_SYNTAX, self.last, found, "Remove the `%YAML` line")

    def _close(self) -> None:
        first = str(self.problems[self.before]) if len(self.problems) > self.before else ""
        if self.root is not None or first:
            self.documents.append(Document(self.file, self.root, MappingProxyType(self.marks), first))

    def _node(self, event: NodeEvent) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            found = f"the file has more than {MAX_NODES} values"
            self._stop(Code.YAML_LIMIT, found, "Split it into several *.prodsprint.yaml files")
        # What stands there is not repeated: it may be a secret that was meant to be a text.
        if event.anchor is not None:
            found = "found an anchor (`&`) or alias (`*`), manifests have none"
            self.report(Code.YAML_ALIAS, self.last, found, "Write the value out, or put the text in quotes")
        if isinstance(event, (ScalarEvent, CollectionStartEvent)) and event.ctag is not None:
            found = "found a tag (`!`), manifests have none"
            self.report(Code.YAML_TAG, self.last, found, "Remove it, or put the text in quotes")
        if isinstance(event, MappingStartEvent):
            self._push({})
        elif isinstance(event, SequenceStartEvent):
            self._push([])
        else:
            self._scalar(event)

    def _stop(self, code: Code, message: str, hint: str) -> None:
        self.report(code, self.last, message, hint)
        raise _StopError

    def _push(self, items: dict[str, object] | list[object]) -> None:
        if self.stack and self.stack[-1].wants_key:
            found = "a key has to be a text, found a list or mapping"
            self._stop(Code.YAML_KEY, found, "If it is a text that begins with `{` or `[`, put it in quotes")
        if len(self.stack) >= MAX_DEPTH:
            self._stop(Code.YAML_LIMIT, f"values are nested more than {MAX_DEPTH} deep", "Flatten it")
        path = self._place(items, "")
        self.stack.append(_Frame(items, path))

    def _scalar(self, event: NodeEvent) -> None:
        plain = isinstance(event, ScalarEvent) and event.implicit[0]
        text = event.value if isinstance(event, ScalarEvent) else f"*{event.anchor}"
        if unsafe(text):
            found = "a text holds a control character or half of a surrogate pair"
            self.report(Code.YAML_CONTROL, self.last, found, "Remove the escape that makes it")
        if self.stack and self.stack[-1].wants_key:
            self._key(text, plain=plain)
        else:
            self._place(self._value(text) if plain else text, text if plain else "")

    def _value(self, text: str) -> object:
        try:
            value = resolve(text)
        except ValueError as error:
            found = f"this number cannot be used: {error}"
            self.report(
                Code.YAML_NUMBER, self.last, found, "Write a smaller number, or put it in quotes if it is a text"
            )
            return 0
        if value is None and self.stack:
            frame = self.stack[-1]
            found = f"{quoted(frame.key)} has no value" if frame.key is not None else "a list item has no value"
            spot = frame.spot if frame.key is not None else self.last
            self.report(Code.YAML_NULL, spot, found, 'Give it one (`""` is the empty text), or remove it')
        return value

    def _key(self, text: str, *, plain: bool) -> None:
        frame = self.stack[-1]
        if plain and text == "<<":
            found, hint = "found the merge key `<<`, manifests have no merging", "Write the fields out"
            self.report(Code.YAML_ALIAS, self.last, found, hint)
        elif (first := self.marks.get((*frame.path, text))) is not None:
            found = f"{quoted(text)} is there twice, first at {first.key[0]}:{first.key[1]}"
            self.report(Code.YAML_DUPLICATE, self.last, found, "Remove one of them")
        frame.key, frame.spot = text, self.last

    def _place(self, value: object, raw: str) -> Path:
        if not self.stack:
            self.root = value
            self.marks[()] = Mark(self.last, self.last, raw)
            return ()
        frame = self.stack[-1]
        step = frame.key if frame.key is not None else len(frame.items)
        path = (*frame.path, step)
        self.marks.setdefault(path, Mark(self.last, frame.spot if frame.key is not None else self.last, raw))
        frame.add(value)
        return path


def more(file: str) -> Problem:
    """The last problem of a file that has too many."""
    return Problem(Place(file), Code.MORE, f"there are more than {MAX_PROBLEMS} problems", "Mend these first")
