"""Content hashes of values: the release digest, the plan digest, and the canonical JSON they are taken from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from enum import Enum

from reconciler.core.components import parts
from reconciler.core.desired import DesiredState

RELEASE_FORM = "prodsprint.release/1"
"""Version of the canonical form, part of what is hashed: a daemon upgrade that adds fields starts no release."""


def plain(value: object) -> object:
    """Turn a value made of dataclasses, enums, tuples and scalars into plain JSON types. Raises TypeError otherwise."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"no canonical form for {type(value).__name__}")


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted names, no white space, non-ASCII as it is, NaN refused (ValueError)."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(text: str) -> str:
    """Hex SHA-256 of the UTF-8 bytes of ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()


def release_digest(desired: DesiredState) -> str:
    """Hash of what changes the behaviour of one key: artifact, target and its spec. Not replicas, bakes or deadlines.

    Of several components it covers each, in any order; a single service has the digest that it always had.
    """
    key = desired.key
    form: dict[str, object] = {
        "form": RELEASE_FORM,
        "key": [key.workspace, key.project, key.environment],
        "target": desired.target,
    }
    if desired.components:
        named = sorted((part.name, part.artifact.revision, part.spec) for part in parts(desired))
        form["components"] = [[name, revision, json.loads(spec)] for name, revision, spec in named]
    else:
        form |= {"revision": desired.artifact.revision, "spec": json.loads(desired.spec)}
    return sha256(canonical(form))


def revision_of(desired: DesiredState) -> str:
    """What runs, for comparing: the artifact's revision; of several components ``name=revision`` of each, sorted."""
    if not desired.components:
        return desired.artifact.revision
    return " ".join(sorted(f"{part.name}={part.artifact.revision}" for part in parts(desired)))


def short_revision_of(desired: DesiredState) -> str:
    """The same for people: twelve characters of each revision."""
    if not desired.components:
        return short(desired.artifact.revision)
    return ", ".join(f"{part.name} {short(part.artifact.revision)}" for part in parts(desired))


def short(digest: str) -> str:
    """The first twelve characters: enough for people and for file names."""
    return digest[:12]
