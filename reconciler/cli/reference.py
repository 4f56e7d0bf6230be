"""Writes docs/cli.md from the command line itself, so that it cannot say anything else."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from reconciler.cli.completion import children

EXIT_CODES = (
    (0, "fine"),
    (1, "an error, a wrong command line, or problems in a manifest"),
    (2, "`plan --detailed-exitcode`: something would change"),
    (3, "denied by a gate, or the daemon refused what was asked"),
    (4, "held by a freeze"),
    (5, "timed out, or not decided on yet"),
    (6, "an environment that was asked for is Degraded"),
    (20, "no daemon can be reached"),
    (130, "interrupted with ctrl-c"),
)

HEAD = """\
# The command line

Generated from the program: `make generate` rewrites this page.

KEY is `PROJECT/ENVIRONMENT` (in workspace `default`) or `WORKSPACE/PROJECT/ENVIRONMENT`. Commands find the daemon through its data
directory: `--data-dir`, else `$PRODSPRINT_DATA_DIR`, else `prodsprint` in the state directory of the user.

## Exit codes

Stable: scripts may rely on them.

| code | meaning |
|---|---|
"""


def page(parser: argparse.ArgumentParser) -> str:
    """The whole page."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES)
    return HEAD + codes + "".join(_verb(path, verb) for path, verb in _verbs("prodsprint", parser))


def _verbs(path: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    inner = children(parser)
    for name, verb in inner.items():
        if children(verb):
            yield from _verbs(f"{path} {name}", verb)
        else:
            yield f"{path} {name}", verb


def _verb(path: str, verb: argparse.ArgumentParser) -> str:
    rows = [_row(action) for action in verb._actions if action.dest != "help"]  # noqa: SLF001  # argparse has no other way
    table = "\n| argument | meaning |\n|---|---|\n" + "".join(rows) if rows else ""
    examples = f"\n```text\n{verb.epilog}\n```\n" if verb.epilog else ""
    return f"\n## {path}\n\n{verb.description}\n{table}{examples}"


def _row(action: argparse.Action) -> str:
    if action.option_strings:
        value = "" if action.nargs == 0 else " " + (str(action.metavar or action.dest.upper().replace("_", "-")))
        name = ", ".join(action.option_strings) + value
    else:
        name = str(action.metavar or action.dest).upper() + ("..." if action.nargs == "*" else "")
    choices = f": {', '.join(map(str, action.choices))}" if action.choices else ""
    required = " (required)" if action.required and action.option_strings else ""
    words = (action.help or "").replace("%%", "%").replace("|", "\\|")
    return f"| `{name}` | {words}{choices}{required} |\n"
