"""When the metrics source is read during an attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.situations import STATES
from fakes.values import at, tick

from reconciler.core.observed import Reading, Tick
from reconciler.core.rollout import tick_due


def test_a_reading_is_taken_at_once_and_then_once_per_interval():
    rollout = STATES["baking"]().state.rollout
    taken = (tick(1, 0.0, 0, 500, (None, None)),)
    assert tick_due(rollout, (), at())
    assert not tick_due(rollout, taken, at(1.7))
    assert tick_due(rollout, taken, at(1.9))


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_changes_no_rhythm(jump):
    rollout = STATES["baking"]().state.rollout
    taken = (tick(1, 0.0, 0, 500, (None, None)),)
    assert not tick_due(rollout, taken, at(1.0, jump=jump))
    assert tick_due(rollout, taken, at(2.0, jump=jump))
    assert tick_due(rollout, taken, at(2.0, jump=jump, boot="boot-2"))


@pytest.mark.parametrize("jump", [0.0, -3600.0, 3600.0])
def test_one_more_reading_is_taken_when_all_traffic_has_left(jump):
    rollout = replace(STATES["rolling_back"]().state.rollout, confirmed=None)
    before = (tick(1, 1.0, 0, 500, (None, None)),)
    assert not tick_due(rollout, before, at(9.0))
    rollout = replace(rollout, confirmed=at(2.0))
    assert tick_due(rollout, before, at(2.1, jump=jump))
    after = (*before, Tick(2, 2, -1, 0, Reading(at(2.1, jump=jump))))
    assert not tick_due(rollout, after, at(2.2, jump=jump))


@pytest.mark.parametrize("state", ["idle", "promoting", "restoring"])
def test_no_reading_is_taken_where_none_is_judged(state):
    assert not tick_due(STATES[state]().state.rollout, (), at())
