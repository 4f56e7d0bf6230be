"""What a repo may be called, and which credential belongs to it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reconciler.core.outcome import TerminalError
from reconciler.core.secret import Secret
from reconciler.secretfile import read_secret

LONGEST = 2048
SCP = re.compile(r"[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:[^:/\s][^\s]*|[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:/[^\s]*")
"""``user@host:path``, the short form of an ssh address."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Address:
    """A repo's address, checked. ``url`` is what git gets; ``scheme`` is file, http, https or ssh."""

    url: str
    scheme: str
    host: str = ""

    @property
    def local(self) -> bool:
        """Whether the repo lies in this machine's file system."""
        return self.scheme == "file"

    @property
    def slug(self) -> str:
        """Name of the mirror's folder: 32 hex digits of the URL's hash."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:32]


def parse(url: str) -> Address:
    """Check a repo's address. Raises TerminalError, without repeating a password, for what is not accepted."""
    if not url or len(url) > LONGEST or url.startswith("-") or not url.isprintable():
        raise TerminalError(f"a repo's address has 1 to {LONGEST} printable characters and no leading dash")
    if url.startswith("/"):
        return Address(os.path.normpath(url), "file")
    if SCP.fullmatch(url):
        return Address(url.rstrip("/"), "ssh", url.partition("@")[2].partition(":")[0])
    return _with_scheme(url)


def _with_scheme(url: str) -> Address:
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname or "", parts.password
    except ValueError:
        raise TerminalError("a repo's address that cannot be read as a URL") from None
    if secret is not None:
        raise TerminalError(f"the address of a repo on {host} holds a password; name a token_file instead")
    if parts.scheme == "file" and host in {"", "localhost"} and parts.path.startswith("/"):
        return Address(os.path.normpath(unquote(parts.path)), "file")
    plain = not (parts.query or parts.fragment or re.search(r"\s", url))
    if (
        parts.scheme in {"http", "https", "ssh"}
        and host
        and not host.startswith("-")
        and parts.path.strip("/")
        and plain
    ):
        return Address(url.rstrip("/"), parts.scheme, host)
    raise TerminalError(
        f"{url!r} is no repo address: expected an absolute path, file://, https://, ssh:// or user@host:path"
    )


@dataclass(frozen=True, slots=True)
class Credential:
    """What opens the repos below one URL prefix. Files and variables are read at each fetch, so rotation needs no restart."""

    prefix: str
    username: str = "x-access-token"
    """Sent with a token; GitHub and Gitea take any, GitLab wants ``oauth2``."""
    token_file: Path | None = None
    token_variable: str = ""
    """Name of an environment variable that holds the token."""
    key_file: Path | None = None
    """Private ssh key."""
    known_hosts: Path | None = None
    """The only host keys that are accepted over ssh."""
    ca_file: Path | None = None
    """The only certificate authorities that are accepted over https."""

    def opens(self, url: str) -> bool:
        """Whether the prefix covers ``url``, cut only where a part of the address ends."""
        cut = self.prefix if self.prefix.endswith(("/", ":")) else self.prefix + "/"
        return url == self.prefix or url.startswith(cut)

    def token(self) -> Secret | None:
        """The token, or None when none is configured. Raises TerminalError when it is configured and not there."""
        if self.token_file:
            return read_secret(self.token_file)
        if self.token_variable:
            text = os.environ.get(self.token_variable, "")
            if not text:
                raise TerminalError(
                    f"the environment variable {self.token_variable}, named for {self.prefix}, is not set"
                )
            return Secret(text.strip())
        return None


class Credentials:
    """The configured credentials; the one with the longest prefix that covers an address is used."""

    def __init__(self, rules: tuple[Credential, ...] = ()) -> None:
        self._rules = sorted(rules, key=lambda rule: -len(rule.prefix))

    def find(self, address: Address) -> Credential | None:
        """The credential for an address; None when there is none."""
        return next((rule for rule in self._rules if rule.opens(address.url)), None)

    def token(self, address: Address) -> Secret | None:
        """The token for an http(s) address. Raises TerminalError rather than let one cross a network in clear."""
        rule = self.find(address)
        token = rule.token() if rule else None
        if token and address.scheme == "http" and address.host not in LOOPBACK:
            raise TerminalError(f"a token for {address.url} would be sent in clear; use https")
        return token
