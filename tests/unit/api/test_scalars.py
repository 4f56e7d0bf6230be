from __future__ import annotations

import pytest

from reconciler.api.scalars import duration, repository, timestamp


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://git.example/a.git", "https://git.example/a.git"),
        ("https://user:hunter2@git.example:8443/a.git?token=x#y", "https://git.example:8443/a.git"),
        ("https://user:p@ss@git.example/a.git", "https://git.example/a.git"),
        ("ssh://git@git.example/a.git", "ssh://git.example/a.git"),
        ("git@git.example:a/b.git", "git.example:a/b.git"),
        ("/srv/git/a@b", "/srv/git/a@b"),
        ("file:///srv/git/a", "file:///srv/git/a"),
    ],
)
def test_a_repo_is_shown_without_credentials(url, shown):
    assert repository(url) == shown


@pytest.mark.parametrize("seconds", [0.0, 1.25, 1_763_676_843.123456, -0.5, -1_000.000001])
def test_times_keep_their_microseconds(seconds):
    at = timestamp(seconds)
    assert 0 <= at.nanos < 1_000_000_000
    assert at.ToMicroseconds() == round(seconds * 1e6)


def test_what_is_not_known_is_left_out():
    assert timestamp(None) is None
    assert duration(None) is None
    assert duration(0.085).ToMicroseconds() == 85_000
