"""What people and programs are told of a project of several components."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes.parts import UnitPlace, frozen, pair, part, several
from fakes.values import KEY, desired
from prodsprint.v1 import WhyResponse

from reconciler.api import convert
from reconciler.cli import history, preview, status, why
from reconciler.core.state import KeyState, Result
from reconciler.core.view import EnvironmentView, summary
from reconciler.store import open_store


@pytest.fixture
def place() -> Iterator[UnitPlace]:
    store = open_store(":memory:")
    yield UnitPlace(store)
    store.close()


def view(place: UnitPlace) -> EnvironmentView:
    look = place.look()
    return EnvironmentView(KEY, look.inputs.desired, look.decision.state, look.inputs.observed)


def planned(place: UnitPlace, wanted) -> preview.Preview:
    seen = view(place)
    state, observed = (
        kind.dump_json(one).decode() for kind, one in zip(KINDS, (seen.state, seen.observed), strict=True)
    )
    return preview.preview(wanted, preview.Around({str(wanted.key): (state, observed)}, {}.get), place.clock)


KINDS = (preview.STATE, preview.OBSERVED)


def test_an_environment_names_its_components_with_their_versions(place):
    place.bring(pair("v2", "v7"))
    found = convert.environment(view(place))
    assert (found.stable.version, found.sync_status, found.health_status) == ("web v2, worker v7", "Synced", "Healthy")
    assert [(one.name, one.version, one.instances, one.port) for one in found.stable.components] == [
        ("web", "v2", 2, 8080),
        ("worker", "v7", 3, 8081),
    ]
    assert found.stable.components[1].source == "https://git.example/worker"
    assert found.stable.source == ""
    row = status.row(found)
    assert (row["serves"], row["wanted"], row["ready"]) == ("web v2, worker v7", "web v2, worker v7", "2/2")
    assert "worker=127.0.0.1:" in row["endpoints"]


def test_one_service_is_told_of_as_it_always_was(place):
    place.bring(desired("v1"))
    found = convert.environment(view(place))
    assert (found.stable.version, found.stable.source) == ("v1", "https://git.example/shop")
    assert not found.stable.components


def test_why_says_what_serves_and_where(place):
    place.bring(pair("v1"))
    seen = view(place)
    answer = WhyResponse(environment=convert.environment(seen), summary=summary(seen))
    lines = why.text(answer, None).splitlines()
    revisions = [one.revision[:12] for one in answer.environment.stable.components]
    assert lines[0] == "acme/shop/prod: web and worker v1 serve, git asks for web and worker v1"
    assert f"components  web v1 ({revisions[0]}), 2 instances, port 8080" in lines
    assert f"            worker v1 ({revisions[1]}), 3 instances, port 8081" in lines


def test_history_and_the_reason_name_the_component_that_failed(place):
    place.bring(pair("v1"))
    wanted = pair("v1", "v2")
    place.failing[frozen(wanted).digest, 8081] = 0.9
    place.desires.commit(wanted)
    place.until(lambda state: state.history and state.history[0].result is Result.ROLLED_BACK)
    row = history.row(convert.attempt(place.store.load(KEY).history[0]))
    assert row["version"] == "web v1, worker v2"
    revisions = [one.artifact.revision[:12] for one in (wanted, *wanted.components)]
    assert row["revision"] == f"web={revisions[0]} worker={revisions[1]}"
    assert history.revision("a" * 40) == "a" * 12


def test_a_plan_says_how_many_of_each_and_at_which_ports(place):
    place.bring(pair("v1"))
    lines = preview.text(planned(place, pair("v1", "v2"))).splitlines()
    old, new = frozen(pair("v1")).digest[:12], frozen(pair("v1", "v2")).digest[:12]
    assert lines[0].startswith("acme/shop/prod: web and worker v1 → web v1, worker v2 (web ")
    assert lines[2:5] == [
        f"  1. run 2 web and 3 worker instances of web and worker v1 ({old})",
        f"  2. run 1 web and 2 worker instances of web v1, worker v2 ({new})",
        (
            f"  3. ports 8080 (web), 8081 (worker): 5 % of the traffic to web v1, worker v2 ({new}), "
            "once its instances are ready"
        ),
    ]
    assert any(" 25 % on 1 web and 2 worker instances, for at least 10s" in line for line in lines)


def test_a_plan_for_programs_lists_the_components(place):
    place.bring(desired("v1"))
    found = preview.as_data(planned(place, pair("v2")))
    assert (found["serves"], found["wanted"]) == ("v1", "web and worker v2")
    names = [(one["name"], one["version"], one["port"], one["instances"]) for one in found["components"]]
    assert names == [("web", "v2", 8080, 2), ("worker", "v2", 8081, 3)]
    assert "components" not in preview.as_data(planned(place, desired("v2")))


def test_a_plan_without_a_daemon_names_every_component(place):
    three = several(part("web", "v2", 8080), part("jobs", "v2", 8081), part("mailer", "v7", 8082))
    found = preview.preview(three, preview.Around({}, {}.get), place.clock)
    assert found.before == KeyState(KEY)
    text = preview.text(found)
    assert "nothing → web and jobs v2, mailer v7" in text
    assert "run 1 web, 1 jobs and 1 mailer instances" in text
    assert "ports 8080 (web), 8081 (jobs), 8082 (mailer)" in text
    assert found.decision.state.rollout is not None
