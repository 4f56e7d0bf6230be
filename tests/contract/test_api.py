"""The gRPC API over a real server, a real port and a real store."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import grpc
import pytest
from api_world import PROD, STAGING, ZOO, World, api, bearer, channel, desired, release, rolling, steady
from google.protobuf import timestamp_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from prodsprint import v1
from waiting import eventually

from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.state import (
    Attempt,
    Condition,
    ConditionStatus,
    ConditionType,
    Pause,
    Plan,
    Quarantine,
    Result,
    RolloutKind,
    Route,
    Scale,
    SetRoute,
    Verb,
)
from reconciler.core.waiting import Waiting
from reconciler.ports import Transition
from reconciler.store import open_store

LIMIT = 20.0
WATCHES = 400


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """One server for all tests of this file that do not stop it."""
    folder = tmp_path_factory.mktemp("api")
    store = open_store(folder / "prodsprint.db")
    app = World(store)
    with api(app, folder, heartbeat=0.3, poll=0.02, watches=WATCHES) as address:
        yield app, address, folder
    store.close()


@pytest.fixture
def world(hall):
    app = hall[0]
    app.views = {key: steady(key) for key in (ZOO, STAGING, PROD)}
    app.answering = True
    app.submitted.clear()
    return app


@pytest.fixture
def lines(hall, world):
    with channel(hall[1], hall[2]) as one:
        yield one


@pytest.fixture
def status(lines):
    return v1.StatusServiceStub(lines)


@pytest.fixture
def control(lines):
    return v1.ControlServiceStub(lines)


def refusal(call, *args, **kwargs):
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **{"timeout": LIMIT, **kwargs})
    return caught.value


def details(error, kind):
    message = kind()
    packed = rpc_status.from_call(error).details
    assert packed[0].Unpack(message)
    return message


# --- reading ---------------------------------------------------------------------------------------------------------


def test_projects_are_listed_with_their_keys(status):
    projects = status.ListProjects(v1.ListProjectsRequest()).projects
    assert [(one.workspace, one.name, list(one.keys)) for one in projects] == [
        ("acme", "shop", ["acme/shop/prod", "acme/shop/staging"]),
        ("zoo", "app", ["zoo/app/prod"]),
    ]
    assert [one.name for one in status.ListProjects(v1.ListProjectsRequest(workspace="zoo")).projects] == ["app"]


def test_pages_of_environments_are_whole_and_in_order(status):
    seen, token = [], ""
    while True:
        answer = status.ListEnvironments(v1.ListEnvironmentsRequest(page_size=1, page_token=token))
        seen += [one.key for one in answer.environments]
        token = answer.next_page_token
        if not token:
            break
    assert seen == ["acme/shop/prod", "acme/shop/staging", "zoo/app/prod"]
    only = status.ListEnvironments(v1.ListEnvironmentsRequest(workspace="acme", project="shop"))
    assert len(only.environments) == 2


def test_the_first_page_of_environments_says_what_is_wrong_with_manifests(world, status):
    world.wrong = ("shop.prodsprint.yaml:3:1: what is this?",)
    first = status.ListEnvironments(v1.ListEnvironmentsRequest(page_size=1))
    second = status.ListEnvironments(v1.ListEnvironmentsRequest(page_size=1, page_token=first.next_page_token))
    assert (list(first.problems), list(second.problems)) == (["shop.prodsprint.yaml:3:1: what is this?"], [])


def test_a_page_stays_below_the_size_that_clients_accept(world, status):
    long = Condition(ConditionType.READY, ConditionStatus.FALSE, "Long", "x" * 60_000, 1)
    for number in range(100):
        key = Key("big", f"p{number}", "prod")
        view = steady(key)
        world.views[key] = replace(view, state=replace(view.state, conditions=(long,)))
    seen, token = 0, ""
    while True:
        answer = status.ListEnvironments(v1.ListEnvironmentsRequest(workspace="big", page_size=1000, page_token=token))
        seen += len(answer.environments)
        token = answer.next_page_token
        if not token:
            break
    assert seen == 100


def test_a_steady_environment_is_synced_and_healthy(status):
    one = status.GetEnvironment(v1.GetEnvironmentRequest(key="acme/shop/prod")).environment
    assert (one.sync_status, one.health_status, one.quarantined, one.target) == ("Synced", "Healthy", False, "process")
    assert one.stable.version == "v1"
    assert one.stable.digest == one.desired.digest == release(PROD).digest
    assert one.traffic.stable.endpoints == ["127.0.0.1:9000"]
    assert [instance.status for instance in one.instances] == ["ready", "ready"]
    assert not one.HasField("rollout")
    assert "hunter2" not in str(one)


def test_a_rollout_shows_its_step_weight_and_numbers(world, status):
    world.views[PROD] = rolling(PROD)
    one = status.GetEnvironment(v1.GetEnvironmentRequest(key="acme/shop/prod")).environment
    assert (one.sync_status, one.health_status) == ("OutOfSync", "Progressing")
    rollout = one.rollout
    assert (rollout.attempt, rollout.phase, rollout.step, rollout.steps, rollout.weight) == (2, "stepping", 1, 2, 500)
    assert rollout.started_at.ToNanoseconds() == 1_700_000_000_250_000_000
    assert (rollout.analysis.verdict, rollout.analysis.canary_failed) == ("inconclusive", 2)
    assert rollout.analysis.dwell.ToMilliseconds() == 12_500


def test_quarantine_pause_and_problem_are_shown(world, status):
    view = steady(PROD)
    bad = release(PROD, "v2")
    state = replace(
        view.state,
        quarantined=(Quarantine(bad.digest, "20 % failed", 50.0, 2),),
        pause=Pause("token:eve", "inventory", 10.0, 90.0),
    )
    world.views[PROD] = replace(view, desired=bad.desired, state=state, problem="a.yaml:3:5: found x")
    one = status.GetEnvironment(v1.GetEnvironmentRequest(key="acme/shop/prod")).environment
    assert one.quarantined
    assert (one.desired.status, one.desired.reason) == ("quarantined", "20 % failed")
    assert one.pause.until.seconds == 90
    assert one.problem == "a.yaml:3:5: found x"


def test_releases_are_listed_once_each_with_what_they_are(world, status):
    v0, v1_, v2, v3 = (release(PROD, version) for version in ("v0", "v1", "v2", "v3"))
    view = rolling(PROD)
    tried = Attempt(1, RolloutKind.RELEASE, v3.digest, "v3", "3" * 40, "c" * 40, Result.ROLLED_BACK, "bad", 1.0, 2.0)
    state = replace(
        view.state,
        certified=(v1_, v0),
        quarantined=(Quarantine(v3.digest, "bad", 50.0, 1),),
        history=(tried,),
    )
    world.views[PROD] = replace(view, state=state)
    seen, token = [], ""
    while True:
        answer = status.ListReleases(v1.ListReleasesRequest(key="acme/shop/prod", page_size=1, page_token=token))
        seen += [(one.version, one.status) for one in answer.releases]
        token = answer.next_page_token
        if not token:
            break
    assert seen == [("v2", "rolling_out"), ("v1", "stable"), ("v0", "certified"), ("v3", "quarantined")]
    assert v2.digest == view.state.rollout.release.digest


def test_attempts_are_listed_newest_first_and_paged(world, status):
    def attempt(number):
        return Attempt(
            number, RolloutKind.RELEASE, "d", "v", "r", "c", Result.ROLLED_BACK, "bad", 1.0, 2.0, 17, 0.085
        )  # fmt: skip

    view = steady(PROD)
    world.views[PROD] = replace(view, state=replace(view.state, history=tuple(attempt(n) for n in (5, 4, 3))))
    first = status.ListAttempts(v1.ListAttemptsRequest(key="acme/shop/prod", page_size=2))
    assert [one.attempt for one in first.attempts] == [5, 4]
    assert (first.attempts[0].bad_requests, first.attempts[0].restore_time.ToMilliseconds()) == (17, 85)
    token = first.next_page_token
    rest = status.ListAttempts(v1.ListAttemptsRequest(key="acme/shop/prod", page_size=2, page_token=token))
    assert [one.attempt for one in rest.attempts] == [3]
    assert not rest.next_page_token


def test_plans_of_now_and_of_the_past_are_given(world, status):
    past = Plan(PROD, 1, 0, (Scale("d" * 64, 2), SetRoute(Route(80, "d" * 64, None, 0))), (), "first", "digest-1")
    stored = world.store.load(PROD)
    world.store.commit(
        Transition(replace(stored, revision=stored.revision + 1, generation=1, plan=past), (), (), 1.0, "{}")
    )
    current = replace(past, generation=2, parent=1, reason="second")
    view = steady(PROD)
    world.views[PROD] = replace(view, state=replace(view.state, plan=current))
    now = status.GetPlan(v1.GetPlanRequest(key="acme/shop/prod")).plan
    assert (now.generation, now.reason, now.actions[0].scale.count) == (2, "second", 2)
    assert now.actions[1].set_route.port == 80
    assert json.loads(now.canonical)["generation"] == 2
    assert status.GetPlan(v1.GetPlanRequest(key="acme/shop/prod", generation=1)).plan.reason == "first"
    missing = refusal(status.GetPlan, v1.GetPlanRequest(key="acme/shop/prod", generation=9))
    assert missing.code() is grpc.StatusCode.NOT_FOUND


def test_why_says_what_who_and_until_when(world, status):
    wait = Waiting("Baking", "step 1 bakes for 8 s more", "time", 2000.0, 1500.5)
    world.views[PROD] = replace(rolling(PROD), waiting=(wait,))
    why = status.Why(v1.WhyRequest(key="acme/shop/prod"))
    assert why.summary == "step 1 bakes for 8 s more"
    assert (why.waiting[0].condition, why.waiting[0].who) == ("Baking", "time")
    assert (why.waiting[0].deadline.seconds, why.waiting[0].next_look.nanos) == (2000, 500_000_000)
    assert why.analysis.reason == "2 of 40 requests failed"
    numbers = json.loads(why.analysis.numbers)
    assert (numbers["log_e"], numbers["ratio_high"]) == (1.5, None)
    assert why.environment.key == "acme/shop/prod"
    quiet = status.Why(v1.WhyRequest(key="acme/shop/staging"))
    assert quiet.summary == "nothing is waited for: Synced, Healthy"


def test_the_raw_state_is_canonical_json(world, status):
    answer = status.GetState(v1.GetStateRequest(key="acme/shop/prod"))
    assert json.loads(answer.state)["stable"]["digest"] == release(PROD).digest
    assert json.loads(answer.observed)["traffic"]["port"] == 8080
    world.views[PROD] = replace(steady(PROD), observed=None)
    assert status.GetState(v1.GetStateRequest(key="acme/shop/prod")).observed == ""


def test_events_are_paged_oldest_first_and_the_chain_verifies(world, status):
    before = world.store.head()
    world.happen(ZOO, "one", "two", "three")
    seen, token = [], ""
    while True:
        answer = status.ListEvents(v1.ListEventsRequest(key=str(ZOO), page_size=2, page_token=token))
        seen += [one.message for one in answer.events if one.id > before]
        token = answer.next_page_token
        if not token:
            break
    assert seen == ["one", "two", "three"]
    chains = status.VerifyAudit(v1.VerifyAuditRequest()).chains
    assert {one.workspace: one.fault for one in chains}["zoo"] == ""


# --- refusing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["", "acme", "acme/shop", "acme/shop/prod/x", "acme/../prod", "Acme/shop/prod", "a\n/b/c"]
)
def test_a_bad_key_is_a_field_violation(status, key):
    error = refusal(status.GetEnvironment, v1.GetEnvironmentRequest(key=key))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(error, error_details_pb2.BadRequest).field_violations[0].field == "key"


def test_an_unknown_key_is_not_found(status, control):
    for call, request in (
        (status.GetEnvironment, v1.GetEnvironmentRequest(key="acme/shop/qa")),
        (status.Why, v1.WhyRequest(key="acme/shop/qa")),
        (control.Sync, v1.SyncRequest(key="acme/shop/qa", reason="why not")),
    ):
        error = refusal(call, request)
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert details(error, error_details_pb2.ResourceInfo).resource_name == "acme/shop/qa"


@pytest.mark.parametrize("token", ["x", "AAAA", "W10=", "WyJhIiwgMV0=", "é", "[" * 2000, "bnVsbA=="])
def test_a_bad_page_token_is_refused(status, token):
    for call, request in (
        (status.ListEnvironments, v1.ListEnvironmentsRequest(page_token=token)),
        (status.ListEvents, v1.ListEventsRequest(page_token=token)),
        (status.ListAttempts, v1.ListAttemptsRequest(key="acme/shop/prod", page_token=token)),
    ):
        error = refusal(call, request)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert details(error, error_details_pb2.BadRequest).field_violations[0].field == "page_token"


def test_a_page_token_is_good_for_its_own_list_only(status):
    token = status.ListEnvironments(v1.ListEnvironmentsRequest(page_size=1)).next_page_token
    for request in (
        v1.ListEnvironmentsRequest(page_token=token, workspace="acme"),
        v1.ListEnvironmentsRequest(page_size=-1),
        v1.ListEnvironmentsRequest(workspace="no spaces"),
    ):
        assert refusal(status.ListEnvironments, request).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_without_the_token_only_the_health_check_answers(hall, world):
    address, folder = hall[1:]
    right = bearer(folder)[0][1]
    wrong = (
        None,
        (),
        (("authorization", "Bearer nope"),),
        (("authorization", right[:-1]),),
        (("authorization", right),) * 2,
    )
    with grpc.insecure_channel(address) as plain:
        for metadata in wrong:
            error = refusal(v1.StatusServiceStub(plain).ListProjects, v1.ListProjectsRequest(), metadata=metadata)
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert details(error, error_details_pb2.ErrorInfo).reason == "TOKEN_REQUIRED"
        watch = v1.StatusServiceStub(plain).Watch(v1.WatchRequest(), timeout=LIMIT)
        assert refusal(lambda timeout: next(watch)).code() is grpc.StatusCode.UNAUTHENTICATED
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        talk = reflection_pb2_grpc.ServerReflectionStub(plain).ServerReflectionInfo(iter([ask]), timeout=LIMIT)
        assert refusal(lambda timeout: next(talk)).code() is grpc.StatusCode.UNAUTHENTICATED
        health = health_pb2_grpc.HealthStub(plain)
        for name in ("", "prodsprint.v1.StatusService", "prodsprint.v1.ControlService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=LIMIT)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        beat = health.Watch(health_pb2.HealthCheckRequest(), timeout=LIMIT)
        assert refusal(lambda timeout: next(beat)).code() is grpc.StatusCode.UNAUTHENTICATED


def test_an_oversize_message_is_refused_and_the_server_goes_on(control, status):
    error = refusal(control.Sync, v1.SyncRequest(key="acme/shop/prod", reason="x" * (5 * 1024 * 1024)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert status.ListProjects(v1.ListProjectsRequest()).projects


def test_bytes_that_are_no_message_do_not_hurt(lines, status):
    call = lines.unary_unary("/prodsprint.v1.StatusService/Why")
    assert refusal(call, b"\xff\xff\xff").code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
    unknown = lines.unary_unary("/prodsprint.v1.StatusService/DropTables")
    assert refusal(unknown, b"").code() is grpc.StatusCode.UNIMPLEMENTED
    assert status.ListProjects(v1.ListProjectsRequest()).projects


def test_faults_of_the_store_are_told_and_bugs_are_not(world, status, caplog):
    class Broken:
        fault: Exception = TransientError("the database is locked")

        def environment(self, _key):
            raise self.fault

    real, broken = World.environment, Broken()
    request = v1.GetEnvironmentRequest(key="acme/shop/prod")
    world.environment = broken.environment
    try:
        error = refusal(status.GetEnvironment, request)
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "the database is locked")
        assert details(error, error_details_pb2.RetryInfo).retry_delay.seconds == 1
        broken.fault = TerminalError("the disk is full")
        assert refusal(status.GetEnvironment, request).code() is grpc.StatusCode.FAILED_PRECONDITION
        broken.fault = ZeroDivisionError("password=hunter2")
        error = refusal(status.GetEnvironment, request)
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "hunter2" not in error.details()
        assert "hunter2" in caplog.text
    finally:
        del world.environment
    assert World.environment is real


# --- acting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [verb.value for verb in Verb])
def test_every_verb_is_stored_with_reason_and_who_and_answered(world, control, verb):
    kind = getattr(v1, f"{verb.title()}Request")
    answer = getattr(control, verb.title())(kind(key="acme/shop/prod", reason=" because "), timeout=LIMIT).answer
    assert (answer.accepted, answer.pending, answer.message) == (verb != "abort", False, f"{verb}: seen")
    key, submitted, who, reason, until = world.submitted[-1]
    assert (key, submitted, reason, until) == (PROD, verb, "because", None)
    assert who.startswith("token:")
    entries = world.store.events(0, 1000, "", str(PROD))
    assert any(one.actor == who for one in entries)


def test_on_behalf_of_is_recorded_beside_the_identity(world, control):
    control.Sync(v1.SyncRequest(key="acme/shop/prod", reason="ci", on_behalf_of="eve@acme.example"), timeout=LIMIT)
    who = world.submitted[-1][2]
    assert who.startswith("token:")
    assert who.endswith(" for eve@acme.example")


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("reason", v1.AbortRequest(key="acme/shop/prod")),
        ("reason", v1.AbortRequest(key="acme/shop/prod", reason=" \n ")),
        ("reason", v1.AbortRequest(key="acme/shop/prod", reason="x" * 501)),
        ("reason", v1.AbortRequest(key="acme/shop/prod", reason="fine\nlevel=error forged")),
        ("on_behalf_of", v1.AbortRequest(key="acme/shop/prod", reason="ok", on_behalf_of="token:root for me")),
        ("key", v1.AbortRequest(key="*", reason="ok")),
    ],
)
def test_what_a_verb_may_not_say_is_refused_and_not_stored(world, control, field, request_):
    error = refusal(control.Abort, request_)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(error, error_details_pb2.BadRequest).field_violations[0].field == field
    assert world.submitted == []


def test_a_pause_ends_at_a_time_ahead_but_not_far(world, control):
    soon = timestamp_pb2.Timestamp()
    soon.GetCurrentTime()
    soon.seconds += 3600
    control.Pause(v1.PauseRequest(key="acme/shop/prod", reason="inventory", until=soon), timeout=LIMIT)
    assert world.submitted[-1][4] == pytest.approx(soon.seconds, abs=1)
    for seconds in (1, soon.seconds + 40 * 86_400):
        until = timestamp_pb2.Timestamp(seconds=seconds)
        error = refusal(control.Pause, v1.PauseRequest(key="acme/shop/prod", reason="inventory", until=until))
        assert details(error, error_details_pb2.BadRequest).field_violations[0].field == "until"


def test_a_verb_that_nobody_decides_on_is_pending_before_the_deadline(world, control):
    world.answering = False
    answer = control.Sync(v1.SyncRequest(key="acme/shop/prod", reason="look"), timeout=0.6).answer
    assert answer.accepted
    assert answer.pending
    assert [one.id for one in world.store.requests(PROD)][-1] == answer.request


def test_a_deadline_that_has_passed_is_deadline_exceeded(world, control, status):
    world.answering = False
    error = refusal(control.Sync, v1.SyncRequest(key="acme/shop/prod", reason="look"), timeout=-1.0)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    watch = status.Watch(v1.WatchRequest(), timeout=0.5)
    assert refusal(lambda timeout: list(watch)).code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_dead_letters_are_listed_and_replayed(tmp_path):
    store = open_store(tmp_path / "prodsprint.db", ("hook",))
    app = World(store, {PROD: steady(PROD)})
    app.happen(PROD, "told nobody")
    (letter,) = store.due(10_000.0, 10)
    store.failed(letter.id, "HTTP 500", None)
    with api(app, tmp_path) as address, channel(address, tmp_path) as lines:
        control = v1.ControlServiceStub(lines)
        (found,) = control.ListDeadLetters(v1.ListDeadLettersRequest(), timeout=LIMIT).dead_letters
        assert (found.notifier, found.type, found.key, found.error) == ("hook", "test.happened", str(PROD), "HTTP 500")
        control.ReplayDeadLetter(v1.ReplayDeadLetterRequest(id=found.id), timeout=LIMIT)
        assert not control.ListDeadLetters(v1.ListDeadLettersRequest(), timeout=LIMIT).dead_letters
        error = refusal(control.ReplayDeadLetter, v1.ReplayDeadLetterRequest(id=999))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        error = refusal(control.ListDeadLetters, v1.ListDeadLettersRequest(limit=-1))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    store.close()


# --- watching --------------------------------------------------------------------------------------------------------


def events_of(stream, count):
    found = []
    for answer in stream:
        if answer.HasField("event"):
            found.append(answer.event)
        if len(found) == count:
            return found
    return found


def test_a_watch_begins_with_a_heartbeat_then_tells_what_happens(world, status):
    watch = status.Watch(v1.WatchRequest(), timeout=LIMIT)
    first = next(watch)
    assert (first.HasField("event"), first.cursor) == (False, world.store.head())
    world.happen(PROD, "now")
    (event,) = events_of(watch, 1)
    assert (event.message, event.key, event.actor) == ("now", "acme/shop/prod", "daemon")
    watch.cancel()


def test_filters_hold_and_the_cursor_moves_past_what_they_leave_out(world, status):
    watch = status.Watch(v1.WatchRequest(key=str(ZOO)), timeout=LIMIT)
    next(watch)
    world.happen(PROD, "not this")
    head = world.store.head()
    beat = next(watch)
    while beat.cursor < head:
        assert not beat.HasField("event")
        beat = next(watch)
    world.happen(ZOO, "but this")
    assert events_of(watch, 1)[0].message == "but this"
    watch.cancel()
    everything = status.Watch(v1.WatchRequest(cursor=0, workspace="zoo"), timeout=LIMIT)
    assert {one.workspace for one in events_of(everything, 1)} == {"zoo"}
    everything.cancel()


def test_a_cursor_of_another_data_directory_is_refused(world, status):
    ahead = status.Watch(v1.WatchRequest(cursor=world.store.head() + 1000), timeout=LIMIT)
    error = refusal(lambda timeout: next(ahead))
    assert error.code() is grpc.StatusCode.OUT_OF_RANGE
    assert details(error, error_details_pb2.ErrorInfo).reason == "CURSOR_AHEAD"
    negative = status.Watch(v1.WatchRequest(cursor=-1), timeout=LIMIT)
    assert refusal(lambda timeout: next(negative)).code() is grpc.StatusCode.INVALID_ARGUMENT


def all_watches(status):
    """Take every place that the server has for watches; none while somebody else still holds one."""
    watches = [status.Watch(v1.WatchRequest(), timeout=60) for _ in range(WATCHES)]
    try:
        for watch in watches:
            next(watch)
    except grpc.RpcError:
        for watch in watches:
            watch.cancel()
        return []
    return watches


def test_hundreds_of_idle_watches_are_served_bounded_and_leave_nothing_behind(world, status):
    watches = eventually(lambda: all_watches(status), what="there is room for all")
    refused = status.Watch(v1.WatchRequest(), timeout=LIMIT)
    assert refusal(lambda timeout: next(refused)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert status.ListProjects(v1.ListProjectsRequest(), timeout=LIMIT).projects
    world.happen(PROD, "for everybody")
    assert [events_of(watch, 1)[0].message for watch in watches[::40]] == ["for everybody"] * 10
    for watch in watches:
        watch.cancel()
    again = eventually(lambda: all_watches(status), what="there is room for all again")
    for watch in again:
        watch.cancel()


def test_a_watcher_that_reads_nothing_delays_nobody(world, status):
    slow = status.Watch(v1.WatchRequest(), timeout=LIMIT)
    next(slow)
    start = world.store.head()
    body = "x" * 10_000
    for number in range(150):
        world.happen(PROD, *(f"{number}.{part} {body}" for part in range(10)))
    quick = status.Watch(v1.WatchRequest(cursor=start), timeout=LIMIT)
    ids = [one.id for one in events_of(quick, 1500)]
    assert ids == list(range(start + 1, start + 1501))
    quick.cancel()
    assert [one.id for one in events_of(slow, 1500)] == ids
    slow.cancel()


def test_resuming_from_the_cursor_misses_and_repeats_nothing_across_restarts(tmp_path):
    path = tmp_path / "prodsprint.db"
    done = threading.Event()
    store = open_store(path)
    app = World(store, {PROD: steady(PROD)})

    def busy():
        for number in range(1200):
            app.happen(PROD, str(number))
        done.set()

    writer = threading.Thread(target=busy)
    writer.start()
    seen, cursor = [], 0
    try:
        for round_ in range(3):
            with api(app, tmp_path, poll=0.01, heartbeat=0.2) as address, channel(address, tmp_path) as lines:
                watch = v1.StatusServiceStub(lines).Watch(v1.WatchRequest(cursor=cursor), timeout=40)
                for answer in watch:
                    cursor = answer.cursor
                    if answer.HasField("event"):
                        assert answer.cursor == answer.event.id
                        seen.append(answer.event.message)
                    if (round_ < 2 and len(seen) >= 300 * (round_ + 1)) or len(seen) == 1200:
                        break
    finally:
        writer.join()
        store.close()
    assert done.is_set()
    assert seen == [str(number) for number in range(1200)]


def test_stopping_ends_watches_with_unavailable_and_soon(tmp_path):
    store = open_store(tmp_path / "prodsprint.db")
    app = World(store, {PROD: steady(PROD)})
    with api(app, tmp_path) as address:
        lines = grpc.insecure_channel(address)
        watch = v1.StatusServiceStub(lines).Watch(v1.WatchRequest(), metadata=bearer(tmp_path), timeout=LIMIT)
        next(watch)
    with pytest.raises(grpc.RpcError) as caught:
        next(watch)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert details(caught.value, error_details_pb2.ErrorInfo).reason == "STOPPING"
    lines.close()
    store.close()


# --- reflection ------------------------------------------------------------------------------------------------------


def test_reflection_lists_the_services(hall, world):
    with grpc.insecure_channel(hall[1]) as plain:
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        stub = reflection_pb2_grpc.ServerReflectionStub(plain)
        answer = next(stub.ServerReflectionInfo(iter([ask]), metadata=bearer(hall[2]), timeout=LIMIT))
    names = {one.name for one in answer.list_services_response.service}
    assert {"prodsprint.v1.StatusService", "prodsprint.v1.ControlService", "grpc.health.v1.Health"} <= names


def test_the_desired_release_of_a_new_key_is_shown_before_anything_runs(world, status):
    key = Key("acme", "new", "prod")
    view = steady(key)
    world.views[key] = replace(view, desired=desired(key), state=replace(view.state, stable=None), observed=None)
    one = status.GetEnvironment(v1.GetEnvironmentRequest(key=str(key))).environment
    assert (one.sync_status, one.health_status) == ("Unknown", "Unknown")
    assert one.desired.version == "v1"
    assert one.observation_error == "not looked at yet"
