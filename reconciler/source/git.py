"""Mirrors of git repos: fetched under a deadline, read at any time by any thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

import pygit2

from reconciler.clock import SystemClock
from reconciler.core.outcome import TerminalError
from reconciler.ports import Clock
from reconciler.source import checkout, trees, versions
from reconciler.source.address import Address, Credentials, parse
from reconciler.source.changes import Change, Differ, Tallies
from reconciler.source.folders import Folders
from reconciler.source.remotes import FetchResult, Remotes
from reconciler.source.trees import Found, Limits, Manifests, Walk
from reconciler.source.trouble import ForgottenError
from reconciler.source.update import prepare


class Mirrors:
    """Bare mirrors below one folder, one for each address. All methods may be called from any thread.

    Every read opens the repo anew (0.05 ms): pygit2 objects are not shared between threads, and new packs are seen at once.
    All methods raise TerminalError for an address that is not accepted.
    """

    def __init__(
        self,
        folder: Path,
        credentials: Credentials | None = None,
        deadline: float = 30.0,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``deadline``: seconds that one fetch may take in all. ``clock`` says how long servers have been left alone."""
        prepare()
        self._limits = limits or Limits()
        self._folders = Folders(folder, deadline)
        self._remotes = Remotes(
            self._folders, credentials or Credentials(), deadline, clock or SystemClock(), self._renewed
        )
        self._walks: dict[str, dict[str, Found]] = {}

    def close(self) -> None:
        """End the worker processes; a fetch that is under way fails."""
        self._remotes.pool.close()

    # --- the remote ---------------------------------------------------------------------------------------------------

    def fetch(self, url: str, branches: tuple[str, ...] = ()) -> FetchResult:
        """Bring the mirror up to date; an unchanged remote costs one look at its refs.

        With ``branches`` only these are looked at and fetched ("" is the remote's default branch), else all branches and
        tags. One mirror may be fetched both ways.

        Raises TransientError (unreachable, too slow, busy) or TerminalError (refused, not there, too large), each with a
        sentence that names the address and no secret. The mirror then stays as it was. One that turned out to be damaged is
        cloned anew, and replaced when that is done. A server that wants to be left alone, or has not answered, is not asked
        before its time: RateLimitedError or HostAwayError, with ``retry_after`` in seconds.
        """
        for branch in filter(None, branches):
            versions.checked_version(branch)
        return self._remotes.fetch(parse(url), tuple(sorted(set(branches))))

    def quotas(self) -> dict[str, int]:
        """Requests that servers still allow, by ``host`` or ``host:port``, for those that say so."""
        return self._remotes.hosts.quotas()

    def retain(self, urls: Iterable[str]) -> tuple[str, ...]:
        """Drop the mirrors of all other addresses; returns those. One that is being fetched stays until the next time."""
        keep = set()
        for url in urls:
            try:
                keep.add(parse(url).slug)
            except TerminalError:
                continue  # an address that is not accepted has no mirror
        gone = self._folders.retain(frozenset(keep))
        for address in gone:
            self._remotes.forget(address)
            self._walks.pop(address.slug, None)
        return tuple(address.url for address in gone)

    def _renewed(self, address: Address) -> None:
        self._walks.pop(address.slug, None)

    # --- the mirror ---------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self, url: str) -> Iterator[pygit2.Repository]:
        """The mirror, opened for this thread. What goes wrong with it inside becomes TransientError."""
        address = parse(url)
        with self._folders.reading(address, self._remotes.last(address)):
            yield self._folders.open(address)

    def head(self, url: str, branch: str = "") -> str | None:
        """Commit at the tip of a branch, of the default branch when none is named; None when there is none.

        Raises TransientError while nothing has been fetched yet.
        """
        if branch:
            versions.checked_version(branch)
        with self.reading(url) as repo:
            return versions.at(repo, f"refs/heads/{branch}" if branch else str(repo.references["HEAD"].target))

    def resolve(self, url: str, version: str) -> str | None:
        """Full commit id for a version as people write it; None when the mirror knows none.

        In this order: a full id, a tag (peeled), a branch, an id of at least 7 digits; ``refs/tags/x`` and ``refs/heads/x``
        are exact. Raises TerminalError for an odd name or an ambiguous id, TransientError while nothing has been fetched yet.
        """
        versions.checked_version(version)
        with self.reading(url) as repo:
            return versions.find(repo, version)

    def resolve_all(self, url: str, wanted: Iterable[str]) -> dict[str, str | None]:
        """``resolve`` for many versions of one repo. None also where ``resolve`` raises TerminalError, which says why.

        Raises TransientError while nothing has been fetched yet.
        """
        found: dict[str, str | None] = {}
        with self.reading(url) as repo:
            for version in wanted:
                try:
                    found[version] = versions.find(repo, versions.checked_version(version))
                except TerminalError:
                    found[version] = None
        return found

    def changes(self, url: str, before: str | None, commit: str) -> tuple[Change, ...]:
        """How the manifests of ``commit`` (full id) differ from those of ``before``; all of them when that is None.

        An empty answer without ``before`` says that the commit has no manifest: one that cannot be read raises. The cost is
        that of what differs, as long as a tally of ``before`` is at hand; the mirror keeps those of the last commits.

        Raises TerminalError when ``commit`` is beyond the limits or unknown, ForgottenError when ``before`` is no longer in
        the mirror, TransientError when the mirror cannot be read.
        """
        with self.reading(url) as repo:
            if before and not isinstance(repo.get(before), pygit2.Commit):
                raise ForgottenError(f"the mirror of {url} holds no commit {before[:60]!r}")
            return Differ(repo, self._limits, Tallies(Path(repo.path))).changes(before, commit)

    def contents(self, url: str, blobs: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Blob id and content of each of ``blobs`` (as ``changes`` names them), in order.

        Raises TerminalError for one that is too large for a manifest, TransientError when the mirror cannot be read.
        """
        with self.reading(url) as repo:
            for blob in blobs:
                oid = trees.oid_of(blob)
                if repo.odb.read_header(oid)[1] > self._limits.manifest:
                    raise TerminalError(f"{url}: blob {blob} has more than {self._limits.manifest} bytes")
                yield blob, repo.odb.read(oid)[1]

    def files(self, url: str, commit: str, known: AbstractSet[str] = frozenset()) -> Manifests:
        """Every manifest of a commit (full id); content only of blobs whose id is not in ``known``.

        Folders that did not change since the last call for this address are not read again. Raises TerminalError when the
        commit is unknown or beyond the limits, TransientError when the mirror cannot be read.
        """
        slug = parse(url).slug
        with self.reading(url) as repo:
            walk = Walk(repo, self._limits, self._walks.get(slug, {}))
            result = trees.manifests(walk, trees.root(repo, commit), known)
        self._walks[slug] = walk.seen
        return result

    def checkout(self, source: str, revision: str, into: Path) -> None:
        """Write the files of commit ``revision`` (40 hex digits) as the new folder ``into``; see ``ports.Checkouts``.

        Raises TerminalError when the mirror lacks the commit or the tree is unsafe, TransientError when the disk fails.
        """
        address = parse(source)
        if not self._folders.path(address).exists():
            raise TerminalError(f"{address.url} has never been fetched")
        with self.reading(source) as repo:
            checkout.write(repo, trees.root(repo, revision), into, self._limits)

    def rewritten(self, url: str, old: str, new: str) -> bool:
        """Whether history was rewritten between two commits (full ids): ``old`` is not ``new`` nor an ancestor of it."""
        if old == new:
            return False
        with self.reading(url) as repo:
            return repo.get(old) is None or not repo.descendant_of(new, old)
