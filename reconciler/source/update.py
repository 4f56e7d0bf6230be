"""Brings one mirror up to date: looks at the remote, and fetches what moved. Runs in a worker process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pygit2
from pygit2.enums import ConfigLevel, CredentialType

from reconciler.source import local, packedrefs, packs
from reconciler.source.job import MIB, Job, Quota, Refs, Report, complete, wanted
from reconciler.source.lookup import Web
from reconciler.source.trouble import TROUBLE, Away, Empty, Odd, Refused, TooLarge, busy, explain

REFSPECS = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
MANY_REFS = 100
"""New refs from which on they are put into one file."""


class Callbacks(pygit2.RemoteCallbacks):
    """Answers libgit2's questions for one job."""

    def __init__(self, job: Job, answered: Callable[[], None]) -> None:
        super().__init__()
        self._job = job
        self._asked = False
        self._answered = answered

    def certificate_check(self, _certificate: None, valid: bool, _host: bytes) -> bool:
        """Accept what libgit2 found valid. Without this method, pygit2 accepts every ssh host key."""
        self._answered()
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
    return complete(ids, top, default)


def held(repo: pygit2.Repository) -> dict[str, str]:
    """Branches and tags of the mirror with their ids."""
    return {ref.name: str(ref.target) for ref in repo.references.iterator()}


@dataclass(slots=True)
class Update:
    """One job under way. ``answered`` is called as soon as the server says something."""

    job: Job
    web: Web
    answered: Callable[[], None]

    def run(self) -> Report:
        """Look, and fetch what moved. Raises pygit2.GitError and the errors of ``trouble``."""
        job = self.job
        refs, digest = self._look()
        if digest and digest == job.seen:
            return Report(same=True, digest=digest)
        repo = pygit2.Repository(job.folder)
        refs = refs or self._listed(repo)
        digest = digest or refs.digest
        refs = refs.only(job.branches)
        found = Report(refs=len(refs.ids), default=refs.default, digest=digest)
        if found.digest == job.seen:
            return replace(found, same=True)
        have = self._have(repo, refs)
        if have and not refs.ids:
            raise Empty(_lost(job.branches))
        if have != refs.ids:
            self._fetch(repo, refs, have)
            moved_on = self._have(pygit2.Repository(job.folder), refs) != refs.ids
            found = replace(found, changed=True, digest="" if moved_on else digest)
        if refs.default and repo.references["HEAD"].target != refs.default:
            repo.references.create("HEAD", refs.default, force=True)
        return found

    def _look(self) -> tuple[Refs | None, str]:
        """Refs and digest over http(s), without refs when the digest is known; (None, "") when libgit2 has to look."""
        job = self.job
        if not job.url.startswith(("http://", "https://")):
            return None, ""
        try:
            look = self.web.look(job, self.answered)
            if look.digest == job.seen:
                return None, look.digest
            return look.refs(job.most_refs), look.digest
        except Odd:
            return None, ""

    def _listed(self, repo: pygit2.Repository) -> Refs:
        near = local.branches(self.job)
        if near is not None:
            return near
        remote = repo.remotes.create_anonymous(self.job.url)
        remote.connect(Callbacks(self.job, self.answered))
        self.answered()
        return advertised(remote, self.job.most_refs)

    def _have(self, repo: pygit2.Repository, refs: Refs) -> dict[str, str]:
        """What the mirror holds of the refs that were looked at."""
        branches = self.job.branches
        if not branches:
            return held(repo)
        names = wanted(branches, refs.default or str(repo.references["HEAD"].target))
        found = {name: repo.references.get(name) for name in names}
        return {name: str(reference.target) for name, reference in found.items() if reference}

    def _fetch(self, repo: pygit2.Repository, refs: Refs, have: dict[str, str]) -> None:
        folder = Path(self.job.folder)
        packs.clean(folder)
        # Before fetching: a branch ``a`` that became ``a/b`` would be in its own way.
        for name in have.keys() - refs.ids.keys():
            repo.references.delete(name)
        new = {name: oid for name, oid in refs.ids.items() if have.get(name) != oid}
        many = len(new) > MANY_REFS
        if new and not local.copied(repo, self.job, refs, have):
            self._ask(repo, sorted(new), many=many)
        elif many:
            packedrefs.write(folder, held(repo), new)
        else:
            for name, oid in new.items():
                repo.references.create(name, oid, force=True)
        packs.compact(folder)

    def _ask(self, repo: pygit2.Repository, new: list[str], *, many: bool) -> None:
        """Have libgit2 fetch. It compares every name with every ref, so many are better asked for by pattern."""
        specs = REFSPECS if many and not self.job.branches else [f"+{name}:{name}" for name in new]
        repo.remotes.create_anonymous(self.job.url).fetch(specs, callbacks=Callbacks(self.job, self.answered))
        if many:
            repo.references.compress()


def _lost(branches: tuple[str, ...]) -> str:
    if not branches:
        return "the remote has no branch or tag any more; the mirror keeps the last ones"
    names = " or ".join(branch or "(default)" for branch in branches)
    return f"the remote has no branch {names} any more; the mirror keeps the last one"


def attempt(job: Job, web: Web, answered: Callable[[], None] = lambda: None) -> Report:
    """Do a job, with every failure turned into a report."""
    said: list[None] = []

    def heard() -> None:
        if not said:
            said.append(None)
            answered()

    web.quota = Quota()
    try:
        found = Update(job, web, heard).run()
    except TROUBLE as error:
        found = _failure(job, error, bool(said))
    return replace(found, remaining=web.quota.remaining, wait=web.quota.wait)


def _failure(job: Job, error: BaseException, heard: bool) -> Report:
    limit = busy(error)
    text, terminal = explain(limit or error, job.url)
    text = text.replace(job.token, "***") if job.token else text
    silent = isinstance(error, Away) or (not heard and not terminal and not limit and not job.url.startswith("/"))
    return Report(
        error=text, terminal=terminal, damaged="corrupted" in str(error), away=silent, limited=limit is not None
    )
