"""The manifests of one commit, compiled from nothing but their files."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.manifest.draft import draft_file, refused_file
from reconciler.manifest.layers import Layers
from reconciler.manifest.link import History, Linker
from reconciler.manifest.linkage import Resolve
from reconciler.manifest.records import FileDraft
from reconciler.manifest.snapshot import Snapshot

__all__ = ["Snapshot", "compile_snapshot"]


def compile_snapshot(
    commit: str,
    files: Mapping[str, tuple[str, bytes]],
    resolve: Resolve,
    previous: Snapshot | None,
    refused: Mapping[str, str] | None = None,
) -> Snapshot:
    """Compile the manifests of a commit.

    ``files`` maps a path to its blob id and content; ``refused`` maps a path that could not be read to the reason. A desired
    state that differs from the previous one in nothing but the commit stays as it was: its commit is where it began.
    """
    known = previous.files if previous else {}
    drafts: dict[str, FileDraft] = {}
    for path, (blob, content) in files.items():
        before = known.get(path)
        drafts[path] = before if before and before.blob == blob else draft_file(path, blob, content)
    drafts |= _again(files, drafts, Layers.of(draft for file in drafts.values() for draft in file.drafts))
    drafts |= {path: refused_file(path, "", reason) for path, reason in (refused or {}).items()}
    linker = Linker(resolve)
    snapshot = linker.restore(commit, drafts, History.of(previous) if previous else History())
    other = _again(
        files, drafts, Layers.of(linker.layer_drafts())
    )  # what is in force may be older than what the files say
    return linker.update(commit, other) if other else snapshot


def _again(
    files: Mapping[str, tuple[str, bytes]], drafts: Mapping[str, FileDraft], layers: Layers
) -> dict[str, FileDraft]:
    """The drafts of files that were drafted with other defaults."""
    return {path: draft_file(path, *file, layers) for path, file in files.items() if not layers.fit(drafts[path])}
