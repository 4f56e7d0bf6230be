"""Manifest files written anew: ``tidied`` in canonical form, ``migrated`` to the newest version of the language.

Nothing is lost on the way: what was written is loaded again, and unless values and comments are what they have to be, the
file is left as it is and a problem says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reconciler.manifest.emit import render
from reconciler.manifest.load import Document, Loaded, load
from reconciler.manifest.migrations import STEPS, Impossible
from reconciler.manifest.models import KINDS
from reconciler.manifest.problem import Code, Place, Problem, described, listed
from reconciler.manifest.shape import shorten
from reconciler.manifest.syntax import readable
from reconciler.manifest.tree import Block, Scalar, comments, parse

Pairs = set[tuple[str, str]]
"""Texts and what they may have become."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """``text`` is what the file has to hold; with problems it is empty, and the file is to stay as it is."""

    text: str
    problems: tuple[Problem, ...] = ()
    steps: tuple[str, ...] = ()
    """Versions that documents of it were migrated to."""


def tidied(file: str, content: bytes) -> Rewritten:
    """The file in canonical form. A file that cannot be read is refused with its problems; unknown fields are no problem."""
    pairs: Pairs = set()

    def change(_document: Document, block: Block) -> None:
        model = KINDS.get(_text(block, "kind"))
        if model is not None and _text(block, "apiVersion") not in STEPS:
            pairs.update(shorten(block, model))

    return _rewritten(file, content, change, lambda before, after: _unchanged(before, after, pairs))


def migrated(file: str, content: bytes) -> Rewritten:
    """The file with every document in the newest version; as it is, byte for byte, when all of them are already."""
    steps: list[str] = []

    def change(document: Document, block: Block) -> None:
        version = _text(block, "apiVersion")
        while (step := STEPS.get(version)) is not None:
            try:
                step.change(block)
            except Impossible as error:
                found = f"this cannot become {step.to}: {error}"
                place = document.place(error.path)
                raise _RefusedError(Problem(place, Code.REWRITE_REFUSED, found, "Change it by hand")) from None
            version = step.to
            steps.append(version)
            entry = block.find("apiVersion")
            if entry is not None:
                entry.value = Scalar(version)

    found = _rewritten(file, content, change, lambda _before, _after: True)
    if found.problems or steps:
        return Rewritten(found.text, found.problems, tuple(steps))
    return Rewritten(content.decode())


class _RefusedError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _rewritten(
    file: str,
    content: bytes,
    change: Callable[[Document, Block], None],
    kept: Callable[[Loaded, Loaded], bool],
) -> Rewritten:
    before = load(file, content)
    problems = [*before.problems, *_shapeless(before.documents)]
    if problems:
        return Rewritten("", tuple(problems))
    source, _ = readable(file, content)
    documents = parse(source)
    try:
        for document, block in zip(before.documents, documents, strict=True):
            change(document, block)
    except _RefusedError as error:
        return Rewritten("", (error.problem,))
    text = render(documents)
    after = load(file, text.encode())
    if after.problems or not kept(before, after) or Counter(comments(source)) != Counter(comments(text)):
        found = "this file cannot be written anew without a loss, so it was left as it is"
        hint = "Please report it, with the file; until then change it by hand"
        return Rewritten("", (Problem(Place(file), Code.REWRITE_REFUSED, found, hint),))
    return Rewritten(text)


def _shapeless(documents: Iterable[Document]) -> Iterable[Problem]:
    for document in documents:
        if not isinstance(document.value, dict):
            found = f"a manifest has to be a mapping, found {described(document.value)}"
            yield Problem(document.place(()), Code.WRONG_TYPE, found, f"Begin with `kind:`, one of {listed(KINDS)}")


def _text(block: Block, name: str) -> str:
    entry = block.find(name)
    return entry.value.text if entry is not None and isinstance(entry.value, Scalar) else ""


def _unchanged(before: Loaded, after: Loaded, pairs: Pairs) -> bool:
    documents = zip(before.documents, after.documents, strict=False)
    alike = all(_same(one.value, other.value, pairs) for one, other in documents)
    return alike and len(before.documents) == len(after.documents)


def _same(one: object, other: object, pairs: Pairs) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name], pairs) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b, pairs) for a, b in zip(one, other, strict=True))
    if isinstance(one, str) and isinstance(other, str):
        return one == other or (one, other) in pairs
    return type(one) is type(other) and one == other
