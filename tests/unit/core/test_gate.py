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
    ("after", "certified", "missing"),
    [
        ((), {}, ()),
        (("staging",), {"staging": "v1"}, ()),
        (("staging",), {"staging": "v0"}, ("staging",)),
        (("staging",), {"staging": None}, ("staging",)),
        (("staging",), {}, ("staging",)),
        (("qa", "staging"), {"qa": "v1", "staging": "v1"}, ()),
        (("qa", "staging"), {"qa": "v1", "staging": "v0"}, ("staging",)),
        (("qa", "staging"), {"staging": "v1"}, ("qa",)),
        (("qa", "staging", "eu"), {"staging": "v1"}, ("qa", "eu")),
    ],
)
def test_an_environment_waits_for_all_those_before(after, certified, missing):
    wanted = desired("v1", after=after)
    before = tuple(
        Predecessor(name, version and desired(version).artifact.revision) for name, version in certified.items()
    )
    verdict = order(wanted, before)
    assert verdict.answer is (Answer.HOLD if missing else Answer.ALLOW)
    if missing:
        assert f"{' and '.join(missing)} ha" in verdict.reason.replace(", ", " and ")
        assert all(name in verdict.who for name in missing)
        assert not any(name in verdict.reason for name in set(after) - set(missing))
