from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.desired import Instant
from reconciler.core.observed import Counters, Reading, Tick
from reconciler.core.outcome import TerminalError
from reconciler.store import ticklog

finite = st.floats(allow_nan=False, allow_infinity=False)
instants = st.builds(Instant, finite, finite, st.text())
counters = st.builds(
    Counters, st.text(), *[st.integers(0)] * 4, st.lists(st.tuples(finite, st.integers()), max_size=6).map(tuple)
)
readings = st.builds(Reading, instants, st.none() | counters, st.none() | counters, st.text())
LOOK = Tick(7, 3, 1, 500, Reading(Instant(1.5, 2.5, "boot"), Counters("e", 9, 8, 1, 8, ((1.0, 2), (2.0, 8), (5.0, 8)))))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.builds(Tick, *[st.integers()] * 4, readings))
def test_a_tick_is_read_as_it_was_written(tick):
    shape, numbers = ticklog.pack(tick)
    assert ticklog.unpack(tick.attempt, tick.seq, ticklog.shape_of(shape), numbers) == tick


def test_the_stored_form_never_changes():
    assert ticklog.pack(LOOK) == ('["boot",["e",[1.0,2.0,5.0]],null]', "[1,500,1.5,2.5,[9,8,1,8,2,6],null]")


def test_ticks_of_one_life_share_their_shape():
    later = replace(LOOK, seq=4, reading=replace(LOOK.reading, at=Instant(9.0, 9.0, "boot")))
    assert ticklog.pack(LOOK)[0] == ticklog.pack(later)[0]


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{}",
        "[1,2]",
        "[1,2,3,4]",
        "[1,2,3,4,[1],null]",
        '[1,2,3,4,["a",1,1,1,"b"],null]',
        "[1,2,3,4,[1,2,3,4,1,1,1,1,1],null]",
    ],
)
def test_damaged_numbers_are_refused(damaged):
    shape = ticklog.shape_of(ticklog.pack(LOOK)[0])
    with pytest.raises(TerminalError, match="tick 3 of attempt 7 is damaged"):
        ticklog.unpack(7, 3, shape, damaged)


@pytest.mark.parametrize("damaged", ["", "1", "[]", '["boot",[],null]', '["boot",["e",1],null]'])
def test_damaged_shapes_are_refused(damaged):
    with pytest.raises(TerminalError, match="shape of ticks"):
        ticklog.shape_of(damaged)


def test_the_buffer_forgets_only_what_was_written():
    buffer = ticklog.TickBuffer()
    buffer.add("k", (LOOK, replace(LOOK, seq=4), replace(LOOK, attempt=8)))
    rows = buffer.rows()
    buffer.add("k", (replace(LOOK, seq=5),))
    assert len(buffer) == 4
    buffer.written(rows)
    assert len(buffer) == 1
    assert list(buffer.of("k", 7)) == [5]
    assert buffer.of("k", 8) == {}
