from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.outcome import (
    Done,
    RequeueAfter,
    StaleGenerationError,
    Stalled,
    TerminalError,
    TransientError,
    backoff,
)


@pytest.mark.parametrize(("failures", "delay"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (10_000, 60.0)])
def test_backoff_doubles_up_to_a_minute(failures, delay):
    assert backoff(failures) == delay


def test_backoff_takes_its_own_limits():
    assert [backoff(n, base=3, most=10) for n in (1, 2, 3)] == [3.0, 6.0, 10.0]


@given(st.integers(1, 10**9))
def test_backoff_never_shrinks_and_never_leaves_its_limits(failures):
    assert 0.5 <= backoff(failures) <= backoff(failures + 1) <= 60.0


def test_the_families_of_errors_are_apart():
    families = (TransientError, TerminalError, StaleGenerationError)
    assert not any(issubclass(a, b) for a in families for b in families if a is not b)


def test_outcomes_are_values():
    assert Done() == Done()
    assert RequeueAfter(2.0) == RequeueAfter(2.0, "")
    assert RequeueAfter(2.0, "bake") != RequeueAfter(2.0)
    assert Stalled("a") != Stalled("b")
    assert len({Done(), Done(), Stalled("a"), Stalled("a")}) == 2
