from __future__ import annotations

import pytest
from fakes.values import KEY, at, desired, release
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.gate import Answer, Predecessor, Verdict, fold, order, pause, quarantine
from reconciler.core.state import KeyState, Pause, Quarantine

V1 = release("v1")


def test_no_gates_allow():
    assert fold(()).answer is Answer.ALLOW


@given(st.lists(st.builds(Verdict, st.text(max_size=3), st.sampled_from(Answer))))
def test_the_strictest_verdict_holds_and_among_equals_the_first(verdicts):
    found = fold(verdicts)
    assert found.answer is max((one.answer for one in verdicts), default=Answer.ALLOW)
    if found.answer is not Answer.ALLOW:
        assert found is next(one for one in verdicts if one.answer is found.answer)


def test_a_quarantined_digest_is_denied_and_another_one_is_not():
    state = KeyState(KEY, quarantined=(Quarantine(V1.digest, "20 % failed", 0.0, 3),))
    verdict = quarantine(state, V1.digest)
    assert (verdict.answer, verdict.until) == (Answer.DENY, None)
    assert "20 % failed" in verdict.reason
    assert verdict.who
    assert quarantine(state, release("v2").digest).answer is Answer.ALLOW


@pytest.mark.parametrize(
    ("seconds", "answer"), [(0, Answer.HOLD), (59.9, Answer.HOLD), (60, Answer.ALLOW), (999, Answer.ALLOW)]
)
def test_a_pause_holds_until_its_end(seconds, answer):
    state = KeyState(KEY, pause=Pause("ada", "lunch", at().wall, at(60).wall))
    verdict = pause(state, at(seconds))
    assert verdict.answer is answer
    if answer is Answer.HOLD:
        assert "ada" in verdict.reason
        assert verdict.until == at(60).wall


def test_nobody_paused():
    assert pause(KeyState(KEY), at()).answer is Answer.ALLOW


@pytest.mark.parametrize(
    ("after", "certified", "answer"),
    [
        (None, None, Answer.ALLOW),
        ("staging", "v1", Answer.ALLOW),
        ("staging", "v0", Answer.HOLD),
        ("staging", None, Answer.HOLD),
    ],
)
def test_an_environment_waits_for_the_one_before(after, certified, answer):
    wanted = desired("v1", after=after)
    predecessor = after and Predecessor(after, certified and desired(certified).artifact.revision)
    verdict = order(wanted, predecessor or None)
    assert verdict.answer is answer
    if answer is Answer.HOLD:
        assert "staging has not certified v1" in verdict.reason


def test_an_unknown_predecessor_holds():
    assert order(desired("v1", after="staging"), None).answer is Answer.HOLD
