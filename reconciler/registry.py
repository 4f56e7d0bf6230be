"""Finds adapters by name: a module of the family, else an entry point of an outside package.

Entry-point groups are ``prodsprint.targets``, ``prodsprint.routers``, ``prodsprint.metric_sources`` and
``prodsprint.notifiers``; each points at a KIND record (``ports``). Modules are imported only when asked for, so that
what nobody uses costs nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import cast

from reconciler.core.outcome import TerminalError
from reconciler.ports import MetricsKind, NotifierKind, RouterKind, TargetKind


def names(family: str) -> tuple[str, ...]:
    """Every kind of a family (``targets``, ``routers``, ``metric_sources``, ``notifiers``), sorted."""
    package = importlib.import_module(f"reconciler.{family}")
    own = {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}
    return tuple(sorted(own | {entry.name for entry in entry_points(group=f"prodsprint.{family}")}))


def _kind(family: str, name: str) -> object:
    known = names(family)
    if name not in known:
        raise TerminalError(f"unknown kind {name!r} in {family}; known are: {', '.join(known)}")
    for entry in entry_points(group=f"prodsprint.{family}", name=name):
        return entry.load()
    return importlib.import_module(f"reconciler.{family}.{name}").KIND


def target(name: str) -> TargetKind:
    """The target kind of that name. Raises TerminalError when there is none."""
    return cast("TargetKind", _kind("targets", name))


def router(name: str) -> RouterKind:
    """The router kind of that name. Raises TerminalError when there is none."""
    return cast("RouterKind", _kind("routers", name))


def metrics(name: str) -> MetricsKind:
    """The metrics source kind of that name. Raises TerminalError when there is none."""
    return cast("MetricsKind", _kind("metric_sources", name))


def notifier(name: str) -> NotifierKind:
    """The notifier kind of that name. Raises TerminalError when there is none."""
    return cast("NotifierKind", _kind("notifiers", name))
