"""Manifests for the tests of this folder."""

from __future__ import annotations

import re

from reconciler.manifest.compile import Snapshot, compile_snapshot

MINIMAL = """\
apiVersion: prodsprint/v1
kind: Project
name: hello
source: https://example.com/hello.git
version: v1
process:
  command: python3 app.py
environments:
  - name: prod
    port: 8080
"""
REVISION = "a" * 40


def edited(*changes: tuple[str, str], text: str = MINIMAL) -> str:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def project(name: str, port: int, *more: str) -> str:
    return edited(("hello\n", f"{name}\n"), ("8080", str(port))) + "".join(more)


def environment(name: str, port: int) -> str:
    return f"  - name: {name}\n    port: {port}\n"


def compiled(
    files: dict[str, str] | str,
    previous: Snapshot | None = None,
    *,
    commit: str = "c1",
    resolve=lambda source, version: REVISION,
    refused=None,
) -> Snapshot:
    texts = {"prodsprint.yaml": files} if isinstance(files, str) else files
    blobs = {path: (f"blob:{text}", text.encode()) for path, text in texts.items()}
    return compile_snapshot(commit, blobs, resolve, previous, refused)


def lines(text: str) -> list[str]:
    return [re.sub(r"^prodsprint\.yaml:", "", str(problem)) for problem in compiled(text).problems]
