"""One update of what is in force: from files that changed to everything that this changes, and no further."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.manifest.inforce import Marks
from reconciler.manifest.judge import judged
from reconciler.manifest.linkage import Linkage
from reconciler.manifest.notes import Check
from reconciler.manifest.ownership import PROJECT, WORKSPACE, policy
from reconciler.manifest.quotas import NOTHING, used
from reconciler.manifest.records import Draft, FileDraft, Identity
from reconciler.manifest.references import Reference, missing, named
from reconciler.manifest.register import Changes
from reconciler.manifest.settle import Settlement
from reconciler.manifest.snapshot import ProjectName, project_of

NO_MARKS = Marks([], [])


@dataclass(frozen=True, slots=True)
class Before:
    """What there was about a document."""

    environments: frozenset[str]
    marks: Marks
    references: frozenset[Reference]


@dataclass(slots=True)
class Update:
    """The methods run in the order in which they stand here. ``opened`` are the documents that are looked at again."""

    link: Linkage
    commit: str
    opened: dict[Identity, Before] = field(default_factory=dict)
    amended: set[Identity] = field(default_factory=set)

    def open(self, identities: Iterable[Identity]) -> None:
        """Have documents looked at again. Before anything about them changes."""
        for identity in identities:
            if identity not in self.opened:
                self.opened[identity] = self._before(identity)

    def _before(self, identity: Identity) -> Before:
        link = self.link
        drafts = link.register.claims.get(identity, ())
        project = _project(identity)
        keys = link.inforce.keys(project) if identity[0] == PROJECT else ()
        if not drafts and not keys:
            return _NEW
        references = frozenset(ref for draft in drafts if draft.needs or draft.body for ref in named(draft))
        if identity[0] != PROJECT:
            return Before(frozenset(), NO_MARKS, references)
        marks = link.inforce.marks(project, link.applied(project))
        return Before(link.names.of(project), marks, references)

    def apply(self, changes: Changes) -> None:
        """Take over what the files say."""
        register = self.link.register
        lost = {path: new for path, new in changes.items() if new is not None and new.lost}
        holding = self._holding(lost) if lost else {}
        self.open(register.concerned(changes))
        self.open(identity for some in holding.values() for identity in some)
        register.apply(changes, holding)

    def _holding(self, lost: dict[str, FileDraft]) -> dict[str, frozenset[Identity]]:
        """What lost files may hold still: what is in force from there, and is not seen in them."""
        found: dict[str, set[Identity]] = {path: set() for path in lost}
        for identity in self._candidates(lost):
            for path in self._paths(identity) & lost.keys():
                found[path].add(identity)
        return {path: frozenset(found[path] - {draft.identity for draft in file.drafts}) for path, file in lost.items()}

    def _candidates(self, lost: Iterable[str]) -> set[Identity]:
        """What may be in force from these files: what was in them, and what does not follow the files any more."""
        link = self.link
        found: set[Identity] = {*link.survivors, *self.opened}
        for path in lost:
            found.update(link.register.in_file(path))
        return found | {(PROJECT, *project_of(key)) for key in link.inforce.problems}

    def _paths(self, identity: Identity) -> set[str]:
        if identity[0] == PROJECT:
            return {state.path for state in self.link.inforce.states(_project(identity))}
        draft = self.link.documents.get(identity)
        return {draft.place.file} if draft else set()

    def declare(self) -> None:
        """Put workspaces in force, before what belongs to them is judged."""
        link = self.link
        declared = link.ownership.policies.keys()
        before = set(declared)
        for identity in [identity for identity in self.opened if identity[0] == WORKSPACE]:
            name = identity[2]
            self._judge(identity)
            old = link.ownership.policies.get(name)
            self._amend(identity)
            draft = link.documents.get(identity)
            new = policy(draft) if draft else None
            if new != old:
                link.ownership.declare(name, new)
            if new != old or new is None:
                self._open_workspace(name)
        if before != set(declared):
            everything = not before or not declared
            for name in {*link.register.members, *(name for _, name, _ in link.register.holders)}:
                if everything or name not in declared:
                    self._open_workspace(name)

    def _open_workspace(self, name: str) -> None:
        """Look at everything that belongs to a workspace, also where no document says so any more."""
        link = self.link
        self.open(list(link.register.members[name]))
        self.open(identity for identity in link.register.holders if identity[1] == name)
        self.open((PROJECT, *project) for project in link.held if project[0] == name)

    def judge(self) -> None:
        """See which documents count, and which references may lead somewhere else now."""
        for identity in [identity for identity in self.opened if identity[0] != WORKSPACE]:
            self._judge(identity)
        link = self.link
        stirred: list[Reference] = []
        for identity, before in self.opened.items():
            if identity[0] == PROJECT:
                project = _project(identity)
                stirred += link.names.change(project, before.environments, link.names.of(project))
        for reference in stirred:
            self.open(list(link.references[reference]))

    def _judge(self, identity: Identity) -> None:
        verdict = judged(identity, self.link.register, self.link.ownership)
        if verdict is None:
            self.link.verdicts.pop(identity, None)
        else:
            self.link.verdicts[identity] = verdict
        self.link.notes.put(Check.DOCUMENT, identity, verdict.problems if verdict else ())

    def refer(self) -> None:
        """See which references lead nowhere."""
        link = self.link
        for identity, before in self.opened.items():
            drafts = link.register.claims.get(identity, ())
            naming = [draft for draft in drafts if draft.needs or draft.body]
            if naming or before.references:
                after = {reference for draft in naming for reference in named(draft)}
                for reference in before.references - after:
                    link.references.discard(reference, identity)
                for reference in after:
                    link.references.add(reference, identity)
            draft = link.lawful(identity) if naming else None
            link.notes.put(Check.REFERENCES, identity, missing(draft, link.names) if draft else ())

    # --- quotas ---

    def limit(self) -> None:
        """See whose quota is not enough."""
        link = self.link
        asking: dict[str, dict[ProjectName, Draft]] = defaultdict(dict)
        for identity in [identity for identity in self.opened if identity[0] == PROJECT]:
            link.notes.put(Check.QUOTAS, identity)
            own = link.ownership.policies.get(identity[1])
            if own is None or not own.limited:
                self._unlimited(identity)
                continue
            draft = None if Check.REFERENCES in link.notes.of(identity) else link.lawful(identity)
            project = _project(identity)
            self._granted(project, draft)
            link.quotas.drop(project)
            asking[identity[1]] |= {project: draft} if draft else {}
            if not draft and not link.reason(identity) and project not in link.held:
                link.quotas.grant(project, NOTHING)  # it is gone
        for workspace, projects in asking.items():
            concerned = {*projects, *link.quotas.refused.get(workspace, ())}
            found = link.quotas.judge(workspace, link.ownership.policies[workspace], projects)
            self.open((PROJECT, *project) for project in concerned)
            for project in concerned:
                problem = found.get(project)
                link.notes.put(Check.QUOTAS, (PROJECT, *project), [problem] if problem else ())

    def _unlimited(self, identity: Identity) -> None:
        quotas, project = self.link.quotas, _project(identity)
        if project in quotas.granted or quotas.refused:
            quotas.grant(project, NOTHING)
            quotas.drop(project)

    def _granted(self, project: ProjectName, draft: Draft | None) -> None:
        """What is in force when quotas begin to count stays."""
        quotas, link = self.link.quotas, self.link
        if project in quotas.granted:
            return
        states = {state.key: state for state in link.inforce.states(project)}
        for wish in draft.wishes if draft else ():
            if wish.desired.key in link.since:
                states.setdefault(wish.desired.key, wish.desired)
        if states:
            quotas.grant(project, used(states.values()))

    # --- what comes of it ---

    def settle(self, freed: Iterable[int] = ()) -> None:
        """Decide on the projects that were looked at, and on those that they may get in the way of."""
        link = self.link
        stale = {_project(identity): before.marks for identity, before in self.opened.items() if identity[0] == PROJECT}
        settlement = Settlement(link, self.commit)
        settlement.gather(stale, freed)
        settlement.ask()
        settlement.refuse()
        settlement.write(stale)
        settlement.note()
        settlement.let_go()

    def amend(self) -> None:
        """Put the other documents in force."""
        for identity in self.opened:
            if identity[0] not in {PROJECT, WORKSPACE}:
                self._amend(identity)

    def _amend(self, identity: Identity) -> None:
        link = self.link
        before = link.documents.get(identity)
        stands = bool(link.reason(identity))
        draft = before if stands else link.lawful(identity)
        if draft is None:
            link.documents.discard(identity)
        elif draft != before:
            link.documents[identity] = draft
        survivor = before if stands else None
        if survivor != link.survivors.get(identity) or draft != before:
            self.amended.add(identity)
        if survivor is None:
            link.survivors.discard(identity)
        else:
            link.survivors[identity] = survivor


_NEW = Before(frozenset(), NO_MARKS, frozenset())


def _project(identity: Identity) -> ProjectName:
    return identity[1], identity[2]
