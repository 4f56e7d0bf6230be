from __future__ import annotations

import logging

import pytest
from receivers import EVENT, opened


def test_log_writes_one_line_with_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "prodsprint.events"):
        opened("log", level="warning").send(EVENT)
    (record,) = caplog.records
    assert record.getMessage() == "shop/web/prod: it was\\nbad"
    fields = vars(record)
    assert (record.levelname, fields["event"], fields["event_id"], fields["key"]) == (
        "WARNING",
        EVENT.type,
        7,
        EVENT.key,
    )
