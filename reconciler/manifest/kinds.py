"""The adapters that manifests may name. Asked for once: looking through installed packages takes milliseconds."""

from __future__ import annotations

from functools import cache

from reconciler import registry
from reconciler.ports import TargetKind


@cache
def target_names() -> tuple[str, ...]:
    """Names of the target kinds."""
    return registry.names("targets")


@cache
def target(name: str) -> TargetKind:
    """The target kind of that name. Raises TerminalError when there is none."""
    return registry.target(name)


@cache
def routers() -> tuple[str, ...]:
    """Names of the router kinds."""
    return registry.names("routers")


@cache
def metric_sources() -> tuple[str, ...]:
    """Names of the metrics source kinds."""
    return registry.names("metric_sources")
