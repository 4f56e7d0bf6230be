"""What a text on a problem with what git asks for tells of, and how it is said in full, in short, and where it lasts."""

from __future__ import annotations

import re
from enum import StrEnum

HELD = "it is held in force"
"""What is said of a key whose removal is held."""
_APPROVAL = re.compile(r"`(\{apiVersion: .*\})`")
_PLACE = re.compile(r"(?:(?P<file>.+?):[0-9]+:[0-9]+|(?P<whole>\S+)): ")


class Trouble(StrEnum):
    """The kinds of problems, as conditions and waits name them."""

    MANIFEST = "ManifestProblem"
    REMOVAL = "RemovalHeld"
    REVISION = "RevisionNotFound"


def kind(problem: str) -> Trouble:
    """What kind of problem a text tells of. A version that nobody has pushed yet is no fault of the manifest."""
    if HELD in problem:
        return Trouble.REMOVAL
    if problem.startswith("revision '") and "' not found in " in problem:
        return Trouble.REVISION
    return Trouble.MANIFEST


def lasting(problem: str) -> str:
    """The part of a problem that is not worded anew by what others do: no causes in parentheses, no size of a group."""
    if kind(problem) is Trouble.REMOVAL:
        return f"{re.split(r' together with |, more than ', problem, maxsplit=1)[0]}: {HELD}"
    while problem.endswith(")"):
        shorter = problem[: _opening(problem)].rstrip()
        if not shorter:
            return problem
        problem = shorter
    return problem


def _opening(text: str) -> int:
    """Where the parenthesis begins that ends a text; where the first one does when they do not match."""
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return max(0, text.find("("))


def approval(problem: str) -> str:
    """The document that would approve a held removal; empty when the problem is another one."""
    found = _APPROVAL.search(problem) if kind(problem) is Trouble.REMOVAL else None
    return found[1] if found else ""


def told(problem: str) -> str:
    """A problem in one sentence, without the document that it may hold."""
    document = approval(problem)
    return problem.partition(f": `{document}`")[0].rstrip() if document else problem


def place(problem: str) -> str:
    """Where it is, as FILE:LINE:COLUMN or FILE; empty when the problem names no place."""
    found = _PLACE.match(problem)
    return found[0][:-2] if found and kind(problem) is not Trouble.REVISION else ""


def file(problem: str) -> str:
    """The file that it is in; empty when the problem names none."""
    found = _PLACE.match(problem)
    return (found["file"] or found["whole"]) if found and kind(problem) is not Trouble.REVISION else ""


def brief(problem: str) -> str:
    """A problem in a few words, for a column of a table."""
    if kind(problem) is Trouble.REMOVAL:
        return "removal held"
    if kind(problem) is Trouble.REVISION:
        return problem.partition(" in ")[0]
    where = place(problem)
    return f"manifest problem: {where}" if where else told(problem)
