"""Whether a document counts: the only one of its name, where it may be, in a declared workspace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.core.desired import Key
from reconciler.manifest.graph import order_problems
from reconciler.manifest.ownership import PROJECT, WORKSPACE, Ownership
from reconciler.manifest.problem import Code, Place, Problem, quoted
from reconciler.manifest.records import Draft, Identity
from reconciler.manifest.register import Register


class Verdict(NamedTuple):
    """What a document, or several of one name, come to. ``reason`` is why nothing is taken from them; empty if it is."""

    draft: Draft | None
    reason: str
    problems: tuple[Problem, ...]
    keys: frozenset[Key]
    """What they are about."""


def judged(identity: Identity, register: Register, ownership: Ownership) -> Verdict | None:
    """The verdict on the documents of one name; None when there is nothing to say: none at all, or one without a problem."""
    drafts, lost = register.claims.get(identity, ()), register.holders[identity]
    if len(drafts) == 1 and not lost and ownership.free and _plain(drafts[0]):
        return None  # as nearly always
    problems = [problem for draft in drafts if (problem := ownership.stray(draft))]
    rightful = [draft for draft in drafts if not ownership.stray(draft)] if problems else list(drafts)
    keys = frozenset(key for draft in rightful or drafts for key in draft.keys)
    if len(rightful) + len(lost) > 1:
        disputes = _disputes(identity, rightful, [Place(path) for path in sorted(lost)])
        named = {problem.place: str(problem) for problem in disputes}
        reason = next((draft.problem for draft in rightful if draft.problem), "") or _first(rightful, named)
        return Verdict(None, reason, (*problems, *disputes), keys)
    if lost:
        return Verdict(None, str(register.files[min(lost)].problems[0]), tuple(problems), keys)
    if not rightful:
        # What else is wrong is said at once, though not to those for whom the config repo cannot speak.
        besides = (problem for draft in drafts if ownership.spoken_for(draft) for problem in ownership.forbidden(draft))
        return Verdict(None, str(problems[0]), (*problems, *besides), keys) if drafts else None
    (draft,) = rightful
    own = [] if draft.problem else list(_own(draft, register, ownership))
    reason = draft.problem or (str(own[0]) if own else "")
    return Verdict(draft, reason, (*problems, *own), keys) if reason or problems else None


def _plain(draft: Draft) -> bool:
    """Whether there is nothing in a document that only those around it, or its own order, could make wrong."""
    return not draft.problem and not any(wish.after or wish.desired.components for wish in draft.wishes)


def _first(rightful: list[Draft], named: dict[Place, str]) -> str:
    return named[rightful[0].place] if rightful else next(iter(named.values()))


def _disputes(identity: Identity, drafts: list[Draft], lost: list[Place]) -> list[Problem]:
    kind, workspace, name = identity
    places = sorted([*(draft.place for draft in drafts), *lost], key=lambda p: (p.file, p.line, p.column))
    what = f"{'project' if kind == PROJECT else kind} {quoted(name)}"
    if kind != WORKSPACE:
        what += f" of the workspace {quoted(workspace)}"
    found = []
    for index, place in enumerate(places):
        other = places[0] if index else places[1]
        words = f"the {what} is also in {other}"
        found.append(Problem(place, Code.DUPLICATE_NAME, words, "Rename or remove one of them"))
    return found


def _own(draft: Draft, register: Register, ownership: Ownership) -> Iterator[Problem]:
    others = register.claims.get((WORKSPACE, draft.workspace, draft.workspace), ()) if ownership.policies else ()
    undeclared = ownership.undeclared(draft, others[0] if others else None)
    if undeclared:
        yield undeclared
        return
    yield from ownership.forbidden(draft)
    yield from order_problems(draft)
    yield from _twice(draft)


def _twice(draft: Draft) -> Iterator[Problem]:
    """Components of one environment that claim one port."""
    for wish in draft.wishes:
        seen = {wish.desired.port}
        for place, part in zip(wish.ports[1:], wish.desired.components, strict=False):
            if part.port in seen:
                found = f"port {part.port} belongs to another component of {wish.desired.key} too"
                yield Problem(place, Code.DUPLICATE_PORT, found, "Choose another port")
            seen.add(part.port)
