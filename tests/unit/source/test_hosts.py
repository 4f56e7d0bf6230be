from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from gitrepos import Repo
from gitservers import Served, free_port, smart_http

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source.git import Mirrors
from reconciler.source.trouble import HostAwayError, RateLimitedError


class Place:
    """Two repos on one server, and a daemon's mirrors with a clock of their own."""

    def __init__(self, folder: Path, server: Served) -> None:
        for name in ("shop", "cart"):
            Repo(folder / "repos" / f"{name}.git").commit({"a": "1"})
        self.server = server
        self.clock = FakeClock()
        self.mirrors = Mirrors(folder / "mirrors", clock=self.clock)
        self.shop, self.cart = (f"{server.url}/{name}.git" for name in ("shop", "cart"))

    def asked(self) -> int:
        return len(self.server.asked)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with smart_http(tmp_path / "repos", keep_alive=True) as server:
        found = Place(tmp_path, server)
        yield found
        found.mirrors.close()


@pytest.mark.parametrize(
    ("status", "fields", "seconds"),
    [
        (429, {"Retry-After": "70"}, 70),
        (503, {"Retry-After": "70"}, 70),
        (429, {}, 5),
        (503, {}, 5),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "90"}, 90),
        (403, {"Retry-After": "33"}, 33),
    ],
)
def test_a_server_that_asks_for_patience_gets_it_from_all_its_repos(
    status: int, fields: dict[str, str], seconds: float, place: Place
) -> None:
    place.server.status, place.server.fields = status, fields
    with pytest.raises(RateLimitedError, match=f"status {status}") as caught:
        place.mirrors.fetch(place.shop)
    assert caught.value.retry_after == pytest.approx(seconds)
    place.server.status, place.server.fields = 0, {}
    asked = place.asked()
    place.clock.advance(seconds - 1)
    with pytest.raises(RateLimitedError) as caught:
        place.mirrors.fetch(place.cart)
    assert caught.value.retry_after == pytest.approx(1)
    assert place.cart in str(caught.value)
    assert place.asked() == asked
    place.clock.advance(1)
    assert place.mirrors.fetch(place.cart).changed


def test_without_a_wish_the_waits_double_up_to_a_bound(place: Place) -> None:
    place.server.status = 503
    waits = []
    for _ in range(9):
        with pytest.raises(RateLimitedError) as caught:
            place.mirrors.fetch(place.shop)
        waits.append(caught.value.retry_after)
        place.clock.advance(waits[-1])
    assert waits == pytest.approx([5, 10, 20, 40, 80, 160, 300, 300, 300])
    place.server.status = 0
    place.mirrors.fetch(place.shop)
    place.server.status = 503
    with pytest.raises(RateLimitedError) as caught:
        place.mirrors.fetch(place.shop)
    assert caught.value.retry_after == pytest.approx(5)


def test_plain_403_is_about_one_repo_and_no_rate_limit(place: Place) -> None:
    place.server.status = 403
    with pytest.raises(TerminalError, match="403"):
        place.mirrors.fetch(place.shop)
    place.server.status = 0
    assert place.mirrors.fetch(place.cart).changed


def test_what_is_left_of_a_quota_is_known_and_none_left_stops_asking(place: Place) -> None:
    host = place.server.url.partition("://")[2]
    assert place.mirrors.quotas() == {}
    place.server.fields = {"X-RateLimit-Remaining": "17"}
    place.mirrors.fetch(place.shop)
    assert place.mirrors.quotas() == {host: 17}
    place.server.fields = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "40"}
    place.mirrors.fetch(place.shop)
    assert place.mirrors.quotas() == {host: 0}
    with pytest.raises(RateLimitedError, match="no more requests"):
        place.mirrors.fetch(place.cart)
    place.clock.advance(41)
    place.mirrors.fetch(place.cart)


def test_a_host_that_does_not_answer_is_asked_less_and_less_and_others_are_not_held_up(place: Place) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    waits = []
    for _ in range(3):
        with pytest.raises(HostAwayError, match="cannot be reached") as caught:
            place.mirrors.fetch(f"{dead}/shop.git")
        waits.append(caught.value.retry_after)
        with pytest.raises(HostAwayError, match="cannot be reached") as caught:
            place.mirrors.fetch(f"{dead}/other.git")
        assert place.mirrors.fetch(place.shop)
        place.clock.advance(waits[-1])
    assert waits == pytest.approx([0.5, 1, 2])


def test_a_repo_that_is_missing_says_nothing_about_its_host(place: Place) -> None:
    for _ in range(3):
        with pytest.raises(TerminalError, match="404"):
            place.mirrors.fetch(f"{place.server.url}/none.git")
    place.server.status = 500
    with pytest.raises(TransientError, match="500"):
        place.mirrors.fetch(place.shop)
    place.server.status = 0
    assert place.mirrors.fetch(place.shop).changed
