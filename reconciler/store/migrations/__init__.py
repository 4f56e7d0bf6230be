"""Alembic migrations of the store. Imported only when one has to be run."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def config(connection: Connection | None = None) -> Config:
    """Alembic's settings, without a file: the scripts lie in this package, wherever it is installed."""
    settings = Config()
    settings.set_main_option("script_location", "reconciler.store:migrations")
    settings.attributes["connection"] = connection
    return settings


def upgrade(connection: Connection) -> None:
    """Run every migration that is missing, within the caller's transaction: all of them, or none."""
    command.upgrade(config(connection), "head")
