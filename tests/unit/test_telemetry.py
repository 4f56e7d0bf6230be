from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
from api_world import PROD, STAGING, rolling, steady
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.core.desired import Instant
from reconciler.core.observed import Counters, Reading
from reconciler.core.state import Attempt, Condition, ConditionStatus, ConditionType, Pause, Result, RolloutKind
from reconciler.metric_specs import SPECS
from reconciler.telemetry import MOST_REPOS, Telemetry, repo_label

KEY = {"workspace": "acme", "project": "shop", "environment": "prod"}
AT = Instant(1000.0, 1.0, "boot")
BACK = Attempt(2, RolloutKind.RELEASE, "d", "v2", "r", "c", Result.ROLLED_BACK, "bad", 1.0, 2.0, 17, 0.085)


@pytest.fixture
def telemetry():
    return Telemetry("1.2.3")


def value(telemetry, name, **labels):
    return telemetry.registry.get_sample_value(f"prodsprint_{name}", labels)


def busy(telemetry):
    ready = Condition(ConditionType.READY, ConditionStatus.TRUE, "Serving", "all is well", 2)
    view = rolling(PROD)
    telemetry.environment(replace(view, state=replace(view.state, conditions=(ready,))))
    telemetry.environment(steady(STAGING))
    telemetry.measured(PROD, Reading(AT, Counters("e", 10, 10, 1), Counters("e", 5, 4, 4)))
    telemetry.rollout_ended(PROD, BACK)
    telemetry.reconciled(0.003, "noop")
    telemetry.git("https://git.example/a.git", "fetch", "success", 0.2, 1234.5)
    telemetry.quotas({"git.example": 4999})
    telemetry.webhook("github", "accepted")
    telemetry.manifests(10, 1, 12)
    telemetry.queue(3, 1.5)
    telemetry.lag(0.01)
    telemetry.audited(42)
    telemetry.outbox(2, 1)
    telemetry.called("StatusService/Why", "OK")


def test_every_metric_of_the_specs_is_shown_with_its_kind_and_labels(telemetry):
    busy(telemetry)
    text = generate_latest(telemetry.registry).decode()
    families = {one.name: one for one in text_string_to_metric_families(text) if one.name.startswith("prodsprint_")}
    named = {name.removesuffix("_total") if spec.kind == "counter" else name: spec for name, spec in SPECS.items()}
    assert families.keys() == named.keys()
    for name, spec in named.items():
        assert families[name].type == spec.kind
        assert families[name].samples, name
        for sample in families[name].samples:
            assert set(sample.labels) - {"le"} == set(spec.labels), name


def test_promtool_finds_nothing_to_say(telemetry):
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool")
    busy(telemetry)
    text = generate_latest(telemetry.registry)
    done = subprocess.run(["promtool", "check", "metrics"], check=False, input=text, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_an_environment_has_one_info_series_that_follows_its_state(telemetry):
    telemetry.environment(rolling(PROD))
    info = {"target": "process", "mode": "canary", "suspended": "false"}
    telemetry.environment(steady(PROD))
    assert value(telemetry, "environment_info", **KEY, **info, sync_status="Synced", health_status="Healthy") == 1
    assert generate_latest(telemetry.registry).count(b"\nprodsprint_environment_info{") == 1
    paused = steady(PROD)
    telemetry.environment(replace(paused, state=replace(paused.state, pause=Pause("me", "why", 1.0, 2.0))))
    info["suspended"] = "true"
    assert value(telemetry, "environment_info", **KEY, **info, sync_status="Synced", health_status="Healthy") == 1


def test_a_rollout_shows_step_weight_and_verdict_only_while_it_lasts(telemetry):
    telemetry.environment(rolling(PROD))
    assert value(telemetry, "rollout_step", **KEY) == 1
    assert value(telemetry, "rollout_weight_ratio", **KEY) == 0.05
    assert value(telemetry, "analysis_verdict", **KEY, verdict="inconclusive") == 1
    telemetry.environment(steady(PROD))
    assert value(telemetry, "rollout_step", **KEY) is None
    assert value(telemetry, "analysis_verdict", **KEY, verdict="inconclusive") is None


def test_requests_are_counted_by_difference_and_across_resets(telemetry):
    def requests(outcome):
        return value(telemetry, "requests_total", **KEY, side="canary", outcome=outcome)

    telemetry.measured(PROD, Reading(AT, None, Counters("a", 10, 10, 2)))
    telemetry.measured(PROD, Reading(AT, None, Counters("a", 30, 30, 5)))
    assert (requests("failed"), requests("succeeded")) == (5, 25)
    telemetry.measured(PROD, Reading(AT, error="down"))
    telemetry.measured(PROD, Reading(AT, None, Counters("b", 4, 4, 1)))
    assert (requests("failed"), requests("succeeded")) == (6, 28)
    telemetry.measured(PROD, Reading(AT, None, Counters("b", 1, 1, 0)))
    assert (requests("failed"), requests("succeeded")) == (6, 28)


def test_attempts_count_outcome_bad_requests_and_time_to_restore(telemetry):
    telemetry.rollout_ended(PROD, BACK)
    telemetry.rollout_ended(PROD, replace(BACK, result=Result.PROMOTED, restore_seconds=None, bad_requests=5000))
    assert value(telemetry, "rollout_total", **KEY, outcome="rolled_back") == 1
    assert value(telemetry, "rollout_total", **KEY, outcome="promoted") == 1
    assert value(telemetry, "rollout_bad_requests_total", **KEY) == 17
    assert value(telemetry, "restore_seconds_count", **KEY) == 1
    assert value(telemetry, "restore_seconds_bucket", **KEY, le="0.1") == 1


def test_everything_of_an_environment_goes_with_it(telemetry):
    busy(telemetry)
    telemetry.forget(PROD)
    telemetry.forget(PROD)
    text = generate_latest(telemetry.registry).decode()
    assert 'environment="prod"' not in text
    assert 'environment="staging"' in text


def test_repos_are_named_without_credentials_and_bounded_in_length_and_number(telemetry):
    assert repo_label("https://user:hunter2@git.example/a/b.git?token=x#y") == "git.example/a/b.git"
    assert repo_label("git@git.example:a/b.git") == "git.example:a/b.git"
    assert repo_label("/srv/git/a") == "/srv/git/a"
    assert len(repo_label("https://x/" + "a" * 5000)) == 120
    for number in range(MOST_REPOS + 50):
        telemetry.git(f"https://git.example/{number}", "fetch", "error", 0.1, 1.0)
    assert value(telemetry, "git_request_total", repo="other", request_type="fetch", result="error") == 50
    assert value(telemetry, "source_last_success_timestamp_seconds", repo="other") is None
