from __future__ import annotations

import pytest
from fakes.values import KEY, at
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.desired import Instant, Key

moments = st.builds(Instant, st.floats(0, 1e10), st.floats(0, 1e7), st.sampled_from(("a", "b")))


@given(moments, moments)
def test_time_between_two_instants_is_never_negative(one, other):
    assert one.since(other) >= 0.0
    assert one.since(one) == 0.0


@given(st.floats(-3600, 3600), st.floats(0, 1e6))
def test_within_one_boot_the_wall_clock_may_say_what_it_likes(jump, seconds):
    assert at(seconds, jump=jump).since(at()) == pytest.approx(seconds)


def test_over_a_restart_of_the_machine_only_the_wall_clock_is_left():
    assert at(90.0, boot="boot-2").since(at(30.0)) == 60.0
    assert at(90.0, jump=-3600.0, boot="boot-2").since(at(30.0)) == 0.0


def test_a_key_is_read_as_it_is_written():
    assert Key.parse(str(KEY)) == KEY
    assert KEY.side("canary") == "acme/shop/prod/canary"
    assert min(KEY, Key("acme", "shop", "dev")).environment == "dev"


@pytest.mark.parametrize("text", ["", "acme", "acme/shop", "acme/shop/prod/canary", "acme//prod", "//"])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ValueError, match="expected workspace/project/environment"):
        Key.parse(text)
