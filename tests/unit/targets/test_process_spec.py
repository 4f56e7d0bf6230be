from __future__ import annotations

import json

import jsonschema
import pytest
from pydantic import ValidationError

from reconciler.targets._process_spec import RUNTIME, ProcessSpec


def test_a_command_line_is_split_as_a_shell_would_without_running_one():
    assert ProcessSpec(command="run 'a b' $HOME | x").command == ("run", "a b", "$HOME", "|", "x")
    assert ProcessSpec(command=["run", "a b"]).command == ("run", "a b")


def test_durations_are_seconds_or_text_and_names_are_camel_case():
    spec = ProcessSpec.model_validate({"command": "x", "startDeadline": "2m", "healthInterval": 0.5})
    assert (spec.start_deadline, spec.health_interval) == (120.0, 0.5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"command": ""}, "the command is empty"),
        ({"command": []}, "the command is empty"),
        ({"command": [""]}, "the command is empty"),
        ({"command": "say 'x"}, "cannot be split into words"),
        ({"command": 5}, "expected a command line, or a list of its words"),
        ({"command": ["a", 5]}, "expected a command line, or a list of its words"),
        ({"command": "a\0b"}, "no NUL"),
        ({"env": {"1A": "x"}}, "no name of an environment variable"),
        ({"env": {"PORT": "80"}}, "PORT is set by ProdSprint"),
        ({"buildEnv": {"PRODSPRINT_X": "1"}}, "PRODSPRINT_X is set by ProdSprint"),
        ({"env": {"A": 5}}, "should be a valid string"),
        ({"env": {"A": "\0"}}, "NUL"),
        ({"env": "A=1"}, "valid dictionary"),
        ({"health": "health"}, "starts with /"),
        ({"health": "/a b"}, "without spaces"),
        ({"health": "/\r\nX: y"}, "without spaces"),
        ({"healthFailures": 0}, "greater than or equal to 1"),
        ({"healthFailures": True}, "valid integer"),
        ({"stopDeadline": 0}, "between 10ms and 1d"),
        ({"stopDeadline": "soon"}, "expected a number of seconds or text such as 500ms"),
        ({"comand": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_said(change, reason):
    with pytest.raises(ValidationError, match=reason):
        ProcessSpec.model_validate({"command": "x", **change})


def test_every_field_is_described_and_the_runtime_ones_exist():
    schema = ProcessSpec.model_json_schema()
    assert all(field.get("description") for field in schema["properties"].values())
    assert set(ProcessSpec.model_fields) >= RUNTIME


def test_what_it_writes_it_reads_again():
    spec = ProcessSpec(command="a b", build="make", env={"A": "1"}, start_deadline="5s")
    for by_alias in (True, False):
        assert ProcessSpec.model_validate(json.loads(spec.model_dump_json(by_alias=by_alias))) == spec


def test_the_schema_accepts_what_the_model_accepts():
    schema = ProcessSpec.model_json_schema()
    jsonschema.validate(
        {"command": ["a"], "build": "make", "startDeadline": "5s", "stopDeadline": 3, "health": "/x"}, schema
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"command": "a", "health": "x"}, schema)
