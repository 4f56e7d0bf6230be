"""Decides together on projects that may get in each other's way: by ports, and by what they wait for.

Whoever is refused keeps what it had, which may be in another one's way: so it is looked at again until nobody is refused.
Those that share neither a port nor a knot of dependencies with a project that changed are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.core.desired import DesiredState, Key, Tombstone
from reconciler.manifest.asked import asked
from reconciler.manifest.graph import knots, loops
from reconciler.manifest.inforce import Entry, Marks, ports
from reconciler.manifest.linkage import Linkage
from reconciler.manifest.notes import Check
from reconciler.manifest.ownership import PROJECT
from reconciler.manifest.problem import Code, Place, Problem
from reconciler.manifest.records import Draft, Wish
from reconciler.manifest.references import circle, needed
from reconciler.manifest.removal import held_problems
from reconciler.manifest.snapshot import ProjectName, project_of


@dataclass(slots=True)
class Settlement:
    """One decision. The methods run in the order in which they stand here."""

    link: Linkage
    commit: str
    drafts: dict[ProjectName, Draft | None] = field(default_factory=dict)
    """What is decided on, with the document that each is taken from."""
    marks: dict[ProjectName, Marks] = field(default_factory=dict)
    contested: set[int] = field(default_factory=set)
    tangles: list[list[ProjectName]] = field(default_factory=list)
    asked: dict[Key, DesiredState] = field(default_factory=dict)
    """What sound documents ask for."""
    wishes: dict[Key, Wish] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)
    """Which of ``wishes`` keep what they had, and why."""
    circular: dict[ProjectName, Problem] = field(default_factory=dict)
    clashing: dict[Key, Problem] = field(default_factory=dict)
    lasting: dict[Key, Problem] = field(default_factory=dict)
    """What is said of keys whose removal is held."""

    # --- who is concerned ---

    def gather(self, stale: Mapping[ProjectName, Marks], freed: Iterable[int]) -> None:
        """Find everybody whom a change of the projects in ``stale`` may concern; it has what they named before.

        ``freed`` are ports that others may have now.
        """
        inforce = self.link.inforce
        left = {port for marks in stale.values() for port, _ in marks.ports}
        queue = [*stale, *(project_of(key) for port in left.union(freed) for key in inforce.ports[port])]
        while queue:
            fresh = [project for project in dict.fromkeys(queue) if project not in self.drafts]
            queue = [*self.link.held] if any(project in self.link.held for project in fresh) else []
            for project in fresh:
                draft = self.drafts[project] = self.link.applied(project)
                marks = self.marks[project] = inforce.marks(project, draft)
                for port in inforce.mark(project, marks):
                    if port not in self.contested:
                        self.contested.add(port)
                        queue += map(project_of, inforce.ports[port])
            for knot in {self.link.knots[project] for project in fresh if project in self.link.knots}:
                queue += knot
            queue += self._tangled(fresh)

    def _tangled(self, fresh: Iterable[ProjectName]) -> Iterator[ProjectName]:
        starts = [project for project in fresh if self._needy(project) and self._edges(project)]
        for members in knots(starts, self._edges) if starts else ():
            self.tangles.append(members)
            yield from members

    def _needy(self, project: ProjectName) -> bool:
        """Whether one may wait for another: cheaper than finding out for whom."""
        draft = self.drafts[project]
        return (draft is not None and bool(draft.needs)) or project in self.link.inforce.projects

    def _edges(self, project: ProjectName) -> set[ProjectName]:
        """The projects that one waits for, in git or in force."""
        draft = self.drafts[project] if project in self.drafts else self.link.applied(project)
        return self._wished(draft) | self._kept(project)

    def _wished(self, draft: Draft | None) -> set[ProjectName]:
        return {(need.workspace, need.project) for need in draft.needs} if draft and draft.needs else set()

    def _kept(self, project: ProjectName) -> set[ProjectName]:
        return {project_of(need) for state in self.link.inforce.states(project) for need in state.needs}

    # --- what they ask for ---

    def ask(self) -> None:
        """Take what sound documents ask for, at the commits that their versions name."""
        inforce, since = self.link.inforce, self.link.since
        for project, draft in self.drafts.items():
            if draft is None:
                continue
            had = bool(inforce.keys(project))
            for wish in draft.wishes:
                key = wish.desired.key
                self.wishes[key] = wish
                revisions = self.link.revisions(wish)
                if isinstance(revisions, str):
                    self.refused[key] = revisions
                    continue
                needs = needed(draft, key.environment, self.link.names) if draft.needs else ()
                before = inforce.desired.get(key) if had else None
                began = since.get(key, self.commit) if since else self.commit
                self.asked[key] = asked(wish.desired, revisions, needs, before, began)

    # --- who is refused ---

    def refuse(self) -> None:
        """Refuse what cannot be together. What is kept for that reason may be in the way of others, so look again."""
        while True:
            clashes, circles = dict(self._clashes()), dict(self._circles())
            if not clashes and not circles:
                return
            self.clashing |= clashes
            self.circular |= circles
            self.refused |= {key: str(problem) for key, problem in clashes.items()}
            for project, problem in circles.items():
                draft = self.drafts[project]
                self.refused |= {key: str(problem) for key in (draft.keys if draft else ())}

    def _clashes(self) -> Iterator[tuple[Key, Problem]]:
        for port in sorted(self.contested):
            claimants = sorted(key for key in self.link.inforce.ports[port] if port in self._claimed(key))
            if len(claimants) < 2:
                continue
            for key in claimants:
                if self._goes_ahead(key) and key not in self.clashing:
                    yield key, self._clash(port, key, claimants[1] if key == claimants[0] else claimants[0])

    def _goes_ahead(self, key: Key) -> bool:
        return key in self.asked and key not in self.refused

    def _claimed(self, key: Key) -> tuple[int, ...]:
        """The ports that a key has as things stand: those it asks for, or has kept, or has not been freed of."""
        if self._goes_ahead(key):
            return ports(self.asked[key])
        left = self._left(key)
        return ports(left) if left else ()

    def _left(self, key: Key) -> DesiredState | None:
        state, tombstone = self.link.inforce.desired.get(key), self.link.inforce.tombstones.get(key)
        return state or (tombstone.desired if tombstone else None)

    def _clash(self, port: int, key: Key, other: Key) -> Problem:
        path, hint = Place(self._path(other)), "Choose another port"
        if self._goes_ahead(other):
            found = f"too, in {_port_place(self.wishes[other], port)}"
        elif other in self.wishes or self._stands(project_of(other)):
            found = f"too, in {path}, as it was before its manifest had a problem"
        elif project_of(other) in self.link.held:
            found = f"too, whose removal from {path} is held"
        else:
            found = f"still, which was removed from {path} and may be running"
            hint = f'Choose another port, or free it with `prodsprint release retire {other} --reason "renamed"`'
        place = _port_place(self.wishes[key], port)
        return Problem(place, Code.DUPLICATE_PORT, f"port {port} belongs to {other} {found}", hint)

    def _path(self, key: Key) -> str:
        left = self._left(key)
        return left.path if left else ""

    def _circles(self) -> Iterator[tuple[ProjectName, Problem]]:
        for tangle in map(frozenset, self.tangles):
            inside = {project: self._waits(project) & tangle for project in tangle}
            for members in map(frozenset, knots(sorted(tangle), inside.__getitem__)):
                edges = {project: inside[project] & members for project in members}
                for project, path in loops(members, edges).items():
                    draft = self.drafts[project]
                    if draft is not None and project not in self.circular:
                        yield project, circle(draft, path)

    def _waits(self, project: ProjectName) -> set[ProjectName]:
        """The projects that one waits for as things stand."""
        if project in self.link.held or self._stands(project):
            kept = self._kept(project)
        else:  # what was removed waits for nobody
            states = self.link.inforce.states(project)
            kept = {project_of(need) for state in states if state.key in self.refused for need in state.needs}
        return kept if project in self.circular else kept | self._wished(self.drafts[project])

    # --- what becomes of it ---

    def write(self, stale: Mapping[ProjectName, Marks]) -> None:
        """Put it in force. ``stale`` is what projects named before."""
        inforce = self.link.inforce
        self._hold()
        for project, draft in self.drafts.items():
            old, had = stale.get(project), bool(inforce.keys(project))
            inforce.write(project, self._entries(project, draft))
            if had or (old and old.versions):
                mine, after = self.marks[project], inforce.marks(project, draft)
                before = Marks(mine.ports + old.ports, mine.versions + old.versions) if old else mine
                inforce.unmark(project, before.without(after))
        tangled = {project: members for members in map(frozenset, self.tangles) for project in members}
        for project in self.drafts:
            self.link.knots.pop(project, None)
        self.link.knots.update(tangled)

    def note(self) -> None:
        """Say what was found wrong with keys."""
        notes, found = self.link.notes, bool(self.clashing or self.circular or self.lasting)
        for project in self.drafts if found or notes else ():
            identity = (PROJECT, *project)
            if found or notes.of(identity):
                notes.put(Check.KEYS, identity, self._problems(project) if found else ())

    def _problems(self, project: ProjectName) -> list[Problem]:
        keys = dict.fromkeys([*self.link.inforce.keys(project), *self._wanting(self.drafts[project])])
        problems = [some[key] for some in (self.clashing, self.lasting) for key in keys if key in some]
        return problems + ([self.circular[project]] if project in self.circular else [])

    def _wanting(self, draft: Draft | None) -> tuple[Key, ...]:
        return draft.keys if draft else ()

    def _hold(self) -> None:
        """Say of keys whose removal is held what to do about it."""
        held, repos = {}, {}
        for project, commit in self.link.held.items():
            if self._stands(project):
                continue  # nothing is removed while its documents do not count
            asked = self._wanting(self.link.applied(project))
            for state in self.link.inforce.states(project):
                if state.key not in asked:
                    held[state.key] = commit, state.path
                    repos[state.key] = self.link.ownership.repo(state.path)
        self.lasting = held_problems(held, repos)

    def _stands(self, project: ProjectName) -> bool:
        """Whether a project stays as it is because something is wrong with it."""
        return project in self.circular or bool(self.link.reason((PROJECT, *project)))

    def let_go(self) -> None:
        """Hold those no longer of which nothing has to be held."""
        link = self.link
        if not self.drafts.keys() & link.held.keys():
            return
        left = {project_of(key) for key in self.lasting}
        link.held = {name: commit for name, commit in link.held.items() if name in left or self._stands(name)}

    def _entries(self, project: ProjectName, draft: Draft | None) -> dict[Key, Entry]:
        inforce = self.link.inforce
        if draft is not None and project not in self.circular:
            if not inforce.keys(project) and not self.refused:
                return {key: Entry(self.asked[key]) for key in draft.keys}
            found = {key: self._entry(key) for key in draft.keys}
            left = [key for key in inforce.keys(project) if key not in found]
        elif reason := (str(self.circular[project]) if draft else self.link.reason((PROJECT, *project))):
            return self._blocked(project, reason)
        else:
            found, left = {}, list(inforce.keys(project))
        for key in left:
            entry = self._removed(key, self.link.held.get(project, ""))
            if entry is not None:
                found[key] = entry
        return found

    def _entry(self, key: Key) -> Entry:
        if key in self.refused:
            inforce = self.link.inforce
            return Entry(inforce.desired.get(key), self.refused[key], inforce.tombstones.get(key))
        return Entry(self.asked[key])

    def _blocked(self, project: ProjectName, reason: str) -> dict[Key, Entry]:
        """Everything stays, whatever the documents say or leave out."""
        inforce, about = self.link.inforce, self.link.about((PROJECT, *project))
        held = self.link.held.get(project, "")  # and is so again when its documents count
        found = {}
        for key in {*about, *inforce.keys(project)}:
            state, tombstone = inforce.desired.get(key), inforce.tombstones.get(key)
            if state is not None or key in about:
                found[key] = Entry(state, reason, tombstone, held if state else "")
            elif tombstone is not None:
                found[key] = Entry(tombstone=tombstone)
        return found

    def _removed(self, key: Key, held: str) -> Entry | None:
        inforce = self.link.inforce
        state, tombstone = inforce.desired.get(key), inforce.tombstones.get(key)
        if state is not None and key in self.lasting:
            return Entry(state, str(self.lasting[key]), tombstone, held)
        if state is not None:
            return Entry(tombstone=Tombstone(state, inforce.held.get(key, self.commit)))
        return Entry(tombstone=tombstone) if tombstone is not None else None


def _port_place(wish: Wish, port: int) -> Place:
    claimed = ports(wish.desired)
    return wish.ports[min(claimed.index(port), len(wish.ports) - 1)]
