from __future__ import annotations

from dataclasses import replace

import pytest
from api_world import PROD, instances, release, rolling, steady
from fakes.troubles import BROKEN, HELD, UNPUSHED

from reconciler.core.desired import Instant
from reconciler.core.observed import InstanceStatus, Observed
from reconciler.core.state import Condition, ConditionStatus, ConditionType, Pause, Phase, Quarantine, Retirement
from reconciler.core.view import summary, waiting_for
from reconciler.core.waiting import Waiting

NOW = Instant(1.0, 1.0, "boot")
UNREAD = "the config repo cannot be read: no route to host"
HELD_ASKS = "Restore it, or commit this with a reason"
PAUSE = Pause("token:eve", "inventory", 1.0, 2.0)


def words(view):
    return view.sync.value, view.health.value


def with_state(view, **changes):
    return replace(view, state=replace(view.state, **changes))


def with_statuses(*statuses):
    view = steady(PROD)
    seen = tuple(replace(one, status=status) for one, status in zip(instances(release(PROD)), statuses, strict=False))
    return replace(view, observed=replace(view.observed, instances=seen))


def test_what_serves_as_asked_is_synced_and_healthy():
    assert words(steady(PROD)) == ("Synced", "Healthy")


def test_nothing_is_known_before_the_first_whole_look():
    assert words(replace(steady(PROD), observed=None)) == ("Unknown", "Unknown")
    assert words(replace(steady(PROD), observed=Observed(error="envoy is away"))) == ("Unknown", "Unknown")
    assert replace(steady(PROD), desired=None).sync == "Unknown"


def test_a_rollout_is_out_of_sync_and_its_health_says_where_it_goes():
    view = rolling(PROD)
    assert words(view) == ("OutOfSync", "Progressing")
    held = replace(view.state.rollout, held=NOW)
    assert words(with_state(view, rollout=held)) == ("OutOfSync", "Suspended")
    assert words(with_state(view, pause=PAUSE)) == ("OutOfSync", "Suspended")
    assert words(rolling(PROD, Phase.ROLLING_BACK)) == ("OutOfSync", "Progressing")


def test_a_new_key_is_missing():
    view = with_state(steady(PROD), stable=None, certified=())
    assert words(replace(view, observed=Observed())) == ("OutOfSync", "Missing")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((InstanceStatus.READY, InstanceStatus.STARTING), ("Synced", "Progressing")),
        ((InstanceStatus.READY, InstanceStatus.FAILED), ("Synced", "Degraded")),
        ((InstanceStatus.BACKING_OFF, InstanceStatus.STARTING), ("Synced", "Degraded")),
        ((InstanceStatus.READY, InstanceStatus.STOPPING), ("OutOfSync", "Healthy")),
        ((InstanceStatus.READY,), ("OutOfSync", "Healthy")),
        ((InstanceStatus.STOPPING, InstanceStatus.STOPPING), ("OutOfSync", "Missing")),
    ],
)
def test_instances_decide_on_health_and_their_number_on_sync(statuses, expected):
    assert words(with_statuses(*statuses)) == expected


def test_traffic_that_goes_elsewhere_is_out_of_sync():
    view = steady(PROD)
    assert replace(view, observed=replace(view.observed, traffic=None)).sync == "OutOfSync"
    astray = replace(rolling(PROD).observed, instances=view.observed.instances)
    assert replace(view, observed=astray).sync == "OutOfSync"


def test_conditions_of_the_core_overrule_what_the_parts_look_like():
    def says(kind, status):
        return with_state(steady(PROD), conditions=(Condition(kind, status, "R", "m", 1),))

    assert says(ConditionType.DRIFTED, ConditionStatus.TRUE).sync == "OutOfSync"
    assert says(ConditionType.HEALTHY, ConditionStatus.FALSE).health == "Degraded"


def test_the_summary_names_the_first_thing_that_stands_in_the_way():
    view = steady(PROD)
    assert summary(view) == "nothing is waited for: Synced, Healthy"
    bad = release(PROD, "v2")
    barred = replace(
        with_state(view, quarantined=(Quarantine(bad.digest, "20 % failed", 1.0, 2),)), desired=bad.desired
    )
    assert summary(barred) == "git asks for a release that was rolled back before: 20 % failed"
    broken = replace(barred, problem="a.yaml:1:1: no")
    assert summary(broken) == "the manifest is not valid: a.yaml:1:1: no"
    assert summary(replace(broken, waiting=(Waiting("Baking", "it bakes", "time", None, None),))) == "it bakes"


def test_the_summary_calls_a_manifest_wrong_only_where_somebody_has_read_it():
    view = replace(steady(PROD), desired=None)
    assert summary(replace(view, problem=UNREAD)) == UNREAD
    assert summary(replace(view, problem=HELD[1])).endswith(HELD_ASKS)


def test_the_summary_says_who_took_a_key_out_of_service():
    gone = Retirement("token:eve", "retired by token:eve: sold", NOW, NOW, 9.0)
    view = replace(with_state(steady(PROD), retirement=gone, stable=None), desired=None)
    assert summary(view) == "retired by token:eve: sold"
    by_itself = replace(gone, who="daemon", reason="a.yaml was removed")
    assert summary(with_state(view, retirement=by_itself)) == "retired by daemon: a.yaml was removed"
    assert summary(with_state(view, retirement=replace(by_itself, ended=None))).startswith("it is being taken out")


@pytest.mark.parametrize(
    ("problem", "condition", "short"),
    [
        (BROKEN, "ManifestProblem", "manifest problem: shop/prodsprint.yaml:6:1"),
        (HELD[2], "RemovalHeld", "removal held"),
        (UNPUSHED, "RevisionNotFound", "revision 'v9' not found"),
        (BROKEN, "Held", "all of it"),
        ("", "ConfigRepo", "all of it"),
    ],
)
def test_a_table_says_in_short_what_is_waited_for_first(problem, condition, short):
    waits = Waiting(condition, "all of it", "ann", None, None)
    assert waiting_for(replace(steady(PROD), problem=problem, waiting=(waits,))) == short


def test_a_table_says_nothing_of_what_waits_for_nothing():
    assert waiting_for(steady(PROD)) == ""
