"""Documents around a project, and a project in the workspace acme."""

from __future__ import annotations

from manifest_samples import edited

HEAD = "apiVersion: prodsprint/v1\nkind: {}\nname: {}\n"
SHOP = edited(("hello\n", "hello\nworkspace: acme\n"))
COMPONENTS = """\
components:
  - name: web
  - name: mail
    version: v2
    instances: 2
"""


def workspace(defaults: str, name: str = "acme") -> str:
    inside = "".join(f"  {line}\n" for line in defaults.splitlines())
    return HEAD.format("Workspace", name) + (f"defaults:\n{inside}" if inside else "")


def target(name: str, block: str = "", more: str = "", owner: str = "acme", kind: str = "process") -> str:
    inside = "".join(f"  {line}\n" for line in block.splitlines())
    text = HEAD.format("Target", name) + f"workspace: {owner}\ntype: {kind}\n{more}"
    return text + (f"process:\n{inside}" if inside else "")
