"""How the documents that are no projects differ between two moments: what people decided, and what others default to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.manifest.difference import Detail
from reconciler.manifest.problem import quoted
from reconciler.manifest.records import Draft, Identity

HEADER = frozenset({"apiVersion", "kind", "name", "workspace"})
OPEN = frozenset({"release", "analysis"})
"""Blocks among defaults whose values may be shown. Others are a target's: their values may be anybody's secrets."""
EVERYTHING = "the whole workspace"


def document_changes(
    before: Mapping[Identity, Draft], after: Mapping[Identity, Draft]
) -> dict[Identity, tuple[str, str, tuple[Detail, ...]]]:
    """What happens to each document: ``added``, ``changed`` or ``removed``, a sentence, and what of it is different."""
    found: dict[Identity, tuple[str, str, tuple[Detail, ...]]] = {}
    for identity in {*before, *after}:
        old, new = before.get(identity), after.get(identity)
        if old is None and new is not None:
            found[identity] = ("added", told(json.loads(new.body)), ())
        elif new is None and old is not None:
            found[identity] = ("removed", told(json.loads(old.body)), ())
        elif old and new and old.body != new.body:
            one, two = json.loads(old.body), json.loads(new.body)
            found[identity] = ("changed", told(two), tuple(_differences((), one, two)))
    return found


def told(body: dict[str, Any]) -> str:
    """A document in one sentence."""
    tell = {"Waiver": _waiver, "Approval": _approval, "Freeze": _freeze, "PolicyPack": _pack, "Target": _target}
    return tell.get(body["kind"], _workspace)(body)


def _waiver(body: dict[str, Any]) -> str:
    return f"{_where(body['scope'])} is exempt from {', '.join(body['gates'])} until {body['expires']}"


def _where(scope: dict[str, Any]) -> str:
    said = [f"{name} {scope[name]}" for name in ("project", "environment", "release") if name in scope]
    return ", ".join(said) or EVERYTHING


def _approval(body: dict[str, Any]) -> str:
    until = f" until {body['expires']}" if "expires" in body else ""
    for kind in ("removal", "plan"):
        if kind in body:
            return f"the {kind} {body[kind][:12]} is approved{until}"
    return f"the release {body['release'][:12]} of {body['project']}/{body['environment']} is approved{until}"


def _freeze(body: dict[str, Any]) -> str:
    scope = body.get("scope", {})
    said = [f"{name} {', '.join(scope[name])}" for name in ("projects", "environments") if name in scope]
    zone = f" ({body['timeZone']})" if "timeZone" in body else ""
    if "from" in body:
        when = f"from {body['from']} until {body['until']}"
    elif "cron" in body:
        when = f"for {body['duration']} at {body['cron']}"
    else:
        when = f"for {body['duration']} by {body['rrule']} from {body['start']}"
    return f"nothing is promoted in {'; '.join(said) or EVERYTHING} {when}{zone}"


def _pack(body: dict[str, Any]) -> str:
    rules = len(body.get("rules", ()))
    return f"version {body['version']}, {rules} rule{'s' if rules != 1 else ''}"


def _target(body: dict[str, Any]) -> str:
    shared = body.get("sharedWith", ())
    with_whom = ", ".join(shared) if isinstance(shared, list) else f"{shared} workspaces" if shared else ""
    return f"a {body['type']} target" + (f", shared with {with_whom}" if with_whom else "")


def _workspace(body: dict[str, Any]) -> str:
    return f"owned by {', '.join(body['owners'])}" if body.get("owners") else "a workspace"


# --- what is different -----------------------------------------------------------------------------------------------


def _differences(path: tuple[str, ...], old: Any, new: Any) -> Iterator[Detail]:
    """Every field that is different; lists of texts and of named things by their items."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new} - (HEADER if not path else frozenset())):
            if old.get(name) != new.get(name):
                yield from _differences((*path, name), old.get(name), new.get(name))
        return
    field = ".".join(path)
    names = [_named(value) for value in (old, new)]
    if _secret(path):
        yield from _hidden(path, old, new)
    elif names[0] is not None and names[1] is not None:
        yield from _items(field, names[0], names[1])
    elif isinstance(old, (dict, list)) or isinstance(new, (dict, list)):
        yield Detail(field, f"{field} {'added' if old is None else 'removed' if new is None else 'changed'}")
    else:
        one, two = ("none" if value is None else _short(value) for value in (old, new))
        yield Detail(field, f"{field} {one} → {two}")


def _hidden(path: tuple[str, ...], old: Any, new: Any) -> Iterator[Detail]:
    """By name only. A whole block that comes or goes is told field by field."""
    one, two = ({} if value is None else value for value in (old, new))
    if isinstance(one, dict) and isinstance(two, dict):
        yield from _differences(path, one, two)
        return
    field = ".".join(path)
    yield Detail(field, f"{field} {'added' if old is None else 'removed' if new is None else 'changed'}")


def _secret(path: tuple[str, ...]) -> bool:
    """Whether the values there may be variables of a service: those in the blocks of targets."""
    inner = path[1:] if path[0] == "defaults" else path
    known = {"instances", "router", "target", "onDelete", *OPEN}
    return len(inner) > 1 and inner[0] not in known and path[0] not in {"quotas", "allow", "scope", "parameters"}


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return quoted(text) if " " in text or not text.isprintable() else text


def _named(value: Any) -> dict[str, object] | None:
    """A list as its items by name: texts by themselves, rules by their id, cases by their name. None for others."""
    if value is None:
        return {}
    if not isinstance(value, list):
        return None
    found: dict[str, object] = {}
    for item in value:
        name = (
            item if isinstance(item, str) else (item.get("id") or item.get("name")) if isinstance(item, dict) else None
        )
        if not isinstance(name, str):
            return None
        found[name] = item
    return found


def _items(field: str, old: dict[str, object], new: dict[str, object]) -> Iterator[Detail]:
    for name in sorted({*old, *new}):
        if name not in old or name not in new:
            yield Detail(field, f"{field} {_short(name)} {'added' if name in new else 'removed'}")
        elif old[name] != new[name]:
            yield Detail(field, f"{field} {_short(name)} changed")
    if list(old) != list(new) and set(old) == set(new) and old == new:
        yield Detail(field, f"{field} in another order")
