"""What people ask for while something else goes on: commits upon commits, verbs, stops and starts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from envoys import require_envoy
from ground import Ground, ground, lost

pytestmark = pytest.mark.e2e

LONG = {"bake": "20s", "drain": "100ms"}
SHORT = {"bake": "400ms", "drain": "100ms"}


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    require_envoy()
    with ground() as found:
        found.serve("swift", "back", "verbs", "bad")
        found.traffic("swift", "back", "verbs", "bad", rate=120)
        yield found


def test_the_newest_of_two_commits_wins_and_is_compared_with_the_last_certified_one(place: Ground) -> None:
    place.want("swift", "v2", release=LONG)
    place.canary("swift")
    place.want("swift", "v3", release=SHORT)
    last = place.ended("swift", 3)
    assert [one.result for one in place.attempts("swift")] == ["promoted", "superseded", "promoted"]
    assert last.version == "v3"
    assert [one.message.split(" (")[0] for one in place.events("swift", "rollout.started")] == [
        "nothing → v1",
        "v1 → v2",
        "v1 → v3",
    ]
    assert "a newer commit asks for something else" in place.attempts("swift")[1].reason


def test_a_commit_back_to_what_serves_ends_the_canary(place: Ground) -> None:
    place.want("back", "v2", release=LONG)
    place.canary("back")
    place.want("back", "v1")
    assert place.ended("back", 2).result == "superseded"
    place.says("back", "nothing is waited for: Synced, Healthy")
    assert place.environment("back").stable.version == "v1"
    assert list(place.pids("back")) == [name for name in place.pids("back") if name.endswith("-0")]
    assert len(place.pids("back")) == 1


def test_a_commit_during_the_way_back_waits_for_its_end(place: Ground) -> None:
    place.want("bad", "bad", release={**LONG, "drain": "2s"})
    place.until(lambda: place.environment("bad").rollout.phase == "rolling_back")
    place.want("bad", "v2", release=SHORT)
    assert "the way back is being finished: canary failed" in place.says("bad", "the way back")
    last = place.ended("bad", 3)
    _, first, second = place.attempts("bad")
    assert (first.version, first.result, last.version, last.result) == ("bad", "rolled_back", "v2", "promoted")
    assert first.ended_at.ToNanoseconds() <= second.started_at.ToNanoseconds()
    assert place.events("bad", "rollout.started")[-1].message.startswith("v1 → v2")


def test_what_was_rolled_back_is_not_tried_again_but_a_new_commit_is(place: Ground) -> None:
    place.want("bad", "bad")
    words = place.says("bad", "is quarantined: canary failed")
    place.config.commit({"README": "another commit\n"}, "nothing to do with it")
    place.act("sync", "bad")
    assert place.says("bad", "is quarantined: canary failed") == words or len(place.attempts("bad")) == 3
    assert place.environment("bad").quarantined
    assert len(place.attempts("bad")) == 3
    place.want("bad", "v3")
    assert place.ended("bad", 4).result == "promoted"


def test_abort_goes_back_once_and_is_refused_when_nothing_is_in_progress(place: Ground) -> None:
    code, words = place.act("abort", "verbs")
    assert (code, "refused: nothing is in progress" in words) == (3, True)
    place.want("verbs", "v2", release={**LONG, "drain": "2s"})
    place.canary("verbs")
    assert place.act("abort", "verbs", "it smells")[0] == 0
    code, words = place.act("abort", "verbs", "I said it smells")
    assert (code, "on the way back already" in words) == (0, True)
    assert place.ended("verbs", 2).result == "rolled_back"
    place.says("verbs", "is quarantined: aborted by", "it smells")
    assert place.act("rollback", "verbs")[0] == 3


def test_pause_holds_resume_and_promote_go_on(place: Ground) -> None:
    assert place.act("pause", "verbs", "lunch")[0] == 0
    place.want("verbs", "v3", release=SHORT)
    place.says("verbs", "paused by", "lunch", "prodsprint release resume")
    assert len(place.attempts("verbs")) == 2
    assert place.act("resume", "verbs")[0] == 0
    assert place.ended("verbs", 3).result == "promoted"
    assert place.act("resume", "verbs")[0] == 3
    place.want("verbs", "v4", release=LONG)
    for step in (1, 2):
        place.until(lambda step=step: place.environment("verbs").rollout.step == step)
        place.until(lambda: place.act("promote", "verbs", "it is fine")[0] == 0)
    assert place.ended("verbs", 4).result == "promoted"
    assert "promoted by" in place.attempts("verbs")[3].reason


def test_a_second_daemon_on_the_same_data_directory_is_refused(place: Ground) -> None:
    words = ["run", "--config-repo", str(place.config.folder), "--data-dir", str(place.stage.data)]
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", *words], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert f"another daemon (process {place.stage.programs['daemon'].pid}) works on" in done.stderr
    assert place.cli("status")[0] == 0


def test_a_stopped_daemon_leaves_everything_serving_and_the_next_one_adopts_it(place: Ground) -> None:
    place.want("swift", "v4", release=LONG)
    seen = place.canary("swift", 10)
    instances, envoy = place.pids("swift"), place.envoy()
    began = time.monotonic()
    assert place.stage.end("daemon") == 0
    assert time.monotonic() - began < 5
    assert place.cli("status")[0] == 20
    sent = place.stage.traffic("traffic-swift").sent
    place.until(lambda: place.stage.traffic("traffic-swift").sent > sent + 60)
    place.start_daemon()
    now = place.canary("swift", seen.rollout.analysis.canary_requests + 1)
    assert (place.pids("swift"), place.envoy()) == (instances, envoy)
    assert now.rollout.attempt == seen.rollout.attempt
    assert place.act("abort", "swift")[0] == 0
    place.ended("swift", 4)


def test_rollback_needs_neither_repo(place: Ground) -> None:
    assert place.environment("swift").stable.version == "v3"
    for repo in (place.config, place.service):
        shutil.rmtree(repo.folder)
    code, words = place.act("rollback", "swift", "v3 loses orders")
    assert (code, "going back to v1" in words) == (0, True)
    attempt = place.ended("swift", 5)
    assert (attempt.kind, attempt.version) == ("rollback", "v1")
    assert place.environment("swift").stable.version == "v1"
    place.says("swift", "last        attempt 5, v1 promoted: rollback by", "v3 loses orders")


def test_no_request_was_lost_in_all_that(place: Ground) -> None:
    counts = {name: place.end_traffic(name) for name in ("swift", "back", "verbs", "bad")}
    assert {name: lost(one) for name, one in counts.items()} == {name: {} for name in counts}
    good = {
        code for one in counts.values() for version, codes in one.answered.items() if version != "bad" for code in codes
    }
    assert good == {"200"}
