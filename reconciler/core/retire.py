"""The end of a key: its manifest is removed, or a person takes out of service what no manifest asks for.

A removed manifest alone ends no more than what is unproven: the rollout in progress. What serves goes on serving, unless the
manifest said ``onDelete: destroy`` or a person says so. Then traffic goes, requests in flight end, and the instances go.
What is not known for certain to be removed is left as it is.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import plan
from reconciler.core.components import version_of
from reconciler.core.desired import OnDelete
from reconciler.core.inputs import DAEMON, Draft
from reconciler.core.state import Retirement, SetRoute, retired

WHO = "prodsprint release retire, or whoever brings the manifest back"


def removal(draft: Draft) -> str:
    """Why nothing more is released to a key that git does not ask for; empty when that is not certain."""
    going, gone = draft.state.retirement, draft.inputs.tombstone
    if not draft.unasked or (going is None and gone is None):
        return ""
    if gone is not None:
        return f"{gone.desired.path} was removed by commit {gone.commit[:12]}"
    return going.reason if going else ""


def retire(draft: Draft) -> None:
    """Begin, go on with or end the retirement of a key, or stop it because a manifest asks for the key again."""
    if draft.inputs.desired is not None:
        _come_back(draft)
    elif draft.unasked and draft.state.rollout is None:
        _begin(draft)
        _confirm(draft)
        _end(draft)
    elif draft.unasked:
        _begin(draft)
    elif draft.state.retirement is not None and not retired(draft.state):
        draft.wait("Retiring", f"whether a manifest asks for it is not known: {draft.inputs.problem}", WHO)
    _say_what_stays(draft)


def _come_back(draft: Draft) -> None:
    going = draft.state.retirement
    if going is not None:
        draft.change(retirement=None)
        was = "retired" if going.ended is not None else "being retired"
        draft.say("environment.returned", f"a manifest asks again for what was {was}: {going.reason}")


def _begin(draft: Draft) -> None:
    gone, state = draft.inputs.tombstone, draft.state
    if state.retirement is not None or gone is None:
        return
    empty = state.stable is None and state.rollout is None
    if gone.desired.on_delete is OnDelete.DESTROY or empty:
        begin(draft, DAEMON, removal(draft), commit=gone.commit)


def begin(draft: Draft, who: str, reason: str, **body: object) -> None:
    """Have a key taken out of service."""
    draft.change(retirement=Retirement(who, reason, draft.now))
    what = version_of(draft.state.stable.desired) if draft.state.stable else "the key"
    draft.say("environment.retiring", f"{what} is taken out of service: {reason}", who, **body)


def _confirm(draft: Draft) -> None:
    """Note when the router first confirmed that nothing is sent there any more."""
    going, current, observed = draft.state.retirement, draft.state.plan, draft.inputs.observed
    if going is None or going.confirmed is not None or current is None or observed.error:
        return
    off = [one.route for one in current.actions if isinstance(one, SetRoute)]
    if plan.next_plan(draft.state, "") is None and off and all(plan.in_force(route, observed) for route in off):
        draft.change(retirement=replace(going, confirmed=draft.now))


def _end(draft: Draft) -> None:
    going, state, observed = draft.state.retirement, draft.state, draft.inputs.observed
    if going is None or retired(state):
        return
    if state.stable is not None and (observed.error or going.confirmed is None or observed.instances):
        draft.wait("Retiring", f"traffic goes, then the instances: {going.reason}", "whoever brings the manifest back")
        return
    version = version_of(state.stable.desired) if state.stable else ""
    draft.change(stable=None, pause=None, retirement=replace(going, ended=draft.now.wall))
    message = f"nothing of it is left: {going.reason}"
    draft.say("environment.retired", message, going.who, version=version, reason=going.reason)


def ending(going: Retirement) -> str:
    """Who takes a key out of service and why, or did so; the reason of a person's verb says it itself."""
    if going.ended is None:
        return f"it is being taken out of service: {going.reason}"
    return going.reason if going.who != DAEMON else f"retired by {going.who}: {going.reason}"


def _say_what_stays(draft: Draft) -> None:
    stable = draft.state.stable
    if draft.inputs.tombstone is not None and draft.state.retirement is None and draft.unasked and stable is not None:
        draft.wait("Tombstone", kept(draft), WHO)


def kept(draft: Draft) -> str:
    """The sentence on a key that goes on serving although its manifest is gone."""
    stable = draft.state.stable
    runs = f"{version_of(stable.desired)} goes on serving" if stable else "what runs is left as it is"
    return f"{removal(draft)}; {runs}, as onDelete: keep says"
