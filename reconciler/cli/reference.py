"""Writes docs/cli.md from the command line itself, so that it cannot say anything else."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from reconciler.cli.client import CONNECTION
from reconciler.cli.completion import children

EXIT_CODES = (
    (0, "fine"),
    (1, "an error, a wrong command line, or problems in a manifest"),
    (2, "`plan --detailed-exitcode`: something would change"),
    (3, "denied by a gate, or the daemon refused what was asked"),
    (4, "held by a freeze (kept for it: nothing freezes yet)"),
    (5, "timed out, or not decided on yet"),
    (6, "an environment that was asked for is Degraded"),
    (20, "no daemon can be reached"),
    (130, "interrupted with ctrl-c"),
)

HEAD = """\
# The command line

Generated from the program: `make generate` rewrites this page.

KEY is `PROJECT/ENVIRONMENT` (in workspace `default`) or `WORKSPACE/PROJECT/ENVIRONMENT`. On a narrow terminal the
last column of a table is cut (`-o wide` shows all of it) and sentences are folded; a file or a pipe gets everything.

## Exit codes

Stable: scripts may rely on them.

| code | meaning |
|---|---|
"""


def page(parser: argparse.ArgumentParser) -> str:
    """The whole page."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES)
    verbs = list(_verbs("prodsprint", parser))
    shared = next(group for _, verb in verbs for group in verb._action_groups if group.title == CONNECTION)  # noqa: SLF001
    daemon = f"\n## Which daemon\n\nEvery verb that talks to a daemon takes these options.\n{_rows(shared)}"
    return HEAD + codes + daemon + "".join(_verb(path, verb) for path, verb in verbs)


def _verbs(path: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    inner = children(parser)
    for name, verb in inner.items():
        if children(verb):
            yield from _verbs(f"{path} {name}", verb)
        else:
            yield f"{path} {name}", verb


def _verb(path: str, verb: argparse.ArgumentParser) -> str:
    groups = {group.title: group for group in verb._action_groups}  # noqa: SLF001  # argparse has no other way
    daemon = "\nTalks to [a daemon](#which-daemon).\n" if CONNECTION in groups else ""
    own = "".join(_row(action) for action in verb._actions if action not in _shared(groups))  # noqa: SLF001
    table = f"\n| argument | meaning |\n|---|---|\n{own}" if own else ""
    examples = f"\n```text\n{verb.epilog}\n```\n" if verb.epilog else ""
    return f"\n## {path}\n\n{verb.description}\n{daemon}{table}{examples}"


def _shared(groups: dict[str | None, argparse._ArgumentGroup]) -> list[argparse.Action]:
    return groups[CONNECTION]._group_actions if CONNECTION in groups else []  # noqa: SLF001


def _rows(group: argparse._ArgumentGroup) -> str:
    return "\n| argument | meaning |\n|---|---|\n" + "".join(_row(action) for action in group._group_actions)  # noqa: SLF001


def _row(action: argparse.Action) -> str:
    if action.dest == "help":
        return ""
    if action.option_strings:
        value = "" if action.nargs == 0 else " " + (str(action.metavar or action.dest.upper().replace("_", "-")))
        name = ", ".join(action.option_strings) + value
    else:
        name = str(action.metavar or action.dest).upper() + ("..." if action.nargs == "*" else "")
    name = f"[{name}]" if action.nargs in {"?", "*"} else name
    choices = f": {', '.join(map(str, action.choices))}" if action.choices else ""
    required = " (required)" if action.required and action.option_strings else ""
    words = (action.help or "").replace("%%", "%").replace("|", "\\|")
    return f"| `{name}` | {words}{choices}{required} |\n"
