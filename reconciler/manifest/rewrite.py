"""Manifest files written anew: ``tidied`` in canonical form, ``migrated`` to the newest version of the language.

Nothing is lost on the way: what was written is loaded again, and unless values and comments are what they have to be, and
writing it once more would change nothing, the file is left as it is and a problem says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import ScalarString

from reconciler.manifest.layout import Comment, Part, arranged, comments, parts
from reconciler.manifest.load import Document, load
from reconciler.manifest.migrations import STEPS, Impossible
from reconciler.manifest.models import API_VERSION, KINDS
from reconciler.manifest.problem import Code, Place, Problem, described, listed
from reconciler.manifest.roundtrip import parse, render
from reconciler.manifest.scalar import resolve
from reconciler.manifest.shape import shorten
from reconciler.manifest.syntax import readable

_ROUNDS = 4
"""Times a text is written anew at most until that changes nothing."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """``text`` is what the file has to hold; with problems it is empty, and the file is to stay as it is."""

    text: str
    problems: tuple[Problem, ...] = ()
    steps: tuple[str, ...] = ()
    """Versions that documents of it were migrated to."""


def tidied(file: str, content: bytes) -> Rewritten:
    """The file in canonical form. A file that cannot be read is refused with its problems; unknown fields are no problem."""

    def change(_document: Document, block: CommentedMap) -> None:
        model = KINDS.get(str(block.get("kind")))
        if model is not None and str(block.get("apiVersion")) not in STEPS:
            shorten(block, model)

    return _rewritten(file, content, change)


def migrated(file: str, content: bytes) -> Rewritten:
    """The file with every document in the newest version; as it is, byte for byte, when all of them are already."""
    steps: list[str] = []

    def change(document: Document, block: CommentedMap) -> None:
        while (step := STEPS.get(str(block.get("apiVersion")))) is not None:
            try:
                step.change(block)
            except Impossible as error:
                found = f"this cannot become {step.to}: {error}"
                place = document.place(error.path)
                raise _RefusedError(Problem(place, Code.REWRITE_REFUSED, found, "Change it by hand")) from None
            steps.append(step.to)
            block["apiVersion"] = step.to

    loaded = load(file, content)
    if not loaded.problems and not any(_old(document.value) for document in loaded.documents):
        problems = tuple(_foreign(loaded.documents))
        return Rewritten("" if problems else content.decode(), problems)
    found = _rewritten(file, content, change)
    return Rewritten(found.text, found.problems, tuple(steps))


def _old(value: object) -> bool:
    return isinstance(value, dict) and str(value.get("apiVersion")) in STEPS


class _RefusedError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _rewritten(file: str, content: bytes, change: Callable[[Document, CommentedMap], None]) -> Rewritten:
    before = load(file, content)
    problems = [*before.problems, *_foreign(before.documents)]
    if problems:
        return Rewritten("", tuple(problems))
    source = readable(file, content)[0].replace("\r\n", "\n")
    try:
        return Rewritten(_changed(file, source, before.documents, change))
    except _RefusedError as error:
        return Rewritten("", (error.problem,))
    except Exception as error:  # noqa: BLE001  # whatever the library stumbles over: the file stays as it is
        return Rewritten("", (_loss(file, type(error).__name__),))


def _changed(
    file: str, source: str, documents: Iterable[Document], change: Callable[[Document, CommentedMap], None]
) -> str:
    """The file after a change to each document. Raises _RefusedError."""
    found = parts(source)
    trees = [parse(arranged(part.text)) for part in found]
    if repr([_meaning(tree) for tree in trees]) != repr([document.value for document in documents]):
        raise _RefusedError(_loss(file, "a value"))
    for document, tree in zip(documents, trees, strict=True):
        change(document, tree)
    meant = repr([_meaning(tree) for tree in trees])
    text = _settled(file, _joined(found, trees))
    after = load(file, text.encode())
    if after.problems or repr([document.value for document in after.documents]) != meant:
        raise _RefusedError(_loss(file, "a value"))
    kept = Counter(comment.text for comment in comments(text))
    for comment in comments(source):
        kept[comment.text] -= 1
        if kept[comment.text] < 0:
            raise _RefusedError(_astray(file, comment))
    if kept.total():
        raise _RefusedError(_loss(file, "a comment"))
    return text


def _joined(found: Iterable[Part], trees: Iterable[CommentedMap]) -> str:
    texts = [(render(tree), part.apart) for part, tree in zip(found, trees, strict=True)]
    return "---\n".join(f"{text}\n" if apart and not text.endswith("\n\n") else text for text, apart in texts)


def _settled(file: str, text: str) -> str:
    """A text that stays as it is when it is written anew: what a comment belongs to may show only once lines have moved."""
    for _ in range(_ROUNDS):
        found = parts(text)
        again = _joined(found, [parse(arranged(part.text)) for part in found])
        if again == text:
            return text
        text = again
    raise _RefusedError(_loss(file, "its layout"))


def _loss(file: str, what: str) -> Problem:
    found = f"this file cannot be written anew without a loss ({what}), so it was left as it is"
    hint = "Please report it, with the file; until then change it by hand"
    return Problem(Place(file), Code.REWRITE_REFUSED, found, hint)


def _astray(file: str, comment: Comment) -> Problem:
    found = "this comment would be lost when the file is written anew, so the file was left as it is"
    hint = "Put it on a line of its own above an entry that has a line of its own too"
    return Problem(Place(file, comment.line + 1, comment.column + 1), Code.REWRITE_REFUSED, found, hint)


def _meaning(node: object) -> object:
    """The value of a tree, as ``load`` gives it."""
    if isinstance(node, dict):
        return {str(name): _meaning(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_meaning(value) for value in node]
    return str(node) if isinstance(node, ScalarString) else resolve(str(node))


def _foreign(documents: Iterable[Document]) -> Iterable[Problem]:
    """Documents of which nobody here knows how they have to look."""
    for document in documents:
        value = document.value
        if not isinstance(value, dict):
            found = f"a manifest has to be a mapping, found {described(value)}"
            yield Problem(document.place(()), Code.WRONG_TYPE, found, f"Begin with `kind:`, one of {listed(KINDS)}")
        elif "apiVersion" in value and str(value["apiVersion"]) not in {API_VERSION, *STEPS}:
            found = f"`apiVersion`: expected {listed((API_VERSION, *STEPS))}, found {described(value['apiVersion'])}"
            hint = "Correct it; a version that is newer than these needs a newer prodsprint"
            yield Problem(document.place(("apiVersion",)), Code.UNKNOWN_VERSION, found, hint)
