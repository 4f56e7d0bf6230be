"""Finds the commit that people mean by a version."""

from __future__ import annotations

import re

import pygit2

from reconciler.core.outcome import TerminalError

LONGEST_VERSION = 200
FULL_ID = re.compile("[0-9a-f]{40}")
SHORT_ID = re.compile("[0-9a-f]{7,39}")


def checked_version(version: str) -> str:
    """``version`` itself. Raises TerminalError when it cannot be a branch, a tag or an id, or looks like an option."""
    plain = version.isprintable() and not re.search(r"[\s\\]", version) and len(version) <= LONGEST_VERSION
    if not plain or version.startswith("-") or not pygit2.reference_is_valid_name(f"refs/heads/{version}"):
        raise TerminalError(f"{version[:80]!r} is no version: expected a tag, a branch or a commit id")
    return version


def find(repo: pygit2.Repository, version: str) -> str | None:
    """See ``Mirrors.resolve``, for a checked version."""
    if FULL_ID.fullmatch(version):
        found = repo.get(version)
        return version if isinstance(found, pygit2.Commit) else None
    if version.startswith(("refs/tags/", "refs/heads/")):
        return at(repo, version)
    named = at(repo, f"refs/tags/{version}") or at(repo, f"refs/heads/{version}")
    return named or _by_prefix(repo, version)


def at(repo: pygit2.Repository, name: str) -> str | None:
    """Commit that a full reference name leads to; None when there is none. Raises GitError or KeyError when damaged."""
    reference = repo.references.get(name)
    if reference is None:
        return None
    try:
        return str(reference.peel(pygit2.Commit).id)
    except (pygit2.GitError, pygit2.InvalidSpecError, KeyError):
        repo.odb.read_header(reference.resolve().target)  # raises when the mirror lacks it
        return None  # a tag of a tree or a blob


def _by_prefix(repo: pygit2.Repository, digits: str) -> str | None:
    if not SHORT_ID.fullmatch(digits):
        return None
    try:
        found = repo.get(digits)
    except ValueError:
        raise TerminalError(f"more than one object has an id that starts with {digits}; write more digits") from None
    return str(found.id) if isinstance(found, pygit2.Commit) else None
