"""Defaults around a manifest: what its Workspace says, and the Targets that it may name.

The layers of a field, from far to near: built-in, workspace, named Target (only the block of its own kind), project,
environment. The nearest one that says something counts, field by field; mappings are merged, lists replace.

A Workspace or Target that has a problem, or that two documents claim, says nothing: what would use it has to wait, since
going on without would change it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile

from reconciler.core.digest import canonical, sha256
from reconciler.manifest.load import Document
from reconciler.manifest.marks import Mark, Path
from reconciler.manifest.models import ALL
from reconciler.manifest.problem import Place, quoted
from reconciler.manifest.recordcodec import decode, encode
from reconciler.manifest.records import Draft, FileDraft

WORKSPACE, TARGET = "Workspace", "Target"
DEFAULTS = (WORKSPACE.encode(), TARGET.encode())
"""What a document that others depend on is bound to say."""
_EVERYONE = ""
"""Stands for all workspaces that have no Target of their own and are named by none."""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What one layer says: the mapping at ``base`` of a document. ``title`` is what people call the layer."""

    document: Document
    base: Path
    value: Mapping[str, object]
    title: str

    def place(self, path: Path) -> Place:
        """Where the field at ``path`` is written, or the nearest thing around it."""
        return self.document.place((*self.base, *path))


def owner(layers: Sequence[Written], path: Path) -> Written | None:
    """The layer that a part of the effective value comes from, of a mapping that several have the nearest one.

    ``layers`` begin with the nearest. None: none of them says it.
    """
    return next(iter(owners(layers, path)), None)


def owners(layers: Sequence[Written], path: Path) -> list[Written]:
    """All layers that say something of a part, the one that counts first, and behind it those that it overrides."""
    live: list[tuple[Written, object]] = [(layer, layer.value) for layer in layers]
    for step in path:
        inside = ((layer, _inside(value, step)) for layer, value in _open(live))
        live = [(layer, value) for layer, value in inside if value is not _ABSENT]
    return [layer for layer, _ in live]


_ABSENT = object()


def _inside(value: object, step: str | int) -> object:
    if isinstance(value, Mapping):
        return value.get(step, _ABSENT)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return _ABSENT


def _open(live: list[tuple[Written, object]]) -> Iterable[tuple[Written, object]]:
    """Those whose parts count: the nearest, and with a mapping the mappings behind it that nothing else covers."""
    if live and not isinstance(live[0][1], Mapping):
        return live[:1]
    return takewhile(lambda one: isinstance(one[1], Mapping), live)


def merged(far: Mapping[str, object], near: Mapping[str, object]) -> dict[str, object]:
    """Two layers as one."""
    result = {**far, **near}
    for name in far.keys() & near.keys():
        ours, theirs = near[name], far[name]
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            result[name] = merged(theirs, ours)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class NamedTarget:
    """A Target document. ``held`` says why it cannot be used now; ``layer`` has its block under the name of its kind."""

    kind: str
    layer: Written | None
    held: str = ""


class Layers:
    """The Workspaces and Targets of all config repos. Not for several threads at the same time."""

    def __init__(self, drafts: Iterable[Draft] = ()) -> None:
        self._drafts = tuple(draft for draft in drafts if draft.kind in {WORKSPACE, TARGET})
        self._claims: dict[tuple[str, str, str], list[Draft]] = defaultdict(list)
        for draft in self._drafts:
            self._claims[draft.identity].append(draft)
        self._defaults: dict[str, Written | None] = {}
        self._digests: dict[tuple[str, bool], str] = {}

    @classmethod
    def of(cls, drafts: Iterable[Draft]) -> Layers:
        """From the drafts of all files, of every kind, with and without problems.

        Of a file that cannot be read any more the last good drafts belong in it: its defaults stay as they were.
        """
        return cls(drafts)

    def __bool__(self) -> bool:
        return bool(self._drafts)

    def packed(self) -> list[bytes]:
        """As the parts of a message, for another process."""
        files = ((draft.place.file, FileDraft("", (draft,), (), lost=False)) for draft in self._drafts)
        return [part for path, file in files for part in (path.encode("utf-8", "surrogateescape"), encode(path, file))]

    @classmethod
    def unpacked(cls, parts: Sequence[bytes]) -> Layers:
        """From ``packed``. Raises ValueError."""
        paths = (path.decode("utf-8", "surrogateescape") for path in parts[::2])
        return cls(decode(path, "", record).drafts[0] for path, record in zip(paths, parts[1::2], strict=True))

    # --- what a workspace gives its projects ---

    def held(self, workspace: str) -> str:
        """Why the defaults of a workspace are not known; empty when they are, or when there are none."""
        return _held(self._claims.get((WORKSPACE, workspace, workspace), []))

    def defaults(self, workspace: str) -> Written | None:
        """The defaults of a workspace; None when there are none."""
        if workspace not in self._defaults:
            claims = self._claims.get((WORKSPACE, workspace, workspace), [])
            usable = bool(claims) and not self.held(workspace)
            self._defaults[workspace] = _written(claims[0], ("defaults",)) if usable else None
        return self._defaults[workspace]

    def target(self, workspace: str, name: str) -> NamedTarget | None:
        """The Target that a project of ``workspace`` means: its own, else one that is shared with it. None: there is none."""
        return self.targets(workspace).get(name) or self._broken.get(name)

    def targets(self, workspace: str) -> Mapping[str, NamedTarget]:
        """All Targets that projects of ``workspace`` may name."""
        return self._visible.get(workspace, self._visible[_EVERYONE])

    @cached_property
    def _visible(self) -> Mapping[str, Mapping[str, NamedTarget]]:
        """Targets by workspace and name; _EVERYONE has what all others see. Its own hide shared ones."""
        named = [(draft, self._named(draft), _shared_with(draft)) for draft in self._drafts if draft.kind == TARGET]
        found: dict[str, dict[str, NamedTarget]] = {_EVERYONE: {}}
        for draft, target, shared in named:
            if ALL in shared:
                _share(found[_EVERYONE], draft.name, target)
        for workspace in sorted({name for draft, _, shared in named for name in (draft.workspace, *shared)}):
            found[workspace] = dict(found[_EVERYONE])
        for draft, target, shared in named:
            for workspace in shared if ALL not in shared else ():
                _share(found[workspace], draft.name, target)
        for draft, target, _ in named:
            found[draft.workspace][draft.name] = target
        return found

    @cached_property
    def _broken(self) -> Mapping[str, NamedTarget]:
        """Targets of which it is not known with whom they are shared."""
        return {draft.name: self._named(draft) for draft in self._drafts if draft.kind == TARGET and draft.problem}

    def _named(self, draft: Draft) -> NamedTarget:
        held = _held(self._claims[draft.identity])
        if held:
            return NamedTarget("", None, held)
        layer = _written(draft, ())
        return NamedTarget(str(layer.value["type"]), layer)

    # --- what of it was used ---

    def digest(self, workspace: str) -> str:
        """Of everything that changes what its projects mean: equal content, equal digest."""
        return self._digest(workspace, located=False)

    def blaming(self, workspace: str) -> str:
        """The same for a file with problems that are shown where a default is written: of its position too."""
        return self._digest(workspace, located=True)

    def fit(self, file: FileDraft) -> bool:
        """Whether a file was drafted with these layers, as far as it depends on them."""
        return all(
            digest == self.digest(workspace) or digest == self.blaming(workspace) for workspace, digest in file.layers
        )

    def _digest(self, workspace: str, *, located: bool) -> str:
        asked = (workspace, located)
        if asked not in self._digests:
            targets = self.targets(workspace)
            defaults = self.defaults(workspace)
            blocks = {name: [one.kind, one.layer.value.get(one.kind)] for name, one in targets.items() if one.layer}
            held = [
                self.held(workspace),
                *sorted([name, one.held] for name, one in {**self._broken, **targets}.items()),
            ]
            said = [defaults.value if defaults else None, blocks]
            where = [(draft.place.file, draft.spots) for draft in self._drafts] if located else []
            self._digests[asked] = sha256(canonical([said, held, where]))
        return self._digests[asked]


NO_LAYERS = Layers()


def _held(claims: Sequence[Draft]) -> str:
    """Why what these documents say does not count; empty when it does."""
    if not claims or (len(claims) == 1 and not claims[0].problem):
        return ""
    what = f"the {claims[0].kind.lower()} {quoted(claims[0].name)}"
    if len(claims) > 1:
        return f"{what} is claimed at {claims[0].place} and at {claims[1].place}"
    return f"{what} has a problem: {claims[0].problem}"


def _written(draft: Draft, base: Path) -> Written:
    value: object = json.loads(draft.body)
    marks = {path: Mark((line, column), (line, column)) for path, line, column in draft.spots}
    document = Document(draft.place.file, value, marks, "")
    for step in base:
        value = value.get(step, {}) if isinstance(value, dict) else {}
    return Written(document, base, value if isinstance(value, dict) else {}, f"{draft.kind.lower()} {draft.name}")


def _share(among: dict[str, NamedTarget], name: str, target: NamedTarget) -> None:
    held = f"more than one target {quoted(name)} is shared with this workspace" if name in among else target.held
    among[name] = replace(target, held=held)


def _shared_with(draft: Draft) -> tuple[str, ...]:
    shared = json.loads(draft.body).get("sharedWith", ()) if draft.body else ()
    return (shared,) if isinstance(shared, str) else tuple(shared)
