"""Reads the file of ``--config-repos``: which repos are followed, and whose word is taken."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel

from reconciler.config_repos import ConfigRepo, RemovalBudget, Rewrite, Trust
from reconciler.core.desired import FULL_WEIGHT
from reconciler.core.outcome import TerminalError
from reconciler.core.units import parse_percent
from reconciler.source.address import parse
from reconciler.source.operator_file import Entry, Found, read_entries
from reconciler.source.versions import FULL_ID, checked_version

NAME = re.compile("[a-z0-9](?:[-a-z0-9]{0,38}[a-z0-9])?")
VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
PAGE = "docs/trust.md"
USUAL = RemovalBudget()


def _url(text: str, info: ValidationInfo) -> str:
    if "?" in text or "#" in text:  # not repeated: a token may stand there
        raise ValueError("an address has no `?` and no `#`; what opens a repo is named in the file of --credentials")
    if text.startswith(("./", "../")):
        text = os.path.normpath(info.context["folder"] / text) if info.context else text
    try:
        parse(text)
    except TerminalError as error:
        raise ValueError(str(error)) from None
    return text


def _branch(text: str) -> str:
    try:
        return checked_version(text) if text else text
    except TerminalError:
        raise ValueError(f"{text[:80]!r} is no name of a branch") from None


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is no name of at most 40 small letters, digits and inner hyphens")
    return text


def _first(text: str) -> str:
    if not FULL_ID.fullmatch(text):
        raise ValueError("expected a full commit id: 40 digits and small letters a to f, in quotes")
    return text


def _variable(text: str) -> str:
    # Neither message repeats the text: it may be the secret itself, put into the wrong field.
    if not VARIABLE.fullmatch(text):
        raise ValueError("this is no name of an environment variable")
    if not os.environ.get(text):
        raise ValueError("no environment variable of that name is set")
    return text


def _share(value: object) -> float:
    return parse_percent(value) / FULL_WEIGHT


def _file(file: Path, info: ValidationInfo) -> Path:
    path = Path(info.context["folder"] / file) if info.context else file
    if not path.is_file():
        raise ValueError("there is no such file (a relative path begins at the folder of this file)")
    return path


_File = Annotated[Path, AfterValidator(_file)]
_Name = Annotated[str, AfterValidator(_name)]


class _Removals(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    count: int = Field(default=USUAL.count, ge=0, strict=True)
    share: Annotated[float, BeforeValidator(_share)] = USUAL.share


class _Repo(Entry):
    page: ClassVar[str] = PAGE
    instead: ClassVar[str] = (
        "write it to a file of mode 0600, and name that in `webhookSecretFile`, or in the file of --credentials"
    )

    name: _Name | None = None
    url: Annotated[str, AfterValidator(_url)]
    branch: Annotated[str, AfterValidator(_branch)] = ""
    trust: Trust = Trust.NONE
    allowed_signers: _File | None = None
    openpgp_keys: _File | None = None
    revoked_signers: _File | None = None
    first: Annotated[str, AfterValidator(_first)] | None = None
    workspaces: tuple[_Name, ...] = ()
    on_rewrite: Rewrite | None = None
    removals: _Removals = _Removals()
    webhook_secret_file: _File | None = None
    webhook_secret_variable: Annotated[str, AfterValidator(_variable)] | None = None

    @model_validator(mode="after")
    def _together(self) -> _Repo:
        signing = ("allowed_signers", "openpgp_keys", "revoked_signers", "first")
        given = [to_camel(name) for name in signing if getattr(self, name)]
        if self.trust is Trust.SIGNED and not (self.allowed_signers or self.openpgp_keys):
            raise ValueError("`trust: signed` needs `allowedSigners` or `openpgpKeys`: files that say who may sign")
        if self.trust is not Trust.SIGNED and given:
            raise ValueError(f"`{given[0]}` has an effect with `trust: signed` alone, found `trust: {self.trust}`")
        if self.revoked_signers and not self.allowed_signers:
            raise ValueError("`revokedSigners` takes SSH keys out of `allowedSigners`, which is not given")
        if self.webhook_secret_file and self.webhook_secret_variable:
            raise ValueError("`webhookSecretFile` and `webhookSecretVariable` are both given; remove one of them")
        return self

    def repo(self) -> ConfigRepo:
        """The entry, with what it leaves out."""
        usual = Rewrite.FOLLOW if self.trust is Trust.NONE else Rewrite.HOLD
        return ConfigRepo(
            url=self.url,
            branch=self.branch,
            name=self.name or "",
            trust=self.trust,
            allowed_signers=self.allowed_signers,
            openpgp_keys=self.openpgp_keys,
            revoked_signers=self.revoked_signers,
            first=self.first or "",
            workspaces=self.workspaces,
            on_rewrite=self.on_rewrite or usual,
            removals=RemovalBudget(self.removals.count, self.removals.share),
            webhook_secret_file=self.webhook_secret_file,
            webhook_secret_variable=self.webhook_secret_variable or "",
        )


def read_config_repos(file: Path) -> tuple[ConfigRepo, ...]:
    """The config repos of a YAML list. Relative paths begin at the file's folder; files that it names have to be there.

    Raises TerminalError with file, line and what to do for whatever is wrong; no secret is repeated.
    """
    found = read_entries(file, _Repo)
    if not found:
        raise TerminalError(f"{file}:1: the list names no config repo; see {PAGE}")
    lines: dict[object, int] = {}
    for one in found:
        why = _clash(one, lines, alone=len(found) == 1)
        if why:
            raise TerminalError(f"{file}:{one.line}: {why}; see {PAGE}")
    return tuple(one.value.repo() for one in found)


def _clash(one: Found[_Repo], lines: dict[object, int], *, alone: bool) -> str:
    """Why an entry cannot stand beside those before it, whose names and branches (with their lines) are in ``lines``."""
    repo = one.value
    if repo.name is None and not alone:
        return "with several config repos, each has a `name`"
    same = lines.setdefault(("name", repo.name), one.line)
    if same != one.line:
        return f"another config repo is named {repo.name} too, in line {same}"
    same = lines.setdefault((parse(repo.url).url, repo.branch), one.line)
    if same != one.line:
        return f"this branch of this repo is followed already, by line {same}"
    return ""
