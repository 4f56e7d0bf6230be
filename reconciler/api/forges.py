"""How each forge proves that a webhook is its own. All of them sign with a secret that both sides know.

Of a request, only the fields that prove it are read. Its body, and what it says about repos and commits, is never trusted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum

from reconciler.api.request import Head
from reconciler.core.secret import Secret

HEX = re.compile("[0-9a-f]{64}", re.ASCII)
LATE = 300.0
"""Seconds that a signed time may be away from now."""
MOST_SIGNATURES = 4
"""Signatures that one request may offer: while a secret is replaced there are two."""
STANDARD = "whsec_"
"""What a signing token of GitLab begins with; the rest is the key, in base64."""


class Forge(StrEnum):
    """Whose webhooks are understood, each under its own path."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    FORGEJO = "forgejo"
    BITBUCKET = "bitbucket"


SIGNED = {
    Forge.GITHUB: (("x-hub-signature-256", "sha256="),),
    Forge.GITEA: (("x-gitea-signature", ""),),
    Forge.FORGEJO: (("x-forgejo-signature", ""), ("x-gitea-signature", "")),
    Forge.BITBUCKET: (("x-hub-signature", "sha256="),),
}
"""Fields that hold the HMAC-SHA256 of the body in hex digits, with what stands before; the first that is there counts."""
PINGS = {Forge.GITHUB: ("x-github-event", "ping"), Forge.BITBUCKET: ("x-event-key", "diagnostics:ping")}
"""Field and value of the request that a forge sends when a webhook is set up."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request offers as proof: HMACs of ``prefix`` and its body, or the secret itself. Empty proves nothing."""

    digests: tuple[bytes, ...] = ()
    prefix: bytes = b""
    token: str = ""


def claim(forge: Forge, head: Head, now: float) -> Claim:
    """The proof that a request offers. ``now`` is in Unix seconds. Raises MalformedError for a field that is there twice."""
    if forge is Forge.GITLAB:
        return _gitlab(head, now)
    for name, before in SIGNED[forge]:
        text = head.field(name)
        if text:
            digits = text.removeprefix(before) if text.startswith(before) else ""
            return Claim((bytes.fromhex(digits),)) if HEX.fullmatch(digits) else Claim()
    return Claim()


def _gitlab(head: Head, now: float) -> Claim:
    signatures = head.field("webhook-signature")
    if not signatures:
        return Claim(token=head.field("x-gitlab-token"))
    identifier, at = head.field("webhook-id"), head.field("webhook-timestamp")
    if not re.fullmatch("[0-9]{1,12}", at, re.ASCII) or abs(int(at) - now) > LATE:
        return Claim()
    offered = [_decoded(text[3:]) for text in signatures.split(" ")[:MOST_SIGNATURES] if text.startswith("v1,")]
    return Claim(tuple(offered), f"{identifier}.{at}.".encode("latin-1"))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def is_ping(forge: Forge, head: Head) -> bool:
    """Whether a request says no more than that a webhook was set up."""
    name, value = PINGS.get(forge, ("", ""))
    return bool(name) and head.field(name).lower() == value


class Check:
    """Compares a request's proof with one secret, while its body goes by, in a time that tells nothing about either."""

    def __init__(self, forge: Forge, secret: Secret, offered: Claim) -> None:
        key = secret.reveal().encode()
        if forge is Forge.GITLAB and key.startswith(STANDARD.encode()) and not offered.token:
            key = _decoded(secret.reveal().removeprefix(STANDARD)) or key
        self._hash = hmac.new(key, offered.prefix, hashlib.sha256)
        self._offered = offered
        self._key = key

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        self._hash.update(piece)

    def holds(self) -> bool:
        """Whether the proof is right, now that the body is complete."""
        expected = self._hash.digest()
        matching = [hmac.compare_digest(expected, digest) for digest in self._offered.digests]
        token = hashlib.sha256(self._offered.token.encode("latin-1")).digest()
        given = hmac.compare_digest(token, hashlib.sha256(self._key).digest())
        return any(matching) or (bool(self._offered.token) and given)

    def digest(self) -> bytes:
        """What tells this body, under this secret, from others."""
        return self._hash.digest()
