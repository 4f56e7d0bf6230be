"""Who vouches for the commits of a config repo: every commit between the one in force and a newer one is verified.

Commits are named by id alone, and read by id, so that what was verified is what is used. Whoever is not known to have signed
is not trusted: a missing program, file or object raises.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, SortMode

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source import openpgp, ssh_signatures
from reconciler.source.commits import LARGEST, SignatureError, SignedCommit, claimed_author, split
from reconciler.source.openpgp import OpenPgpKeys
from reconciler.source.signature_tools import read_keys
from reconciler.source.ssh_signatures import SshSigners

MOST_COMMITS = 2000
"""Commits that one call verifies: about 10 seconds."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Files, outside of the repo, that say who may sign. They are read at each call."""

    allowed_signers: Path | None = None
    """OpenSSH ``allowed_signers``."""
    openpgp_keys: Path | None = None
    """OpenPGP public keys, armored or binary."""
    revoked_signers: Path | None = None
    """OpenSSH revocation list, or public keys, a line each."""


@dataclass(frozen=True, slots=True)
class Signer:
    """An allowed signer: the name that the administrator's files have for the key, and the key's fingerprint."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was verified: the signer of every commit in the range, by commit id."""

    head: str
    signers: Mapping[str, Signer] = field(default_factory=dict)

    @property
    def signer(self) -> str:
        """Who signed the head; empty when that was not looked at, since it was in force or pinned already."""
        return self.signers[self.head].name if self.head in self.signers else ""


class UntrustedError(TerminalError):
    """A commit that no allowed signer vouches for. ``author`` is only what the commit claims."""

    def __init__(self, commit: str, author: str, why: str) -> None:
        by = f", which claims to be by {author}," if author else ""
        super().__init__(f"commit {commit[:12]}{by} is not trusted: {why}; see docs/trust.md")
        self.commit, self.author, self.why = commit, author, why


def verify(
    repo: pygit2.Repository,
    applied: str | None,
    head: str,
    keys: Keys,
    *,
    first: str = "",
    now: float,
    most: int = MOST_COMMITS,
) -> Verified:
    """Verify every commit that ``head`` has and ``applied`` and ``first`` have not, the oldest first.

    Ids are full ones. ``now`` (Unix seconds) is when keys have to be valid. The head alone is verified when there is neither
    an applied nor a pinned first commit, and when the branch went back to before these.

    Raises UntrustedError for the first commit that is not signed by an allowed signer, TerminalError when nothing can be
    verified (a file or program is missing), TransientError when the machine fails.
    """
    if head in {applied, first}:
        return Verified(head)
    commits = _new(repo, head, [one for one in (applied, first) if one], most) or [head]
    with _checking(keys, now) as checker:
        return Verified(head, {commit: checker.signer(repo, commit) for commit in commits})


def identity(repo: pygit2.Repository, commit: str, keys: Keys, *, now: float) -> str | None:
    """Who signed one commit (full id); None when no allowed signer did. Raises as ``verify`` does when it cannot be known."""
    with _checking(keys, now) as checker:
        try:
            return checker.signer(repo, commit).name
        except UntrustedError:
            return None


def _new(repo: pygit2.Repository, head: str, known: list[str], most: int) -> list[str]:
    """Commits that ``head`` has and those ``known`` have not, the oldest first; none when nothing is known."""
    if not known:
        return []
    there = [commit for commit in known if commit in repo]
    if not there:
        raise UntrustedError(
            head, "", f"{known[0][:12]}, in force or pinned, is not in the repo: nobody knows what is new"
        )
    try:
        walker = repo.walk(pygit2.Oid(hex=head), SortMode.TOPOLOGICAL)
        for commit in there:
            walker.hide(pygit2.Oid(hex=commit))
        commits = [str(commit.id) for commit in islice(walker, most + 1)]
    except ValueError as error:  # malformed; an object that is missing is the mirror's fault, and a KeyError
        raise UntrustedError(head, "", f"its history cannot be read: {error}") from None
    if len(commits) > most:
        why = f"more than {most} commits are new; look at them, and pin one of them as `first`"
        raise UntrustedError(head, "", why)
    return commits[::-1]


@contextmanager
def _checking(keys: Keys, now: float) -> Iterator[_Checker]:
    try:
        with tempfile.TemporaryDirectory(prefix="prodsprint-keys-", ignore_cleanup_errors=True) as folder:
            yield _Checker(Path(folder), keys, now)
    except OSError as error:
        raise TransientError(f"signatures cannot be checked: {error.strerror or error}") from error


@dataclass(slots=True)
class _Checker:
    """Checks commits against keys that are read once, when the first commit needs them."""

    folder: Path
    keys: Keys
    now: float
    ssh: SshSigners | None = None
    pgp: OpenPgpKeys | None = None

    def signer(self, repo: pygit2.Repository, commit: str) -> Signer:
        raw = _read(repo, commit)
        try:
            return Signer(*self._signed(split(raw)))
        except SignatureError as error:
            raise UntrustedError(commit, claimed_author(raw), str(error)) from None

    def _signed(self, commit: SignedCommit) -> tuple[str, str]:
        text = commit.signature
        if not text:
            raise SignatureError("it is not signed")
        try:
            if text.startswith(ssh_signatures.BEGIN):
                return self._ssh().signer(commit.payload, text)
            if text.startswith(openpgp.BEGIN):
                return self._openpgp().signer(commit.payload, text)
        except SignatureError as error:
            if commit.merge:
                raise SignatureError(f"{error} (a merge made on the forge's web page is signed by the forge)") from None
            raise
        raise SignatureError("its signature is neither an SSH nor an OpenPGP one")

    def _ssh(self) -> SshSigners:
        if self.keys.allowed_signers is None:
            raise SignatureError("it is signed with an SSH key, and no `allowedSigners` are given")
        if self.ssh is None:
            revoked = self.keys.revoked_signers
            self.ssh = SshSigners(
                self.folder,
                read_keys(self.keys.allowed_signers, "the signers file"),
                read_keys(revoked, "the file of revoked signers") if revoked else b"",
                self.now,
            )
        return self.ssh

    def _openpgp(self) -> OpenPgpKeys:
        if self.keys.openpgp_keys is None:
            raise SignatureError("it is signed with an OpenPGP key, and no `openpgpKeys` are given")
        if self.pgp is None:
            data = read_keys(self.keys.openpgp_keys, "the file of OpenPGP keys")
            self.pgp = OpenPgpKeys(self.folder / "gnupg", data, self.now)
        return self.pgp


def _read(repo: pygit2.Repository, commit: str) -> bytes:
    """Bytes of a commit. Raises KeyError when the repo lacks it, UntrustedError for what is too large or no commit."""
    oid = pygit2.Oid(hex=commit)
    kind, size = repo.odb.read_header(oid)
    if kind != ObjectType.COMMIT or size > LARGEST:
        raise UntrustedError(
            commit, "", f"it has {size} bytes, at most {LARGEST} are checked" if size > LARGEST else "it is no commit"
        )
    data: bytes = repo.odb.read(oid)[1]
    return data
