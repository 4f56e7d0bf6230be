"""Drafts survive being written down exactly, and nothing else is taken for one."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
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
from reconciler.manifest.problem import Code, Place, Problem, printable
from reconciler.manifest.recordcodec import decode, encode, language
from reconciler.manifest.records import Draft, FileDraft, Need, Wish

PATH, BLOB = "team/prodsprint.yaml", "b" * 40
TEXTS = st.text(st.characters(), max_size=12)
NAMES = st.text("abc-", min_size=1, max_size=6)
NUMBERS = st.integers(0, 10_000)
SECONDS = st.floats(0, 1e6)
PLACES = st.builds(Place, st.sampled_from([PATH, PATH, "other.yaml"]) | TEXTS, NUMBERS, NUMBERS)
ARTIFACTS = st.builds(Artifact, TEXTS, st.just(""), TEXTS)
STEPS = st.lists(st.builds(Step, NUMBERS, SECONDS, NUMBERS), max_size=3).map(tuple)
STRATEGIES = st.builds(Strategy, st.sampled_from(StrategyKind), STEPS, SECONDS, SECONDS, SECONDS, SECONDS)
POLICIES = st.builds(AnalysisPolicy, NAMES, *[SECONDS] * 9)
COMPONENTS = st.builds(Component, NAMES, ARTIFACTS, TEXTS, TEXTS, NUMBERS, NUMBERS)
MARKS = st.tuples(st.lists(NAMES | NUMBERS, max_size=3).map(tuple), NUMBERS, NUMBERS)


def some(strategy, most=3):
    return st.lists(strategy, max_size=most).map(tuple)


@st.composite
def drafts(draw) -> Draft:
    workspace, name = draw(NAMES), draw(NAMES)
    keys = tuple(Key(workspace, name, one) for one in draw(some(NAMES)))
    wishes = tuple(Wish(draw(desired(key)), *[draw(some(PLACES)) for _ in range(3)]) for key in keys)
    place = draw(PLACES)
    problem = draw(st.just("") | TEXTS | TEXTS.map(lambda text: f"{printable(PATH)}:1:2: {text}"))
    needs = some(st.builds(Need, NAMES, NAMES, TEXTS, PLACES))
    rest = draw(needs), draw(some(NAMES)), draw(TEXTS), draw(some(MARKS))
    return Draft(draw(NAMES), workspace, name, place, keys, wishes, problem, *rest)


def desired(key: Key):
    return st.builds(
        DesiredState,
        key=st.just(key),
        artifact=ARTIFACTS,
        target=NAMES,
        spec=TEXTS,
        runtime=TEXTS,
        instances=NUMBERS,
        port=NUMBERS,
        router=NAMES,
        strategy=STRATEGIES,
        analysis=POLICIES,
        after=some(NAMES),
        commit=st.just(""),
        path=st.just(PATH),
        needs=st.just(()),
        on_delete=st.sampled_from(OnDelete),
        component=TEXTS,
        components=some(COMPONENTS),
    )


PROBLEMS = st.builds(Problem, PLACES, st.sampled_from(Code), TEXTS, TEXTS)
FILES = st.builds(
    FileDraft, st.just(BLOB), some(drafts(), 2), some(PROBLEMS), st.booleans(), some(st.tuples(NAMES, TEXTS))
)


@settings(max_examples=150, deadline=None)
@given(FILES)
def test_a_draft_comes_back_as_it_was(file):
    assert decode(PATH, BLOB, encode(PATH, file)) == file


@settings(max_examples=50, deadline=None)
@given(FILES)
def test_the_same_blob_at_another_path_says_the_same_of_that_path(file):
    moved = decode("elsewhere.yaml", BLOB, encode(PATH, file))
    assert encode("elsewhere.yaml", moved) == encode(PATH, file)
    own = [draft.place for draft in file.drafts if draft.place.file == PATH]
    assert [draft.place for draft in moved.drafts if draft.place.file == "elsewhere.yaml"] == [
        dataclasses.replace(place, file="elsewhere.yaml") for place in own
    ]


@settings(max_examples=100, deadline=None)
@given(FILES, st.data())
def test_a_damaged_record_is_refused(file, data):
    record = encode(PATH, file)
    at = data.draw(st.integers(0, len(record) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    damaged = record[:at] + bytes([record[at] ^ bit]) + record[at + 1 :]
    for wrong in (damaged, record[:at], record + b" "):
        with pytest.raises(ValueError, match="the record is"):
            decode(PATH, BLOB, wrong)


@given(st.binary(max_size=40))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(ValueError, match="the record is"):
        decode(PATH, BLOB, data)


def test_the_record_of_another_blob_is_refused():
    record = encode(PATH, FileDraft(BLOB, (), (), lost=False))
    with pytest.raises(ValueError, match="another blob"):
        decode(PATH, "c" * 40, record)


@pytest.mark.parametrize(
    "body", ["5", "[]", "[1,2,3,4]", "[0,[],[[]],[]]", '[0,[[[1,2],"no-code","",""]],[],[]]', "[" * 9999]
)
def test_a_record_of_another_form_is_refused(body):
    import zlib

    head = b"%08x" % zlib.crc32(body.encode(), zlib.crc32(BLOB.encode()))
    with pytest.raises(ValueError, match=r"."):
        decode(PATH, BLOB, head + body.encode())


def test_equal_policies_are_one_object():
    strategy = Strategy(StrategyKind.CANARY, (Step(10_000, 5.0),), 1.0, 2.0, 3.0)
    state = DesiredState(
        Key("w", "p", "e"), Artifact("s", "", "v"), "process", "{}", "{}", 1, 1, "envoy", strategy,
        AnalysisPolicy(), (), "", PATH,
    )  # fmt: skip
    draft = Draft("Project", "w", "p", Place(PATH), (state.key,), (Wish(state, (), (), ()),), "")
    record = encode(PATH, FileDraft(BLOB, (draft,), (), lost=False))
    one, other = (decode(PATH, BLOB, record).drafts[0].wishes[0].desired for _ in range(2))
    assert one.strategy is other.strategy
    assert one.analysis is other.analysis
    assert one.spec is other.spec


def test_the_language_is_a_stable_digest():
    assert language() == language()
    assert len(language()) == 64
