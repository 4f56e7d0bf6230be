"""What ``prodsprint validate`` looks at: the manifests that are named, in the context of the repo that they are in."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2

from reconciler.cli.client import CommandError
from reconciler.cli.files import Reading, read
from reconciler.cli.revisions import Revisions, below
from reconciler.manifest.prospect import Tree
from reconciler.source.trees import ALMOST

DECLARES = re.compile(rb"""^\s*["']?kind["']?\s*:\s*["']?(Workspace|Target)\b""", re.MULTILINE)
"""A document that others refer to."""


@dataclass(frozen=True, slots=True)
class Scope:
    """``tree`` is compiled; ``mine`` says of which files in it the problems are asked for. ``top`` has the others."""

    tree: Tree
    mine: Callable[[str], bool]
    top: str = ""
    commit: str = ""


def at(revision: str, paths: Sequence[Path], *, alone: bool) -> Scope:
    """The manifests of a commit; with ``alone`` only those at or below ``paths``. Raises CommandError."""
    revisions = Revisions.of(paths[0])
    folders = revisions.within(paths)
    commit = revisions.commit(revision)
    tree = revisions.tree(commit)
    for path, folder in zip(paths, folders, strict=False):
        if not any(below(file, (folder,)) for file in (*tree.files, *tree.refused)):
            raise CommandError(f"{path}: commit {commit[:12]} has no prodsprint.yaml and no *.prodsprint.yaml there")
    if alone:
        files = {path: file for path, file in tree.files.items() if below(path, folders)}
        tree = Tree(files, {path: why for path, why in tree.refused.items() if below(path, folders)})
    return Scope(tree, lambda path: below(path, folders), "the commit", commit)


def here(paths: Sequence[Path], *, alone: bool) -> Scope:
    """The manifests on disk, with those of the git work tree around them unless ``alone``. Raises CommandError."""
    reading = read(paths)
    mine = frozenset((*reading.content, *reading.refused))
    repo = None if alone else _work_tree(paths[0])
    if repo is not None and repo.workdir:
        top = os.path.realpath(repo.workdir)
        if not any(os.path.realpath(path) == top for path in paths):
            _surround(reading, repo, top)
    return Scope(reading.tree(), mine.__contains__, f"the work tree {repo.workdir}" if repo else "")


def untracked(tree: Tree, paths: Sequence[Path]) -> list[str]:
    """Files around ``paths``, none of ``tree``, with a Workspace or Target that git has not been told of."""
    repo = _work_tree(paths[0])
    if repo is None or not repo.workdir:
        return []
    seen = {os.path.realpath(path) for path in (*tree.files, *tree.refused)}
    around = Reading(seen=seen)
    top = os.path.realpath(repo.workdir)
    around.below(os.path.relpath(top))
    found = (path for path, content in around.content.items() if DECLARES.search(content))
    return sorted(path for path in found if not repo.path_is_ignored(os.path.relpath(path, top)))


def _work_tree(path: Path) -> pygit2.Repository | None:
    try:
        found = pygit2.discover_repository(os.path.realpath(path))
        return pygit2.Repository(found) if found else None
    except (pygit2.GitError, KeyError):  # what git itself would not open is no context
        return None


def _surround(reading: Reading, repo: pygit2.Repository, top: str) -> None:
    """Read what else of the work tree git has been told of: what is neither there nor named is no part of a commit."""
    here = os.path.relpath(top) == "."
    for entry in repo.index:
        full = f"{top}/{entry.path}"
        if ALMOST.fullmatch(os.path.basename(full)) and os.path.lexists(full):  # noqa: PTH119  # 10,000 of them
            reading.add(entry.path if here else os.path.relpath(full), full)
