"""``prodsprint plan --explain REV1 REV2`` and ``prodsprint plan --rev REV``: what commits mean, and what they lead to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli import observed, output, preview, told
from reconciler.cli.approved import Ask, Removed, explained
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.lookup import commits_of
from reconciler.cli.revisions import Revisions
from reconciler.clock import SystemClock
from reconciler.config_repos import RemovalBudget
from reconciler.core.desired import DesiredState, Key
from reconciler.core.digest import short
from reconciler.core.units import format_percent
from reconciler.manifest.inforce import ports
from reconciler.manifest.meaning import Change, Meaning, Version, located, meaning, versions
from reconciler.manifest.prospect import Prospect
from reconciler.manifest.snapshot import Snapshot

MOST_PLANNED = 100
"""Environments that are planned in detail; of others it is said what changes."""
BUDGET = RemovalBudget()
NOT_OBSERVED = "The observed state is unknown ({why}): what changes is shown, and not how the daemon would get there."
NO_DAEMON = "no daemon was in reach"
"""What a comment says of it: what is where on this machine is nobody's business there."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Two commits, what is in force with each, and how they differ."""

    one: str
    other: str
    after: Snapshot
    meaning: Meaning
    commits: Mapping[Version, str]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Which commits."""
        return f"{short(self.one) or 'nothing'} → {short(self.other)}"


def explain(args: argparse.Namespace) -> int:
    """Say what happens between two commits."""
    paths = args.paths or [Path()]
    revisions = Revisions.of(paths[0])
    folders = revisions.within(paths)
    one, other = (revisions.commit(revision) for revision in args.explain)
    found = _compared(revisions, one, other, folders, lambda _removal: {})
    if args.output == "markdown":
        output.write(told.comment(found.meaning, f"{found.title}.", found.notes))
    elif args.output == "table":
        _write([f"{found.title}: {told.summary(found.meaning)}", *found.notes, *told.lines(found.meaning)])
    else:
        output.data({"from": one, "to": other, **told.as_data(found.meaning), "notes": [*found.notes]}, args.output)
    return ExitCode.OK if found.meaning.nothing or not args.detailed_exitcode else ExitCode.CHANGES


def _compared(revisions: Revisions, one: str, other: str, folders: tuple[str, ...], ask: Ask) -> Compared:
    """``one`` may be empty: a commit that nothing was before. ``ask`` knows what a daemon holds."""
    prospect = Prospect(allows=BUDGET.allows)
    if one:
        before = prospect.go(one, revisions.tree(one))
        after = prospect.go(other, revisions.tree(other))
    else:
        before, after = Prospect().snapshot, prospect.go(other, revisions.tree(other))
    commits, notes = commits_of(versions(before, after))
    found = told.narrowed(meaning(before, after, commits, prospect.held), folders)
    found = explained(found, Removed(revisions, other, before, after, ask))
    if found.held:
        notes.append(_budget())
    return Compared(one, other, after, found, commits, tuple(notes))


def _budget() -> str:
    share = format_percent(round(BUDGET.share * 10_000)).replace("%", " %")
    return (
        f"The budget of removals is the default one: at most {BUDGET.count} projects at once, and of more than one at most "
        f"{share} of all; one alone may always go, unless it is the last."
    )


def _write(lines: Sequence[str]) -> None:
    output.write("\n".join(output.wrap(line, output.columns(), 4) for line in lines))


# --- the plan of a commit --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proposal:
    """What merging a commit leads to. ``previews`` by key, as far as the observed state is known."""

    compared: Compared
    base: str
    """What it is compared with, in words."""
    notes: tuple[str, ...]
    previews: Mapping[str, preview.Preview]
    unchanged: int
    observed: bool
    """Whether a daemon has told what it observes."""
    blocked: Mapping[str, str]
    """Why a daemon would not begin with a key."""

    @property
    def exit_code(self) -> ExitCode:
        """Problems, else denied or held, else nothing special."""
        if self.compared.meaning.brought:
            return ExitCode.ERROR
        denied = self.compared.meaning.held or self.blocked or any(one.denied for one in self.previews.values())
        return ExitCode.DENIED if denied else ExitCode.OK


def propose(args: argparse.Namespace) -> int:
    """Plan what merging a commit leads to; nothing is committed, and nothing is acted on."""
    paths = args.paths or [Path()]
    revisions = Revisions.of(paths[0])
    folders = revisions.within(paths)
    commit = revisions.commit(args.rev)
    base, words = _base(revisions, commit, args.base)
    compared = _compared(revisions, base, commit, folders, lambda removal: observed.held(args, removal))
    found = _planned(args, compared, words)
    _show(found, args.output)
    if found.exit_code is ExitCode.OK and args.detailed_exitcode and not compared.meaning.nothing:
        return ExitCode.CHANGES
    return found.exit_code


def _base(revisions: Revisions, commit: str, named: str | None) -> tuple[str, str]:
    """The commit that another one is compared with, and what it is."""
    if named is not None:
        found = revisions.commit(named)
        return found, f"{short(found)} ({named})"
    default = revisions.default()
    if default is None:
        return "", "nothing: there is no branch origin/HEAD, main or master (name a commit with --base)"
    name, tip = default
    fork = revisions.fork(commit, tip)
    if fork is None:
        return "", f"nothing: it has no commit in common with {name} (name one with --base)"
    return fork, f"{short(fork)}, where it leaves {name}" if fork != tip else f"{short(tip)} ({name})"


def _planned(args: argparse.Namespace, compared: Compared, base: str) -> Proposal:
    clock = SystemClock()
    changed = [one for one in compared.meaning.keys if Key.parse(one.subject) in compared.after.desired]
    detailed = sorted(changed, key=lambda one: (not one.release, one.subject))[:MOST_PLANNED]
    wanted = {one.subject: compared.after.desired[Key.parse(one.subject)] for one in detailed}
    states, why = observed.states(args, observed.concerned(wanted.values()))
    blocked = {} if why or not changed else _blocked(args, compared, changed)

    def desired(key: Key) -> DesiredState | None:
        state, known = compared.after.desired.get(key), states.get(str(key))
        state = located(state, observed.commits(known)) if state and known else state
        return located(state, compared.commits) if state else None

    around = preview.Around(states, desired)
    previews, notes = {}, []
    for subject in sorted(wanted.keys() - blocked.keys()) if not why else ():
        state = desired(Key.parse(subject))
        if state is not None and observed.complete(state):
            previews[subject] = preview.preview(state, around, clock)
        else:
            notes.append(f"{subject} is not planned: the commit of its version is not known.")
    notes += [f"{subject} is not planned: {reason}." for subject, reason in blocked.items()]
    if why:
        notes.append(NOT_OBSERVED.format(why=NO_DAEMON if args.output == "markdown" else why))
    elif len(changed) > len(detailed):
        notes.append(f"{output.count(len(changed) - len(detailed), 'more environment')} not planned in detail.")
    unchanged = len(compared.after.desired) - len(changed)
    return Proposal(compared, base, (*notes, *compared.notes), previews, unchanged, not why, blocked)


def _blocked(args: argparse.Namespace, compared: Compared, changed: Sequence[Change]) -> dict[str, str]:
    """Keys that ask for a port which the daemon has not been freed of."""
    left = observed.left_ports(args, compared.after.desired)
    found = {}
    for one in changed:
        for port in ports(compared.after.desired[Key.parse(one.subject)]):
            if port in left:
                free = f"choose another port, or free it with `prodsprint release retire {left[port]}`"
                found[one.subject] = f"held: port {port} belongs to {left[port]} still; {free}"
    return found


def _show(found: Proposal, form: str) -> None:
    compared = found.compared
    unchanged = f"{output.count(found.unchanged, 'environment')} unchanged"
    title = f"Commit {short(compared.other)} against {found.base}; {unchanged}."
    if form == "markdown":
        details = [(f"plan of {key}", preview.text(one)) for key, one in sorted(found.previews.items())]
        details += [(f"steps of {one.subject}", "\n".join(_steps(found, one))) for one in _stepping(found)]
        output.write(told.comment(compared.meaning, title, found.notes, details))
    elif form == "table":
        head = f"{short(compared.other)}: {told.summary(compared.meaning)}"
        _write([head, title, *found.notes, *told.lines(compared.meaning)])
        for _, one in sorted(found.previews.items()):
            output.write(f"\n{preview.text(one, output.columns())}")
        for change in _stepping(found):
            _write(["", f"{change.subject}: steps of the new release", *_steps(found, change)])
    else:
        output.data(_data(found), form)


def _stepping(found: Proposal) -> list[Change]:
    """Changes of what is there already that are no plans, but have steps to tell of."""
    keys = [one for one in found.compared.meaning.keys if one.release and one.details]
    return [one for one in keys if one.subject not in found.previews][:MOST_PLANNED]


def _steps(found: Proposal, change: Change) -> list[str]:
    return preview.step_lines(_desired(found, change))


def _desired(found: Proposal, change: Change) -> DesiredState:
    return found.compared.after.desired[Key.parse(change.subject)]


def _data(found: Proposal) -> dict[str, object]:
    compared = found.compared
    plans = {key: preview.as_data(one) for key, one in sorted(found.previews.items())}
    return {
        "commit": compared.other,
        "base": compared.one,
        "observed": found.observed,
        **told.as_data(compared.meaning),
        "unchanged": found.unchanged,
        "plans": plans,
        "blocked": dict(found.blocked),
        "steps": {one.subject: preview.step_data(_desired(found, one)) for one in _stepping(found)},
        "notes": list(found.notes),
    }
