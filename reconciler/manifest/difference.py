"""How two desired states of one key differ, in the product's words. Values of environment variables are never in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.core.components import parts
from reconciler.core.desired import FULL_WEIGHT, AnalysisPolicy, Component, DesiredState, Strategy, StrategyKind
from reconciler.core.digest import short
from reconciler.core.units import format_duration, format_percent

NONE = "none"


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that is different; ``field`` as manifests call it. ``release``: it makes a new release."""

    field: str
    message: str
    release: bool = False


def differences(old: DesiredState, new: DesiredState, commits: frozenset[str]) -> tuple[Detail, ...]:
    """Everything that differs but commit and path. ``commits`` are the revisions that are real."""
    return (
        *_components(old, new, commits),
        *_plain("target", old.target, new.target, release=True),
        *_plain("router", old.router, new.router),
        *_strategy(old.strategy, new.strategy),
        *_analysis(old.analysis, new.analysis),
        *_plain("after", ", ".join(old.after) or NONE, ", ".join(new.after) or NONE),
        *_list("dependsOn", tuple(map(str, old.needs)), tuple(map(str, new.needs))),
        *_plain("onDelete", str(old.on_delete), str(new.on_delete)),
    )


def _plain(field: str, old: object, new: object, *, release: bool = False, words: str = "") -> Iterator[Detail]:
    """A field that differs, by its name or in other ``words``."""
    if old != new:
        yield Detail(field, f"{words or field} {old} → {new}", release)


def _list(field: str, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Detail]:
    for name in sorted({*old} ^ {*new}):
        yield Detail(field, f"{field} {name} {'added' if name in new else 'removed'}")


# --- what runs -------------------------------------------------------------------------------------------------------


def _components(old: DesiredState, new: DesiredState, commits: frozenset[str]) -> Iterator[Detail]:
    before, after = ({part.name: part for part in parts(state)} for state in (old, new))
    for name in sorted({*before, *after}):
        one, two = before.get(name), after.get(name)
        if one and two:
            yield from _component(one, two, new.target, commits)
        elif two:
            what = f"component {name}" if name else "the service without components"
            yield Detail("components", f"{what} added: {two.artifact.version}, port {two.port}", release=True)
        else:
            what = f"component {name}" if name else "the service without components"
            yield Detail("components", f"{what} removed", release=True)


def _component(old: Component, new: Component, target: str, commits: frozenset[str]) -> Iterator[Detail]:
    prefix, within = (f"{new.name}: ", f"components.{new.name}.") if new.name else ("", "")
    block = [*_block(old.spec, new.spec, release=True), *_block(old.runtime, new.runtime, release=False)]
    found = [
        *_artifact(old, new, commits),
        *(replace(one, field=f"{target}.{one.field}") for one in block),
        *_plain("instances", old.instances, new.instances),
        *_plain("port", old.port, new.port),
    ]
    yield from (Detail(f"{within}{one.field}", f"{prefix}{one.message}", one.release) for one in found)


def _artifact(old: Component, new: Component, commits: frozenset[str]) -> Iterator[Detail]:
    one, two = old.artifact, new.artifact
    moved = one.revision != two.revision
    if one.source != two.source:
        yield Detail("source", f"source {one.source} → {two.source}", moved)
    if not moved and one.version == two.version:
        return
    known = one.revision in commits and two.revision in commits
    if not known:
        how = ""
    elif moved:
        how = f" ({short(one.revision)} → {short(two.revision)})"
    else:
        how = f" (both are {short(two.revision)})"
    words = f"version {one.version} → {two.version}" if one.version != two.version else f"version {two.version}"
    if one.version != two.version or known:
        yield Detail("version", words + how, moved)


def _block(old: str, new: str, *, release: bool) -> Iterator[Detail]:
    """The fields of a target's block that differ, by name: what their values are may be a secret."""
    before, after = json.loads(old), json.loads(new)
    for name in sorted({*before, *after}):
        one, two = before.get(name), after.get(name)
        field = camel(name)
        if one == two:
            continue
        if isinstance(one, dict | None) and isinstance(two, dict | None):
            yield from _entries(field, one or {}, two or {}, release=release)
        else:
            yield Detail(field, f"{field} {_done(one, two)}", release)


def _entries(field: str, old: dict[str, object], new: dict[str, object], *, release: bool) -> Iterator[Detail]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Detail(f"{field}.{name}", f"{field} {name} {_done(old.get(name), new.get(name))}", release)


def _done(old: object, new: object) -> str:
    return "added" if old is None else "removed" if new is None else "changed"


def camel(name: str) -> str:
    """A field's name as manifests write it."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


# --- how it gets there -----------------------------------------------------------------------------------------------


def _strategy(old: Strategy, new: Strategy) -> Iterator[Detail]:
    if old.kind is not new.kind:
        yield Detail("release.strategy", f"strategy {_way(old)} → {_way(new)}")
    elif weights(old) != weights(new):
        yield Detail("release.steps", f"steps {weights(old)} → {weights(new)}")
    yield from _plain("release.bake", _bakes(old), _bakes(new), words="bake")
    yield from _plain("release.steps", _requests(old), _requests(new), words="requests of the steps")
    for name in ("max_bake", "hold_deadline", "progress_deadline", "drain"):
        one, two = getattr(old, name), getattr(new, name)
        field = camel(name)
        yield from _plain(f"release.{field}", format_duration(one), format_duration(two), words=field)


def _way(strategy: Strategy) -> str:
    return f"canary {weights(strategy)}" if strategy.kind is StrategyKind.CANARY else str(strategy.kind)


def weights(strategy: Strategy) -> str:
    """The shares of its steps: ``1/5/25/100 %``."""
    return "/".join(format_percent(step.weight).removesuffix("%") for step in strategy.steps) + " %"


def _bakes(strategy: Strategy) -> str:
    found = [format_duration(step.bake) for step in strategy.steps]
    return found[0] if len(set(found)) == 1 else "/".join(found)


def _requests(strategy: Strategy) -> str:
    found = [str(step.requests) for step in strategy.steps]
    return found[0] if len(set(found)) == 1 else "/".join(found)


_TIMES = ("interval", "warmup", "no_data_after", "provider_error_after")
_SHARES = ("error_budget", "false_rollback", "false_pass")


def _analysis(old: AnalysisPolicy, new: AnalysisPolicy) -> Iterator[Detail]:
    for name in AnalysisPolicy.__dataclass_fields__:
        one, two = getattr(old, name), getattr(new, name)
        if name in _TIMES:
            one, two = format_duration(one), format_duration(two)
        elif name in _SHARES:
            one, two = (format_percent(round(share * FULL_WEIGHT)) for share in (one, two))
        yield from _plain(f"analysis.{camel(name)}", one, two)
