"""What can go wrong with a remote, in sentences that say what to do and hold no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pygit2

from reconciler.core.outcome import TerminalError, TransientError


class TooLarge(Exception):  # noqa: N818 - says what it is
    """The remote exceeds a limit."""


class Refused(Exception):  # noqa: N818
    """The remote does not accept us."""


class Empty(Exception):  # noqa: N818
    """The remote lost every branch and tag: taken for an accident, never for a wish."""


class Away(OSError):  # noqa: N818
    """Nothing answers where the remote should be."""


class Odd(Exception):  # noqa: N818
    """An answer that only libgit2 may understand."""


class Busy(Exception):  # noqa: N818
    """The server has answered that it is asked too often, or has no time. ``wait``: the seconds that it asks for, or 0."""

    def __init__(self, status: int, wait: float) -> None:
        super().__init__(f"the server answers with status {status}: {BUSY.get(status, 'too many requests')}")
        self.wait = wait


BUSY = {503: "not available just now"}


class LaterError(TransientError):
    """There is no use in trying before ``retry_after`` seconds (> 0) have passed."""

    def __init__(self, text: str, retry_after: float) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class RateLimitedError(LaterError):
    """A server is asked too often, or too busy: all of its repos wait."""


class HostAwayError(LaterError):
    """A server did not answer at all, several times in a row: all of its repos wait."""


class ForgottenError(TerminalError):
    """The mirror does not hold a commit, or holds it no more."""


TROUBLE = (pygit2.GitError, TooLarge, Refused, Empty, Busy, OSError, KeyError, ValueError, MemoryError)
"""Everything that ``update.update`` and pygit2 raise."""

KNOWN = (
    ("status code: 401", "the server refused the credentials", True),
    ("status code: 403", "the server refused the credentials, or they may not read this repo", True),
    ("authentication", "the server refused the credentials", True),
    ("status code: 404", "the server knows no such repo, or hides it from these credentials", True),
    ("status code: 410", "the server says that the repo is gone", True),
    ("redirect from", "the server sends us to another address, which is not followed; use the new address", True),
    ("user rejected", "the server's ssh host key is not in the pinned known_hosts", True),
    ("hostkey", "the server's ssh host key is not in the pinned known_hosts", True),
    ("host key", "the server's ssh host key is not in the pinned known_hosts", True),
    ("certificate", "the server's certificate is not valid", True),
    ("object format", "the repo does not use SHA-1 object ids; SHA-256 repos are not supported", True),
    ("unsupported extension", "the repo uses a git extension that is not supported (SHA-256, partial clone)", True),
    ("timed out", "the server did not answer in time", False),
    ("failed to resolve", "the server's name cannot be resolved", False),
    ("failed to connect", "the server cannot be reached", False),
)
"""Part of libgit2's message, our sentence, and whether waiting is useless."""


def explain(error: BaseException, url: str) -> tuple[str, bool]:
    """One sentence for an error, and whether it is terminal."""
    if isinstance(error, (TooLarge, Refused, Empty, Busy)):
        return f"{url}: {error}", not isinstance(error, (Empty, Busy))
    if isinstance(error, MemoryError):
        return f"{url}: the server sent more than fits in memory", True
    text = " ".join(str(error).split())[:300]
    if url.startswith("https://") and "user rejected" in text:
        return f"{url}: the server's certificate is not valid", True
    if url.startswith("/") and ("unsupported URL protocol" in text or "could not find repo" in text):
        return f"{url}: the folder {'is no git repo' if Path(url).is_dir() else 'does not exist'}", True
    for mark, sentence, terminal in KNOWN:
        if mark in text:
            return f"{url}: {sentence} (git says: {text})", terminal
    return f"{url}: {text}", False


def busy(error: BaseException) -> Busy | None:
    """What an error says about a server that is asked too often, also when it is libgit2 that was told so."""
    found = re.search(r"status code: (429|503)", str(error))
    return error if isinstance(error, Busy) else Busy(int(found[1]), 0.0) if found else None
