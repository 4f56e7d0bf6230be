"""``POST /webhooks/<forge>[/<name>]``: a forge says that something was pushed, and a config repo is polled at once.

A webhook means "poll now" and nothing else: which repo is decided by whose secret verifies, never by what the request says.
All refusals are the same bytes, so that nobody learns which repos or names there are.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus

from reconciler import clock as entropy
from reconciler.api.address import parse_address
from reconciler.api.connections import TEXT, Bounds, Connections, Reply, plain, serve_connections
from reconciler.api.forges import Check, Forge, claim, is_ping
from reconciler.api.limits import Bucket, Failures, Rate, Seen
from reconciler.api.request import (
    EmptyError,
    EncodedError,
    Head,
    MalformedError,
    TooLargeError,
    body_length,
    read_body,
    read_head,
)
from reconciler.api.server import StopSignal
from reconciler.config_repos import ConfigRepo
from reconciler.core.outcome import TerminalError
from reconciler.core.secret import Secret
from reconciler.ports import Clock
from reconciler.secretfile import read_secret

log = logging.getLogger(__name__)

LARGEST_BODY = 1 << 20
PATIENCE = 10.0
"""Seconds that a request may take to arrive."""
MOST_CONNECTIONS = 64
MOST_UNNAMED = 8
"""Repos whose secrets are tried when the path names none."""
SHORTEST = 16
"""Characters of a secret: shorter ones can be guessed."""
EACH, TOGETHER = Rate(1, 30), Rate(20, 200)
"""Requests that prove nothing: of one address, and of all."""
ACCEPTED = Rate(100, 200)
"""Webhooks of one repo."""
WINDOW, MOST_SEEN = 600.0, 65_536
"""Seconds within which the same body is a replay, and how many are remembered."""
PATH = re.compile("/webhooks/([a-z]{1,20})(?:/([a-z0-9-]{1,40}))?/?")
UNKNOWN = "unknown"
"""Stands for the forge of a request that names none."""


class Outcome(StrEnum):
    """What became of a request; a label of the metric."""

    ACCEPTED = "accepted"
    PING = "ping"
    MALFORMED = "malformed"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    ENCODED = "encoded"
    TOO_SLOW = "too_slow"
    UNAUTHENTICATED = "unauthenticated"
    REPLAYED = "replayed"
    RATE_LIMITED = "rate_limited"
    FLOOD = "flood"
    """Refused unread: too many before it proved nothing."""
    EMPTY = "empty"
    """Nothing was said at all: somebody looked whether the port is open."""
    ERROR = "error"
    """Our own fault; the log has it."""


REFUSED = plain(HTTPStatus.UNAUTHORIZED)
REPLIES = {Outcome.ACCEPTED: plain(HTTPStatus.ACCEPTED), Outcome.PING: Reply(HTTPStatus.NO_CONTENT, TEXT, b"")}
PROVEN = frozenset({Outcome.ACCEPTED, Outcome.PING, Outcome.REPLAYED, Outcome.RATE_LIMITED})
"""Outcomes of requests that held the secret."""


class NotFoundError(Exception):
    """Nothing is there."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request whose body goes by: the repos that it may be for, each with the check of its secret."""

    forge: Forge
    ping: bool
    checks: tuple[tuple[ConfigRepo | None, Check], ...]

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        for _, check in self.checks:
            check.feed(piece)


@dataclass(slots=True)
class Hooks:
    """Who may have a repo polled. ``poll`` gets the repo's URL, at once; ``count`` the forge and the outcome of each request.

    Secrets are read at each request, so that a new one needs no restart.
    """

    repos: tuple[ConfigRepo, ...]
    poll: Callable[[str], None]
    clock: Clock
    count: Callable[[str, str], None]
    failures: Failures = field(default_factory=lambda: Failures(EACH, TOGETHER))
    _seen: Seen = field(default_factory=lambda: Seen(WINDOW, MOST_SEEN))
    _rates: dict[ConfigRepo, Bucket] = field(default_factory=dict)
    _mute: dict[ConfigRepo, str] = field(default_factory=dict)
    """Repos whose secret could not be read, and why, so that it is logged once."""
    _stand_in: Secret = field(default_factory=lambda: Secret(entropy.token()))
    """Checked where no secret can be."""

    def __post_init__(self) -> None:
        self.repos = tuple(one for one in self.repos if one.webhook_secret_file or one.webhook_secret_variable)
        self._rates = {repo: Bucket(ACCEPTED) for repo in self.repos}
        if len(self.repos) > MOST_UNNAMED:
            log.info("more than %d repos have webhooks: each of these has to name its repo", MOST_UNNAMED)

    def begin(self, head: Head) -> Attempt:
        """Look at a request before its body. Raises MalformedError, and NotFoundError where no webhook is taken."""
        match = PATH.fullmatch(head.path)
        if match is None or match[1] not in frozenset(Forge) or head.method != "POST":
            raise NotFoundError
        forge = Forge(match[1])
        offered = claim(forge, head, self.clock.now().wall)
        secrets = self._secrets(match[2])
        checks = tuple((repo, Check(forge, secret, offered)) for repo, secret in secrets)
        return Attempt(forge, is_ping(forge, head), checks)

    def end(self, attempt: Attempt) -> Outcome:
        """Judge a request whose body is complete, and poll what it may have polled."""
        verified = [(repo, check.digest()) for repo, check in attempt.checks if check.holds() and repo is not None]
        if not verified:
            return Outcome.UNAUTHENTICATED
        if attempt.ping:
            return Outcome.PING
        now = self.clock.now().mono
        fresh = [(repo, key) for repo, digest in verified if not self._seen.has(key := _mark(repo, digest), now)]
        if not fresh:
            return Outcome.REPLAYED
        due = [(repo, key) for repo, key in fresh if self._rates[repo].take(now)]
        if not due:
            return Outcome.RATE_LIMITED
        for _, key in due:
            self._seen.add(key, now)
        for url in dict.fromkeys(repo.url for repo, _ in due):
            self.poll(url)
        return Outcome.ACCEPTED

    def _secrets(self, name: str | None) -> list[tuple[ConfigRepo | None, Secret]]:
        """The secrets that a request may have been signed with; without its repo one that is tried to take as long."""
        named = [repo for repo in self.repos if name is None or repo.name == name]
        chosen = named if len(named) <= MOST_UNNAMED else []
        found: list[tuple[ConfigRepo | None, Secret]] = []
        for repo in chosen or self.repos[:1]:
            secret = self._secret(repo)
            found.append((repo if secret and chosen else None, secret or self._stand_in))
        return found or [(None, self._stand_in)]

    def _secret(self, repo: ConfigRepo) -> Secret | None:
        """The secret of a repo's webhooks; None when it cannot be read, which is logged once."""
        why, secret = "", None
        try:
            file = repo.webhook_secret_file
            secret = read_secret(file) if file else Secret(os.environ.get(repo.webhook_secret_variable, "").strip())
            if len(secret.reveal()) < SHORTEST:
                why = f"it is not set, or has less than {SHORTEST} characters"
        except TerminalError as error:
            why = str(error)
        if why and self._mute.get(repo) != why:
            log.warning("webhooks of %s are refused, because of their secret: %s", repo.url, why)
        self._mute[repo] = why
        return None if why else secret


def _mark(repo: ConfigRepo, digest: bytes) -> bytes:
    return sha256(f"{repo.url}#{repo.branch}\0".encode() + digest).digest()


def serve_webhooks(hooks: Hooks, address: str, ready: Callable[[str], None], stop: StopSignal) -> None:
    """Serve until ``stop`` is set; blocks. ``ready`` gets the address once webhooks are taken.

    Raises TerminalError when the address cannot be listened on.
    """
    where = parse_address(address)
    if not where.local:
        log.warning("webhooks are taken in clear text by %s; put a proxy with TLS before it", where)
    exchange = _Exchange(hooks)
    connections = Connections(exchange.answer, Bounds(MOST_CONNECTIONS, PATIENCE + 5, give_way=True))
    asyncio.run(serve_connections(where, connections, ready, stop))


FAULTS: dict[type[Exception], Outcome] = {
    MalformedError: Outcome.MALFORMED,
    TooLargeError: Outcome.TOO_LARGE,
    EncodedError: Outcome.ENCODED,
    EmptyError: Outcome.EMPTY,
    NotFoundError: Outcome.NOT_FOUND,
    TimeoutError: Outcome.TOO_SLOW,
    OSError: Outcome.MALFORMED,
}
"""What ends a request before its end; the first that fits counts. The last: the other side went away."""


@dataclass(slots=True)
class _Exchange:
    hooks: Hooks

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """One request, to its reply."""
        hooks, forge = self.hooks, UNKNOWN
        name = writer.get_extra_info("peername")
        peer = str(name[0]) if isinstance(name, tuple) else ""
        if hooks.failures.blocks(peer, hooks.clock.now().mono):
            hooks.count(forge, Outcome.FLOOD)
            return REFUSED.encode(head=False)
        try:
            forge, outcome = await self._judge(reader, writer)
        except Exception:
            log.exception("a webhook could not be judged")
            outcome = Outcome.ERROR
        now = hooks.clock.now().mono
        if outcome is not Outcome.EMPTY:
            (hooks.failures.proven if outcome in PROVEN else hooks.failures.failed)(peer, now)
        hooks.count(forge, outcome)
        log.debug("webhook: %s", outcome, extra={"forge": forge, "peer": peer})
        return REPLIES.get(outcome, REFUSED).encode(head=False)

    async def _judge(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, Outcome]:
        forge = UNKNOWN
        try:
            async with asyncio.timeout(PATIENCE):
                head = await read_head(reader)
                attempt = self.hooks.begin(head)
                forge = attempt.forge
                length = body_length(head, LARGEST_BODY)
                if head.field("expect").lower() == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                async for piece in read_body(reader, length, LARGEST_BODY):
                    attempt.feed(piece)
        except tuple(FAULTS) as error:
            return forge, next(outcome for kind, outcome in FAULTS.items() if isinstance(error, kind))
        return forge, self.hooks.end(attempt)
