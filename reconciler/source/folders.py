"""The folders that mirrors lie in: named by address, locked, made, replaced when damaged, dropped."""

from __future__ import annotations

import fcntl
import gc
import hashlib
import logging
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pygit2

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source.address import Address, parse
from reconciler.source.trouble import TROUBLE

log = logging.getLogger(__name__)

MIRROR = re.compile(r"[0-9a-f]{32}\.git")
SOURCE = "prodsprint.source"
"""Key in a mirror's git configuration: the address that it mirrors."""
BESIDE = (".damaged", ".anew", ".new", ".lock")
"""What may lie beside a mirror."""


class Folders:
    """Bare repos below one folder. Thread-safe."""

    def __init__(self, folder: Path, patience: float) -> None:
        """``patience``: seconds to wait for another thread that has the same mirror."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._patience = patience
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._damaged: set[str] = set()
        self._renewed: dict[str, str] = {}
        """Refs that a damaged mirror was cloned anew with: doing so again would mend nothing."""

    def path(self, address: Address) -> Path:
        """Where the mirror lies, or would."""
        return self._folder / f"{address.slug}.git"

    def open(self, address: Address) -> pygit2.Repository:
        """Raises TransientError when there is no mirror yet, or a damaged one."""
        folder = self.path(address)
        try:
            return pygit2.Repository(str(folder))
        except pygit2.GitError as error:
            if not folder.exists():
                raise TransientError(f"{address.url} has not been fetched yet") from None
            self._damaged.add(address.slug)
            raise TransientError(f"the mirror of {address.url} is damaged: {error}") from error

    @contextmanager
    def reading(self, address: Address, seen: str = "") -> Iterator[None]:
        """Turn what pygit2 raises about a damaged or vanishing mirror into TransientError. ``seen``: as in ``suspect``."""
        try:
            yield
        except TROUBLE as error:
            if isinstance(error, (pygit2.GitError, KeyError)):
                self.suspect(address, seen)
            fault = f"it lacks the object {error}" if isinstance(error, KeyError) else error
            raise TransientError(f"cannot read the mirror of {address.url}: {fault}") from error

    @contextmanager
    def locked(self, address: Address, *, wait: bool = True) -> Iterator[int]:
        """Hold the mirror against threads and other processes; yields the descriptor that holds the file lock.

        Raises TransientError when somebody else has it, or the disk fails.
        """
        with self._guard:
            lock = self._locks.setdefault(address.slug, threading.Lock())
        if not lock.acquire(timeout=self._patience if wait else 0):
            raise TransientError(f"{address.url}: another fetch of it is still running")
        try:
            with (self._folder / f"{address.slug}.lock").open("a") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    dropped = os.fstat(file.fileno()).st_nlink == 0
                except BlockingIOError:
                    dropped = True
                if dropped:
                    raise TransientError(f"{address.url}: another process is updating the mirror")
                yield file.fileno()
        except OSError as error:
            raise TransientError(f"{address.url}: cannot write its mirror: {error.strerror}") from error
        finally:
            lock.release()

    def suspect(self, address: Address, seen: str) -> None:
        """Have the next fetch clone it anew, unless it was for the same refs (``seen``, a digest) already."""
        slug = address.slug
        if slug not in self._renewed or self._renewed[slug] != seen:
            self._damaged.add(slug)

    def damaged(self, address: Address) -> bool:
        """Whether the next fetch has to clone it anew."""
        return address.slug in self._damaged

    def prepared(self, address: Address, *, anew: bool) -> Path:
        """A folder to fetch into: the mirror, made when there is none, or with ``anew`` an empty one beside it."""
        folder = self.path(address)
        if anew:
            folder = folder.with_suffix(".anew")
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            _create(folder, address.url)
        return folder

    def replace(self, address: Address, seen: str) -> None:
        """Put the new clone in the place of the damaged mirror, which is kept beside it until the next time."""
        folder = self.path(address)
        aside = folder.with_suffix(".damaged")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        folder.with_suffix(".anew").rename(folder)
        gc.collect()  # libgit2 shares open packs by their path: repos that an error's traceback holds would keep the old ones
        self._damaged.discard(address.slug)
        self._renewed[address.slug] = seen
        log.warning("the mirror of %s was damaged: it is cloned anew, the old one is now %s", address.url, aside)

    def retain(self, keep: frozenset[str]) -> tuple[Address, ...]:
        """Drop the mirrors whose slug is not in ``keep`` and that nobody holds; returns what they were mirrors of."""
        gone = []
        for folder in sorted(self._folder.iterdir()):
            if MIRROR.fullmatch(folder.name) and folder.stem not in keep and not folder.is_symlink():
                address = _mirrored(folder)
                if address is not None and self._drop(address):
                    gone.append(address)
        return tuple(gone)

    def _drop(self, address: Address) -> bool:
        folder = self.path(address)
        try:
            with self.locked(address, wait=False):
                doomed = folder.with_suffix(".new")  # a half made mirror has this name too, and is removed as well
                shutil.rmtree(doomed, ignore_errors=True)
                folder.rename(doomed)
                for suffix in BESIDE:
                    shutil.rmtree(folder.with_suffix(suffix), ignore_errors=True)
                folder.with_suffix(".lock").unlink(missing_ok=True)
        except TransientError:
            return False
        self._damaged.discard(address.slug)
        self._renewed.pop(address.slug, None)
        log.info("the mirror of %s is dropped: nothing names it any more", address.url)
        return True

    def home(self, known_hosts: Path | None) -> Path:
        """A home folder with the pinned host keys and nothing else, one for each content of ``known_hosts``.

        Raises TerminalError when they cannot be read.
        """
        if known_hosts is None:
            raise TerminalError("ssh needs known_hosts: a file with the host keys to accept")
        try:
            keys = known_hosts.read_bytes()
        except OSError as error:
            raise TerminalError(f"known_hosts file {known_hosts}: {error.strerror}") from None
        home = self._folder / f"hosts-{hashlib.sha256(keys).hexdigest()[:32]}.home"
        pins = home / ".ssh" / "known_hosts"
        with suppress(OSError):
            if pins.read_bytes() == keys:
                return home
        pins.parent.mkdir(parents=True, exist_ok=True)
        new = pins.with_name(f"known_hosts.{threading.get_ident()}")
        new.write_bytes(keys)
        new.replace(pins)
        return home


def _mirrored(folder: Path) -> Address | None:
    """What a folder is the mirror of; None for one that this program has not made."""
    try:
        address = parse(pygit2.Config(str(folder / "config"))[SOURCE] or "")
    except (pygit2.GitError, KeyError, OSError, TerminalError):
        return None
    return address if address.slug == folder.stem else None


def _create(folder: Path, url: str) -> None:
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    repo = pygit2.init_repository(str(new), bare=True)
    repo.config["http.followRedirects"] = "false"  # a token never goes to where a server points
    repo.config[SOURCE] = url  # for people who look into the folder, and for ``retain``
    new.rename(folder)
