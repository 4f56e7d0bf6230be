"""Remembers: one SQL store behind ``ports.Store``, embedded in a SQLite file."""

from __future__ import annotations

from reconciler.store.sql import SqlStore, open_store

__all__ = ["SqlStore", "open_store"]
