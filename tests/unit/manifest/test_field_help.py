from __future__ import annotations

import pytest

from reconciler.manifest.field_help import FieldHelp, UnknownFieldError, field_help, field_paths
from reconciler.manifest.models import KINDS


def test_a_duration_says_its_range_and_default():
    assert field_help("environments.release.bake") == FieldHelp(
        "Project.environments.release.bake",
        "duration",
        False,
        "5m",
        "Least time of each step.",
        "0s to 7d, such as 500ms, 30s, 5m, 1h30m, 7d",
        (),
    )


@pytest.mark.parametrize(
    ("path", "kind", "required", "default", "allowed"),
    [
        ("Freeze.cron", "cron expression", False, "", "five fields, such as 0 18 * * fri"),
        ("freeze.reason", "text", True, "", "one line of text"),
        ("Workspace.quotas.memory", "size", False, "", "1MiB to 1PiB, such as 64MiB or 1GB"),
        ("environments.port", "whole number", False, "", "at least 1, at most 65535"),
        ("environments[].analysis.errorBudget", "percentage", False, "1%", "0.01% to 50%, with at most two decimals"),
        ("router", "text", False, "envoy", "envoy"),
        ("process.stopDeadline", "duration", False, "10s", "10ms to 1d, such as 500ms, 30s, 5m, 1h30m, 7d"),
        ("dependsOn", "list of text or mapping", False, "", "at most 50 of them, a name"),
    ],
)
def test_a_field_says_what_it_may_hold(path, kind, required, default, allowed):
    found = field_help(path)
    assert (found.type, found.required, found.default, found.allowed) == (kind, required, default, allowed)


def test_a_choice_says_what_each_means():
    assert field_help("onDelete").allowed == (
        "keep: It goes on serving what it serves, until somebody says otherwise. "
        "destroy: Its traffic goes, then its instances."
    )


def test_a_mapping_and_a_kind_name_their_fields():
    assert "bake" in field_help("release").fields
    assert "cron" in field_help("Freeze").fields
    assert field_help("Freeze").description.startswith("A window")


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("enviroments.port", "Project.environments.port"),
        ("Freeze.timezone", "Freeze.timeZone"),
        ("environments.release.maxBaek", "Project.release.maxBake"),
        ("cron", "Freeze.cron"),
        ("metadata.name", "Project.name"),
    ],
)
def test_an_unknown_field_is_answered_with_the_nearest(path, near):
    with pytest.raises(UnknownFieldError) as caught:
        field_help(path)
    assert near in caught.value.near


def test_what_is_near_nothing_is_unknown_without_a_guess():
    for path in ("qqqqqqq", "", "."):
        with pytest.raises(UnknownFieldError) as caught:
            field_help(path)
        assert caught.value.near == ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_help(kind):
    paths = list(field_paths(kind))
    assert len(paths) == len(set(paths)) > 5
    for path in paths:
        found = field_help(path)
        assert found.path == path
        assert found.description
        assert found.type
