"""What git asks for: the compiled manifests of the config repos, and the repos that they name.

Repos are polled by name through work queues, so that a slow or dead remote is never asked twice at the same time; config
repos and compiling have a queue of their own, which no service repo can hold up. Reading and compiling use local mirrors
alone; what was compiled stays in force while a remote is away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from reconciler.compiler import Compiler
from reconciler.config_repos import ConfigRepo
from reconciler.core.desired import DesiredState, Key, Tombstone
from reconciler.core.outcome import TerminalError, TransientError, backoff
from reconciler.drafts import Drafts
from reconciler.follower import Follower, HeldError
from reconciler.manifest.compile import Snapshot
from reconciler.manifest.drafter import Drafter
from reconciler.manifest.problem import Problem
from reconciler.memory import ConfigMemory
from reconciler.ports import Clock
from reconciler.source.git import Mirrors
from reconciler.source.trouble import LaterError
from reconciler.workqueue import WorkQueue

log = logging.getLogger(__name__)

COMPILE = ""
"""Name in the queue for "compile again"; every other name is a repo's URL."""
MOST_LOGGED = 20
"""Problems of one compilation that are logged; all of them are shown to those who ask."""


@dataclass(slots=True)
class Catalog:
    """Desired states by key. ``changed`` is told which keys ask for something else than before; ``watch`` of each fetch."""

    mirrors: Mirrors
    repos: tuple[ConfigRepo, ...]
    memory: ConfigMemory
    drafter: Drafter
    clock: Clock
    queue: WorkQueue[str]
    changed: Callable[[frozenset[Key]], None]
    watch: Callable[[str, str, float], None]
    jitter: Callable[[float], float]
    first: WorkQueue[str] = field(init=False)
    """The config repos and COMPILE; ``queue`` has the service repos."""
    compiler: Compiler = field(init=False)
    followers: tuple[Follower, ...] = field(init=False)
    snapshot: Snapshot | None = None
    trouble: dict[str, str] = field(default_factory=dict)
    """Why the last fetch of a repo failed, by URL, or compiling, by COMPILE."""
    held: dict[str, str] = field(default_factory=dict)
    """Why a config repo stays at the commit in force, by its identity."""
    failures: dict[str, int] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    """Service repos that were fetched, or failed, since the last compilation."""
    expected: set[str] = field(default_factory=set)
    """Service repos that manifests name which are being compiled."""
    retired: set[Key] = field(default_factory=set)
    """Keys that have nothing left of them, and need no tombstone any more."""

    def __post_init__(self) -> None:
        clock = self.clock
        self.first = WorkQueue(lambda: clock.now().mono)
        self.followers = tuple(Follower(repo, self.mirrors, self.memory, clock) for repo in self.repos)
        self.compiler = Compiler(Drafts(self.mirrors, self.memory, self.drafter, self._seen), self.repos)

    # --- what git asks for ---

    def desired(self, key: Key) -> tuple[DesiredState | None, str]:
        """See ``reconcile.Desires``."""
        snapshot = self.snapshot
        if snapshot is None:
            return None, self.away() or "the config repo has not been read yet"
        return snapshot.desired.get(key), self.problem(key)

    def tombstone(self, key: Key) -> Tombstone | None:
        """See ``reconcile.Desires``."""
        return self.snapshot.tombstones.get(key) if self.snapshot else None

    def tombstones(self) -> tuple[Key, ...]:
        """The keys whose manifest was removed, and that have not been retired since."""
        return tuple(self.snapshot.tombstones) if self.snapshot else ()

    def problem(self, key: Key) -> str:
        """What is wrong with what git asks for this key; empty when nothing is."""
        snapshot = self.snapshot
        found = snapshot.key_problems.get(key, "") if snapshot else ""
        if not found:
            return ""
        reasons = {**self.compiler.unread, **self.trouble}
        named = max((url for url in reasons if url and url in found), key=len, default="")
        cause = reasons.get(named, "") if named else ""
        return f"{found} ({cause})" if cause else found

    def knows(self, key: Key) -> bool:
        """Whether some manifest names this key, or did so until it was removed."""
        snapshot = self.snapshot
        return snapshot is not None and (
            key in snapshot.desired or key in snapshot.key_problems or key in snapshot.tombstones
        )

    def known(self) -> frozenset[Key]:
        """Every key that some manifest names."""
        snapshot = self.snapshot
        return frozenset(snapshot.desired) | frozenset(snapshot.key_problems) if snapshot else frozenset()

    def dependants(self, key: Key) -> tuple[Key, ...]:
        """The keys whose release waits for this one."""
        return self.snapshot.dependants(key) if self.snapshot else ()

    def problems(self) -> tuple[Problem, ...]:
        """Every problem of every manifest."""
        return self.snapshot.problems if self.snapshot else ()

    def away(self, key: Key | None = None) -> str:
        """Why newer commits of some config repo are not followed, of one that may speak for ``key``; empty when all are."""
        state = self.snapshot.desired.get(key) if self.snapshot and key else None
        name = state.path.partition(":")[0] if state and len(self.repos) > 1 else ""
        asked = [one for one in self.followers if not name or one.repo.name == name]
        return "; ".join(dict.fromkeys(filter(None, map(self._away, asked))))

    def _away(self, follower: Follower) -> str:
        held = self.held.get(follower.identity)
        trouble = self.trouble.get(follower.repo.url) or self.trouble.get(COMPILE)
        if held:
            return f"{held}. Commit {follower.applied.commit[:12]} stays in force" if follower.applied else held
        if not trouble:
            return ""
        if follower.applied is None:
            return f"the config repo cannot be read: {trouble}"
        return (
            f"the config repo cannot be read, and its commit {follower.applied.commit[:12]} stays in force: {trouble}"
        )

    def sources(self) -> frozenset[str]:
        """The service repos that manifests name."""
        return frozenset(self.snapshot.sources) if self.snapshot else frozenset()

    def counts(self) -> tuple[int, int, int]:
        """How many manifests are in force, how many of them have a problem, and how many were parsed since the start."""
        snapshot = self.snapshot
        return (len(snapshot.files), len(snapshot.trouble), self.compiler.drafts.parsed) if snapshot else (0, 0, 0)

    def tidy(self) -> None:
        """Drop what nobody needs any more: drafts of manifests that are gone, mirrors of repos that nobody names."""
        snapshot = self.snapshot
        if snapshot is None or self.away():
            return
        self.memory.forget_records(self.compiler.drafts.language, snapshot.blobs())
        self.mirrors.retain({*(repo.url for repo in self.repos), *snapshot.sources})

    def forget(self, key: Key) -> None:
        """A key whose manifest was removed has been retired: nothing of it is left, and its ports are free."""
        if self.tombstone(key) is not None:
            self.retired.add(key)
            self.add(COMPILE)

    # --- polling ---

    def poll_config(self) -> None:
        """Have the config repos looked at soon."""
        for url in dict.fromkeys(repo.url for repo in self.repos):
            self.add(url)

    def poll_sources(self, spread: float = 0.0) -> None:
        """Have every service repo looked at within ``spread`` seconds, not all of them at once."""
        sources = sorted(self.sources())
        for number, source in enumerate(sources):
            self.add(source, spread * number / len(sources))

    def add(self, name: str, delay: float = 0.0) -> None:
        """Have a repo fetched, or COMPILE done, after ``delay`` seconds at the latest."""
        (self.first if name == COMPILE or self._configures(name) else self.queue).add(name, delay)

    def _configures(self, url: str) -> bool:
        return any(repo.url == url for repo in self.repos)

    def run(self) -> None:
        """Fetch service repos until ``close``. Any number of workers may do so at the same time."""
        self._work(self.queue)

    def run_first(self) -> None:
        """Fetch config repos and compile until ``close``. Any number of workers may do so at the same time."""
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
            return self._failed(name, error)
        except Exception as error:  # one repo's bug must not end the polling of all the others
            log.exception("%s: unexpected error", name or "compiling the manifests")
            return self._failed(name, error)

    def _fetch(self, url: str) -> float | None:
        config = self._configures(url)
        if not config and url not in self.expected and (self.snapshot is None or url not in self.snapshot.sources):
            self._recovered(url)  # nobody names it any more
            return None
        started = self.clock.now()
        before = self.trouble.get(url)
        try:
            result = self.mirrors.fetch(url, self._branches(url))
        except (TransientError, TerminalError) as error:
            self.watch(url, "error", self.clock.now().since(started))
            delay = self._failed(url, error)
            if before != str(error):
                self._compile_for(url)  # so that the reason reaches those who wait for this repo
            return delay
        self.watch(url, "success", self.clock.now().since(started))
        self._recovered(url)
        if result.changed or before is not None or self.snapshot is None:
            self._compile_for(url)
        return None

    def _seen(self, sources: frozenset[str]) -> None:
        """Fetch service repos while the manifests that name them are still being read."""
        for source in sources - self.compiler.versions.keys() - self.expected - self.failures.keys():
            self.expected.add(source)
            self.add(source)

    def _branches(self, url: str) -> tuple[str, ...]:
        """The branches to look at: those of a config repo, or all when manifests name it as a service's repo too."""
        if self.snapshot is not None and url in self.snapshot.sources:
            return ()
        return tuple(repo.branch for repo in self.repos if repo.url == url)

    def _compile_for(self, url: str) -> None:
        self.moved.add(url)
        self.add(COMPILE)

    def _failed(self, name: str, error: Exception) -> float:
        words = str(error) if isinstance(error, (TransientError, TerminalError)) else repr(error)
        self.failures[name] = self.failures.get(name, 0) + 1
        if self.trouble.get(name) != words:
            log.warning("%s", words, extra={"repo": name})
        self.trouble[name] = words
        least = error.retry_after if isinstance(error, LaterError) else 0.0
        return max(least, self.jitter(backoff(self.failures[name])))

    def _recovered(self, name: str) -> None:
        self.trouble.pop(name, None)
        self.failures.pop(name, None)

    # --- compiling ---

    def restore(self) -> None:
        """Put in force what the last daemon had in force, without reading a manifest."""
        try:
            applied = {one.repo: one for one in self.compiler.restore()}
        except (
            TransientError,
            TerminalError,
        ) as error:  # then the repos are read anew: what is not known is left alone
            log.warning("what was compiled before cannot be put in force again: %s", error)
            return
        for follower in self.followers:
            follower.applied = applied.get(follower.identity)
            follower.whole = follower.identity in self.compiler.lost
        self.moved |= self.compiler.versions.keys()
        self.compiler.take()
        if any(follower.applied for follower in self.followers):
            self.snapshot = self.compiler.snapshot
            self._log(self.snapshot, frozenset())

    def compile(self) -> None:
        """Compile the newest commits that the mirrors hold, and tell what changed.

        Raises the first TransientError or TerminalError, after everything that could be compiled has been.
        """
        errors: list[TransientError | TerminalError] = []
        moved, retired = frozenset(self.moved), frozenset(self.retired)
        self.moved -= moved
        self.retired -= retired
        works: list[Callable[[], None]] = [
            self.compiler.settle,
            *(partial(self._follow, one) for one in self.followers),
        ]
        for work in works:
            try:
                work()
            except (TransientError, TerminalError) as error:
                errors.append(error)
        self.compiler.resolve_again(moved)
        for key in retired:
            self.compiler.forget(key)
        self._publish(self.compiler.take())
        if errors:
            raise errors[0]

    def _follow(self, follower: Follower) -> None:
        """Compile a config repo's newest commit, if there is one that may be followed."""
        try:
            step = follower.step()
        except HeldError as error:
            if self.held.get(follower.identity) != str(error):
                log.warning("%s", error)
            self.held[follower.identity] = str(error)
            return
        except TransientError as error:
            self.trouble.setdefault(follower.repo.url, str(error))
            return
        self.held.pop(follower.identity, None)
        if step is not None:
            self.compiler.apply(follower, step)
        elif follower.applied is None:
            self._say_if_empty(follower)

    def _say_if_empty(self, follower: Follower) -> None:
        url, branch = follower.repo.url, follower.repo.branch
        if url not in self.trouble:
            self.trouble[url] = f"the config repo {url} has {f'no branch {branch}' if branch else 'no commit'} yet"
            log.warning("%s", self.trouble[url])

    def _publish(self, changed: frozenset[Key]) -> None:
        before, snapshot = self.snapshot, self.compiler.snapshot
        if not any(follower.applied for follower in self.followers):
            return
        self.snapshot = snapshot
        self.expected.clear()
        for source in self.compiler.missing():
            if source not in self.failures:
                self.add(source)
        if before is None or before.commit != snapshot.commit or changed:
            self._log(snapshot, changed)
        self.changed(changed if before is not None else self.known())
        self.drafter.close()
        self.compiler.remember()

    def _log(self, snapshot: Snapshot, changed: frozenset[Key]) -> None:
        log.info(
            "config repo at %s; environments: %d, changed: %d, problems: %d",
            snapshot.commit[:12], len(snapshot.desired), len(changed), len(snapshot.problems),
        )  # fmt: skip
        for problem in snapshot.problems[:MOST_LOGGED]:
            log.warning("%s", problem)
