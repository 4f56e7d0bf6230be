"""Brings one mirror up to date. Runs in a process of its own wherever a remote could stall, flood or crash it.

The alarm clock is the kernel's: whatever a server does, in DNS, TLS or the middle of a line, the process
ends at its deadline.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import pygit2
from pygit2.enums import ConfigLevel, CredentialType

from reconciler.source import packs
from reconciler.source.trouble import TROUBLE, Empty, Refused, TooLarge, explain

REFSPECS = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
MEMORY = 1 << 30
"""Bytes of private memory a worker may use: a flood of refs ends it, not the machine."""
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """One fetch. ``deadline`` in seconds; ``seen`` is the digest of the refs that the mirror is known to hold."""

    folder: str
    url: str
    deadline: float
    seen: str = ""
    username: str = ""
    token: str = ""
    key: str = ""
    home: str = ""
    """Folder with the ``.ssh/known_hosts`` that pins host keys."""
    ca: str = ""
    most_bytes: int = 4096 * MIB
    most_refs: int = 100_000

    def __repr__(self) -> str:
        return f"Job({self.folder!r})"


@dataclass(frozen=True, slots=True)
class Report:
    """How a fetch went. ``error`` is a sentence; ``terminal`` says that it stays so until somebody changes something."""

    changed: bool = False
    refs: int = 0
    default: str = ""
    digest: str = ""
    error: str = ""
    terminal: bool = False
    damaged: bool = False
    """Whether files of the mirror seem to be damaged."""


@dataclass(frozen=True, slots=True)
class Refs:
    """What a remote advertises: branches and tags with their ids, and its default branch ("" when it names none)."""

    ids: dict[str, str]
    default: str

    @property
    def digest(self) -> str:
        """Hash over all of it."""
        return sha256(json.dumps([sorted(self.ids.items()), self.default]).encode()).hexdigest()


class Callbacks(pygit2.RemoteCallbacks):
    """Answers libgit2's questions for one job."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job
        self._asked = False

    def certificate_check(self, _certificate: None, valid: bool, _host: bytes) -> bool:
        """Accept what libgit2 found valid. Without this method, pygit2 accepts every ssh host key."""
        return valid

    def credentials(
        self, url: str, username: str | None, allowed: CredentialType
    ) -> pygit2.Username | pygit2.UserPass | pygit2.Keypair:
        """Give what the job holds, once: being asked again means that it was not accepted.

        ``url`` is where redirects led; a token goes only to the server that it is configured for.
        """
        job = self._job
        if allowed & CredentialType.USERNAME:
            return pygit2.Username(username or "git")
        if server(url) != server(job.url):
            raise Refused(
                "a redirect to another server, which asks for credentials, is not followed; use the new address"
            )
        if self._asked:
            raise Refused("the server refused the credentials")
        self._asked = True
        if job.token and allowed & CredentialType.USERPASS_PLAINTEXT:
            return pygit2.UserPass(job.username, job.token)
        if job.key and allowed & CredentialType.SSH_KEY:
            return pygit2.Keypair(username or "git", None, job.key, "")
        raise Refused("the server asks for credentials, and none that fit are configured")

    def transfer_progress(self, stats: pygit2.remotes.TransferProgress) -> None:
        """Stop a pack that grows too large. Called for every object, so it does next to nothing."""
        if stats.received_bytes > self._job.most_bytes:
            raise TooLarge(f"the repo is larger than {self._job.most_bytes // MIB} MiB")


def server(url: str) -> tuple[str, str]:
    """Scheme and host with port: what a credential is for."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2]


def prepare() -> None:
    """Make libgit2 of this process independent of the user's configuration.

    Owner validation protects programs that run what a repo's configuration names; libgit2 runs nothing, and a repo of another
    user is what a daemon usually mirrors.
    """
    pygit2.settings.owner_validation = False
    for level in (ConfigLevel.GLOBAL, ConfigLevel.SYSTEM, ConfigLevel.XDG):
        pygit2.settings.search_path[level] = ""


def advertised(remote: pygit2.Remote, most: int) -> Refs:
    """The refs of a connected remote. Raises TooLarge for more than ``most``."""
    heads = remote.list_heads(connect=False)
    if len(heads) > most:
        raise TooLarge(f"the repo has more than {most} refs")
    ids: dict[str, str] = {}
    top = ""
    default = ""
    for head in heads:
        name = head.name or ""
        if name == "HEAD":
            top, default = str(head.oid), head.symref_target or ""
        elif name.startswith(("refs/heads/", "refs/tags/")) and pygit2.reference_is_valid_name(name):
            ids[name] = str(head.oid)
    return Refs(ids, default if default in ids else _guess(ids, top))


def _guess(ids: dict[str, str], top: str) -> str:
    """The default branch of a server too old to name it: main or master, else the only branch with HEAD's commit."""
    same = [name for name, oid in ids.items() if oid == top and name.startswith("refs/heads/")]
    usual = [name for name in ("refs/heads/main", "refs/heads/master") if name in same]
    return usual[0] if usual else same[0] if len(same) == 1 else ""


def held(repo: pygit2.Repository) -> dict[str, str]:
    """Branches and tags of the mirror with their ids."""
    return {ref.name: str(ref.target) for ref in repo.references.iterator()}


def update(job: Job) -> Report:
    """Look at the remote and fetch what changed. Raises pygit2.GitError and the errors of ``trouble``."""
    repo = pygit2.Repository(job.folder)
    remote = repo.remotes.create_anonymous(job.url)
    remote.connect(Callbacks(job))
    refs = advertised(remote, job.most_refs)
    report = Report(False, len(refs.ids), refs.default, refs.digest)
    if refs.digest == job.seen:
        return report
    have = held(repo)
    if have and not refs.ids:
        raise Empty("the remote has no branch or tag any more; the mirror keeps the last ones")
    if have != refs.ids:
        _fetch(repo, remote, job, refs, have)
        report = Report(True, len(refs.ids), refs.default, refs.digest)
    if refs.default:
        repo.references.create("HEAD", refs.default, force=True)
    return report


def _fetch(repo: pygit2.Repository, remote: pygit2.Remote, job: Job, refs: Refs, have: dict[str, str]) -> None:
    packs.clean(Path(job.folder))
    # Before fetching: a branch ``a`` that became ``a/b`` would be in its own way.
    for name in have.keys() - refs.ids.keys():
        repo.references.delete(name)
    if refs.ids:
        remote.fetch(REFSPECS, callbacks=Callbacks(job))
    packs.compact(Path(job.folder))


def attempt(job: Job) -> Report:
    """``update``, with every failure turned into a report."""
    try:
        return update(job)
    except TROUBLE as error:
        text, terminal = explain(error, job.url)
        text = text.replace(job.token, "***") if job.token else text
        return Report(error=text, terminal=terminal, damaged="corrupted" in str(error))


def main(raw: dict[str, object]) -> None:
    """Do the job given as JSON by the parent, and print the report as JSON."""
    job = Job(**raw)  # type: ignore[arg-type]
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, job.deadline)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    prepare()
    pygit2.settings.enable_fsync_gitdir(True)
    pygit2.settings.server_connect_timeout = pygit2.settings.server_timeout = max(1, int(job.deadline * 1000))
    if job.home:
        pygit2.settings.homedir = job.home
    if job.ca:
        pygit2.settings.set_ssl_cert_locations(job.ca, None)
    sys.stdout.write(json.dumps(asdict(attempt(job))))


def report(raw: bytes) -> Report | None:
    """Read what ``main`` printed; None when it is not that."""
    try:
        values = json.loads(raw)
        return Report(**{field.name: values[field.name] for field in fields(Report)})
    except (ValueError, KeyError, TypeError):
        return None
