"""What linking found wrong, by document, and so by file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from reconciler.manifest.index import Index
from reconciler.manifest.layered import Ledger
from reconciler.manifest.problem import Problem
from reconciler.manifest.records import FileDraft, Identity

Found = tuple[Problem, ...]
_NOTHING: Mapping[str, Found] = {}


class Check(StrEnum):
    """What found it, in the order in which it is done."""

    DOCUMENT = "document"
    REFERENCES = "references"
    QUOTAS = "quotas"
    KEYS = "keys"


class Notes:
    """Problems of documents; ``trouble`` has those of every file, its own and these, in the order of their places."""

    def __init__(self) -> None:
        self.trouble: Ledger[str, Found] = Ledger()
        self._found: dict[Identity, dict[str, Found]] = {}
        self._documents: Index[str, Identity] = Index()
        """Documents by the files that their problems are in."""
        self._stale: set[str] = set()

    def put(self, check: Check, identity: Identity, problems: Iterable[Problem] = ()) -> None:
        """Replace what a check found about a document."""
        new = tuple(problems)
        if not new and identity not in self._found:
            return
        found = self._found.setdefault(identity, {})
        old = found.pop(check, ())
        if new:
            found[check] = new
        if not found:
            del self._found[identity]
        left = {problem.place.file for some in found.values() for problem in some}
        for path in {problem.place.file for problem in (*old, *new)}:
            self._stale.add(path)
            if path in left:
                self._documents.add(path, identity)
            else:
                self._documents.discard(path, identity)

    def __bool__(self) -> bool:
        return bool(self._found)

    def of(self, identity: Identity) -> Mapping[str, Found]:
        """What was found about a document, by check."""
        return self._found.get(identity, _NOTHING)

    def refresh(self, changed: Iterable[str], files: Mapping[str, FileDraft]) -> None:
        """Bring ``trouble`` up to date, where files or what was found in them changed."""
        self._stale.update(changed)
        for path in self._stale:
            file = files.get(path)
            own = file.problems if file else ()
            documents = self._documents[path]
            if not documents and not own:
                self.trouble.discard(path)
                continue
            found = [problem for identity in documents for some in self._found[identity].values() for problem in some]
            linked = sorted(
                (problem for problem in found if problem.place.file == path), key=lambda each: (each.code, each.message)
            )
            ordered = sorted(dict.fromkeys([*own, *linked]), key=lambda each: (each.place.line, each.place.column))
            self.trouble[path] = tuple(ordered)
        self._stale = set()
