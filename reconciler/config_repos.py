"""Which config repos one daemon follows, how far it trusts each, and what it does with their accidents."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Trust(StrEnum):
    """Whose word a commit is (DESIGN section 8)."""

    SIGNED = "signed"
    """Every commit since the last applied one has to be signed by an allowed signer."""
    PROTECTED_BRANCH = "protected-branch"
    """What the forge let into the branch counts."""
    NONE = "none"
    """A commit is followed, and proves nobody's identity."""


class Rewrite(StrEnum):
    """What is done when the branch does not descend from the commit that was applied last."""

    HOLD = "hold"
    FOLLOW = "follow"


@dataclass(frozen=True, slots=True)
class RemovalBudget:
    """How many projects one commit may remove without an approval.

    At most ``count``, and, when it is more than one, at most ``share`` (0 to 1) of all. What empties a repo is over any
    budget.
    """

    count: int = 10
    share: float = 0.34

    def allows(self, removed: int, before: int) -> bool:
        """Whether ``removed`` of ``before`` projects may go."""
        if removed == 0:
            return True
        return removed < before and removed <= self.count and (removed == 1 or removed <= self.share * before)


@dataclass(frozen=True, slots=True)
class ConfigRepo:
    """One branch of one config repo. ``name`` tells it from others in paths and messages; empty when it is the only one."""

    url: str
    branch: str = ""
    name: str = ""
    trust: Trust = Trust.NONE
    allowed_signers: Path | None = None
    """OpenSSH ``allowed_signers`` file, outside of the repo."""
    openpgp_keys: Path | None = None
    """File of OpenPGP public keys (armored or binary), outside of the repo."""
    revoked_signers: Path | None = None
    """SSH keys that are allowed no more: an OpenSSH revocation list, or public keys, a line each."""
    first: str = ""
    """With trust signed: a full commit id that is taken on trust; only what comes after it has to be signed."""
    workspaces: tuple[str, ...] = ()
    """The workspaces that its manifests may speak for; empty for all."""
    on_rewrite: Rewrite = Rewrite.FOLLOW
    removals: RemovalBudget = RemovalBudget()
    webhook_secret_file: Path | None = None
    """File with the secret that webhooks are signed with; read at each webhook."""
    webhook_secret_variable: str = ""
    """Environment variable that holds it instead."""
