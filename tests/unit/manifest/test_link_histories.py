"""Whatever happens to the files, in whatever order: work in proportion to the change gives what linking everything gives."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from link_samples import document, file, project

from reconciler.core.desired import Key
from reconciler.manifest.link import History, Linker
from reconciler.manifest.records import Draft, FileDraft
from reconciler.manifest.removal import Removals
from reconciler.manifest.snapshot import ProjectName, Snapshot

NAMES = "pqrstu"
PATHS = [f"{name}.prodsprint.yaml" for name in NAMES] + ["one:v.prodsprint.yaml", "two:w.prodsprint.yaml"]
REPOS = {"one": ("acme",), "two": ()}
SOURCES, VERSIONS = ["https://x/a.git", "https://x/b.git"], ["v1", "v2"]
NEEDS = [*"ppqq", *NAMES, "q/prod", "r/eu", "acme:p", "acme:q/eu", "default:r"]


class Chance(random.Random):
    """What happens in one history. ``tenants`` says whether workspaces are declared in it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.tenants = seed % 3 == 0

    def often(self, share: float) -> bool:
        return self.random() < share

    def project(self, path: str, line: int) -> Draft:
        name = path[0] if path[0] in NAMES and self.often(0.85) and line == 3 else self.choice(NAMES)
        places = self.choice([["prod"], ["eu", "prod"], ["eu", "prod"], ["eu"]])
        home = 10 * NAMES.index(name)
        ports = {each: home + n if self.often(0.8) else self.randint(1, 60) for n, each in enumerate(places, 1)}
        return project(
            path,
            name,
            ports,
            workspace=self.choice(["acme", "other", "default"]) if self.often(0.3) else "default",
            needs=tuple(self.sample(NEEDS, self.randint(1, 2))) if self.often(0.45) else (),
            line=line,
            problem=f"{path} is broken" if self.often(0.12) else "",
            instances=self.randint(1, 3),
            after=("eu",) if "eu" in places and self.often(0.03) else (),
            version=self.choice(VERSIONS) if self.often(0.3) else "v1",
            source=self.choice(SOURCES),
        )

    def document(self, path: str) -> Draft:
        kind = self.choice(["Workspace", "Workspace", "Target"] if self.tenants else ["Waiver", "Freeze", "Approval"])
        problem = f"{path} is wrong" if self.often(0.15) else ""
        if kind == "Workspace":
            quotas = {unit: self.randint(1, 6) for unit in ("projects", "environments", "instances") if self.often(0.4)}
            allow = {"sources": [SOURCES[0]]} if self.often(0.1) else {}
            allow |= {"paths": ["p*", "q*", "r*", "s*", "v*"]} if self.often(0.2) else {}
            body = {"quotas": quotas, "allow": allow}
            return document(path, kind, self.choice(["default", "default", "acme"]), body, problem=problem)
        places: dict[str, object] = {}
        if self.often(0.6):
            places |= {"projects": ["p", "q"]} if kind == "Freeze" else {"project": self.choice(NAMES)}
        if self.often(0.6):
            places |= {"environments": ["eu"]} if kind == "Freeze" else {"environment": "eu"}
        body = places if kind == "Approval" else {"scope": places}
        return document(
            path, kind, self.choice("xy"), body, workspace=self.choice(["default", "acme"]), problem=problem
        )

    def file(self, path: str) -> FileDraft | None:
        if self.often(0.2):
            return None
        count = self.choice([1, 1, 1, 1, 0, 2])
        drafts = [self.project(path, 3 + 100 * n) for n in range(count)]
        if self.often(0.25):
            drafts.append(self.document(path))
        return file(*drafts, lost="it is unreadable" if self.often(0.08) else "", path=path)


def facts(snapshot: Snapshot) -> dict[str, object]:
    """Everything in a snapshot but what is told of the last update only."""
    return {
        "desired": dict(snapshot.desired),
        "key problems": dict(snapshot.key_problems),
        "tombstones": dict(snapshot.tombstones),
        "problems": snapshot.problems,
        "trouble": dict(snapshot.trouble),
        "files": dict(snapshot.files),
        "projects": dict(snapshot.projects),
        "documents": dict(snapshot.documents),
        "survivors": dict(snapshot.survivors),
        "wanted": set(snapshot.wanted),
        "sources": set(snapshot.sources),
        "held": dict(snapshot.held),
        "granted": dict(snapshot.granted),
        "claims": dict(snapshot.claims),
        "waiting": dict(snapshot.waiting),
    }


def counted(snapshot: Snapshot) -> None:
    """The sizes that mappings say they have are those that they have."""
    for name in ("desired", "key_problems", "tombstones", "files", "projects", "claims", "wanted", "trouble"):
        mapping = getattr(snapshot, name)
        assert len(mapping) == len(list(mapping)) == len(dict(mapping)), name


@dataclass
class Story:
    """One history: a linker that follows it, and one that links everything anew after each step."""

    chance: Chance
    known: dict[tuple[str, str], str | None] = field(default_factory=dict)
    files: dict[str, FileDraft] = field(default_factory=dict)
    commits: int = 0
    counted: set[Key] = field(default_factory=set)
    """Keys that some commit counted as removed."""
    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.linker = Linker(self.resolve, REPOS)

    def resolve(self, source: str, version: str) -> str | None:
        return self.known.get((source, version), "a" * 40)

    def step(self) -> None:
        before = self.linker.snapshot
        what = self.chance.choices([self.commit, self.push, self.retire], [8, 1, 1])[0]
        history, held = what(before)
        again = Linker(self.resolve, REPOS).restore(self.linker.snapshot.commit, self.files, history, held=held)
        now, wanted = facts(self.linker.snapshot), facts(again)
        for name in wanted:
            assert now[name] == wanted[name], (what.__name__, name)
        if self.commits % 3 == 0:
            self.restart()
        told_exactly(before, self.linker.snapshot)
        possible(self.linker.snapshot)
        nothing_lost(before, self.linker.snapshot, retired=what == self.retire)
        self.seen.update(str(problem.code) for problem in self.linker.snapshot.problems)
        self.seen.update({"held": len(again.held), "needs": len(again.waiting), "tombstones": len(again.tombstones)})
        self.seen.update({"granted": len(again.granted), "survivors": len(again.survivors)})

    def restart(self) -> None:
        """A linker that knows of the past only what the files do not tell is no worse off."""
        now = self.linker.snapshot
        kept = {key: state for key, state in now.desired.items() if key in now.key_problems}
        since = {key: state.commit for key, state in now.desired.items()}
        left = History(kept, since, now.tombstones, now.held, now.survivors.values(), now.granted)
        again = Linker(self.resolve, REPOS).restore(now.commit, self.files, left)
        assert facts(again) == facts(now)
        assert again.changed == {*now.desired, *now.key_problems, *now.tombstones}

    def commit(self, before: Snapshot) -> tuple[History, dict[ProjectName, str]]:
        self.commits += 1
        name = f"c{self.commits}"
        paths = PATHS if self.commits == 1 else self.chance.sample(PATHS, self.chance.choice([1, 1, 2, 3]))
        changes = {path: self.chance.file(path) for path in paths}
        removals = self.linker.removals(changes)
        held = frozenset((*removals.projects, *removals.shrunk)) if self.chance.often(0.4) else frozenset()
        self.files = {path: draft for path, draft in {**self.files, **changes}.items() if draft}
        after = self.linker.update(name, changes, held=held)
        gone = {key for key in before.desired if key in after.tombstones}
        self.counted |= set(removals.keys)
        assert self.chance.tenants or gone <= self.counted
        assert not gone & held_keys(removals, held)
        assert not self.files or removals.before <= len({(key.workspace, key.project) for key in before.desired})
        since = {(key.workspace, key.project): commit for key, commit in before.held.items()}
        return History.of(before), {project: since.get(project, name) for project in held}

    def push(self, before: Snapshot) -> tuple[History, dict[ProjectName, str]]:
        source = self.chance.choice(SOURCES)
        self.known[source, self.chance.choice(VERSIONS)] = self.chance.choice([None, "b" * 40, "c" * 40])
        self.linker.resolved(source)
        return History.of(before), holding(before)

    def retire(self, before: Snapshot) -> tuple[History, dict[ProjectName, str]]:
        history = History.of(before)
        key = self.chance.choice([*sorted(before.tombstones), Key("default", "p", "prod")])
        assert key not in self.linker.forget(key).tombstones
        history.tombstones.pop(key, None)
        return history, holding(before)


def held_keys(removals: Removals, held: frozenset[ProjectName]) -> set[Key]:
    return {key for key in removals.keys if (key.workspace, key.project) in held}


def holding(snapshot: Snapshot) -> dict[ProjectName, str]:
    return {(key.workspace, key.project): commit for key, commit in snapshot.held.items()}


def told_exactly(old: Snapshot, new: Snapshot) -> None:
    """``changed`` and ``amended`` name what changed, and nothing else."""
    facts_of = [(each.desired, each.key_problems, each.tombstones) for each in (old, new)]
    keys = {key for some in facts_of for mapping in some for key in mapping}
    changed = {key for key in keys if [m.get(key) for m in facts_of[0]] != [m.get(key) for m in facts_of[1]]}
    assert new.changed == changed
    names = {*old.documents, *new.documents}
    other = {name for name in names if old.documents.get(name) != new.documents.get(name)}
    other |= {name for name in names if old.survivors.get(name) != new.survivors.get(name)}
    assert new.amended == other


def possible(snapshot: Snapshot) -> None:
    """No port twice, no circle, nobody's need forgotten, and sizes as they are said to be."""
    taken: dict[int, Key] = {}
    for state in [*snapshot.desired.values(), *(gone.desired for gone in snapshot.tombstones.values())]:
        assert taken.setdefault(state.port, state.key) == state.key
    edges: dict[ProjectName, set[ProjectName]] = {}
    for key, state in snapshot.desired.items():
        needs = {(need.workspace, need.project) for need in state.needs}
        edges.setdefault((key.workspace, key.project), set()).update(needs)
    while edges:
        free = [name for name, others in edges.items() if not others & edges.keys()]
        assert free, edges
        for name in free:
            del edges[name]
    for need in {need for state in snapshot.desired.values() for need in state.needs}:
        wanted = sorted(other for other, state in snapshot.desired.items() if need in state.needs)
        assert list(snapshot.dependants(need)) == wanted
    for mapping in (snapshot.desired, snapshot.key_problems, snapshot.tombstones, snapshot.files, snapshot.claims):
        assert len(mapping) == len(list(mapping)) == len(dict(mapping))


def nothing_lost(old: Snapshot, new: Snapshot, *, retired: bool) -> None:
    """What was in force is in force, or a tombstone; and a tombstone goes when its manifest returns, or is retired."""
    for key in old.desired.keys() - new.desired.keys():
        assert key in new.tombstones
        assert key not in new.key_problems
    for key in old.tombstones.keys() - new.tombstones.keys():
        assert key in new.desired or retired
    for key in new.tombstones:
        assert key not in new.desired


@pytest.mark.parametrize("part", range(4))
def test_work_in_proportion_to_change_gives_what_linking_everything_gives(part):
    seen: Counter[str] = Counter()
    for seed in range(part * 40, part * 40 + 40):
        story = Story(Chance(seed))
        for _ in range(25):
            story.step()
        seen += story.seen
    wanted = {
        "duplicate-name",
        "duplicate-port",
        "cycle",
        "unknown-project",
        "unknown-environment",
        "unknown-workspace",
    }
    wanted |= {"not-allowed", "quota", "removal-held", "yaml-syntax", "held", "needs", "tombstones", "survivors"}
    assert wanted <= (+seen).keys(), seen
