"""Drafts many manifest files at once, with all processors: few of them here, many in processes of our own.

A file on which such a process dies or does not end is tried once more alone, and then refused; no other file is lost. At
most a few batches are on their way at any time.
"""

from __future__ import annotations

import os
import selectors
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from signal import SIGPROF, Signals
from typing import NamedTuple

from reconciler.manifest.draft import refused_file
from reconciler.manifest.draft_process import File, Worker, end, started
from reconciler.manifest.draft_worker import DEADLINE, message, read
from reconciler.manifest.layers import NO_LAYERS, Layers
from reconciler.manifest.load import MAX_BYTES
from reconciler.manifest.problem import Code
from reconciler.manifest.recordcodec import decode, encode
from reconciler.manifest.records import FileDraft

FEW = 300
"""So many files are read sooner than a process starts (about 0.25 s)."""
BATCH_FILES, BATCH_BYTES = 64, 1 << 18
AHEAD = 2
"""Batches that a worker has at a time, so that it never waits for the next one."""
SILENCE = 60.0
"""Seconds without a word from any worker after which all of them are ended: something has stopped them."""


class Drafted(NamedTuple):
    """What was read from one file, and the same as a record (``recordcodec``).

    The record is empty where the reading failed, for whatever reason: another time it may not.
    """

    path: str
    draft: FileDraft
    record: bytes


class Drafter:
    """Drafts files; ``workers`` processes at a time where there are many, as many as there are processors if None."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = len(os.sched_getaffinity(0)) if workers is None else workers
        self._spare: list[subprocess.Popen[bytes]] = []

    def prepare(self) -> None:
        """Start the processes that many files would need, so that they are there when the files are."""
        with suppress(OSError):  # then they are missing when they are needed, which is dealt with there
            while len(self._spare) < self._workers:
                self._spare.append(started())

    def close(self) -> None:
        """End what ``prepare`` has started and nobody has used. May be called twice."""
        while self._spare:
            end(self._spare.pop())

    def draft(self, files: Iterable[File], layers: Layers = NO_LAYERS) -> Iterator[Drafted]:
        """Every file's draft, in the order in which they get done. Never raises for what is in a file."""
        rest = iter(files)
        first = list(islice(rest, FEW))
        if len(first) < FEW or self._workers < 1:
            for file in chain(first, rest):
                yield _here(file, layers)
            return
        yield from _Round(chain(first, rest), layers, self._workers, self._spare).run()


def _here(file: File, layers: Layers) -> Drafted:
    path, blob, content = file
    draft = read(path, blob, content, layers)
    return _drafted(path, draft, encode(path, draft))


def _drafted(path: str, draft: FileDraft, record: bytes) -> Drafted:
    failed = any(problem.code is Code.FILE_REFUSED for problem in draft.problems)
    return Drafted(path, draft, b"" if failed else record)


def _refused(file: File, status: int) -> Drafted:
    path, blob, _ = file
    if -status == SIGPROF:
        why = f"reading the file takes more than {DEADLINE} s"
    else:
        ended = Signals(-status).name if status < 0 else f"status {status}"
        why = f"reading the file ended the process that did it ({ended})"
    hint = "Simplify it, or divide it into several *.prodsprint.yaml files"
    return Drafted(path, refused_file(path, blob, why, hint), b"")


@dataclass(slots=True)
class _Round:
    """One call of ``Drafter.draft``."""

    files: Iterator[File]
    layers: Layers
    most: int
    spare: list[subprocess.Popen[bytes]]
    """Processes that have been started already."""
    again: deque[list[File]] = field(default_factory=deque)
    """Batches that come before the rest of the files."""
    workers: list[Worker] = field(default_factory=list)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    doubted: set[str] = field(default_factory=set)
    """Files that a worker was at, alone, when all of them had fallen silent."""
    able: bool = True
    """Whether workers can be started. Where none can, everything is read here."""

    def run(self) -> Iterator[Drafted]:
        try:
            yield from self._feed()
            while any(worker.batches for worker in self.workers):
                yield from self._turn()
                yield from self._feed()
        finally:
            for worker in self.workers:
                worker.process.kill()  # it holds nothing that is not told
                self._end(worker)
            self.selector.close()

    # --- giving out work ---

    def _feed(self) -> Iterator[Drafted]:
        """Give every worker what it can take."""
        while batch := self._next():
            large = len(batch[0][2]) > MAX_BYTES  # which is refused before it is read
            worker = None if large else self._free()
            if worker is not None:
                worker.give(batch)
                self._listen(worker)
            elif large or not (self.able or self.workers):
                yield from (_here(file, self.layers) for file in batch)
            else:
                self.again.appendleft(batch)
                return

    def _next(self) -> list[File]:
        batch: list[File] = []
        size = 0
        for file in () if self.again else self.files:
            size += len(file[2])
            if len(file[2]) > MAX_BYTES:
                self.again.append([file])
                break
            batch.append(file)
            if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
                break
        return batch or (self.again.popleft() if self.again else [])

    def _free(self) -> Worker | None:
        """A worker that can take a batch; None when there is none."""
        if self.able and len(self.workers) < self.most:
            self._start()
        worker = min(self.workers, key=lambda one: len(one.batches), default=None)
        return worker if worker and len(worker.batches) < AHEAD else None

    def _start(self) -> None:
        try:
            process = self.spare.pop() if self.spare else started()
        except OSError:
            self.able = False
            return
        worker = Worker(process, memoryview(message(self.layers.packed())))
        os.set_blocking(worker.stdin, False)
        self.workers.append(worker)
        self.selector.register(worker.stdout, selectors.EVENT_READ, worker)

    def _listen(self, worker: Worker) -> None:
        if worker.outgoing and worker.stdin not in self.selector.get_map():
            self.selector.register(worker.stdin, selectors.EVENT_WRITE, worker)

    # --- taking answers ---

    def _turn(self) -> Iterator[Drafted]:
        """Wait until something can be written or read, and do that."""
        ready = self.selector.select(SILENCE)
        for worker in () if ready else self.workers:
            worker.silent = True
            worker.process.kill()
        for key, mask in ready:
            if key.data not in self.workers:
                continue  # it has just been buried
            if mask & selectors.EVENT_WRITE:
                self._write(key.data)
            else:
                yield from self._read(key.data)

    def _write(self, worker: Worker) -> None:
        try:
            worker.outgoing = worker.outgoing[os.write(worker.stdin, worker.outgoing) :]
        except BrokenPipeError:  # it has ended, which reading from it shows
            worker.outgoing = memoryview(b"")
        if not worker.outgoing:
            self.selector.unregister(worker.stdin)

    def _read(self, worker: Worker) -> Iterator[Drafted]:
        more = os.read(worker.stdout, 1 << 20)
        worker.incoming += more
        for answer in worker.answers():
            if worker.ready:
                yield from self._taken(worker, answer)
            worker.ready = True
        if not more:
            yield from self._buried(worker)

    def _taken(self, worker: Worker, records: list[bytes]) -> list[Drafted]:
        try:
            batch = zip(worker.batches[0], records, strict=True)
            taken = [_drafted(path, decode(path, blob, record), record) for (path, blob, _), record in batch]
        except (ValueError, IndexError):  # it has lost its mind
            worker.process.kill()
            return []
        worker.batches.popleft()
        return taken

    def _buried(self, worker: Worker) -> Iterator[Drafted]:
        """A worker has ended by itself: what it was at is to blame, unless it had not even begun."""
        self.workers.remove(worker)
        status = self._end(worker)
        self.able &= worker.ready
        suspects = worker.batches.popleft() if worker.ready and worker.batches else []
        self.again.extend(worker.batches)
        if len(suspects) == 1 and (not worker.silent or suspects[0][0] in self.doubted):
            yield _refused(suspects[0], status)
            return
        if len(suspects) == 1:
            self.doubted.add(suspects[0][0])
        self.again.extend([file] for file in suspects)

    def _end(self, worker: Worker) -> int:
        for stream in (worker.process.stdin, worker.process.stdout):
            if stream is not None:
                with suppress(KeyError):
                    self.selector.unregister(stream.fileno())
                stream.close()
        return worker.process.wait()
