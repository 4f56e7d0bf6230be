"""``prodsprint migrate``: bring manifests to the newest version of the language; needs no daemon and no network."""

from __future__ import annotations

import argparse

from reconciler.cli import rewriting

SUMMARY = "bring manifests to the newest apiVersion (offline)"
EXAMPLES = """examples:
  prodsprint migrate --diff
  prodsprint migrate services/checkout
  prodsprint migrate --check

Comments stay where they belong, keys and items in their order. A file that is in the newest version is not touched.

exit code 1: a file has a problem; 2, with --check: a file would change"""

add_arguments = rewriting.add_arguments


def run(args: argparse.Namespace) -> int:
    """Migrate the files, or say what would change."""
    from reconciler.manifest.rewrite import migrated  # noqa: PLC0415  # help must stay quick

    def engine(path: str, content: bytes) -> rewriting.Change:
        found = migrated(path, content)
        note = f" (to {', '.join(sorted(set(found.steps)))})" if found.steps else ""
        return rewriting.Change(found.text, found.problems, note)

    return rewriting.run(args, "migrated", engine)
