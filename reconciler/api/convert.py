"""From values of the core to messages of ``prodsprint.v1``. Nothing is decided here."""

from __future__ import annotations

from dataclasses import fields
from math import inf

from prodsprint import v1

from reconciler.api.scalars import duration, repository, timestamp
from reconciler.core.analysis import Analysis, Evidence
from reconciler.core.components import parts, version_of
from reconciler.core.desired import Component, Release
from reconciler.core.digest import canonical, revision_of
from reconciler.core.observed import Backend, Instance, Traffic
from reconciler.core.state import Action, Attempt, Condition, Pause, Plan, Quarantine, Rollout, Scale
from reconciler.core.view import EnvironmentView, waiting_for
from reconciler.core.waiting import Waiting
from reconciler.ports import AuditEntry, ChainReport, Delivery


def environment(view: EnvironmentView) -> v1.Environment:
    """One key with everything that is known of it."""
    state, observed, desired = view.state, view.observed, view.desired
    runs = desired or (state.stable.desired if state.stable else None)
    quarantine = view.quarantine
    return v1.Environment(
        key=str(view.key),
        target=runs.target if runs else "",
        sync_status=view.sync,
        health_status=view.health,
        conditions=[_condition(one) for one in state.conditions],
        desired=desired_release(view),
        stable=release(state.stable, "stable") if state.stable else None,
        rollout=_rollout(view, state.rollout) if state.rollout else None,
        quarantined=quarantine is not None,
        pause=_pause(state.pause) if state.pause else None,
        instances=[_instance(one) for one in observed.instances] if observed else [],
        traffic=_traffic(observed.traffic) if observed and observed.traffic else None,
        observation_error=observed.error if observed else "not looked at yet",
        problem=view.problem,
        generation=state.generation,
        revision=state.revision,
        waiting_for=waiting_for(view),
    )


def desired_release(view: EnvironmentView) -> v1.Release | None:
    """What git asks for; None while no valid manifest does."""
    if view.desired is None:
        return None
    quarantine = view.quarantine
    message = release(Release(view.desired_digest, view.desired), "quarantined" if quarantine else "desired")
    if quarantine is not None:
        message.MergeFrom(v1.Release(reason=quarantine.reason, quarantined_at=timestamp(quarantine.at)))
    return message


def release(one: Release, status: str) -> v1.Release:
    """A release and what it is to its key."""
    some = parts(one.desired)
    sources = {repository(part.artifact.source) for part in some}
    return v1.Release(
        digest=one.digest,
        version=version_of(one.desired),
        revision=revision_of(one.desired),
        source=sources.pop() if len(sources) == 1 else "",
        commit=one.desired.commit,
        path=one.desired.path,
        status=status,
        components=[_component(part) for part in some if one.desired.components],
    )


def _component(one: Component) -> v1.Component:
    return v1.Component(
        name=one.name,
        version=one.artifact.version,
        revision=one.artifact.revision,
        source=repository(one.artifact.source),
        instances=one.instances,
        port=one.port,
    )


def releases(view: EnvironmentView) -> list[v1.Release]:
    """What is being rolled out, serves, may be gone back to, is desired or quarantined; each digest once."""
    state = view.state
    found: dict[str, v1.Release] = {}
    if state.rollout:
        found[state.rollout.release.digest] = release(state.rollout.release, "rolling_out")
    for one in (state.stable, *state.certified):
        if one is not None:
            found.setdefault(one.digest, release(one, "stable" if one == state.stable else "certified"))
    attempts = {attempt.digest: attempt for attempt in reversed(state.history)}
    for barred in state.quarantined:
        found.setdefault(barred.digest, _quarantined(barred, attempts.get(barred.digest)))
    asked = desired_release(view)
    if asked is not None:
        found.setdefault(asked.digest, asked)
    return list(found.values())


def _quarantined(one: Quarantine, tried: Attempt | None) -> v1.Release:
    """The state keeps only the digest of what was rolled back; history knows its names for a while."""
    return v1.Release(
        digest=one.digest,
        status="quarantined",
        reason=one.reason,
        quarantined_at=timestamp(one.at),
        version=tried.version if tried else "",
        revision=tried.revision if tried else "",
        commit=tried.commit if tried else "",
    )


def _condition(one: Condition) -> v1.Condition:
    return v1.Condition(
        type=one.type,
        status=one.status,
        reason=one.reason,
        message=one.message,
        observed_generation=one.generation,
        last_transition_time=timestamp(one.since),
    )


def _rollout(view: EnvironmentView, rollout: Rollout) -> v1.Rollout:
    steps = rollout.release.desired.strategy.steps
    return v1.Rollout(
        attempt=rollout.attempt,
        kind=rollout.kind,
        release=release(rollout.release, "rolling_out"),
        phase=rollout.phase,
        step=rollout.step + 1,
        steps=len(steps),
        weight=view.weight,
        step_weight=steps[rollout.step].weight if rollout.step < len(steps) else 0,
        started_at=timestamp(rollout.started.wall),
        entered_at=timestamp(rollout.entered.wall),
        held_since=timestamp(rollout.held.wall if rollout.held else None),
        result=rollout.result or "",
        reason=rollout.reason,
        analysis=analysis(view.analysis),
    )


def analysis(one: Analysis | None) -> v1.Analysis | None:
    """What the evidence says; None when there is none."""
    if one is None:
        return None
    return v1.Analysis(
        verdict=one.verdict,
        reason=one.reason,
        dwell=duration(one.dwell),
        step_requests=one.step_requests,
        canary_requests=one.canary_requests,
        canary_failed=one.canary_failed,
        control_requests=one.control_requests,
        control_failed=one.control_failed,
        numbers=_numbers(one.evidence),
    )


def _numbers(evidence: Evidence) -> str:
    """JSON knows no infinity: what has no bound yet is null."""
    values = {one.name: getattr(evidence, one.name) for one in fields(evidence)}
    return canonical({name: None if value in {inf, -inf} else value for name, value in values.items()})


def _pause(one: Pause) -> v1.Pause:
    return v1.Pause(who=one.who, reason=one.reason, since=timestamp(one.since), until=timestamp(one.until))


def _instance(one: Instance) -> v1.Instance:
    return v1.Instance(
        id=one.id,
        digest=one.digest,
        ordinal=one.ordinal,
        status=one.status,
        endpoint=one.endpoint,
        restarts=one.restarts,
        message=one.message,
    )


def _traffic(one: Traffic) -> v1.Traffic:
    return v1.Traffic(port=one.port, stable=_backend(one.stable), canary=_backend(one.canary), weight=one.weight)


def _backend(one: Backend | None) -> v1.Backend | None:
    return v1.Backend(digest=one.digest, endpoints=one.endpoints) if one else None


def attempt(one: Attempt) -> v1.Attempt:
    """A finished attempt."""
    return v1.Attempt(
        attempt=one.attempt,
        kind=one.kind,
        digest=one.digest,
        version=one.version,
        revision=one.revision,
        commit=one.commit,
        result=one.result,
        reason=one.reason,
        started_at=timestamp(one.started),
        ended_at=timestamp(one.ended),
        bad_requests=one.bad_requests,
        restore_time=duration(one.restore_seconds),
    )


def plan(one: Plan) -> v1.Plan:
    """A plan, with its canonical form."""
    return v1.Plan(
        key=str(one.key),
        generation=one.generation,
        parent=one.parent,
        digest=one.digest,
        reason=one.reason,
        actions=[_action(action) for action in one.actions],
        canonical=canonical(one),
    )


def _action(one: Action) -> v1.Action:
    if isinstance(one, Scale):
        return v1.Action(scale=v1.Scale(digest=one.digest, count=one.count))
    route = one.route
    split = v1.SetRoute(port=route.port, stable=route.stable or "", canary=route.canary or "", weight=route.weight)
    return v1.Action(set_route=split)


def waiting(one: Waiting) -> v1.Waiting:
    """Something that is waited for."""
    return v1.Waiting(
        condition=one.condition,
        message=one.message,
        who=one.who,
        deadline=timestamp(one.deadline),
        next_look=timestamp(one.next_look),
    )


def event(one: AuditEntry) -> v1.Event:
    """One audit entry."""
    return v1.Event(
        id=one.id,
        workspace=one.workspace,
        seq=one.seq,
        time=timestamp(one.at),
        actor=one.actor,
        key=one.key,
        generation=one.generation,
        type=one.type,
        message=one.message,
        body=one.body,
        previous=one.previous,
        hash=one.hash,
    )


def chain(one: ChainReport) -> v1.ChainReport:
    """Outcome of verifying one chain."""
    return v1.ChainReport(workspace=one.workspace, entries=one.entries, head=one.head, fault=one.fault)


def dead_letter(one: Delivery) -> v1.DeadLetter:
    """A delivery that was given up."""
    return v1.DeadLetter(
        id=one.id,
        notifier=one.notifier,
        event=one.event.id,
        type=one.event.type,
        key=one.event.key,
        time=timestamp(one.event.at),
        attempts=one.attempts,
        error=one.error,
    )
