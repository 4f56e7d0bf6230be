from __future__ import annotations

import json
import types
import typing
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError
from reconciler.core.state import Condition, ConditionStatus, ConditionType, KeyState, Plan, Scale
from reconciler.store import codec

KEY = Key("acme", "shop", "prod")
few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

# Strategies are made from the types: a new field of the state is tested without anybody thinking of it.
SCALARS = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    str: st.text(max_size=12),
    bool: st.booleans(),
    types.NoneType: st.none(),
}


@cache
def of(kind):
    """Values of a type: a dataclass, an enum, a union, a tuple or a scalar."""
    if kind in SCALARS:
        return SCALARS[kind]
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{f.name: st.deferred(lambda h=hints[f.name]: of(h)) for f in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    inner = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return st.one_of([of(one) for one in inner])
    if inner[1:] == (...,):
        return st.lists(of(inner[0]), max_size=2).map(tuple)
    return st.tuples(*[of(one) for one in inner])


@few
@given(of(KeyState))
def test_a_state_is_read_as_it_was_written(state):
    text = codec.encode_state(state)
    again = codec.decode_state(text, "k")
    assert again == state
    assert codec.encode_state(again) == text
    json.loads(text)


@few
@given(of(Plan))
def test_a_plan_is_read_as_it_was_written(plan):
    again = codec.decode_plan(codec.encode_plan(plan), "k")
    assert again == plan
    assert [type(action) for action in again.actions] == [type(action) for action in plan.actions]


def test_integers_in_the_place_of_seconds_are_fine():
    condition = Condition(ConditionType.READY, ConditionStatus.TRUE, "Ok", "", 1, since=5)
    state = KeyState(KEY, conditions=(condition,))
    assert codec.decode_state(codec.encode_state(state), "k") == state


def test_fields_that_an_older_version_did_not_write_have_their_defaults():
    text = '{"key":{"workspace":"a","project":"b","environment":"c"}}'
    assert codec.decode_state(text, "k") == KeyState(Key("a", "b", "c"))


@pytest.mark.parametrize(
    ("old", "new"), [('"attempts":0', '"attempts":0,"mood":1'), ('"count":2', '"count":2,"mood":1')]
)
def test_a_field_of_a_newer_version_is_refused_and_named(old, new):
    plan = Plan(KEY, 1, 0, (Scale("d", 2),), (), "r")
    text = codec.encode_state(KeyState(KEY, plan=plan)).replace(old, new)
    with pytest.raises(TerminalError, match=r"the state of acme/shop/prod .* newer prodsprint, with .*mood"):
        codec.decode_state(text, str(KEY))


@pytest.mark.parametrize("damaged", ["", "{", "[]", "null", '{"key":1}', "]["])
def test_damaged_text_is_refused_and_says_what_to_do(damaged):
    with pytest.raises(TerminalError, match=r"the state of acme/shop/prod cannot be read: .*Restore a backup"):
        codec.decode_state(damaged, str(KEY))


def test_a_value_of_the_wrong_type_is_refused_when_it_is_written():
    with pytest.raises(TerminalError, match="the plan of acme/shop/prod cannot be stored"):
        codec.encode_plan(Plan(KEY, "one", 0, (), (), "r"))


@given(st.text() | st.just("\ud800"))
def test_packed_text_comes_back(text):
    assert codec.unpack(codec.pack(text), "k") == text


@pytest.mark.parametrize("damaged", [b"", b"x", codec.pack("text" * 99)[:-3]])
def test_damaged_inputs_are_refused(damaged):
    with pytest.raises(TerminalError, match="inputs of k are damaged"):
        codec.unpack(damaged, "k")
