from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.desired import (
    AnalysisPolicy,
    Artifact,
    Component,
    DesiredState,
    Key,
    OnDelete,
    Step,
    Strategy,
    StrategyKind,
)
from reconciler.core.digest import canonical, plain, release_digest, sha256, short
from reconciler.core.state import Condition, ConditionStatus, ConditionType, Scale

DESIRED = DesiredState(
    key=Key("acme", "shop", "prod"),
    artifact=Artifact("https://git.example/shop.git", "a" * 40, "v1"),
    target="process",
    spec='{"command":["python","app.py"]}',
    runtime="{}",
    instances=2,
    port=8080,
    router="envoy",
    strategy=Strategy(StrategyKind.CANARY, (Step(10_000, 0.0),), 60.0, 3600.0, 300.0),
    analysis=AnalysisPolicy(),
    after=(),
    commit="c" * 40,
    path="prodsprint.yaml",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1.5, None, True]}, '{"a":[1.5,null,true],"b":1}'),
        ({"ü": "€ \n"}, '{"ü":"€ \\n"}'),
        (Scale("d", 2), '{"count":2,"digest":"d","kind":"scale"}'),
        (StrategyKind.ALL_AT_ONCE, '"all-at-once"'),
        ((Key("a", "b", "c"),), '[{"environment":"c","project":"b","workspace":"a"}]'),
        ({1: "x"}, '{"1":"x"}'),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (1e22, "1e+22"),
        (2**70, "1180591620717411303424"),
    ],
)
def test_the_canonical_form_of_known_values_never_changes(value, text):
    assert canonical(value) == text


def test_enums_inside_values_are_their_values():
    condition = Condition(ConditionType.READY, ConditionStatus.TRUE, "Ok", "fine", 3)
    assert json.loads(canonical(condition))["status"] == "True"


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused(odd):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"deep": [odd]})


@pytest.mark.parametrize("odd", [b"bytes", {1, 2}, object(), Key])
def test_values_without_a_canonical_form_are_refused(odd):
    with pytest.raises(TypeError, match="no canonical form"):
        plain([odd])


@given(JSON)
def test_the_canonical_form_survives_being_read_and_written_again(value):
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_names_makes_no_difference(value):
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_sha256_is_of_the_utf8_bytes():
    assert sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256("€") == "c4cc90ed3d26f12d4b08a75140970a7904035c31cbb4515a83f19b9003c00d1d"


def test_the_release_digest_of_a_known_state_never_changes():
    assert release_digest(DESIRED) == "c969250845aa3a0053858e3269310262547dccaea8ad56fad02ecfcd11ed955e"


BEHAVIOUR = {
    "key": Key("acme", "shop", "staging"),
    "artifact": replace(DESIRED.artifact, revision="b" * 40),
    "target": "kubernetes",
    "spec": '{"command":["python","other.py"]}',
    "components": (Component("mailer", Artifact("ssh://git.example/mailer", "e" * 40, "v7"), "{}", "{}", 1, 82),),
}
OTHERS = {
    "runtime": '{"start":9}',
    "instances": 5,
    "port": 81,
    "router": "other",
    "strategy": replace(DESIRED.strategy, max_bake=1.0),
    "analysis": AnalysisPolicy(interval=1.0),
    "after": ("staging",),
    "commit": "d" * 40,
    "path": "elsewhere.yaml",
    "needs": (Key("acme", "database", "prod"),),
    "on_delete": OnDelete.DESTROY,
    "component": "web",
}


def test_every_field_is_known_to_change_the_digest_or_not():
    assert set(DesiredState.__slots__) == BEHAVIOUR.keys() | OTHERS.keys()


@pytest.mark.parametrize("field", BEHAVIOUR)
def test_what_changes_behaviour_changes_the_digest(field):
    assert release_digest(replace(DESIRED, **{field: BEHAVIOUR[field]})) != release_digest(DESIRED)


@pytest.mark.parametrize("field", OTHERS)
def test_what_does_not_change_behaviour_does_not_change_the_digest(field):
    assert release_digest(replace(DESIRED, **{field: OTHERS[field]})) == release_digest(DESIRED)


def test_how_the_spec_is_written_makes_no_difference():
    spaced = replace(DESIRED, spec='{ "command" : ["python", "app.py"] }')
    assert release_digest(spaced) == release_digest(DESIRED)


def test_another_name_of_the_same_commit_is_the_same_release():
    moved = replace(DESIRED, artifact=Artifact("ssh://git.example/shop", "a" * 40, "latest"))
    assert release_digest(moved) == release_digest(DESIRED)


def test_short_is_the_first_twelve():
    assert short("0123456789abcdef") == "0123456789ab"
