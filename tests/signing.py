"""Real keys and really signed commits, made by git, ssh-keygen and gpg."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

NOW = time.time() + 3600  # keys are made minutes after this line has run
"""Unix seconds at which tests look at signatures: after all of them were made."""
DAY = 86_400.0


def run(*argv: str | Path, env: dict[str, str] | None = None, data: bytes = b"") -> bytes:
    words = [str(one) for one in argv]
    full = {**os.environ, **(env or {})}
    done = subprocess.run(words, input=data, capture_output=True, env=full, timeout=60, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


class SshKey:
    """A key pair in ``folder``."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / name
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.file)

    @property
    def public(self) -> str:
        return self.file.with_suffix(".pub").read_text().strip()

    def options(self) -> list[str]:
        return ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.file}"]

    def certified(self, by: SshKey, principals: str, validity: str = "always:forever") -> SshKey:
        """The same key, which from now on signs with a certificate."""
        run("ssh-keygen", "-q", "-s", by.file, "-I", "id", "-n", principals, "-V", validity, f"{self.file}.pub")
        key = object.__new__(SshKey)
        key.file = self.file.with_name(f"{self.file.name}-cert.pub")
        return key

    def sign(self, payload: bytes, namespace: str = "git") -> bytes:
        return run("ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", self.file, data=payload)


class PgpKeys:
    """A GnuPG home with keys. ``close`` ends its agent."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)
        self.env = {"GNUPGHOME": str(home)}

    def gpg(self, *argv: str, data: bytes = b"") -> bytes:
        return run("gpg", "--batch", "--quiet", "--no-tty", "--passphrase", "", *argv, env=self.env, data=data)

    def make(self, user: str, expires: str = "never", kind: str = "ed25519") -> str:
        """Make a key for a user id; returns its fingerprint."""
        self.gpg("--quick-generate-key", user, kind, "sign", expires)
        listed = self.gpg("--with-colons", "--list-keys", f"={user}").decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def public(self, *keys: str) -> bytes:
        return self.gpg("--armor", "--export", *keys)

    def options(self, key: str) -> list[str]:
        return ["-c", "gpg.format=openpgp", "-c", f"user.signingkey={key}!"]

    def sign(self, key: str, payload: bytes, *how: str) -> bytes:
        return self.gpg("--armor", "--local-user", key, *(how or ("--detach-sign",)), data=payload)

    def close(self) -> None:
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, **self.env}, check=False, timeout=20)


class Work:
    """A work tree whose commits are signed, or not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        run("git", "init", "-q", "-b", "main", path)
        self.count = 0

    @property
    def git(self) -> pygit2.Repository:
        return pygit2.Repository(str(self.path))

    def run(self, *argv: str) -> str:
        env = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.path)}
        who = ["-c", "user.name=Ann Author", "-c", "user.email=claimed@example.org"]
        return run("git", "-C", self.path, *who, *argv, env=env).decode().strip()

    def commit(self, key: SshKey | None = None, options: list[str] | None = None) -> str:
        """One more commit; its full id."""
        self.count += 1
        (self.path / f"file{self.count}").write_text(f"{self.count}\n")
        self.run("add", "-A")
        chosen = options if options is not None else key.options() if key else []
        self.run(*chosen, "commit", "-q", "-m", f"change {self.count}", "-S" if chosen else "--no-gpg-sign")
        return self.head()

    def head(self, name: str = "HEAD") -> str:
        return self.run("rev-parse", name)

    def raw(self, commit: str) -> bytes:
        return self.git.odb.read(pygit2.Oid(hex=commit))[1]

    def write(self, raw: bytes) -> str:
        """Any bytes at all as a commit object."""
        return str(self.git.odb.write(ObjectType.COMMIT, raw))


def payload(raw: bytes) -> bytes:
    """A commit without its signature, by git's own rule."""
    head, end, message = raw.partition(b"\n\n")
    lines, inside = [], False
    for line in head.split(b"\n"):
        inside = line.startswith(b"gpgsig ") or (inside and line.startswith(b" "))
        if not inside:
            lines.append(line)
    return b"\n".join(lines) + end + message


def with_signature(unsigned: bytes, signature: bytes, field: bytes = b"gpgsig") -> bytes:
    """A commit with one more signature at the end of its header."""
    head, end, message = unsigned.partition(b"\n\n")
    return head + b"\n" + field + b" " + signature.strip().replace(b"\n", b"\n ") + end + message


def lacking(*programs: str) -> str:
    """Which of the programs are not installed, as a reason to skip; empty when all are."""
    missing = [one for one in programs if shutil.which(one) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""
