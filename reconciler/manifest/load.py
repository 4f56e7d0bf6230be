"""Bytes of a manifest file to plain values, with the position of every key and value.

Bounded: a file has at most MAX_BYTES, MAX_NODES values and MAX_DEPTH levels, and is refused before more is built of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from yaml import YAMLError

from reconciler.manifest.marks import Mark, Marks, Path
from reconciler.manifest.problem import Code, Place, Problem
from reconciler.manifest.reader import MAX_DEPTH, MAX_NODES, Reader, StopReading
from reconciler.manifest.syntax import TAG_FOUND, explain, readable

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "MAX_PROBLEMS", "Document", "Loaded", "Mark", "Path", "load", "more"]

MAX_BYTES = 1 << 20
MAX_PROBLEMS = 50
"""Problems reported of one file."""


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
    building = _Building(file)
    if len(content) > MAX_BYTES:
        found = f"the file has {len(content)} bytes, at most {MAX_BYTES} are read"
        building.report(Code.FILE_SIZE, (0, 0), found, "Split it into several *.prodsprint.yaml files")
        return building.loaded(whole=False)
    text, problem = readable(file, content)
    if problem is not None:
        return Loaded((), (problem,), whole=False)
    return building.loaded(whole=building.read(text))


@dataclass(slots=True)
class _Building:
    """A file that is being loaded."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)

    def report(self, code: Code, spot: tuple[int, int], message: str, hint: str) -> None:
        """Add a problem, unless there are too many already: then stop."""
        if len(self.problems) >= MAX_PROBLEMS:
            self.problems.append(more(self.file))
            raise StopReading
        self.problems.append(Problem(Place(self.file, *spot), code, message, hint))

    def loaded(self, *, whole: bool) -> Loaded:
        """What was found."""
        return Loaded(tuple(self.documents), tuple(self.problems), whole)

    def read(self, text: str) -> bool:
        """Take the documents of a file. False: it was not read to its end."""
        reader = Reader(text, self.report)
        try:
            self._take(reader)
        except StopReading:
            return False
        except YAMLError as error:
            self.problems.append(explain(self.file, text, error))
            return False
        except ValueError:  # libyaml lets tags hold what Python's texts cannot: half surrogates
            self.problems.append(Problem(Place(self.file, *reader.last), Code.YAML_TAG, *TAG_FOUND))
            return False
        return bool(self.documents)

    def _take(self, reader: Reader) -> None:
        before = 0
        for value, spot in reader.documents():
            first = str(self.problems[before]) if len(self.problems) > before else ""
            before = len(self.problems)
            if value is not None or first:
                self.documents.append(Document(self.file, value, Marks(spot), first))
        if not self.documents and not self.problems:
            hint = "Remove the file if its projects are to go"
            self.report(Code.FILE_EMPTY, (0, 0), "the file holds no manifest", hint)


def more(file: str) -> Problem:
    """The last problem of a file that has too many."""
    return Problem(Place(file), Code.MORE, f"there are more than {MAX_PROBLEMS} problems", "Mend these first")
