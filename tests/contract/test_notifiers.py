from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError
from receivers import EVENT, Receiver, opened, running

from reconciler import registry
from reconciler.ports import Event, Notifier


@pytest.fixture(params=registry.names("notifiers"))
def notifier(request: pytest.FixtureRequest) -> Iterator[Notifier]:
    with running(Receiver()) as receiver:
        made = opened(request.param, **({"url": receiver.url} if request.param == "webhook" else {}))
        yield made
        made.close()


def test_any_event_can_be_sent(notifier: Notifier) -> None:
    for body in (
        EVENT.body,
        "{}",
        "[1]",
        "null",
        "no json",
        '"' + "x" * 200_000 + '"',
        '{"message": 5}',
        '{"message": "\u2028\\u0000"}',
    ):
        notifier.send(Event(1, "x.y", "a/b/c", 0.0, body))
        notifier.send(Event(1, "x.y", "a/b/c", 0.0, body))


def test_close_may_be_called_twice(notifier: Notifier) -> None:
    notifier.send(EVENT)
    notifier.close()
    notifier.close()


@pytest.mark.parametrize("name", registry.names("notifiers"))
def test_settings_are_a_strict_model_with_help(name: str) -> None:
    kind = registry.notifier(name)
    assert kind.name == name
    assert issubclass(kind.config, BaseModel)
    assert all(one.description for one in kind.config.model_fields.values())
    with pytest.raises(ValidationError):
        kind.config.model_validate({"url": "https://example.org/x", "no_such_setting": 1})
