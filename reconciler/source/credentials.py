"""Reads the file that says what opens which repos."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from reconciler.core.outcome import TerminalError
from reconciler.source.address import Credential, Credentials


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

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
    try:
        rules = TypeAdapter(list[_Rule]).validate_python(YAML(typ="safe", pure=True).load(file.read_text("utf-8")))
    except OSError as error:
        raise TerminalError(f"{file}: {error.strerror}") from None
    except YAMLError as error:
        raise TerminalError(f"{file}: {error}") from None
    except UnicodeDecodeError:
        raise TerminalError(f"{file}: expected YAML in UTF-8; see docs/sources.md") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TerminalError(f"{file}: {where}: {first['msg']}; see docs/sources.md") from None
    return Credentials(tuple(Credential(**rule.model_dump()) for rule in rules))
