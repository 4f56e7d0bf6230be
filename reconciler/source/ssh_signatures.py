"""SSH signatures of commits, checked by OpenSSH itself: it knows certificates, hardware keys, validity and namespaces."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from reconciler.core.text import one_line
from reconciler.source.commits import SignatureError
from reconciler.source.signature_tools import Answer, found, run

BEGIN = b"-----BEGIN SSH SIGNATURE-----"
END = b"-----END SSH SIGNATURE-----"
MAGIC = b"SSHSIG"
PACKAGE = "openssh-client"
PATTERN = re.compile(r"[*?!]")
"""What makes a principal in the signers file a pattern, which is nobody's name."""
KEY = re.compile(r" key (SHA256:\S+)$")
WHY = (
    ("has expired", "its key has expired"),
    ("not yet valid", "its key is not valid yet"),
    ("no valid principals", "its certificate names no allowed signer, or is not valid now"),
    ("namespace does not match", "its signature was made for something else than git"),
    ("not permitted for use in signature namespace", "its key may not sign commits (`namespaces` in the signers file)"),
    ("incorrect signature", "its content was changed after it was signed"),
    ("certificate not authorized", "the certificate of its key is not accepted"),
)
"""Part of what ssh-keygen says, and our words."""


@dataclass(slots=True)
class SshSigners:
    """The allowed signers as they were read once, in ``folder``, at one moment (Unix seconds)."""

    folder: Path
    signers: bytes
    revoked: bytes
    now: float
    _names: dict[bytes, str] = field(default_factory=dict)
    """Who owns a key, of those that were asked for."""

    def __post_init__(self) -> None:
        (self.folder / "signers").write_bytes(self.signers)
        (self.folder / "revoked").write_bytes(self.revoked)

    def signer(self, payload: bytes, signature: bytes) -> tuple[str, str]:
        """Who signed ``payload``, and the fingerprint of the key. Raises SignatureError when no allowed signer did."""
        key = _public_key(signature)
        (self.folder / "signature").write_bytes(signature)
        if key not in self._names:
            self._names[key] = self._owner(key)
        name = self._names[key]
        answer = self._ask("verify", "-n", "git", "-I", name, "-r", "revoked", data=payload)
        match = KEY.search(answer.out.rstrip("\n"))
        if answer.status != 0 or match is None:
            raise SignatureError(_why(answer.err) or "its key is revoked")
        return name, match[1]

    def _owner(self, key: bytes) -> str:
        """The first name that the signers file has for the signature's key."""
        answer = self._ask("find-principals")
        if answer.status != 0:
            raise SignatureError(_known(answer.err) or f"its key{_fingerprint(key)} is no allowed signer's")
        names = [line for line in answer.out.split("\n") if line and line.isprintable() and not PATTERN.search(line)]
        if not names:
            raise SignatureError(f"the signers file names the owner of its key{_fingerprint(key)} only by a pattern")
        return names[0]

    def _ask(self, verb: str, *options: str, data: bytes = b"") -> Answer:
        when = datetime.fromtimestamp(self.now, UTC).strftime("%Y%m%d%H%M%S")
        argv = [found("ssh-keygen", PACKAGE), "-Y", verb, "-f", "signers", "-s", "signature", f"-Overify-time={when}"]
        return run([*argv, *options], self.folder, data)


def _known(said: str) -> str:
    return next((words for part, words in WHY if part in said), "")


def _why(said: str) -> str:
    return _known(said) or (f"OpenSSH does not accept its signature: {one_line(said, 200)}" if said.strip() else "")


def _public_key(signature: bytes) -> bytes:
    """The public key or certificate that a signature names."""
    text = signature.strip()
    try:
        if not (text.startswith(BEGIN) and text.endswith(END)):
            raise ValueError  # noqa: TRY301
        data = base64.b64decode(b"".join(text[len(BEGIN) : -len(END)].split()), validate=True)
        length = struct.unpack_from(">I", data, 10)[0]
        if data[:10] != MAGIC + b"\0\0\0\1" or not 0 < length <= len(data) - 14:
            raise ValueError  # noqa: TRY301
    except (ValueError, binascii.Error, struct.error):
        raise SignatureError("its SSH signature cannot be read") from None
    return data[14 : 14 + length]


def _fingerprint(key: bytes) -> str:
    """The key as ``ssh-keygen -l`` names it, with a space before; empty for a certificate, whose key is within."""
    if b"-cert-v01@openssh.com" in key[:80]:
        return ""
    return " SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
