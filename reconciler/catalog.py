"""What git asks for: the compiled manifests of the newest commit, and the repos that they name.

Repos are polled by name through work queues, so that a slow or dead remote is never asked twice at the same time; the config
repo and compiling have a queue of their own, which no service repo can hold up. Reading and compiling use local mirrors
alone; what was compiled stays in force while a remote is away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.core.desired import DesiredState, Key
from reconciler.core.outcome import TerminalError, TransientError, backoff
from reconciler.manifest.compile import Snapshot, compile_snapshot
from reconciler.manifest.problem import Problem
from reconciler.ports import Clock
from reconciler.source.git import Mirrors
from reconciler.workqueue import WorkQueue

log = logging.getLogger(__name__)

COMPILE = ""
"""Name in the queue for "compile again"; every other name is a repo's URL."""


@dataclass(slots=True)
class Catalog:
    """Desired states by key. ``changed`` is told which keys ask for something else than before; ``watch`` of each fetch."""

    mirrors: Mirrors
    config_repo: str
    branch: str
    clock: Clock
    queue: WorkQueue[str]
    changed: Callable[[frozenset[Key]], None]
    watch: Callable[[str, str, float], None]
    jitter: Callable[[float], float]
    first: WorkQueue[str] = field(init=False)
    """The config repo and COMPILE; ``queue`` has the service repos."""
    snapshot: Snapshot | None = None
    trouble: dict[str, str] = field(default_factory=dict)
    """Why the last fetch of a repo failed, by URL, or compiling, by COMPILE."""
    unread: dict[str, str] = field(default_factory=dict)
    """Why a mirror could not be read by the last compilation, by URL."""
    failures: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clock = self.clock
        self.first = WorkQueue(lambda: clock.now().mono)

    # --- what git asks for ---

    def desired(self, key: Key) -> tuple[DesiredState | None, str]:
        """See ``reconcile.Desires``."""
        snapshot = self.snapshot
        if snapshot is None:
            return None, self.away() or "the config repo has not been read yet"
        return snapshot.desired.get(key), self.problem(key)

    def problem(self, key: Key) -> str:
        """What is wrong with what git asks for this key; empty when nothing is."""
        snapshot = self.snapshot
        found = snapshot.key_problems.get(key, "") if snapshot else ""
        reasons = {**self.unread, **self.trouble}
        named = max((url for url in reasons if url and url in found), key=len, default="")
        cause = reasons.get(named, "") if named else ""
        return f"{found} ({cause})" if cause else found

    def known(self) -> frozenset[Key]:
        """Every key that some manifest names."""
        snapshot = self.snapshot
        return frozenset(snapshot.desired) | frozenset(snapshot.key_problems) if snapshot else frozenset()

    def problems(self) -> tuple[Problem, ...]:
        """Every problem of every manifest."""
        return self.snapshot.problems if self.snapshot else ()

    def away(self) -> str:
        """Why newer commits of the config repo are not seen; empty when they are."""
        trouble = self.trouble.get(self.config_repo) or self.trouble.get(COMPILE)
        if not trouble:
            return ""
        if self.snapshot is None:
            return f"the config repo cannot be read: {trouble}"
        return f"the config repo cannot be read, and its commit {self.snapshot.commit[:12]} stays in force: {trouble}"

    def sources(self) -> frozenset[str]:
        """The service repos that manifests name."""
        return frozenset(source for source, _ in self.snapshot.wanted) if self.snapshot else frozenset()

    # --- polling ---

    def poll_config(self) -> None:
        """Have the config repo looked at soon."""
        self.add(self.config_repo)

    def poll_sources(self) -> None:
        """Have every service repo looked at soon."""
        for source in self.sources():
            self.add(source)

    def add(self, name: str, delay: float = 0.0) -> None:
        """Have a repo fetched, or COMPILE done, after ``delay`` seconds at the latest."""
        (self.first if name in {COMPILE, self.config_repo} else self.queue).add(name, delay)

    def run(self) -> None:
        """Fetch service repos until ``close``. Any number of workers may do so at the same time."""
        self._work(self.queue)

    def run_first(self) -> None:
        """Fetch the config repo and compile until ``close``. Any number of workers may do so at the same time."""
        self._work(self.first)

    def _work(self, queue: WorkQueue[str]) -> None:
        while (name := queue.take()) is not None:
            queue.done(name, self.process(name))

    def depth(self) -> tuple[int, float]:
        """How many repos are overdue, and for how many seconds the oldest of them has been."""
        (few, older), (many, old) = self.first.depth(), self.queue.depth()
        return few + many, max(older, old)

    def close(self) -> None:
        """Let every worker go."""
        self.first.close()
        self.queue.close()

    def process(self, name: str) -> float | None:
        """Fetch one repo, or compile; returns the delay after which it has to be tried again by itself, if any."""
        try:
            if name == COMPILE:
                self.compile()
                self._recovered(name)
                return None
            return self._fetch(name)
        except (TransientError, TerminalError) as error:
            return self._failed(name, str(error))
        except Exception as error:  # one repo's bug must not end the polling of all the others
            log.exception("%s: unexpected error", name or "compiling the manifests")
            return self._failed(name, repr(error))

    def _fetch(self, url: str) -> float | None:
        if url != self.config_repo and url not in self.sources():
            self._recovered(url)  # nobody names it any more
            return None
        started = self.clock.now()
        before = self.trouble.get(url)
        try:
            result = self.mirrors.fetch(url)
        except (TransientError, TerminalError) as error:
            self.watch(url, "error", self.clock.now().since(started))
            delay = self._failed(url, str(error))
            if before != str(error):
                self.add(COMPILE)  # so that the reason reaches those who wait for this repo
            return delay
        self.watch(url, "success", self.clock.now().since(started))
        self._recovered(url)
        if result.changed or before is not None or self.snapshot is None:
            self.add(COMPILE)
        return None

    def _failed(self, name: str, error: str) -> float:
        self.failures[name] = self.failures.get(name, 0) + 1
        if self.trouble.get(name) != error:
            log.warning("%s", error, extra={"repo": name})
        self.trouble[name] = error
        return self.jitter(backoff(self.failures[name]))

    def _recovered(self, name: str) -> None:
        self.trouble.pop(name, None)
        self.failures.pop(name, None)

    # --- compiling ---

    def compile(self) -> None:
        """Compile the newest commit that the mirror holds, and tell what changed. Raises TransientError or TerminalError."""
        before = self.snapshot
        commit = self._head()
        if commit is None:
            return
        if (
            before is not None
            and before.commit != commit
            and self.mirrors.rewritten(self.config_repo, before.commit, commit)
        ):
            log.warning("history of the config repo was rewritten: %s is no ancestor of %s", before.commit, commit)
        files, refused = self._read(commit, before)
        self.unread = {}
        snapshot = compile_snapshot(commit, files, self._resolve, before, refused)
        self.snapshot = snapshot
        self._fetch_missing(snapshot)
        keys = changed_keys(before, snapshot)
        if before is None or before.commit != commit:
            log.info(
                "config repo at %s; environments: %d, problems: %d",
                commit[:12],
                len(snapshot.desired),
                len(snapshot.problems),
            )
            for problem in snapshot.problems:
                log.warning("%s", problem)
        self.changed(keys)

    def _read(self, commit: str, before: Snapshot | None) -> tuple[dict[str, tuple[str, bytes]], dict[str, str]]:
        """The manifests of a commit; the content of those that ``before`` has at the same path is left empty."""
        old = {path: file.blob for path, file in before.files.items()} if before else {}
        found = self.mirrors.files(self.config_repo, commit, frozenset(old.values()))
        if any(blob not in found.content and old.get(path) != blob for path, blob in found.paths.items()):
            found = self.mirrors.files(
                self.config_repo, commit
            )  # a manifest was moved: its content is needed after all
        files = {path: (blob, found.content.get(blob, b"")) for path, blob in found.paths.items()}
        refused = dict(found.problems)
        for folder, why in found.problems:  # what a folder held before may be in it still
            refused |= {path: why for path in old if path.startswith(f"{folder}/") and path not in files}
        return files, refused

    def _head(self) -> str | None:
        """The commit to compile. None leaves in force what was compiled before: an empty desired state deletes nothing."""
        try:
            commit = self.mirrors.head(self.config_repo, self.branch)
        except TransientError as error:
            self.trouble.setdefault(self.config_repo, str(error))
            return None
        if commit is None and self.config_repo not in self.trouble:
            lacks = f"no branch {self.branch}" if self.branch else "no commit"
            self.trouble[self.config_repo] = f"the config repo {self.config_repo} has {lacks} yet"
            log.warning("%s", self.trouble[self.config_repo])
        return commit

    def _resolve(self, source: str, version: str) -> str | None:
        try:
            return self.mirrors.resolve(source, version)
        except (TransientError, TerminalError) as error:
            self.unread[source] = str(error)
            return None

    def _fetch_missing(self, snapshot: Snapshot) -> None:
        for source, version in snapshot.wanted:
            if source not in self.failures and self._resolve(source, version) is None:
                self.add(source)


def changed_keys(before: Snapshot | None, after: Snapshot) -> frozenset[Key]:
    """Keys whose desired state or problem differs between two snapshots."""
    if before is None:
        return frozenset(after.desired) | frozenset(after.key_problems)
    keys = {*before.desired, *after.desired, *before.key_problems, *after.key_problems}
    return frozenset(
        key
        for key in keys
        if before.desired.get(key) != after.desired.get(key)
        or before.key_problems.get(key) != after.key_problems.get(key)
    )
