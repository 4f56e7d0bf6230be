"""What every document begins with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.manifest.fields import Block, Name

API_VERSION = "prodsprint/v1"
DEFAULT_WORKSPACE = "default"


class Header(Block):
    """Version, kind and name."""

    api_version: Literal["prodsprint/v1"] = Field(description="Version of the language.")
    kind: str = Field(description="Kind of the document.")
    name: Name = Field(description="Name; no two documents of one kind and workspace may share it.")


class Owned(Header):
    """A document of a workspace."""

    workspace: Name = Field(
        default=DEFAULT_WORKSPACE, description="Workspace (team, customer) that the document belongs to."
    )


Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
"""A sentence for people: why something is as it is."""
