from __future__ import annotations

from reconciler.core.condition import false, find, merge, true
from reconciler.core.state import ConditionStatus, ConditionType

READY, HEALTHY = ConditionType.READY, ConditionType.HEALTHY


def test_a_new_condition_is_stamped():
    (found,) = merge((), (true(READY, "Certified", "v1 serves"),), 7, 100.0)
    assert (found.status, found.generation, found.since) == (ConditionStatus.TRUE, 7, 100.0)


def test_the_transition_time_moves_only_when_something_is_said_anew():
    old = merge((), (true(READY, "Certified", "v1 serves"), true(HEALTHY, "InstancesReady", "all 2")), 1, 100.0)
    new = merge(old, (true(READY, "Certified", "v2 serves"), true(HEALTHY, "InstancesReady", "all 2")), 2, 200.0)
    assert [(one.since, one.generation) for one in new] == [(200.0, 2), (100.0, 2)]
    assert merge(new, (false(HEALTHY, "InstancesReady", "all 2"),), 2, 300.0)[0].since == 300.0
    assert merge(new, (true(HEALTHY, "Else", "all 2"),), 2, 300.0)[0].since == 300.0


def test_saying_the_same_again_changes_nothing():
    said = (true(READY, "Certified", "v1 serves"),)
    old = merge((), said, 1, 100.0)
    assert merge(old, said, 1, 999.0) == old


def test_a_condition_that_is_not_said_any_more_is_gone():
    old = merge((), (true(READY, "Certified", "v1 serves"),), 1, 100.0)
    assert merge(old, (), 1, 200.0) == ()
    assert find(old, READY) is old[0]
    assert find(old, HEALTHY) is None
