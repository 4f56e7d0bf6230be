"""The fuzz targets on their seeds, and a short while on inputs near them; ``make fuzz`` goes on from here."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = {name: sorted((Path(__file__).parent / "seeds" / name).iterdir()) for name in TARGETS}
SIGNS = (*(bytes([n]) for n in b"[]{}:,-?&*!|>%@`'\"#\n \\~<1a/;=.\0\xff"), b" # c", b"\r\n", b"---\n", b"\xe2\x98\xba")


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_hold(name):
    assert SEEDS[name]
    for seed in SEEDS[name]:
        TARGETS[name](seed.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_hold(name):
    @given(st.binary(max_size=300))
    @settings(max_examples=60, deadline=None)
    def run(data):
        TARGETS[name](data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_edits_of_seeds_hold(name):
    seeds = [seed.read_bytes() for seed in SEEDS[name]]
    edits = st.tuples(st.integers(0, 5000), st.integers(0, 4), st.sampled_from(SIGNS))

    @given(st.sampled_from(seeds), st.lists(edits, min_size=1, max_size=6))
    @settings(max_examples=150, deadline=None)
    def run(data, changes):
        for at, gone, sign in changes:
            start = at % (len(data) + 1)
            data = data[:start] + sign + data[start + gone :]
        TARGETS[name](data)

    run()
