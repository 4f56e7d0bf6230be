"""What the previous version stored, in the form of this one."""

from __future__ import annotations

import copy
import json

import pytest
from fakes.situations import STATES
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.digest import plain
from reconciler.reconcile import recorded
from reconciler.store.codec import decode_plan, decode_state, encode_state
from reconciler.store.upgrade_0003 import upgrade

NEW = ("needs", "on_delete", "component", "components")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["after", "key", "spec"]), inner),
    max_leaves=20,
)


def old(form: object, after: str | None) -> object:
    """A form of this version as the one before wrote it."""
    if isinstance(form, list):
        return [old(one, after) for one in form]
    if not isinstance(form, dict):
        return form
    was = {name: old(value, after) for name, value in form.items() if name not in (*NEW, "retirement")}
    if "artifact" in form:
        was["after"] = after
    if "predecessors" in form:
        del was["predecessors"], was["dependencies"], was["tombstone"], was["resync"]
        was["predecessor"] = after and {"environment": after, "revision": "a" * 40}
    return was


@pytest.mark.parametrize("after", [None, "staging"])
@pytest.mark.parametrize("name", STATES)
def test_every_state_and_plan_of_the_version_before_is_read(name, after):
    state = STATES[name]().state
    before = old(json.loads(encode_state(state)), after)
    kept = copy.deepcopy(before)
    found = decode_state(json.dumps(upgrade(before)), str(state.key))
    assert before == kept
    names = (after,) if after else ()
    assert {one.desired.after for one in found.certified} <= {names}
    assert [one.digest for one in found.certified] == [one.digest for one in state.certified]
    if state.plan is not None:
        plan = decode_plan(json.dumps(upgrade(old(plain(state.plan), after))), str(state.key))
        assert [one.desired.after for one in plan.releases] == [names] * len(state.plan.releases)


@pytest.mark.parametrize("after", [None, "staging"])
def test_recorded_inputs_name_what_came_before_as_a_list(after):
    scene = STATES["idle"]()
    scene.commit("v2")
    new = upgrade(old(json.loads(recorded(scene.inputs())), after))
    assert new["predecessors"] == ([{"environment": "staging", "revision": "a" * 40}] if after else [])
    assert "predecessor" not in new
    assert new["desired"]["after"] == ([after] if after else [])


@pytest.mark.parametrize("name", STATES)
def test_what_this_version_stored_stays_as_it_is(name):
    form = json.loads(encode_state(STATES[name]().state))
    assert upgrade(form) == form


@given(st.dictionaries(st.text(), JSON))
def test_whatever_else_is_stored_stays_as_it_is_and_twice_is_once(form):
    once = upgrade(form)
    assert upgrade(once) == once
    if "after" not in json.dumps(form):
        assert once == form
