"""What one manifest file says, as far as the file and the defaults around it tell: what drafting makes and linking joins.

Git revisions and conflicts with other files are not known yet. Everything here is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.core.desired import DesiredState, Key
from reconciler.manifest.problem import Place, Problem

Identity = tuple[str, str, str]
"""Kind, workspace and name of a document: what no two of them may share."""


@dataclass(frozen=True, slots=True)
class Need:
    """Another project that has to be there first. ``environment`` is empty for "the one with the same name as mine"."""

    workspace: str
    project: str
    environment: str
    place: Place


@dataclass(frozen=True, slots=True)
class Wish:
    """What a manifest asks for one key. Revisions, commit and ``needs`` of ``desired`` are empty still."""

    desired: DesiredState
    versions: tuple[Place, ...]
    """Where the version of each component is written, the first one's first."""
    ports: tuple[Place, ...]
    """Where the port of each component is written."""
    after: tuple[Place, ...]
    """Where each name in ``desired.after`` is written; empty when it is the default."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One document. ``wishes`` and ``body`` are empty when it has a problem, and ``problem`` is the first one then."""

    kind: str
    workspace: str
    """Workspace it belongs to; for a Workspace document, its own name."""
    name: str
    place: Place
    """Of its name."""
    keys: tuple[Key, ...]
    wishes: tuple[Wish, ...]
    problem: str
    needs: tuple[Need, ...] = ()
    uses: tuple[str, ...] = ()
    """Named Targets that it refers to."""
    body: str = ""
    """Canonical JSON of a sound document that is not a Project."""
    spots: tuple[tuple[tuple[str | int, ...], int, int], ...] = ()
    """Path, line and column of what others take as their default (of a Workspace, of a Target), or may find wrong."""

    @property
    def identity(self) -> Identity:
        """What no other document may share."""
        return self.kind, self.workspace, self.name

    def at(self, *paths: tuple[str | int, ...]) -> Place:
        """Where the first of these values stands of which the position is kept; of none, where the name does."""
        spots = {path: where for path, *where in self.spots}
        found = next((spots[path] for path in paths if path in spots), None)
        return Place(self.place.file, *found) if found else self.place


@dataclass(frozen=True, slots=True)
class FileDraft:
    """One file. ``blob`` names its content; ``lost`` says that some of it cannot be told to belong to any document."""

    blob: str
    drafts: tuple[Draft, ...]
    problems: tuple[Problem, ...]
    lost: bool
    layers: tuple[tuple[str, str], ...] = ()
    """(workspace, digest of the defaults that were used for it): with others, the file has to be drafted again."""
