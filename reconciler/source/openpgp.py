"""OpenPGP signatures of commits, checked by GnuPG with a key ring of our own."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from reconciler.core.outcome import TerminalError
from reconciler.core.text import one_line
from reconciler.source.commits import SignatureError
from reconciler.source.signature_tools import Answer, found, run

BEGIN = b"-----BEGIN PGP SIGNATURE-----"
END = b"-----END PGP SIGNATURE-----"
PACKAGE = "gnupg"
SIGNATURE_PACKET = 2
STATUS = re.compile(r"^\[GNUPG:\] (\w+) ?(.*)$", re.MULTILINE)
STRONG = frozenset({"8", "9", "10", "11", "12", "14"})
"""Hashes that a signature may use: the SHA-2 and SHA-3 families."""
OVER_BYTES = "00"
"""Signature class: of the bytes as they are, not of lines whose ends may change."""
EMAIL = re.compile(r"<([^<>\s]+@[^<>\s]+)>$")
WHY = (
    ("REVKEYSIG", "its key is revoked"),
    ("EXPKEYSIG", "its key has expired"),
    ("EXPSIG", "its signature has expired"),
    ("BADSIG", "its content was changed after it was signed"),
)


@dataclass(slots=True)
class OpenPgpKeys:
    """The allowed keys as they were read once, in a GnuPG home at ``folder``, at one moment (Unix seconds)."""

    folder: Path
    keys: bytes
    now: float

    def __post_init__(self) -> None:
        """Import the keys. Raises TerminalError when the file holds none, or private ones."""
        self.folder.mkdir(mode=0o700)
        (self.folder / "common.conf").touch()  # without it, a new home would use a key daemon, which outlives us
        answer = self._ask("--import", data=self.keys)
        counts = next((rest.split() for word, rest in _status(answer) if word == "IMPORT_RES"), [])
        if len(counts) < 10 or counts[9] != "0":
            raise TerminalError("the file of OpenPGP keys holds private keys; it has to hold public keys alone")
        if counts[0] == "0" or counts[0] == counts[1]:
            raise TerminalError(f"the file of OpenPGP keys holds no usable key: {_complaint(answer)}")

    def signer(self, payload: bytes, signature: bytes) -> tuple[str, str]:
        """Who signed ``payload``, and the fingerprint of the primary key. Raises SignatureError when no allowed key did.

        A signer is known by the e-mail address of the key's first user id, or by all of it when it has none.
        """
        (self.folder / "signature").write_bytes(_packet(signature))
        answer = self._ask("--verify", "--", "signature", "-", data=payload)
        said = _status(answer)
        words = [word for word, _ in said]
        for word, why in WHY:
            if word in words:
                raise SignatureError(why)
        if answer.status != 0 or words.count("GOODSIG") != 1 or words.count("VALIDSIG") != 1 or "ERRSIG" in words:
            raise SignatureError(_unchecked(said, answer))
        facts = dict(said)
        return _name(facts["GOODSIG"]), _fingerprint(facts["VALIDSIG"])

    def _ask(self, *arguments: str, data: bytes) -> Answer:
        argv = [
            *(found("gpg", PACKAGE), "--homedir", str(self.folder), "--no-options", "--batch", "--no-tty", "--quiet"),
            *("--no-autostart", "--no-auto-check-trustdb", "--no-auto-key-retrieve", "--disable-dirmngr"),
            *("--trust-model", "always", "--status-fd", "1", "--faked-system-time", f"{int(self.now)}!"),
        ]
        return run([*argv, *arguments], self.folder, data)


def _status(answer: Answer) -> list[tuple[str, str]]:
    return [(match[1], match[2]) for match in STATUS.finditer(answer.out)]


def _complaint(answer: Answer) -> str:
    """What GnuPG says, without what we made it say."""
    lines = [line.removeprefix("gpg: ") for line in answer.err.splitlines() if "faked system time" not in line]
    return one_line("; ".join(lines), 200)


def _name(good: str) -> str:
    """Who the key's first user id names."""
    identity = unquote(good.partition(" ")[2], errors="replace").strip()
    email = EMAIL.search(identity)
    name = email[1] if email else identity
    if not name or not name.isprintable():
        raise SignatureError("its key names nobody")
    return name


def _fingerprint(valid: str) -> str:
    fields = valid.split()
    if len(fields) < 10 or fields[7] not in STRONG:
        raise SignatureError("its signature uses a hash that is broken (SHA-1 or older)")
    if fields[8] != OVER_BYTES:
        raise SignatureError("its signature is not one over its exact bytes")
    return fields[9]


def _unchecked(said: list[tuple[str, str]], answer: Answer) -> str:
    error = next((rest.split() for word, rest in said if word == "ERRSIG"), [])
    if any(word == "NO_PUBKEY" for word, _ in said) and error:
        return f"its OpenPGP key {error[-1]} is none of the allowed ones"
    return f"GnuPG does not accept its signature: {_complaint(answer)}"


def _packet(armor: bytes) -> bytes:
    """The one signature packet of an armored signature: GnuPG gets to see nothing else."""
    text = armor.replace(b"\r\n", b"\n").strip()
    if not (text.startswith(BEGIN + b"\n") and text.endswith(b"\n" + END)):
        raise SignatureError("its OpenPGP signature cannot be read")
    lines = text.split(b"\n")[1:-1]
    start = next((number for number, line in enumerate(lines) if not line.strip()), -1) + 1
    body = [line.strip() for line in lines[start:] if not line.startswith(b"=")]
    try:
        data = base64.b64decode(b"".join(body), validate=True)
    except binascii.Error:
        raise SignatureError("its OpenPGP signature cannot be read") from None
    if _only_packet(data) != SIGNATURE_PACKET:
        raise SignatureError("its OpenPGP signature is not exactly one signature")
    return data


def _only_packet(data: bytes) -> int:
    """Kind of the packet that fills ``data``; -1 when it is not one packet."""
    if len(data) < 6 or not data[0] & 0x80:
        return -1
    if data[0] & 0x40:
        return data[0] & 0x3F if _new_length(data) == len(data) else -1
    width = (1, 2, 4, 0)[data[0] & 3]  # 0: a packet without a stated end
    return data[0] >> 2 & 0x0F if width and 1 + width + int.from_bytes(data[1 : 1 + width]) == len(data) else -1


def _new_length(data: bytes) -> int:
    """Length of a packet in the newer format, header included; -1 for one in pieces."""
    first = data[1]
    if first < 192:
        return 2 + first
    if first < 224:
        return 3 + (first - 192 << 8) + data[2] + 192
    return 6 + int.from_bytes(data[2:6]) if first == 255 else -1
