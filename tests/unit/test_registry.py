from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from reconciler import registry
from reconciler.core.outcome import TerminalError
from reconciler.ports import MetricsKind, NotifierKind, RouterKind, TargetKind

FAMILIES = {
    "targets": (registry.target, TargetKind),
    "routers": (registry.router, RouterKind),
    "metric_sources": (registry.metrics, MetricsKind),
    "notifiers": (registry.notifier, NotifierKind),
}

OUTSIDE = NotifierKind("carrier-pigeon", object, lambda config, clock: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_module_of_a_family_is_found_under_its_own_name(family):
    find, kind = FAMILIES[family]
    for name in registry.names(family):
        found = find(name)
        assert isinstance(found, kind)
        assert found.name == name


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_kind_is_refused_with_the_known_ones(family):
    with pytest.raises(TerminalError, match="unknown kind 'no-such'") as caught:
        FAMILIES[family][0]("no-such")
    for name in registry.names(family):
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["__init__", "os", "..ports", "envoy.KIND", ""])
def test_a_name_is_no_way_to_import_something_else(name):
    with pytest.raises(TerminalError):
        registry.target(name)


def test_a_package_from_outside_is_found_by_its_entry_point(monkeypatch):
    entry = EntryPoint("carrier-pigeon", f"{__name__}:OUTSIDE", "prodsprint.notifiers")

    def entry_points(**wanted: str) -> EntryPoints:
        return EntryPoints([entry]).select(**wanted)

    monkeypatch.setattr(registry, "entry_points", entry_points)
    monkeypatch.setattr(EntryPoint, "load", lambda self: OUTSIDE)
    assert "carrier-pigeon" in registry.names("notifiers")
    assert registry.notifier("carrier-pigeon") is OUTSIDE
    assert "carrier-pigeon" not in registry.names("targets")
