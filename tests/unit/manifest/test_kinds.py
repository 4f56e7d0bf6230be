"""What is said about mistakes in the kinds of documents."""

from __future__ import annotations

import json

import pytest
from manifest_kinds import (
    APPROVAL,
    COMPONENTS,
    FREEZE,
    HOLIDAYS,
    MONTHLY,
    PACK,
    PROJECT,
    SAMPLES,
    TARGET,
    WAIVER,
    WORKSPACE,
)

from reconciler.core.units import Money
from reconciler.manifest.draft import draft_file
from reconciler.manifest.models import KINDS, Freeze, Project, Waiver, Workspace


def said(sample, **changes) -> list[str]:
    """The problems of a changed document, without their places; None removes a field."""
    value = {name: item for name, item in {**sample, **changes}.items() if item is not None}
    found = draft_file("f.prodsprint.yaml", "", json.dumps(value).encode()).problems
    return [f"{problem.code}: {problem.message}. {problem.hint}" for problem in found]


def environment(**fields):
    return [{"name": "prod", **fields}]


TWO = {"web": 8080, "worker": 8081}


@pytest.mark.parametrize(
    ("sample", "changes", "problem"),
    [
        (PROJECT, {"environments": environment()}, "missing-field: `port` is missing"),
        (
            PROJECT,
            {"environments": environment(ports=TWO, port=1)},
            "conflicting-fields: `ports` belongs to a project with components",
        ),
        (
            PROJECT,
            {"environments": environment(port=1, after=[])},
            "wrong-value: `after`: expected a name, names or `none`, found an empty list",
        ),
        (PROJECT, {"environments": environment(port=2.5)}, "wrong-type: `port`: expected a whole number"),
        (PROJECT, {"source": None}, "missing-field: `source` is missing. Add `source:`"),
        (PROJECT, {"owners": ["ada"]}, "wrong-value: `owners`: expected an e-mail address or group:NAME, found `ada`"),
        (
            PROJECT,
            {"owners": ["group:a", "group:a"]},
            "wrong-value: `owners`: expected each once, found `group:a` again",
        ),
        (PROJECT, {"dependsOn": ["Payments"]}, "wrong-value: `project`: expected a name of at most 40 small letters"),
        (
            PROJECT,
            {"onDelete": "remove"},
            "wrong-value: `onDelete`: expected one of `keep`, `destroy`, found the text `remove`",
        ),
        (
            COMPONENTS,
            {"environments": environment(port=1)},
            "conflicting-fields: `port` belongs to a project without components",
        ),
        (
            COMPONENTS,
            {"environments": environment(ports={"web": 1})},
            "inconsistent: `ports`: the port of the component `worker` is missing. Add `worker:`",
        ),
        (
            COMPONENTS,
            {"environments": environment(ports={**TWO, "webb": 3})},
            "inconsistent: `webb`: there is no component `webb`. Did you mean `web`?",
        ),
        (
            COMPONENTS,
            {"environments": environment(ports=TWO, versions={"x": "v1"})},
            "inconsistent: `x`: there is no component `x`. Known here: `web`, `worker`",
        ),
        (
            COMPONENTS,
            {"source": None},
            "missing-field: `source` is missing. Add `source:` to the project or to every component",
        ),
        (
            WORKSPACE,
            {"quotas": {"memory": "64gb"}},
            "expected a whole number with its unit, such as 64MiB or 1GB, found '64gb'. Did you mean `64GB`?",
        ),
        (
            WORKSPACE,
            {"quotas": {"memory": "1B"}},
            "wrong-value: `memory`: expected 1MiB to 1PiB, found `1B`. Choose a value in between",
        ),
        (WORKSPACE, {"quotas": {"cost": "12 usd/month"}}, "Did you mean `12 USD/month`?"),
        (WORKSPACE, {"quotas": {"projects": -1}}, "wrong-value: `projects`: expected at least 0"),
        (
            WORKSPACE,
            {"allow": {"sources": ["https://github.com"]}},
            "wrong-value: `sources`: expected the beginning of a git URL, at least to the end of its host",
        ),
        (WORKSPACE, {"allow": {"paths": ["/teams/**"]}}, "wrong-value: `paths`: expected a path in the repo"),
        (
            WORKSPACE,
            {"allow": {"paths": ["*" * 5000]}},
            "wrong-value: `paths`: expected at most 200 characters, found 5000",
        ),
        (WORKSPACE, {"workspace": "other"}, "unknown-field: `workspace` is not known"),
        (
            TARGET,
            {"name": "process"},
            "wrong-value: `name`: expected another name than that of a kind of target, found `process`",
        ),
        (TARGET, {"sharedWith": "everyone"}, "wrong-type: `sharedWith`: expected a list"),
        (
            WAIVER,
            {"gates": ["*"]},
            "wrong-value: `gates`: expected the name of a gate or the id of a finding, found `*`. Name each one",
        ),
        (
            WAIVER,
            {"scope": {}},
            "missing-field: `scope`: expected at least one of `project`, `environment` and `release`",
        ),
        (
            WAIVER,
            {"scope": {"release": "abc"}},
            "wrong-value: `release`: expected 12 to 64 digits 0-9 and a-f of a digest, found `abc`",
        ),
        (WAIVER, {"expires": "2026-12-24T18:00"}, "wrong-value: `expires`: expected a time with its zone"),
        (WAIVER, {"expires": None}, "missing-field: `expires` is missing"),
        (WAIVER, {"ticket": "SEC 42"}, "wrong-value: `ticket`: expected the key or URL of a ticket"),
        (WAIVER, {"reason": " "}, "wrong-value: `reason`: expected one line of text"),
        (
            APPROVAL,
            {"plan": "ab" * 6},
            "conflicting-fields: `plan`: expected one of `release`, `removal`, `plan`, found `release`, `plan`",
        ),
        (APPROVAL, {"release": None}, "missing-field: expected one of `release`, `removal`, `plan`, found none"),
        (APPROVAL, {"environment": None}, "missing-field: `environment` is missing. Say where the release is approved"),
        (
            FREEZE,
            {"cron": None, "duration": None},
            "missing-field: expected one of `from`, `cron`, `rrule`, found none",
        ),
        (FREEZE, {"duration": None}, "missing-field: `duration` is missing. It belongs to `cron`"),
        (
            FREEZE,
            {"until": "2026-12-24T18:00Z"},
            "conflicting-fields: `until` does not belong to `cron`. Remove one of them",
        ),
        (FREEZE, {"timeZone": None}, "missing-field: `timeZone` is missing: `cron` has none. Add `timeZone: UTC`"),
        (
            FREEZE,
            {"timeZone": "europe/paris"},
            "wrong-value: `timeZone`: expected a time zone such as Europe/Paris or UTC",
        ),
        (
            FREEZE,
            {"timeZone": "Europe/Pari"},
            "unknown-time-zone: `timeZone`: there is no time zone `Europe/Pari`. Did you mean `Europe/Paris`?",
        ),
        (FREEZE, {"timeZone": "../../etc/passwd"}, "wrong-value: `timeZone`: expected a time zone"),
        (FREEZE, {"cron": "* * 31 2 *"}, "wrong-schedule: `cron`: no month of '2' has a day '31'"),
        (FREEZE, {"duration": "5M"}, "Did you mean `5m`?"),
        (FREEZE, {"duration": "30s"}, "wrong-value: `duration`: expected 1m to 366d, found `30s`"),
        (
            HOLIDAYS,
            {"until": "2026-12-24T18:00"},
            "inconsistent: `until`: expected a time after 2026-12-24T18:00, found 2026-12-24T18:00",
        ),
        (HOLIDAYS, {"until": "2026-12-24T16:59Z"}, "inconsistent: `until`: expected a time after"),
        (HOLIDAYS, {"timeZone": None}, "missing-field: `timeZone` is missing: `from` has none"),
        (
            MONTHLY,
            {"rrule": "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30"},
            "wrong-schedule: `rrule`: the rule names no time within twelve years of its start",
        ),
        (PACK, {"version": "1.4"}, "wrong-value: `version`: expected a semantic version such as 1.4.0, found `1.4`"),
        (
            PACK,
            {"cases": [{"name": "a", "facts": {}, "denied": ["readme"]}]},
            "inconsistent: `denied`: there is no rule of severity block `readme`",
        ),
        (
            PACK,
            {"cases": [{"name": "a", "facts": {}, "parameters": {"least": 1}}]},
            "inconsistent: `least`: there is no parameter `least`",
        ),
        (
            PACK,
            {"rules": [PACK["rules"][0]] * 2, "cases": []},
            "duplicate-name: `id`: there is a rule `coverage` already",
        ),
    ],
)
def test_a_mistake_is_said_once_with_what_to_do(sample, changes, problem):
    (found,) = said(sample, **changes)
    assert problem in found


def test_one_wrong_item_of_a_list_is_not_called_a_short_list():
    (found,) = said(PACK, rules=[{"id": "a", "expression": "a +", "message": "m"}], cases=[])
    assert found.startswith("wrong-expression")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_megabyte_in_any_field_is_answered_in_a_few_words(name):
    sample = SAMPLES[name]
    for field in sample.keys() - {"apiVersion", "kind", "name", "workspace"}:
        for huge in ("9" * 900_000, "a" * 900_000, "(" * 900_000, "* " * 450_000):
            found = said({**sample, field: huge})
            assert found
            assert all(len(problem) < 600 for problem in found)


def test_values_are_read_as_what_they_mean():
    workspace = KINDS["Workspace"].model_validate(
        {name: item for name, item in WORKSPACE.items() if name != "defaults"}
    )
    assert isinstance(workspace, Workspace)
    assert workspace.quotas.memory == 64 << 30
    assert workspace.quotas.cost == Money(120_050, "USD", "month")
    waiver = KINDS["Waiver"].model_validate(WAIVER)
    assert isinstance(waiver, Waiver)
    assert waiver.expires == 1_798_131_600
    freeze = KINDS["Freeze"].model_validate(HOLIDAYS)
    assert isinstance(freeze, Freeze)
    assert freeze.instant("from") == 1_798_131_600
    assert freeze.duration is None
    assert KINDS["Freeze"].model_validate(FREEZE).duration == 60 * 3600


@pytest.mark.parametrize(
    ("written", "after"), [(None, None), ("none", ()), ("dev", ("dev",)), (["dev", "staging"], ("dev", "staging"))]
)
def test_after_is_read_as_names(written, after):
    own = {"name": "prod", "port": 1} | ({"after": written} if written else {})
    value = {name: item for name, item in PROJECT.items() if name != "process"} | {"environments": [own]}
    project = KINDS["Project"].model_validate(value)
    assert isinstance(project, Project)
    assert project.environments[0].after == after


def test_defaults_are_one_object_for_all_documents_and_cannot_be_changed():
    value = {name: item for name, item in PROJECT.items() if name not in {"process", "release"}}
    value["environments"] = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    project = KINDS["Project"].model_validate(value)
    assert isinstance(project, Project)
    first, second = project.environments
    assert first.release is second.release is Project.model_fields["release"].default
    assert first.model_fields_set == {"name", "port"}
    with pytest.raises(ValueError, match="frozen"):
        first.release.bake = 1.0
