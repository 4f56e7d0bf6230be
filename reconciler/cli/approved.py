"""What the approvals in a commit let happen: the held removals that they are for, from the history or from a daemon."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.cli.revisions import Revisions
from reconciler.core.desired import Key, OnDelete
from reconciler.manifest.difference import Detail
from reconciler.manifest.drafter import Drafter
from reconciler.manifest.meaning import Action, Change, Meaning
from reconciler.manifest.prospect import Prospect
from reconciler.manifest.removal import digest
from reconciler.manifest.snapshot import Snapshot

MOST_COMMITS = 200
"""Commits of the history that are looked at."""
UNKNOWN = "approves a removal that this repo does not show; look at `prodsprint why` of the held environments"
NOT_HERE = "lets nothing happen: the removal has no environment of workspace {workspace}"
TOO_EARLY = (
    "does not count: what it approves is removed at once with it, and has to be held first; commit it after that"
)
Fates = Mapping[Key, OnDelete]
"""What becomes of keys whose removal is approved."""
Ask = Callable[[str], Fates]
"""The held keys that a daemon names with the digest of a removal; none without a daemon."""


@dataclass(slots=True)
class Removed:
    """Finds the keys of a removal by its digest, in the commits up to ``other``."""

    revisions: Revisions
    other: str
    before: Snapshot
    after: Snapshot
    ask: Ask
    _keys: dict[str, frozenset[Key]] = field(default_factory=dict)
    """Keys that each file names, by its content."""

    def fates(self, removal: str) -> Fates:
        """What becomes of the keys of a removal; nothing, when nobody knows it."""
        for commit, keys in self._history(self._now()):
            if digest(keys) == removal:
                desired = Prospect().go(commit, self.revisions.tree(commit)).desired
                return {key: desired[key].on_delete for key in keys if key in desired}
        return self.ask(removal)

    def _now(self) -> frozenset[Key]:
        return frozenset({*self.after.desired, *self.after.key_problems}) - {*self.after.held}

    def at_once(self, removal: str) -> bool:
        """Whether it is the removal that happens between the two moments."""
        return digest(self.before.desired.keys() - self._now()) == removal

    def _history(self, now: frozenset[Key]) -> Iterator[tuple[str, frozenset[Key]]]:
        """Commits, the newest first, with what has gone since, and with what went right after."""
        commit, newer = self.revisions.parent(self.other), now
        for _ in range(MOST_COMMITS):
            if not commit:
                return
            keys = self._named(commit)
            if keys != newer:
                yield commit, keys - now
                yield commit, keys - newer - now
            commit, newer = self.revisions.parent(commit), keys

    def _named(self, commit: str) -> frozenset[Key]:
        """The keys that the manifests of a commit name."""
        files = self.revisions.tree(commit).files
        fresh = [(path, *file) for path, file in files.items() if file[0] not in self._keys]
        for one in Drafter().draft(fresh):
            self._keys[files[one.path][0]] = frozenset(key for draft in one.draft.drafts for key in draft.keys)
        return frozenset(key for blob, _ in files.values() for key in self._keys[blob])


def explained(meaning: Meaning, removed: Removed) -> Meaning:
    """A meaning in which approvals of removals say what they let happen."""
    subjects = {f"{kind} {space}/{name}": (kind, space, name) for kind, space, name in removed.after.documents}
    approved: dict[str, OnDelete] = {}
    documents = []
    for one in meaning.documents:
        draft = removed.after.documents.get(subjects.get(one.subject, ("", "", "")))
        removal = json.loads(draft.body).get("removal", "") if draft and draft.kind == "Approval" else ""
        if not draft or not removal or one.action is Action.REMOVED:
            documents.append(one)
            continue
        if removed.at_once(removal):
            documents.append(_told(one, {}, TOO_EARLY))
            continue
        fates = removed.fates(removal)
        mine = {str(key): fate for key, fate in fates.items() if key.workspace == draft.workspace}
        approved |= mine
        nothing = NOT_HERE.format(workspace=draft.workspace) if fates else UNKNOWN
        documents.append(_told(one, mine, nothing))
    told = {one.subject for one in meaning.keys}
    rest = {key: fate for key, fate in approved.items() if key not in told}
    return replace(meaning, documents=tuple(documents), approved=rest)


def _told(one: Change, fates: Mapping[str, OnDelete], nothing: str) -> Change:
    """The worst first."""
    said = [f"destroys {key}" for key in sorted(fates) if fates[key] is OnDelete.DESTROY]
    said += [f"leaves {key} without a manifest (keep)" for key in sorted(fates) if fates[key] is OnDelete.KEEP]
    return replace(one, details=(*one.details, *(Detail("removal", words) for words in said or [nothing])))
