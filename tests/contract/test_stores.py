"""What every store has to do. One suite over every implementation: a SQLite file, and SQLite in memory."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from reconciler.core.audit import GENESIS, link
from reconciler.core.desired import Instant, Key
from reconciler.core.observed import Counters, Reading, Tick
from reconciler.core.outcome import StaleGenerationError, TerminalError
from reconciler.core.state import (
    Answer,
    Attempt,
    KeyState,
    Pause,
    Plan,
    Record,
    Request,
    Result,
    RolloutKind,
    Route,
    Scale,
    SetRoute,
    Verb,
)
from reconciler.ports import Transition
from reconciler.store import open_store

KEY = Key("acme", "shop", "prod")
OTHER = Key("acme", "shop", "staging")
STRANGER = Key("zoo", "app", "prod")


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path):
    opened = open_store(tmp_path / "prodsprint.db" if request.param == "file" else ":memory:", ("log", "hook"))
    yield opened
    opened.close()


def plan(key, generation):
    actions = (Scale("d" * 64, 2), SetRoute(Route(80, "d" * 64, None, 0)))
    return Plan(key, generation, generation - 1, actions, (), "because", f"digest-{generation}")


def transition(state, *messages, answers=(), at=100.0, inputs="{}", **changes):
    records = tuple(Record("test.happened", "daemon", message, '{"a":1}') for message in messages)
    return Transition(replace(state, revision=state.revision + 1, **changes), records, answers, at, inputs)


def tick(attempt, seq, at=1000.0, sent=10):
    buckets = ((0.5, sent // 2), (1.0, sent - 1), (2.5, sent - 1))
    counters = Counters("epoch-1", sent, sent, 1, sent, buckets)
    return Tick(attempt, seq, 0, 500, Reading(Instant(at + seq, seq / 3, "boot"), counters, None))


def request(verb=Verb.ABORT, reason="it burns", at=50.0):
    return Request(0, verb, "ann@acme.example", reason, at, expires=99.5)


# --- state ------------------------------------------------------------------------------------------------------------


def test_an_unknown_key_has_a_new_state(store):
    assert store.load(KEY) == KeyState(KEY)
    assert store.keys() == ()
    assert store.plan(KEY, 1) is None
    assert store.inputs(KEY, 1) is None


def test_a_committed_state_is_loaded_as_it_was(store):
    first = transition(KeyState(KEY), "one", generation=1, plan=plan(KEY, 1), pause=Pause("ann", "lunch", 1.5, 2.5))
    store.commit(first)
    assert store.load(KEY) == first.state
    second = transition(first.state, "two", pause=None)
    store.commit(second)
    assert store.load(KEY) == second.state


@pytest.mark.parametrize("revision", [1, 2, 4, 9])
def test_a_state_that_is_not_the_next_one_is_stale_and_changes_nothing(store, revision):
    state = KeyState(KEY)
    for message in ("one", "two"):
        store.commit(transition(state, message))
        state = store.load(KEY)
    stale = Transition(replace(state, revision=revision, attempts=7), (Record("a.b", "x", "m"),), (), 1.0, "{}")
    with pytest.raises(StaleGenerationError, match="acme/shop/prod"):
        store.commit(stale)
    assert store.load(KEY) == state
    assert store.head() == 2
    assert len(store.due(1e12, 100)) == 4


def test_a_first_state_with_a_later_revision_is_stale(store):
    with pytest.raises(StaleGenerationError):
        store.commit(transition(KeyState(KEY, revision=1)))
    assert store.keys() == ()


def test_a_state_of_revision_0_is_refused(store):
    with pytest.raises(ValueError, match="revision 0"):
        store.commit(Transition(KeyState(KEY), (), (), 1.0, "{}"))


def test_keys_are_sorted_as_keys_not_as_text(store):
    keys = [Key("a", "b", "c"), Key("a-b", "a", "a"), Key("a", "b-c", "a"), Key("a", "b", "a")]
    for key in keys:
        store.commit(transition(KeyState(key)))
    assert store.keys() == tuple(sorted(keys))


def test_plans_of_the_past_stay_and_the_first_of_a_generation_counts(store):
    state = KeyState(KEY)
    for generation in (1, 2):
        store.commit(transition(state, generation=generation, plan=plan(KEY, generation)))
        state = store.load(KEY)
    store.commit(transition(state, plan=replace(plan(KEY, 2), digest="another")))
    assert store.plan(KEY, 1) == plan(KEY, 1)
    assert store.plan(KEY, 2) == plan(KEY, 2)
    assert store.plan(KEY, 3) is None
    assert store.plan(OTHER, 1) is None


def test_inputs_and_plans_of_the_last_200_are_kept(store):
    state = KeyState(KEY)
    for number in range(1, 204):
        decided = transition(state, generation=number, plan=plan(KEY, number), inputs=json.dumps({"n": number}))
        store.commit(decided)
        state = decided.state
    assert store.inputs(KEY, 3) is None
    assert store.inputs(KEY, 4) == '{"n": 4}'
    assert store.inputs(KEY, 203) == '{"n": 203}'
    assert store.plan(KEY, 3) is None
    assert store.plan(KEY, 4) == plan(KEY, 4)


def test_a_state_that_is_no_text_is_refused_and_named(store):
    with pytest.raises(TerminalError, match="acme/shop/prod"):
        store.commit(transition(KeyState(KEY), pause=Pause("\ud800", "", 0.0, 0.0)))
    assert store.keys() == ()


# --- ticks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flushed", [True, False])
def test_appended_ticks_are_read_at_once_in_order(store, flushed):
    ticks = tuple(tick(1, seq) for seq in range(1, 8))
    store.append(KEY, ticks[3:])
    store.append(KEY, ticks[:3])
    if flushed:
        store.flush()
    assert store.ticks(KEY, 1) == ticks
    assert store.ticks(KEY, 1, 2) == ticks[-2:]
    assert store.ticks(KEY, 1, 0) == ()
    assert store.ticks(KEY, 2) == ()
    assert store.ticks(OTHER, 1) == ()


@pytest.mark.parametrize("flushed", [True, False])
def test_a_tick_that_is_there_already_stays_as_it_is(store, flushed):
    store.append(KEY, (tick(1, 1),))
    if flushed:
        store.flush()
    store.append(KEY, (tick(1, 1, sent=99), tick(1, 2)))
    assert store.ticks(KEY, 1) == (tick(1, 1), tick(1, 2))
    store.flush()
    assert store.ticks(KEY, 1) == (tick(1, 1), tick(1, 2))


def test_stored_and_waiting_ticks_are_one_log(store):
    store.append(KEY, (tick(1, 1), tick(1, 2)))
    store.commit(transition(KeyState(KEY)))
    store.append(KEY, (tick(1, 3),))
    assert store.ticks(KEY, 1, 2) == (tick(1, 2), tick(1, 3))


def test_more_ticks_than_may_wait_are_written(store):
    for start in range(1, 2500, 100):
        store.append(KEY, tuple(tick(1, seq) for seq in range(start, start + 100)))
    assert len(store.ticks(KEY, 1)) == 2500


def test_a_tick_with_a_number_that_json_does_not_have_is_refused(store):
    with pytest.raises(TerminalError, match="tick 1 of attempt 3"):
        store.append(KEY, (tick(3, 1, at=float("nan")),))
    assert store.ticks(KEY, 3) == ()


def test_prune_drops_old_ticks_outside_of_attempts_and_of_forgotten_attempts_only(store):
    past = Attempt(5, RolloutKind.RELEASE, "d", "v", "r", "c", Result.PROMOTED, "ok", 1.0, 2.0)
    store.commit(transition(KeyState(KEY), history=(replace(past, attempt=6), past)))
    for attempt in (0, 4, 5, 7):
        store.append(KEY, (tick(attempt, 1), tick(attempt, 500)))
    store.append(OTHER, (tick(0, 1), tick(3, 1)))
    store.prune(1200.0)
    assert store.ticks(KEY, 0) == (tick(0, 500),)
    assert store.ticks(KEY, 4) == (tick(4, 500),)
    assert store.ticks(KEY, 5) == (tick(5, 1), tick(5, 500))
    assert store.ticks(KEY, 7) == (tick(7, 1), tick(7, 500))
    assert store.ticks(OTHER, 0) == ()
    assert store.ticks(OTHER, 3) == (tick(3, 1),)


def test_a_state_that_cannot_be_read_holds_up_the_pruning_of_no_other(tmp_path):
    with closing(open_store(tmp_path / "prodsprint.db")) as store:
        for key in (KEY, OTHER):
            store.commit(transition(KeyState(key)))
            store.append(key, (tick(0, 1),))
        with closing(sqlite3.connect(tmp_path / "prodsprint.db", isolation_level=None)) as database:
            database.execute("UPDATE states SET state = '{}'")
        store.prune(1e12)
        assert store.ticks(KEY, 0) == store.ticks(OTHER, 0) == ()


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_request_waits_until_a_transition_answers_it(store):
    first, second = store.submit(KEY, request()), store.submit(KEY, request(Verb.PAUSE, "wait"))
    assert store.requests(KEY) == (
        replace(request(), id=first),
        replace(request(Verb.PAUSE, "wait"), id=second),
    )
    assert store.requests(OTHER) == ()
    assert store.answer(first) is None
    store.commit(transition(KeyState(KEY), answers=(Answer(first, accepted=False, message="nothing to abort"),)))
    assert store.answer(first) == Answer(first, accepted=False, message="nothing to abort")
    assert [waiting.id for waiting in store.requests(KEY)] == [second]


def test_a_request_remembers_what_it_was_made_for(store):
    asked = replace(request(Verb.PROMOTE), attempt=7, step=2)
    number = store.submit(KEY, asked)
    assert store.requests(KEY) == (replace(asked, id=number),)


def test_the_first_answer_counts_and_a_stale_transition_answers_nothing(store):
    asked = store.submit(KEY, request())
    yes, no = Answer(asked, accepted=True, message="yes"), Answer(asked, accepted=False, message="no")
    with pytest.raises(StaleGenerationError):
        store.commit(transition(KeyState(KEY, revision=3), answers=(no,)))
    assert store.answer(asked) is None
    store.commit(transition(KeyState(KEY), answers=(yes,)))
    store.commit(transition(store.load(KEY), answers=(no,)))
    assert store.answer(asked) == yes


def test_a_request_of_another_key_is_not_answered(store):
    asked = store.submit(OTHER, request())
    store.commit(transition(KeyState(KEY), answers=(Answer(asked, accepted=True, message="mine"),)))
    assert store.answer(asked) is None
    assert len(store.requests(OTHER)) == 1


def test_a_request_leaves_an_audit_entry_and_an_event(store):
    store.commit(transition(KeyState(KEY), generation=4, plan=plan(KEY, 4)))
    asked = store.submit(KEY, request())
    (entry,) = store.events(0, 10)
    assert (entry.type, entry.actor, entry.key, entry.generation) == ("request.submitted", request().who, str(KEY), 4)
    assert entry.message == "ann@acme.example asked for abort: it burns"
    assert json.loads(entry.body) == {"expires": 99.5, "reason": "it burns", "request": asked, "verb": "abort"}
    assert [delivery.notifier for delivery in store.due(0.0, 10)] == ["log", "hook"]


# --- audit ------------------------------------------------------------------------------------------------------------


def test_records_become_links_of_the_workspace_chain(store):
    store.commit(transition(KeyState(KEY), "one", "two", at=12.3456789))
    store.commit(transition(KeyState(STRANGER), "other"))
    store.commit(transition(KeyState(OTHER), "three"))
    entries = store.events(0, 100)
    assert [(e.id, e.workspace, e.seq, e.message) for e in entries] == [
        (1, "acme", 1, "one"),
        (2, "acme", 2, "two"),
        (3, "zoo", 1, "other"),
        (4, "acme", 3, "three"),
    ]
    assert entries[0].at == 12.345679
    assert [e.previous for e in entries] == [GENESIS, entries[0].hash, GENESIS, entries[1].hash]
    assert all(e.hash == link(e) for e in entries)
    assert store.head() == 4
    reports = store.verify()
    assert [(r.workspace, r.entries, r.head, r.fault) for r in reports] == [
        ("acme", 3, entries[3].hash, ""),
        ("zoo", 1, entries[2].hash, ""),
    ]


def test_events_resume_after_a_cursor_and_filter(store):
    for key in (KEY, STRANGER, OTHER):
        store.commit(transition(KeyState(key), "a", "b"))
    assert [e.id for e in store.events(0, 3)] == [1, 2, 3]
    assert [e.id for e in store.events(3, 100)] == [4, 5, 6]
    assert [e.id for e in store.events(0, 100, workspace="acme")] == [1, 2, 5, 6]
    assert [e.id for e in store.events(1, 100, workspace="acme", key=str(KEY))] == [2]
    assert store.events(6, 100) == ()


def test_an_empty_store_verifies(store):
    assert store.head() == 0
    assert store.verify() == ()


def test_what_a_process_said_never_stops_a_decision(store):
    store.commit(transition(KeyState(KEY), "torn \udcff \0 text"))
    (entry,) = store.events(0, 1)
    assert entry.message == "torn ? ? text"
    assert [report.fault for report in store.verify()] == [""]


# --- outbox -----------------------------------------------------------------------------------------------------------


def test_every_record_is_due_for_every_notifier_oldest_first(store):
    store.commit(transition(KeyState(KEY), "one", "two", at=77.0))
    due = store.due(0.0, 100)
    assert [(d.event.id, d.notifier, d.attempts) for d in due] == [
        (1, "log", 0),
        (1, "hook", 0),
        (2, "log", 0),
        (2, "hook", 0),
    ]
    event = due[0].event
    assert (event.type, event.key, event.at) == ("test.happened", str(KEY), 77.0)
    body = json.loads(event.body)
    assert (body["message"], body["actor"], body["data"], body["seq"]) == ("one", "daemon", {"a": 1}, 1)
    assert body["hash"] == store.events(0, 1)[0].hash
    assert store.due(0.0, 3) == due[:3]


def test_a_body_that_is_no_json_holds_up_no_delivery(store):
    odd = Record("a.b", "daemon", "odd", "{not json")
    store.commit(Transition(replace(KeyState(KEY), revision=1), (odd,), (), 1.0, "{}"))
    store.commit(transition(store.load(KEY), "fine"))
    assert [json.loads(d.event.body)["data"] for d in store.due(0.0, 9)][::2] == ["{not json", {"a": 1}]


def test_delivered_ones_are_not_due_again(store):
    store.commit(transition(KeyState(KEY), "one"))
    first, second = store.due(0.0, 10)
    store.delivered(first.id)
    store.delivered(first.id)
    store.failed(first.id, "too late", None)
    assert store.due(0.0, 10) == (second,)
    assert store.dead(10) == ()


def test_failed_ones_wait_for_their_time_then_die_and_can_be_replayed(store):
    store.commit(transition(KeyState(KEY), "one"))
    first, second = store.due(0.0, 10)
    store.failed(first.id, "refused", 60.0)
    assert store.due(59.9, 10) == (second,)
    assert store.due(60.0, 10)[0] == replace(first, attempts=1, error="refused")
    store.failed(first.id, "gone", None)
    assert store.due(1e12, 10) == (second,)
    assert store.dead(10) == (replace(first, attempts=2, error="gone"),)
    assert store.backlog() == (1, 1)
    assert store.replay(first.id) is True
    assert store.dead(10) == ()
    assert store.backlog() == (2, 0)
    assert store.due(0.0, 10) == (first, second)
    assert store.replay(first.id) is False
    assert store.replay(4711) is False


def test_dead_letters_are_listed_newest_first(store):
    store.commit(transition(KeyState(KEY), "one", "two"))
    due = store.due(0.0, 10)
    for delivery in due:
        store.failed(delivery.id, "no", None)
    assert [d.id for d in store.dead(3)] == [d.id for d in reversed(due)][:3]


def test_prune_drops_delivered_events_of_before_and_no_other(store):
    store.commit(transition(KeyState(KEY), "old", at=10.0))
    store.commit(transition(store.load(KEY), "new", at=20.0))
    old, other, new, _ = store.due(0.0, 10)
    store.delivered(old.id)
    store.failed(other.id, "no", None)
    store.delivered(new.id)
    store.prune(15.0)
    assert [d.id for d in store.dead(10)] == [other.id]
    assert store.head() == 2
    store.commit(transition(store.load(KEY), "later"))
    assert min(d.id for d in store.due(0.0, 10) if d.event.id == 3) > 4
    assert [report.fault for report in store.verify()] == [""]


# --- many at once -----------------------------------------------------------------------------------------------------


def together(count, work):
    """Run ``work(number)`` in that many threads, and raise what any of them raised."""
    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_of_many_writers_exactly_one_wins_each_revision(store):
    wins = []
    seen = []

    def compete(number):
        while (state := store.load(KEY)).revision < 40:
            try:
                store.commit(transition(state, f"writer {number}", attempts=number))
                wins.append((state.revision + 1, number))
            except StaleGenerationError:
                pass
            seen.append(store.head())

    together(6, compete)
    assert sorted(revision for revision, _ in wins) == list(range(1, 41))
    entries = store.events(0, 1000)
    assert [e.message for e in entries] == [f"writer {number}" for _, number in sorted(wins)]
    assert [report.fault for report in store.verify()] == [""]


def test_a_watcher_never_misses_an_entry_and_every_writer_is_in_the_chain(store):
    done = threading.Event()
    watched = []

    def watch():
        cursor = 0
        while not done.is_set() or store.head() > cursor:
            fresh = store.events(cursor, 7)
            watched.extend(entry.id for entry in fresh)
            cursor = fresh[-1].id if fresh else cursor
            done.wait(0.002)

    def write(number):
        key = Key("acme" if number % 2 else "zoo", "shop", f"env-{number}")
        state = KeyState(key)
        for count in range(15):
            decided = transition(state, f"{number}.{count}", "second")
            store.commit(decided)
            state = decided.state
            store.append(key, (tick(1, count),))
            store.submit(key, request())
            with pytest.raises(StaleGenerationError):
                store.commit(transition(replace(state, revision=77), "never"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        together(6, write)
    finally:
        done.set()
        watcher.join(60)
    assert watched == list(range(1, 6 * 15 * 3 + 1))
    assert [(r.entries, r.fault) for r in store.verify()] == [(135, ""), (135, "")]
    assert len(store.ticks(Key("acme", "shop", "env-1"), 1)) == 15
    assert not any(e.message == "never" for e in store.events(0, 10_000))


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_closed_store_says_so_and_closes_twice(store):
    store.append(KEY, (tick(1, 1),))
    store.close()
    store.close()
    with pytest.raises(TerminalError, match="was closed"):
        store.load(KEY)
    with pytest.raises(TerminalError, match="was closed"):
        store.commit(transition(KeyState(KEY)))
