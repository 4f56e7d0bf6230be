"""Mirrors of git repos: fetched under a deadline, read at any time by any thread."""

from __future__ import annotations

import fcntl
import gc
import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pygit2

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source import checkout, trees, versions, worker
from reconciler.source.address import Address, Credentials, parse
from reconciler.source.trees import Found, Limits, Manifests, Walk
from reconciler.source.trouble import TROUBLE
from reconciler.source.worker import Job, Report

log = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds a worker gets beyond its own alarm before it is killed."""
START = (
    "import json,sys; job=json.loads(sys.stdin.buffer.read()); sys.path[:]=job.pop('path'); "
    "from reconciler.source.worker import main; main(job)"
)


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a fetch found: whether the mirror changed, how many refs it has, and the default branch ("" if none)."""

    changed: bool
    refs: int
    default: str


class Mirrors:
    """Bare mirrors below one folder, one for each address. All methods may be called from any thread.

    Every read opens the repo anew (0.05 ms): pygit2 objects are not shared between threads, and new packs are seen at once.
    All methods raise TerminalError for an address that is not accepted.
    """

    def __init__(
        self, folder: Path, credentials: Credentials | None = None, deadline: float = 30.0, limits: Limits | None = None
    ) -> None:
        """``deadline``: seconds that one fetch may take in all."""
        self._folder = folder
        self._credentials = credentials or Credentials()
        self._deadline = deadline
        self._limits = limits or Limits()
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._seen: dict[str, str] = {}
        self._walks: dict[str, dict[str, Found]] = {}
        self._damaged: set[str] = set()
        self._renewed: dict[str, str] = {}
        """Refs that a damaged mirror was cloned anew with: doing so again would mend nothing."""
        worker.prepare()
        folder.mkdir(parents=True, exist_ok=True)

    # --- the remote ---------------------------------------------------------------------------------------------------

    def fetch(self, url: str) -> FetchResult:
        """Bring the mirror up to date; an unchanged remote costs one look at its refs.

        Raises TransientError (unreachable, too slow, busy) or TerminalError (refused, not there, too large), each with a
        sentence that names the address and no secret. The mirror then stays as it was. One that turned out to be damaged is
        cloned anew, and replaced when that is done.
        """
        address = parse(url)
        with self._locked(address) as lock:
            anew = address.slug in self._damaged
            job = self._job(address, anew=anew)
            report = _unchanged(job) if address.local else None
            report = report or self._work(job, lock)
            if anew and not report.error:
                self._replace(address, report)
        if report.damaged:
            self._suspect(address)
        if report.error:
            raise (TerminalError if report.terminal else TransientError)(report.error)
        self._seen[address.slug] = report.digest
        return FetchResult(report.changed, report.refs, report.default.removeprefix("refs/heads/"))

    @contextmanager
    def _locked(self, address: Address) -> Iterator[int]:
        """Hold the mirror against threads and other processes; yields the descriptor that holds the file lock."""
        with self._guard:
            lock = self._locks.setdefault(address.slug, threading.Lock())
        if not lock.acquire(timeout=self._deadline):
            raise TransientError(f"{address.url}: another fetch of it is still running")
        try:
            with (self._folder / f"{address.slug}.lock").open("a") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise TransientError(f"{address.url}: another process is updating the mirror") from None
                yield file.fileno()
        except OSError as error:
            raise TransientError(f"{address.url}: cannot write its mirror: {error.strerror}") from error
        finally:
            lock.release()

    def _suspect(self, address: Address) -> None:
        slug = address.slug
        if slug not in self._renewed or self._renewed[slug] != self._seen.get(slug):
            self._damaged.add(slug)

    def _replace(self, address: Address, report: Report) -> None:
        """Put the new clone in the place of the damaged mirror, which is kept beside it until the next time."""
        folder = self._path(address)
        aside = folder.with_suffix(".damaged")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        folder.with_suffix(".anew").rename(folder)
        gc.collect()  # libgit2 shares open packs by their path: repos that an error's traceback holds would keep the old ones
        self._damaged.discard(address.slug)
        self._renewed[address.slug] = report.digest
        self._walks.pop(address.slug, None)
        log.warning("the mirror of %s was damaged: it is cloned anew, the old one is now %s", address.url, aside)

    def _job(self, address: Address, *, anew: bool) -> Job:
        folder = self._path(address)
        seen = self._seen.get(address.slug, "")
        if anew:
            folder, seen = folder.with_suffix(".anew"), ""
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            _create(folder, address.url)
        job = Job(str(folder), address.url, self._deadline, seen)
        rule = self._credentials.find(address)
        if address.local or rule is None:
            return job
        if address.scheme == "ssh":
            home = self._folder / f"{address.slug}.home"
            pin_hosts(home, rule.known_hosts)
            return replace(job, key=str(rule.key_file or ""), home=str(home))
        token = self._credentials.token(address)
        secret = token.reveal() if token else ""
        return replace(job, username=rule.username, token=secret, ca=str(rule.ca_file or ""))

    def _work(self, job: Job, lock: int) -> Report:
        """Run a job in a process of its own. It holds the lock too: should the daemon die, nobody else comes between."""
        path = [*(entry for entry in sys.path if entry), str(Path(__file__).parents[2])]
        try:
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-I", "-S", "-c", START],
                input=json.dumps({**asdict(job), "path": path}).encode(),
                capture_output=True,
                timeout=self._deadline + GRACE,
                check=False,
                pass_fds=(lock,),
            )
        except subprocess.TimeoutExpired:
            return Report(error=f"{job.url}: no answer within {self._deadline:g} s")
        if done.returncode == -signal.SIGALRM:
            return Report(error=f"{job.url}: not done within {self._deadline:g} s")
        return worker.report(done.stdout) or Report(error=f"{job.url}: the fetch ended with status {done.returncode}")

    # --- the mirror ---------------------------------------------------------------------------------------------------

    def head(self, url: str, branch: str = "") -> str | None:
        """Commit at the tip of a branch, of the default branch when none is named; None when there is none.

        Raises TransientError while nothing has been fetched yet.
        """
        address = parse(url)
        if branch:
            versions.checked_version(branch)
        with self._reading(address):
            repo = self._open(address)
            return versions.at(repo, f"refs/heads/{branch}" if branch else str(repo.references["HEAD"].target))

    def resolve(self, url: str, version: str) -> str | None:
        """Full commit id for a version as people write it; None when the mirror knows none.

        In this order: a full id, a tag (peeled), a branch, an id of at least 7 digits; ``refs/tags/x`` and ``refs/heads/x``
        are exact. Raises TerminalError for an odd name or an ambiguous id, TransientError while nothing has been fetched yet.
        """
        address = parse(url)
        versions.checked_version(version)
        with self._reading(address):
            return versions.find(self._open(address), version)

    def files(self, url: str, commit: str, known: AbstractSet[str] = frozenset()) -> Manifests:
        """Every manifest of a commit (full id); content only of blobs whose id is not in ``known``.

        Folders that did not change since the last call for this address are not read again. Raises TerminalError when the
        commit is unknown or beyond the limits, TransientError when the mirror cannot be read.
        """
        address = parse(url)
        with self._reading(address):
            repo = self._open(address)
            walk = Walk(repo, self._limits, self._walks.get(address.slug, {}))
            result = trees.manifests(walk, trees.root(repo, commit), known)
        self._walks[address.slug] = walk.seen
        return result

    def checkout(self, source: str, revision: str, into: Path) -> None:
        """Write the files of commit ``revision`` (40 hex digits) as the new folder ``into``; see ``ports.Checkouts``.

        Raises TerminalError when the mirror lacks the commit or the tree is unsafe, TransientError when the disk fails.
        """
        address = parse(source)
        if not self._path(address).exists():
            raise TerminalError(f"{address.url} has never been fetched")
        with self._reading(address):
            repo = self._open(address)
            checkout.write(repo, trees.root(repo, revision), into, self._limits)

    def rewritten(self, url: str, old: str, new: str) -> bool:
        """Whether history was rewritten between two commits (full ids): ``old`` is not ``new`` nor an ancestor of it."""
        address = parse(url)
        if old == new:
            return False
        with self._reading(address):
            repo = self._open(address)
            return repo.get(old) is None or not repo.descendant_of(new, old)

    @contextmanager
    def _reading(self, address: Address) -> Iterator[None]:
        """Turn what pygit2 raises about a damaged or vanishing mirror into TransientError."""
        try:
            yield
        except TROUBLE as error:
            if isinstance(error, (pygit2.GitError, KeyError)):
                self._suspect(address)
            fault = f"it lacks the object {error}" if isinstance(error, KeyError) else error
            raise TransientError(f"cannot read the mirror of {address.url}: {fault}") from error

    def _path(self, address: Address) -> Path:
        return self._folder / f"{address.slug}.git"

    def _open(self, address: Address) -> pygit2.Repository:
        folder = self._path(address)
        try:
            return pygit2.Repository(str(folder))
        except pygit2.GitError as error:
            if not folder.exists():
                raise TransientError(f"{address.url} has not been fetched yet") from None
            self._suspect(address)
            raise TransientError(f"the mirror of {address.url} is damaged: {error}") from error


def pin_hosts(home: Path, known_hosts: Path | None) -> None:
    """Give a worker's home folder the pinned host keys and nothing else. Raises TerminalError when they cannot be read."""
    if known_hosts is None:
        raise TerminalError("ssh needs known_hosts: a file with the host keys to accept")
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(known_hosts, home / ".ssh" / "known_hosts")
    except OSError as error:
        raise TerminalError(f"known_hosts file {known_hosts}: {error.strerror}") from None


def _create(folder: Path, url: str) -> None:
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    repo = pygit2.init_repository(str(new), bare=True)
    repo.config["http.followRedirects"] = "false"  # a token never goes to where a server points
    repo.config["prodsprint.source"] = url  # for people who look into the folder
    new.rename(folder)


def _unchanged(job: Job) -> Report | None:
    """Look at a local remote without a process for it; None when there is something to fetch or to explain."""
    if not job.seen:
        return None
    try:
        remote = pygit2.Repository(job.folder).remotes.create_anonymous(job.url)
        remote.connect()
        refs = worker.advertised(remote, job.most_refs)
    except TROUBLE:
        return None
    return Report(False, len(refs.ids), refs.default, refs.digest) if refs.digest == job.seen else None
