"""The core, the controller and a real store in a simulated world, under crashes, stalls and everybody's bad luck.

``PRODSPRINT_SIM_SEEDS=5000 pytest tests/sim`` runs more seeds. A failure names its seed: ``PRODSPRINT_SIM_SEED=N pytest
tests/sim`` runs that one alone, and always the same way.
"""

from __future__ import annotations

import os

import pytest
from sim.replicas import Violated
from sim.story import Story

SEEDS = int(os.environ.get("PRODSPRINT_SIM_SEEDS", "200"))
ONE = os.environ.get("PRODSPRINT_SIM_SEED")


def test_every_seed_keeps_every_invariant():
    for seed in [int(ONE)] if ONE else range(SEEDS):
        story = Story(seed)
        try:
            story.run()
        except Violated as error:
            again = f"PRODSPRINT_SIM_SEED={seed} pytest tests/sim"
            pytest.fail(f"seed {seed}: {error}\nreplay with: {again}\n" + "\n".join(story.log))
