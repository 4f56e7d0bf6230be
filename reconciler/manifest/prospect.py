"""What some files would ask for, and then what a change of them would: the daemon's own steps, without a daemon."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.manifest.budget import over_budget
from reconciler.manifest.draft import refused_file
from reconciler.manifest.drafter import Drafter
from reconciler.manifest.layers import Layers
from reconciler.manifest.link import History, Linker
from reconciler.manifest.linkage import Resolve
from reconciler.manifest.records import FileDraft
from reconciler.manifest.removal import Removals
from reconciler.manifest.snapshot import ProjectName, Snapshot, project_of

DEFAULTS = (b"Workspace", b"Target")
"""What a document that others depend on is bound to say (or it is found out later, and those others are drafted twice)."""


def stand_in(source: str, version: str) -> str:
    """Stands for the commit of a version, another one for each version, while nobody has asked the service repo."""
    return hashlib.sha256(f"{source}\0{version}".encode(errors="surrogateescape")).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Tree:
    """All manifests of one moment: path to content id and content, and what is refused, with the reason."""

    files: Mapping[str, tuple[str, bytes]]
    refused: Mapping[str, str]


def named(content: Mapping[str, bytes], refused: Mapping[str, str]) -> Tree:
    """A tree of files that have no ids yet."""
    return Tree({path: (hashlib.sha256(data).hexdigest(), data) for path, data in content.items()}, refused)


@dataclass(frozen=True, slots=True)
class Held:
    """Removals that are more than a budget allows."""

    removals: Removals
    projects: frozenset[ProjectName]


@dataclass(slots=True)
class Prospect:
    """Compiles one tree, and then others after it. ``allows`` says whether (removed, before) projects may go at once."""

    resolve: Resolve = stand_in
    allows: Callable[[int, int], bool] = lambda _removed, _before: True
    drafter: Drafter = field(default_factory=Drafter)
    held: Held | None = None
    """What the last commit would have removed."""
    _linker: Linker = field(init=False)
    _tree: Tree = field(default_factory=lambda: Tree({}, {}))
    _layers: Layers = field(default_factory=Layers)
    _begun: bool = False

    def __post_init__(self) -> None:
        self._linker = Linker(self.resolve)

    @property
    def snapshot(self) -> Snapshot:
        """What is in force now; nothing at first."""
        return self._linker.snapshot

    def go(self, commit: str, tree: Tree) -> Snapshot:
        """What is in force when this tree follows the one before; what is broken in it keeps its last good form."""
        changes = self._changes(tree)
        self._tree = tree
        if self._begun:
            self.held = self._over_budget(changes)
            projects = self.held.projects if self.held else frozenset()
            snapshot = self._linker.update(commit, changes, held=projects)
        else:
            projects = frozenset()
            snapshot = self._linker.restore(commit, changes, History())
        self._begun = True
        return self._settled(commit, snapshot, projects)

    def _changes(self, tree: Tree) -> dict[str, FileDraft | None]:
        known = self._linker.snapshot.files
        gone = {path for path in known if path not in tree.files and path not in tree.refused}
        drafts: dict[str, FileDraft | None] = dict.fromkeys(sorted(gone))
        drafts |= {path: refused_file(path, "", why) for path, why in tree.refused.items()}
        old = {path: file.blob for path, file in known.items()}
        fresh = [path for path, (blob, _) in tree.files.items() if old.get(path) != blob]
        return drafts | self._drafted(tree, fresh)

    def _drafted(self, tree: Tree, paths: Iterable[str]) -> dict[str, FileDraft]:
        """Draft files, those first that give others their defaults, if none have been given yet."""
        left = list(paths)
        found: dict[str, FileDraft] = {}
        if not self._layers:
            first = [path for path in left if any(word in tree.files[path][1] for word in DEFAULTS)]
            found = self._draft(tree, first)
            self._layers = Layers.of(draft for file in found.values() for draft in file.drafts)
            left = [path for path in left if path not in found or not self._layers.fit(found[path])]
        return found | self._draft(tree, left)

    def _draft(self, tree: Tree, paths: list[str]) -> dict[str, FileDraft]:
        files = ((path, *tree.files[path]) for path in paths)
        return {one.path: one.draft for one in self.drafter.draft(files, self._layers)}

    def _settled(self, commit: str, snapshot: Snapshot, held: frozenset[ProjectName]) -> Snapshot:
        """Draft again what was drafted with other defaults than those that are in force now."""
        self._layers = Layers.of(self._linker.layer_drafts())
        stale = [
            path for path, file in snapshot.files.items() if path in self._tree.files and not self._layers.fit(file)
        ]
        return self._linker.update(commit, self._draft(self._tree, stale), held=held) if stale else snapshot

    def _over_budget(self, changes: Mapping[str, FileDraft | None]) -> Held | None:
        """An approval does not count here: it does in a commit after the one that removes."""
        removals = self._linker.removals(changes)
        held = over_budget(removals, frozenset(map(project_of, self.snapshot.held)), self.allows)
        return Held(removals, held) if held else None
