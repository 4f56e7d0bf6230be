"""Drafts of manifest files: remembered by blob id and version of the language, else read once, by all processors.

What a manifest says also depends on the defaults around it (its Workspace, a Target): a draft that was made with others
is made again.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from reconciler.manifest.draft import refused_file
from reconciler.manifest.drafter import Drafter
from reconciler.manifest.layers import DEFAULTS, Layers
from reconciler.manifest.recordcodec import decode, language
from reconciler.manifest.records import Draft, FileDraft
from reconciler.memory import ConfigMemory, KnownFile
from reconciler.source.git import Mirrors

log = logging.getLogger(__name__)

FEW = 1000
"""Drafts that are asked for by name; for more of them all are read, which is sooner done."""


@dataclass(slots=True)
class Drafts:
    """Makes and remembers drafts. Not for several threads at the same time."""

    mirrors: Mirrors
    memory: ConfigMemory
    drafter: Drafter
    expect: Callable[[frozenset[str]], None]
    """Told of the service repos that a file names, as soon as it is read."""
    layers: Layers = field(default_factory=Layers)
    """The defaults in force."""
    language: str = field(default_factory=language)
    parsed: int = 0
    """Manifests read and validated since the start."""
    records: dict[str, bytes] = field(default_factory=dict)
    """New ones, encoded, that nobody has written down yet."""

    def of(self, files: Mapping[str, KnownFile | None]) -> dict[str, FileDraft | None]:
        """The draft of each file; None for those that are gone. Raises TransientError when a mirror cannot be read."""
        gone: dict[str, FileDraft | None] = {path: None for path, file in files.items() if file is None}
        there = [file for file in files.values() if file is not None]
        wanted = [file for file in there if file.blob]
        known = {path: draft for path, draft in self.remembered(wanted).items() if self.layers.fit(draft)}
        left = [file for file in wanted if file.path not in known]
        return {**gone, **refused(there), **known, **self.fresh(left)}

    def remembered(self, files: Iterable[KnownFile]) -> dict[str, FileDraft]:
        """The drafts by path that some daemon has made already, whatever the defaults were."""
        wanted = [(file.path, file.blob) for file in files]
        if not wanted:
            return {}
        records = self.memory.records(self.language, {blob for _, blob in wanted} if len(wanted) <= FEW else None)
        drafts = ((path, decoded(path, blob, records[blob])) for path, blob in wanted if blob in records)
        return {path: draft for path, draft in drafts if draft is not None}

    def fresh(self, files: Iterable[KnownFile], around: Iterable[Draft] = ()) -> dict[str, FileDraft]:
        """Read files. Where no defaults are in force yet, those among ``around`` and among the many files are."""
        some = list(files)
        contents = self._contents(some)
        if len(some) > FEW and not self.layers:
            self.layers = Layers.of((*around, *self._giving_defaults(some, contents)))
        return self._read(some, contents)

    def _contents(self, files: Iterable[KnownFile]) -> dict[str, bytes]:
        """The content of files of any repo, by blob."""
        blobs: dict[str, dict[str, None]] = {}
        for file in files:
            blobs.setdefault(file.repo.rpartition("#")[0], {})[file.blob] = None
        return {blob: data for url, wanted in blobs.items() for blob, data in self.mirrors.contents(url, wanted)}

    def _giving_defaults(self, files: Iterable[KnownFile], contents: Mapping[str, bytes]) -> Iterator[Draft]:
        """The Workspaces and Targets among many manifests that nobody has read yet."""
        likely = {blob for blob, content in contents.items() if any(word in content for word in DEFAULTS)}
        for draft in self._read([file for file in files if file.blob in likely], contents).values():
            yield from draft.drafts

    def _read(self, files: Iterable[KnownFile], contents: Mapping[str, bytes]) -> dict[str, FileDraft]:
        found = {}
        given = ((file.path, file.blob, contents[file.blob]) for file in files)
        for path, draft, record in self.drafter.draft(given, self.layers):
            found[path] = draft
            self.parsed += 1
            if record:
                self.records[draft.blob] = record
            self.expect(_sources(draft))
        return found


def refused(files: Iterable[KnownFile]) -> dict[str, FileDraft]:
    """The drafts of those that cannot be read."""
    return {file.path: refused_file(file.path, "", file.why) for file in files if file.why}


def decoded(path: str, blob: str, record: bytes) -> FileDraft | None:
    """A remembered draft; None for one that is damaged, which is read again."""
    try:
        return decode(path, blob, record)
    except ValueError as error:
        log.warning("%s: what was remembered of it is read again from the repo: %s", path, error)
        return None


def _sources(file: FileDraft) -> frozenset[str]:
    states = [wish.desired for draft in file.drafts for wish in draft.wishes]
    others = (one.artifact.source for state in states for one in state.components)
    return frozenset((*(state.artifact.source for state in states), *others))


@contextmanager
def uncollected(files: int) -> Iterator[None]:
    """Where many files are linked, look for no cycles among them meanwhile, nor ever again: there are none."""
    if files <= FEW:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
