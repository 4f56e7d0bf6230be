"""The documents of all manifest files, by what no two of them may share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from reconciler.manifest.index import Index
from reconciler.manifest.layered import Ledger
from reconciler.manifest.records import Draft, FileDraft, Identity

Changes = Mapping[str, FileDraft | None]
"""What each changed file says now; None for a file that is gone."""


class Register:
    """All files and documents. Where ``lost`` files are concerned, also what they held before and may hold still."""

    def __init__(self) -> None:
        self.files: Ledger[str, FileDraft] = Ledger()
        self.claims: Ledger[Identity, tuple[Draft, ...]] = Ledger()
        self.members: Index[str, Identity] = Index()
        """Documents by workspace."""
        self.holders: Index[Identity, str] = Index()
        """Lost files by the documents that they may hold still."""
        self._holding: dict[str, frozenset[Identity]] = {}

    def concerned(self, changes: Changes) -> set[Identity]:
        """The documents that the changed files have, had, or may have had."""
        found: set[Identity] = set()
        for path, new in changes.items():
            for file in (self.files.get(path), new):
                found.update(draft.identity for draft in (file.drafts if file else ()))
            found |= self._holding.get(path, frozenset())
        return found

    def apply(self, changes: Changes, holding: Mapping[str, frozenset[Identity]]) -> None:
        """Put files in the place of what they were. ``holding`` says what those that are lost may hold still."""
        fresh: dict[Identity, list[Draft]] = defaultdict(list)
        gone: set[Identity] = set()
        for path, new in changes.items():
            old = self.files.get(path)
            if old is not None:
                gone.update(draft.identity for draft in old.drafts)
            self._hold(path, holding.get(path, frozenset()))
            if new is None:
                self.files.discard(path)
                continue
            self.files[path] = new
            for draft in new.drafts:
                fresh[draft.identity].append(draft)
        for identity, drafts in fresh.items():
            self._claim(identity, drafts, changes)
        for identity in gone - fresh.keys():
            self._claim(identity, [], changes)

    def _hold(self, path: str, identities: frozenset[Identity]) -> None:
        for identity in self._holding.pop(path, frozenset()):
            self.holders.discard(identity, path)
        for identity in identities:
            self.holders.add(identity, path)
        if identities:
            self._holding[path] = identities

    def _claim(self, identity: Identity, fresh: list[Draft], changes: Collection[str]) -> None:
        old = self.claims.get(identity)
        if old is None:
            if fresh:
                fresh.sort(key=position)
                self.claims.insert(identity, tuple(fresh))
                self.members.add(identity[1], identity)
            return
        drafts = [draft for draft in old if draft.place.file not in changes] + fresh
        if not drafts:
            self.claims.discard(identity)
            self.members.discard(identity[1], identity)
            return
        drafts.sort(key=position)
        self.claims[identity] = tuple(drafts)

    def remaining(self, identity: Identity, changes: Changes) -> Iterator[Draft]:
        """The documents of that identity that there would be with these changes."""
        yield from (draft for draft in self.claims.get(identity, ()) if draft.place.file not in changes)
        for file in changes.values():
            yield from (draft for draft in (file.drafts if file else ()) if draft.identity == identity)

    def in_file(self, path: str) -> Iterable[Identity]:
        """The documents that a file has, or may have."""
        file = self.files.get(path)
        named = {draft.identity: None for draft in (file.drafts if file else ())}
        return [*named, *(self._holding.get(path, frozenset()) - named.keys())]


def position(draft: Draft) -> tuple[str, int, int]:
    """Where a document stands among all others."""
    return draft.place.file, draft.place.line, draft.place.column
