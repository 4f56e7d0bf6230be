"""Follows one branch of one config repo: from the commit in force to the newest one that may be.

What stands in the way (history that was rewritten, a commit that nobody vouches for) holds the repo at the commit in force.
It is said in words, left in the audit once, and looked at again whenever the branch moves.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from reconciler.config_repos import ConfigRepo, Rewrite, Trust
from reconciler.core.desired import Key
from reconciler.core.digest import canonical
from reconciler.core.inputs import DAEMON
from reconciler.core.outcome import TerminalError
from reconciler.core.state import Record
from reconciler.manifest.removal import Removals
from reconciler.memory import Applied, ConfigMemory
from reconciler.ports import Clock
from reconciler.source.address import parse
from reconciler.source.changes import Change
from reconciler.source.git import Mirrors
from reconciler.source.signatures import Keys, UntrustedError, verify

log = logging.getLogger(__name__)

SUBJECT = "_config"
"""Workspace of the audit entries about config repos: no workspace can have that name."""


MOST_NAMED = 5
"""Projects named in one sentence."""


class HeldError(TerminalError):
    """A commit that is not applied until somebody does something."""


@dataclass(frozen=True, slots=True)
class Step:
    """The way from the commit in force (``before``, empty for none) to a newer one, and who signed that."""

    before: str
    commit: str
    signer: str
    changes: tuple[Change, ...]


@dataclass(slots=True)
class Follower:
    """One config repo. ``applied`` is the commit in force; None before the first."""

    repo: ConfigRepo
    mirrors: Mirrors
    memory: ConfigMemory
    clock: Clock
    applied: Applied | None = None
    whole: bool = False
    """Whether the next step has to bring every file, whatever is in force."""
    noted: set[tuple[str, str]] = field(default_factory=set)
    """(kind, what about) that this daemon has left in the audit."""

    @property
    def identity(self) -> str:
        """Name under which it is remembered."""
        return identity(self.repo)

    @property
    def subject(self) -> Key:
        """The subject of audit entries about it."""
        name = self.repo.name or hashlib.sha256(self.identity.encode()).hexdigest()[:12]
        return Key(SUBJECT, name, "repo")

    def step(self) -> Step | None:
        """The way to the newest commit; None when that is in force, or there is none yet.

        Raises HeldError (with the reason), TransientError and TerminalError (the mirror cannot be read).
        """
        head = self.mirrors.head(self.repo.url, self.repo.branch)
        before = self.applied.commit if self.applied else ""
        unproven = self._unproven()
        if head is None or (head == before and not unproven and not self.whole):
            return None
        if before and self.mirrors.rewritten(self.repo.url, before, head):
            self._rewritten(before, head)
        signer = self._signer("" if unproven else before, head)
        if head == before and self.applied is not None:
            self.applied = replace(self.applied, signer=signer)
            if not self.whole:
                return None
        known = before if before and not self.whole and self._holds(before) else None
        return Step(before if known else "", head, signer, self.mirrors.changes(self.repo.url, known, head))

    def _unproven(self) -> bool:
        """Whether the commit in force was applied before signatures were asked for."""
        applied = self.applied
        asked = self.repo.trust is Trust.SIGNED and applied is not None
        return asked and applied is not None and not applied.signer and applied.commit != self.repo.first

    def _holds(self, commit: str) -> bool:
        """Whether the mirror still has the commit: one that was cloned anew after a rewrite may not."""
        with self.mirrors.reading(self.repo.url) as repo:
            return commit in repo

    def _rewritten(self, before: str, head: str) -> None:
        """Say that history was rewritten, and hold unless the policy, or a pin on the new history, says to go on."""
        policy = self.repo.on_rewrite
        words = f"history was rewritten: {head[:12]} does not descend from {before[:12]}, which is in force"
        first = self.repo.first
        accepted = bool(first) and self._leads_to(first, head) and not self._leads_to(first, before)
        if policy is Rewrite.FOLLOW or accepted:
            self._note("config.rewritten", f"{words}; it is followed", before, head)
            log.warning("%s: %s; it is followed", self.repo.url, words)
            return
        self._note("config.held", words, before, head)
        raise HeldError(
            f"{self.repo.url}: {words}. Restore the branch, or accept the new history with `first: {head}` in the file "
            "of --config-repos"
        )

    def _leads_to(self, first: str, head: str) -> bool:
        return not self.mirrors.rewritten(self.repo.url, first, head)

    def _signer(self, before: str, head: str) -> str:
        if self.repo.trust is not Trust.SIGNED:
            return ""
        keys = Keys(self.repo.allowed_signers, self.repo.openpgp_keys, self.repo.revoked_signers)
        with self.mirrors.reading(self.repo.url) as repo:
            try:
                found = verify(repo, before or None, head, keys, first=self.repo.first, now=self.clock.now().wall)
            except UntrustedError as error:
                self._note("config.held", str(error), before, head)
                raise HeldError(f"{self.repo.url}: {error}") from error
        return found.signer

    def note_applied(self, step: Step) -> None:
        """Leave in the audit that a commit came into force."""
        by = f", signed by {step.signer}" if step.signer else ""
        self._note(
            "config.applied", f"commit {step.commit[:12]} is in force{by}", step.before, step.commit, step.signer
        )

    def note_removals(self, commit: str, removals: Removals, held: frozenset[tuple[str, str]]) -> None:
        """Leave in the audit that a commit would remove more than its budget."""
        names = ", ".join("/".join(project) for project in sorted(held)[:MOST_NAMED])
        more = f" and {len(held) - MOST_NAMED} more" if len(held) > MOST_NAMED else ""
        words = (
            f"commit {commit[:12]} removes {len(held)} of {removals.before} projects ({names}{more}), over the budget"
        )
        self._note("config.removals_held", f"{words}; held until approved", self._before(), commit)
        log.warning("%s: %s: held until approved", self.repo.url, words)

    def note_approval(self, places: Sequence[str], keys: Sequence[Key]) -> None:
        """Leave in the audit which documents approve of which removals."""
        names = ", ".join(str(key) for key in keys[:MOST_NAMED])
        more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
        words = f"the removal of {names}{more} is approved by {', '.join(places)}"
        self._note("config.removals_approved", words, self._before(), self._before())

    def _before(self) -> str:
        return self.applied.commit if self.applied else ""

    def _note(self, kind: str, message: str, before: str, head: str, signer: str = "") -> None:
        if (kind, message) in self.noted and kind != "config.applied":
            return
        body = {"url": self.repo.url, "branch": self.repo.branch, "applied": before, "head": head}
        record = Record(kind, DAEMON, message, canonical(body | ({"signer": signer} if signer else {})))
        self.memory.note(self.subject, (record,), self.clock.now().wall)
        self.noted.add((kind, message))


def identity(repo: ConfigRepo) -> str:
    """The name under which a config repo is remembered, however its address is written."""
    return f"{parse(repo.url).url}#{repo.branch}"
