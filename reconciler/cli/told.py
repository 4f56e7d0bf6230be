"""What a commit means, printed: for people, for programs, and for a comment on a pull request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from reconciler.cli import markdown, output
from reconciler.cli.revisions import below
from reconciler.cli.validate import as_data as problem_data
from reconciler.core.desired import OnDelete
from reconciler.manifest.meaning import Action, Change, Meaning
from reconciler.manifest.problem import Problem
from reconciler.manifest.prospect import Held
from reconciler.manifest.removal import approval_of

NAMED = 5
"""Keys that are named where there are many."""
COUNTED = {"destroyed": "destroyed", "left": "left without a manifest", "new": "new", "changed": "changed"}
"""What happens to environments, by its name for programs, in words: the worst first."""


def narrowed(meaning: Meaning, folders: tuple[str, ...]) -> Meaning:
    """Only what is written in some folders."""

    def mine(files: Iterable[str]) -> bool:
        return any(below(file, folders) for file in files)

    return replace(
        meaning,
        keys=tuple(one for one in meaning.keys if mine(one.files)),
        documents=tuple(one for one in meaning.documents if mine(one.files)),
        brought=tuple(one for one in meaning.brought if mine((one.place.file,))),
        mended=tuple(one for one in meaning.mended if mine((one.place.file,))),
    )


def summary(meaning: Meaning) -> str:
    """One sentence without a period."""
    if meaning.nothing:
        return "nothing changes"
    found = counts(meaning)
    said = [f"{found[name]:,} {words}" for name, words in COUNTED.items() if found[name]]
    said += [output.count(found["removals_held"], "removal") + " held"] if found["removals_held"] else []
    said += [output.count(found["new_releases"], "new release")] if found["new_releases"] else []
    said += [_counted(meaning.documents)] if meaning.documents else []
    said += [f"{output.count(len(meaning.brought), 'problem')} brought"] if meaning.brought else []
    said += [f"{output.count(len(meaning.mended), 'problem')} mended"] if meaning.mended else []
    return ", ".join(said)


def counts(meaning: Meaning) -> dict[str, int]:
    """How many environments what happens to; what it lets happen that was held before counts as what happens."""
    actions = Counter(one.action for one in meaning.keys)
    approved = Counter(meaning.approved.values())
    return {
        "destroyed": actions[Action.DESTROYED] + approved[OnDelete.DESTROY],
        "left": actions[Action.REMOVED] + approved[OnDelete.KEEP],
        "new": actions[Action.ADDED],
        "changed": actions[Action.CHANGED],
        "removals_held": actions[Action.HELD],
        "new_releases": sum(one.release for one in meaning.keys),
    }


def _counted(documents: Sequence[Change]) -> str:
    names = sorted((one.subject.split()[0].lower(), str(one.action)) for one in documents)
    return ", ".join(f"{len(list(group))} {kind} {action}" for (kind, action), group in groupby(names))


# --- for people ------------------------------------------------------------------------------------------------------


def lines(meaning: Meaning) -> Iterator[str]:
    """All of it but the summary."""
    for group in grouped(meaning.keys):
        yield ""
        yield f"{_subjects(group)}: {_headline(group[0])}"
        yield from (f"  {detail.message}" for detail in group[0].details)
    for one in meaning.documents:
        yield ""
        yield f"{one.subject}: {one.action}: {one.message}"
        yield from (f"  {detail.message}" for detail in one.details)
        if one.reach:
            yield f"  reaches {listed(one.reach)}"
    if meaning.held:
        yield from ("", *_held(meaning.held))
    yield from _problems("problems that it brings", meaning.brought)
    if meaning.kept:
        yield f"  {listed(meaning.kept)}: what was in force there stays, until they are mended"
    yield from _problems("problems that it mends", meaning.mended)


def _subjects(group: Sequence[Change]) -> str:
    return listed([one.subject for one in group])


def _headline(one: Change) -> str:
    return one.message + (f", by {one.cause}" if one.cause else "")


def grouped(keys: Sequence[Change]) -> list[list[Change]]:
    """Keys to which the same happens for the same reason outside of their manifests are told once."""
    found: dict[object, list[Change]] = {}
    for one in keys:
        same = (one.cause, one.message, one.details) if one.cause else one.subject
        found.setdefault(same, []).append(one)
    return list(found.values())


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _problems(title: str, problems: Sequence[Problem]) -> Iterator[str]:
    if problems:
        yield from ("", f"{title}:", *(f"  {problem}" for problem in problems))


def _held(held: Held) -> Iterator[str]:
    names = listed(["/".join(project) for project in sorted(held.projects)])
    removals = held.removals
    whole = f"{len(removals.projects)} of {removals.before} projects"
    what = whole if removals.projects else output.count(len(removals.keys), "environment")
    yield (
        f"held: it removes {what} ({names}), more than the budget allows. They stay in force until a later commit gives each "
        "of their workspaces this document, with a reason:"
    )
    yield from (f"  {line}" for line in approvals(held))


def approvals(held: Held) -> list[str]:
    """The documents that approve a held removal."""
    return [
        approval_of(held.removals.digest, workspace) for workspace in sorted({project[0] for project in held.projects})
    ]


# --- for programs ----------------------------------------------------------------------------------------------------


def as_data(meaning: Meaning) -> dict[str, object]:
    """All of it as plain data."""
    held = meaning.held
    return {
        "summary": summary(meaning),
        "counts": counts(meaning),
        "environments": [change_data(one) for one in meaning.keys],
        "documents": [change_data(one) for one in meaning.documents],
        "problems": {
            "brought": [problem_data(one) for one in meaning.brought],
            "mended": [problem_data(one) for one in meaning.mended],
        },
        "kept": list(meaning.kept),
        "removal": {
            "digest": held.removals.digest,
            "projects": ["/".join(project) for project in sorted(held.projects)],
            "before": held.removals.before,
            "approvals": approvals(held),
        }
        if held
        else None,
    }


def change_data(one: Change) -> dict[str, object]:
    """A change as plain data."""
    return {
        "subject": one.subject,
        "action": str(one.action),
        "message": one.message,
        "new_release": one.release,
        "details": [{"field": d.field, "message": d.message, "new_release": d.release} for d in one.details],
        "cause": one.cause,
        "reach": list(one.reach),
        "files": list(one.files),
    }


# --- for a comment ---------------------------------------------------------------------------------------------------


def comment(meaning: Meaning, title: str, notes: Sequence[str], details: Sequence[tuple[str, str]] = ()) -> str:
    """Markdown. ``details`` are titles and texts that are folded away."""
    page = markdown.Page()
    page.add(f"### ProdSprint: {markdown.escaped(summary(meaning))}")
    page.add(f"\n{markdown.escaped(title)}")
    for note in notes:
        page.add(f"\n{markdown.escaped(note)}")
    if meaning.held:
        text = "\n".join(_held(meaning.held))
        page.add(f"\n{markdown.block(text)}")
    rows = [(_subject_cell(group), _cell(group[0])) for group in grouped(meaning.keys)]
    rows += [(_subject_cell([one]), _cell(one)) for one in meaning.documents]
    if rows:
        first, *rest = markdown.table(("what", "what happens"), rows)
        page.add(f"\n{first}")
        page.add_all(rest, "rows")
    found = [("problems that it brings", meaning.brought), ("problems that it mends", meaning.mended)]
    folded = [(name, "\n".join(map(str, problems))) for name, problems in found if problems]
    page.add_all([f"\n{_fold(name, text)}" for name, text in (*folded, *details)], "details")
    return page.text()


def _fold(name: str, text: str) -> str:
    return markdown.folded(markdown.escaped(name), markdown.block(output.cut(text, markdown.MOST // 6)))


def _subject_cell(group: Sequence[Change]) -> str:
    return markdown.code(_subjects(group))


def _cell(one: Change) -> str:
    told = one.action is Action.CHANGED or one.message.startswith(one.action)
    said = ["" if told else f"**{one.action}**", markdown.escaped(_headline(one))]
    shown = [markdown.escaped(detail.message) for detail in one.details[:MOST_DETAILS]]
    if len(one.details) > MOST_DETAILS:
        shown.append(f"and {len(one.details) - MOST_DETAILS} more")
    if one.reach:
        shown.append(f"reaches {markdown.escaped(listed(one.reach))}")
    return "<br>".join([" ".join(filter(None, said)), *shown])


MOST_DETAILS = 20
"""Details of one row of a comment."""
