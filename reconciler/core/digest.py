"""Content hashes of values: the release digest, the plan digest, and the canonical JSON they are taken from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from enum import Enum

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
    """Hash of what changes the behaviour of one key: artifact, target and its spec. Not replicas, bakes or deadlines."""
    key = desired.key
    form = {
        "form": RELEASE_FORM,
        "key": [key.workspace, key.project, key.environment],
        "revision": desired.artifact.revision,
        "spec": json.loads(desired.spec),
        "target": desired.target,
    }
    return sha256(canonical(form))


def short(digest: str) -> str:
    """The first twelve characters: enough for people and for file names."""
    return digest[:12]
