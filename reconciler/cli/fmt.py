"""``prodsprint fmt``: write manifests in canonical form; needs no daemon and no network."""

from __future__ import annotations

import argparse

from reconciler.cli import rewriting

SUMMARY = "write manifests in canonical form (offline)"
EXAMPLES = """examples:
  prodsprint fmt
  prodsprint fmt services/checkout --diff
  prodsprint fmt --check
  prodsprint fmt - < prodsprint.yaml

Two spaces of indentation, no quotes where none are needed, durations and shares in short form. Comments stay where they
belong, keys and items in their order, values what they are. A file that cannot be read stays as it is.

exit code 1: a file has a problem; 2, with --check: a file would change"""

add_arguments = rewriting.add_arguments


def run(args: argparse.Namespace) -> int:
    """Write the files anew, or say what would change."""
    from reconciler.manifest.rewrite import tidied  # noqa: PLC0415  # help must stay quick

    def engine(path: str, content: bytes) -> rewriting.Change:
        found = tidied(path, content)
        return rewriting.Change(found.text, found.problems)

    return rewriting.run(args, "formatted", engine)
