"""Reads manifests from a commit of the git repo around a path, bare or with a work tree; nothing is written there."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pygit2

from reconciler.cli.client import CommandError
from reconciler.core.outcome import TerminalError
from reconciler.manifest.prospect import Tree
from reconciler.source.trees import Found, Limits, Walk, manifests, root

LONGEST = 200
ODD_REVISION = re.compile(r"[\s:\\]|\^\{/")
"""What makes git search for a text, or name something else than a commit."""
DEFAULT_BRANCHES = ("refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/remotes/origin/master")
LOCAL_BRANCHES = ("refs/heads/main", "refs/heads/master")
TROUBLE = (pygit2.GitError, KeyError, ValueError, OSError, MemoryError)
"""What pygit2 raises about a repo."""


def around(path: Path) -> pygit2.Repository:
    """The repo that holds a path, which may be gone from the work tree. Raises CommandError when there is none."""
    there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    try:
        found = pygit2.discover_repository(str(there))
        if found is not None:
            return pygit2.Repository(found)
    except pygit2.GitError as error:
        raise CommandError(f"{path}: the git repo cannot be opened: {error}") from None
    raise CommandError(f"{path}: is in no git repo")


@dataclass(slots=True)
class Revisions:
    """The commits of one repo. A tree that two commits share is read once."""

    repo: pygit2.Repository
    _walked: dict[str, Found]
    _content: dict[str, bytes]

    @classmethod
    def of(cls, path: Path) -> Revisions:
        """Of the repo around a path. Raises CommandError."""
        return cls(around(path), {}, {})

    def commit(self, revision: str) -> str:
        """Full id of the commit that a revision names. Raises CommandError."""
        shown = f"revision {revision[:80]!r}"
        if not 0 < len(revision) <= LONGEST or not revision.isprintable() or revision.startswith("-"):
            raise CommandError(f"{shown}: expected a branch, a tag or a commit, such as HEAD~1 or origin/main")
        if ODD_REVISION.search(revision):
            raise CommandError(f"{shown}: expected what names one commit, such as HEAD~1 or origin/main")
        try:
            return str(self.repo.revparse_single(revision).peel(pygit2.Commit).id)
        except KeyError:
            raise CommandError(f"{shown}: there is no such commit here{self._shallow()}") from None
        except ValueError as error:
            why = "more than one object has an id that starts so" if "ambiguous" in str(error) else str(error)
            raise CommandError(f"{shown}: {why}") from None
        except pygit2.GitError as error:
            raise CommandError(f"{shown}: {error}{self._shallow()}") from None

    def _shallow(self) -> str:
        return "; the clone is shallow, 'git fetch --unshallow' brings the rest" if self.repo.is_shallow else ""

    def tree(self, commit: str) -> Tree:
        """The manifests of a commit (full id). Raises CommandError when they cannot be read."""
        walk = Walk(self.repo, Limits(), self._walked)
        try:
            found = manifests(walk, root(self.repo, commit), self._content.keys())
        except TerminalError as error:
            raise CommandError(f"commit {commit[:12]}: {error}") from None
        except TROUBLE as error:
            fault = f"object {error} is missing" if isinstance(error, KeyError) else error
            raise CommandError(f"commit {commit[:12]} cannot be read: {fault}{self._shallow()}") from None
        self._walked = walk.seen
        self._content |= found.content
        files = {path: (blob, self._content[blob]) for path, blob in sorted(found.paths.items())}
        return Tree(files, dict(sorted(found.problems)))

    # --- branches ---

    def default(self) -> tuple[str, str] | None:
        """Name and tip of the branch that a merge would go to; None when no branch looks like it."""
        for name in (*DEFAULT_BRANCHES, *(("HEAD",) if self.repo.is_bare else ()), *LOCAL_BRANCHES):
            try:
                reference = self.repo.references[name].resolve()
                return reference.shorthand, str(reference.peel(pygit2.Commit).id)
            except (KeyError, pygit2.GitError, pygit2.InvalidSpecError):
                continue
        return None

    def fork(self, one: str, other: str) -> str | None:
        """The commit that two have in common; None when they have none, or it is not here."""
        try:
            base = self.repo.merge_base(pygit2.Oid(hex=one), pygit2.Oid(hex=other))
        except (KeyError, ValueError, pygit2.GitError):
            return None
        return str(base) if base else None

    def parent(self, commit: str) -> str:
        """The first parent of a commit (full id); empty when it has none, or it is not here."""
        try:
            parents = self.repo[commit].peel(pygit2.Commit).parent_ids
        except TROUBLE:
            return ""
        return str(parents[0]) if parents and parents[0] in self.repo else ""

    # --- paths ---

    def within(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """The paths as they are named in the repo; "" stands for all of it. Raises CommandError for others."""
        if not self.repo.workdir:
            return ("",)
        top = Path(self.repo.workdir).resolve()
        found = []
        for path in paths:
            try:
                full = Path(os.path.abspath(path))  # noqa: PTH100  # its last part may be a link, or gone
                relative = (full.parent.resolve() / full.name if full != top else top).relative_to(top)
            except ValueError:
                raise CommandError(f"{path}: is not in the git repo {top}") from None
            found.append("" if relative == Path() else PurePosixPath(relative).as_posix())
        return tuple(found)


def below(path: str, folders: tuple[str, ...]) -> bool:
    """Whether a path is one of these, or in one of them."""
    return any(not folder or path == folder or path.startswith(f"{folder}/") for folder in folders)
