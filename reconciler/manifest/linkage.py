"""Everything that linking knows between two updates, and the questions that its parts ask of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.core.desired import Key
from reconciler.manifest.index import Index
from reconciler.manifest.inforce import InForce, versions
from reconciler.manifest.judge import Verdict
from reconciler.manifest.layered import Ledger
from reconciler.manifest.notes import Check, Notes
from reconciler.manifest.ownership import PROJECT, Ownership
from reconciler.manifest.problem import printable
from reconciler.manifest.quotas import Quotas
from reconciler.manifest.records import Draft, Identity, Wish
from reconciler.manifest.references import Names, Reference
from reconciler.manifest.register import Register
from reconciler.manifest.snapshot import ProjectName, Snapshot, Version

Resolve = Callable[[str, str], str | None]
"""Finds the full commit id of a version in a source; None when it is not known (yet)."""
_BLOCKING = (Check.REFERENCES, Check.QUOTAS)


class Linkage:
    """What the files say, what came of it, and what is in force."""

    def __init__(self, resolve: Resolve, repos: Mapping[str, tuple[str, ...]]) -> None:
        self._resolve = resolve
        self.register = Register()
        self.ownership = Ownership(repos)
        self.inforce = InForce(self.ownership.repo)
        self.notes = Notes()
        self.quotas = Quotas()
        self.names = Names(self._environments)
        self.documents: Ledger[Identity, Draft] = Ledger()
        """What is in force of documents that are no projects."""
        self.survivors: Ledger[Identity, Draft] = Ledger()
        self.held: dict[ProjectName, str] = {}
        """Projects whose removed keys stay in force, and the commit that removed them."""
        self.verdicts: dict[Identity, Verdict] = {}
        self.references: Index[Reference, Identity] = Index()
        """Documents by what they name."""
        self.knots: dict[ProjectName, frozenset[ProjectName]] = {}
        """Projects that may wait for each other in a circle, in git or in force, by each of them."""
        self.since: Mapping[Key, str] = {}
        """The commits that keys began with, where that is known from before a restart."""

    def lawful(self, identity: Identity) -> Draft | None:
        """The one document of that name that counts, whatever it refers to and asks for."""
        verdict = self.verdicts.get(identity)
        if verdict is not None:
            return None if verdict.reason else verdict.draft
        drafts = self.register.claims.get(identity, ())
        return drafts[0] if drafts else None

    def applied(self, project: ProjectName) -> Draft | None:
        """The document that a project is taken from; None when there is none that can be."""
        identity = (PROJECT, *project)
        draft = self.lawful(identity)
        if draft is not None:
            notes = self.notes.of(identity)
            if notes and any(check in notes for check in _BLOCKING):
                return None
        return draft

    def reason(self, identity: Identity) -> str:
        """Why nothing is taken from the documents of that name; empty when it is, and when there are none."""
        verdict = self.verdicts.get(identity)
        if verdict is not None and verdict.reason:
            return verdict.reason
        notes = self.notes.of(identity)
        return next((str(notes[check][0]) for check in _BLOCKING if check in notes), "")

    def about(self, identity: Identity) -> frozenset[Key]:
        """The keys that the documents of that name are about."""
        verdict = self.verdicts.get(identity)
        if verdict is not None:
            return verdict.keys
        return frozenset(key for draft in self.register.claims.get(identity, ()) for key in draft.keys)

    def revision(self, version: Version) -> str | None:
        """The commit that a version names, looked up once."""
        known = self.inforce.revisions
        if version not in known:
            known[version] = self._resolve(*version)
        return known[version]

    def revisions(self, wish: Wish) -> list[str] | str:
        """The commit of each component; what to say when there is one without."""
        artifact = wish.desired.artifact
        first = self.revision((artifact.source, artifact.version))
        if first is not None and not wish.desired.components:
            return [first]
        found = []
        for version, place in zip(versions(wish.desired), wish.versions, strict=True):
            revision = self.revision(version)
            if revision is None:
                source, name = version
                return f"revision '{name}' not found in {printable(source)}: push it or correct `version` ({place})"
            found.append(revision)
        return found

    def moved(self, source: str) -> set[Version]:
        """Look up every version of a source again; returns those that name another commit now."""
        known, found = self.inforce.revisions, set()
        for name in self.inforce.versions[source]:
            version = (source, name)
            before, after = known.get(version), self._resolve(source, name)
            known[version] = after
            if before != after:
                found.add(version)
        return found

    def _environments(self, project: ProjectName) -> frozenset[str]:
        identity = (PROJECT, *project)
        verdict = self.verdicts.get(identity)
        if verdict is None:
            drafts = self.register.claims.get(identity, ())
            found = frozenset(key.environment for key in (drafts[0].keys if drafts else ()))
        else:
            found = frozenset(key.environment for key in verdict.keys)
        if project in self.held or (verdict is not None and verdict.reason):
            found |= {state.key.environment for state in self.inforce.states(project)}
        return found

    def published(self, commit: str, amended: frozenset[Identity]) -> Snapshot:
        """What is in force now, for everybody."""
        inforce = self.inforce
        changed, inforce.changed = frozenset(inforce.changed), set()
        return Snapshot(
            commit=commit,
            desired=inforce.desired.published(),
            key_problems=inforce.problems.published(),
            tombstones=inforce.tombstones.published(),
            changed=changed,
            files=self.register.files.published(),
            projects=inforce.projects.published(),
            documents=self.documents.published(),
            survivors=self.survivors.published(),
            amended=amended,
            wanted=inforce.wanted.published(),
            sources=inforce.sources.published(),
            held=inforce.held.published(),
            granted=self.quotas.granted.published(),
            claims=self.register.claims.published(),
            waiting=inforce.dependants(),
            trouble=self.notes.trouble.published(),
        )
