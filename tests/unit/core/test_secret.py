from __future__ import annotations

import copy
import json
import pickle

import pytest

from reconciler.core.digest import canonical
from reconciler.core.secret import Secret

WORD = "hunter2"


def test_no_way_of_formatting_shows_a_secret() -> None:
    secret = Secret(WORD)
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{secret:>20}",
        "%s" % secret,  # noqa: UP031
        "{}".format(secret),  # noqa: UP032
    ]
    shown += [repr([secret]), repr({"a": secret}), json.dumps({"a": secret}, default=str), repr(ValueError(secret))]
    assert not any(WORD in text for text in shown)
    assert secret.reveal() == WORD


def test_a_secret_is_neither_serialised_nor_part_of_a_canonical_form() -> None:
    for attempt in (pickle.dumps, copy.deepcopy, canonical, json.dumps):
        with pytest.raises(TypeError) as caught:
            attempt(Secret(WORD))
        assert WORD not in str(caught.value)
    with pytest.raises(TypeError):
        vars(Secret(WORD))


def test_secrets_compare_and_scrub_text_of_others() -> None:
    assert Secret(WORD) == Secret(WORD)
    assert Secret(WORD) != WORD
    assert len({Secret(WORD), Secret(WORD)}) == 1
    assert Secret(WORD).scrub(f"bad password {WORD}!") == "bad password ***!"
    assert Secret("").scrub("text") == "text"
    assert not Secret("")
