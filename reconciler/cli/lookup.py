"""Looks up which commits versions are, in their service repos; what cannot be asked is said, and is no error."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from reconciler.cli import output
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.manifest.meaning import Version
from reconciler.source.git import Mirrors

MOST_SOURCES = 20
"""Service repos that are asked."""


def commits_of(wanted: Iterable[Version]) -> tuple[dict[Version, str], list[str]]:
    """The commits of versions, and a sentence about each repo of which they are not known."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for source, version in sorted(wanted):
        by_source[source].append(version)
    asked = sorted(by_source)[:MOST_SOURCES]
    found: dict[Version, str] = {}
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="prodsprint-plan-") as folder:
        mirrors = Mirrors(Path(folder))
        try:
            for source in asked:
                _ask(mirrors, source, by_source[source], (found, notes))
        finally:
            mirrors.close()
    if len(by_source) > len(asked):
        left = output.count(len(by_source) - len(asked), "more service repo")
        notes.append(f"{left} not asked which commits their versions are.")
    return found, notes


def _ask(mirrors: Mirrors, source: str, versions: list[str], into: tuple[dict[Version, str], list[str]]) -> None:
    found, notes = into
    try:
        mirrors.fetch(source)
        commits = mirrors.resolve_all(source, versions)
    except (TransientError, TerminalError) as error:
        notes.append(f"The commits of versions are not known: {error}.")
        return
    for version, commit in commits.items():
        if commit is None:
            notes.append(f"{source} has no version {version} yet: what asks for it stays as it is until it is pushed.")
        else:
            found[source, version] = commit
