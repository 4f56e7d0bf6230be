"""Reads the file that says what opens which repos."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from reconciler.source.address import Credential, Credentials
from reconciler.source.operator_file import Entry, read_entries


class _Rule(Entry):
    page: ClassVar[str] = "docs/sources.md"
    instead: ClassVar[str] = "write it to a file of mode 0600, and name that in `tokenFile` or `keyFile`"

    prefix: str
    username: str = "x-access-token"
    token_file: Path | None = None
    token_variable: str = ""
    key_file: Path | None = None
    known_hosts: Path | None = None
    ca_file: Path | None = None


def read_credentials(file: Path | None) -> Credentials:
    """The rules of a YAML list of {prefix, tokenFile | tokenVariable | keyFile + knownHosts, caFile, username}.

    The file names where secrets are, and holds none. Raises TerminalError for one that cannot be read or understood.
    """
    if file is None:
        return Credentials()
    return Credentials(tuple(Credential(**found.value.model_dump()) for found in read_entries(file, _Rule)))
