"""What git asks for: the compiled manifests of the newest commit, and the repos that they name.

Repos are polled by name through one work queue, so that a slow or dead remote delays only itself and is never asked twice at
the same time. Reading and compiling use local mirrors alone; what was compiled stays in force while a remote is away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.core.outcome import TerminalError, TransientError, backoff
from reconciler.core.state import DesiredState, Key
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
    snapshot: Snapshot | None = None
    trouble: dict[str, str] = field(default_factory=dict)
    """What is wrong with a repo now, by URL."""
    failures: dict[str, int] = field(default_factory=dict)

    # --- what git asks for ---

    def desired(self, key: Key) -> tuple[DesiredState | None, str]:
        """See ``reconcile.Desires``."""
        snapshot = self.snapshot
        if snapshot is None:
            return None, self.trouble.get(self.config_repo, "the config repo has not been read yet")
        return snapshot.desired.get(key), self.problem(key)

    def problem(self, key: Key) -> str:
        """What is wrong with what git asks for this key; empty when nothing is."""
        snapshot = self.snapshot
        found = snapshot.key_problems.get(key, "") if snapshot else ""
        cause = next((words for url, words in self.trouble.items() if url and url in found), "")
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
        trouble = self.trouble.get(self.config_repo)
        if trouble is None:
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
        self.queue.add(self.config_repo)

    def poll_sources(self) -> None:
        """Have every service repo looked at soon."""
        for source in self.sources():
            self.queue.add(source)

    def run(self) -> None:
        """Work on polls until the queue is closed. Any number of workers may do so at the same time."""
        while (name := self.queue.take()) is not None:
            self.queue.done(name, self.process(name))

    def process(self, name: str) -> float | None:
        """Fetch one repo, or compile; returns the delay after which it has to be tried again by itself, if any."""
        try:
            return self.compile() if name == COMPILE else self._fetch(name)
        except Exception as error:  # one repo's bug must not end the polling of all the others
            log.exception("%s: unexpected error", name or "compiling the manifests")
            self.trouble[name] = repr(error)
            return self.jitter(backoff(5))

    def _fetch(self, url: str) -> float | None:
        started = self.clock.now()
        try:
            result = self.mirrors.fetch(url)
        except (TransientError, TerminalError) as error:
            self.failures[url] = self.failures.get(url, 0) + 1
            if self.trouble.get(url) != str(error):
                log.warning("%s", error, extra={"repo": url})
            self.trouble[url] = str(error)
            self.watch(url, "error", self.clock.now().since(started))
            self.queue.add(COMPILE)  # so that the reason reaches those who wait for this repo
            return self.jitter(backoff(self.failures[url]))
        self.watch(url, "success", self.clock.now().since(started))
        recovered = self.trouble.pop(url, None) is not None
        self.failures.pop(url, None)
        if result.changed or recovered or (self.snapshot is None and url == self.config_repo):
            self.queue.add(COMPILE)
        return None

    # --- compiling ---

    def compile(self) -> float | None:
        """Compile the newest commit that the mirror holds, and tell what changed."""
        before = self.snapshot
        commit = self._head()
        if commit is None:
            return None
        if (
            before is not None
            and before.commit != commit
            and self.mirrors.rewritten(self.config_repo, before.commit, commit)
        ):
            log.warning("history of the config repo was rewritten: %s is no ancestor of %s", before.commit, commit)
        files, refused = self._read(commit, before)
        snapshot = compile_snapshot(commit, files, self._resolve, before, refused)
        self.snapshot = snapshot
        self._fetch_missing(snapshot)
        keys = changed_keys(before, snapshot)
        if before is None or before.commit != commit:
            log.info(
                "config repo at %s: %d environments, %d problems",
                commit[:12],
                len(snapshot.desired),
                len(snapshot.problems),
            )
            for problem in snapshot.problems:
                log.warning("%s", problem)
        self.changed(keys)
        return None

    def _read(self, commit: str, before: Snapshot | None) -> tuple[dict[str, tuple[str, bytes]], dict[str, str]]:
        """The manifests of a commit; the content of those that ``before`` has at the same path is left empty."""
        old = {path: file.blob for path, file in before.files.items()} if before else {}
        found = self.mirrors.files(self.config_repo, commit, frozenset(old.values()))
        if any(blob not in found.content and old.get(path) != blob for path, blob in found.paths.items()):
            found = self.mirrors.files(
                self.config_repo, commit
            )  # a manifest was moved: its content is needed after all
        files = {path: (blob, found.content.get(blob, b"")) for path, blob in found.paths.items()}
        return files, dict(found.problems)

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
        except TransientError:  # not fetched yet, or being repaired: the fetch says what is wrong
            return None
        except TerminalError as error:
            self.trouble[source] = str(error)
            return None

    def _fetch_missing(self, snapshot: Snapshot) -> None:
        for source, version in snapshot.wanted:
            if source not in self.failures and self._resolve(source, version) is None:
                self.queue.add(source)


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
