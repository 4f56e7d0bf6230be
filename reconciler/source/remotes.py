"""Keeps mirrors up to date with their remotes: who is asked, with what, how often, and what is remembered of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.ports import Clock
from reconciler.source import local
from reconciler.source.address import Address, Credentials
from reconciler.source.folders import Folders
from reconciler.source.hosts import Hosts
from reconciler.source.job import Job, Report
from reconciler.source.pool import Pool, Profile


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a fetch found: whether it changed the mirror, how many refs it looked at, and the default branch or ""."""

    changed: bool
    refs: int
    default: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a remote had when it was last looked at, and what it looked like from outside if it is on this machine."""

    digest: str
    result: FetchResult
    signature: str = ""


class Remotes:
    """Thread-safe. ``anew`` is told when a mirror was cloned anew."""

    def __init__(
        self, folders: Folders, credentials: Credentials, deadline: float, clock: Clock, anew: Callable[[Address], None]
    ) -> None:
        """``deadline``: seconds that one look with its fetch may take in all."""
        self._folders = folders
        self._credentials = credentials
        self._deadline = deadline
        self._anew = anew
        self.hosts = Hosts(clock)
        self.pool = Pool(deadline)
        self._seen: dict[str, dict[tuple[str, ...], _Seen]] = {}

    def fetch(self, address: Address, branches: tuple[str, ...]) -> FetchResult:
        """See ``Mirrors.fetch``."""
        self.hosts.check(address)
        with self._folders.locked(address) as lock:
            anew = self._folders.damaged(address)
            seen = None if anew else self._seen.get(address.slug, {}).get(branches)
            signature = local.signature(address.url, branches) if address.local else ""
            if seen and signature and seen.signature == signature:
                return replace(seen.result, changed=False)
            report = self._work(address, branches, seen, lock, anew=anew)
            if not report.error:
                if anew:
                    self._folders.replace(address, report.digest)
                    self._anew(address)
                return self._remember(address, branches, report, seen, signature)
        raise self._error(address, report)

    def last(self, address: Address) -> str:
        """Digest of the last good look, "" before it."""
        seen = list(self._seen.get(address.slug, {}).values())
        return seen[-1].digest if seen else ""

    def forget(self, address: Address) -> None:
        """Drop what is remembered of a remote."""
        self._seen.pop(address.slug, None)

    def _work(
        self, address: Address, branches: tuple[str, ...], seen: _Seen | None, lock: int, *, anew: bool
    ) -> Report:
        folder = self._folders.prepared(address, anew=anew)
        job = Job(str(folder), address.url, self._deadline, seen.digest if seen else "", branches)
        job, profile = self._opened(address, job)
        report = self.pool.run(job, profile, address.host, lock)
        later = self.hosts.note(address, report)
        if later is not None:
            raise later
        return report

    def _remember(
        self, address: Address, branches: tuple[str, ...], report: Report, seen: _Seen | None, signature: str
    ) -> FetchResult:
        if report.same and seen:
            result = replace(seen.result, changed=False)
        else:
            result = FetchResult(report.changed, report.refs, report.default.removeprefix("refs/heads/"))
        if report.changed:
            self._seen.pop(address.slug, None)  # what was seen for other branches may not be what the mirror has now
        if not report.digest or (address.local and local.signature(address.url, branches) != signature):
            signature = ""
        self._seen.setdefault(address.slug, {})[branches] = _Seen(report.digest, result, signature)
        return result

    def _error(self, address: Address, report: Report) -> TransientError | TerminalError:
        if report.damaged:
            self._folders.suspect(address, self.last(address))
        return (TerminalError if report.terminal else TransientError)(report.error)

    def _opened(self, address: Address, job: Job) -> tuple[Job, Profile]:
        """The job with what opens the repo, and the kind of worker that can do it."""
        rule = self._credentials.find(address)
        if address.local or rule is None:
            return job, Profile()
        if address.scheme == "ssh":
            return replace(job, key=str(rule.key_file or "")), Profile(home=str(self._folders.home(rule.known_hosts)))
        token = self._credentials.token(address)
        secret = token.reveal() if token else ""
        return replace(job, username=rule.username, token=secret), _pinned(rule.ca_file)


def _pinned(ca: Path | None) -> Profile:
    if ca is None:
        return Profile()
    try:
        found = ca.stat()
    except OSError as error:
        raise TerminalError(f"ca_file {ca}: {error.strerror}") from None
    return Profile(str(ca), (found.st_mtime_ns, found.st_size, found.st_ino))
