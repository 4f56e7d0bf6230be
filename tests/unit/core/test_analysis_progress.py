"""What earlier looks have folded saves time, and changes no answer."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from reconciler.core import analysis
from reconciler.core.analysis import Progress, analyse
from reconciler.core.desired import FULL_WEIGHT, Step
from reconciler.core.fold import Fold
from reconciler.core.observed import ControlHistory

sys.path.insert(0, str(Path(__file__).parent))

from analysis_ticks import POLICY, STEPS, Log

LADDER = (Step(500, 5), Step(2500, 5), Step(FULL_WEIGHT, 5))


def attempt(seed, looks=40):
    """Ticks of an attempt that climbs the ladder, with failures, slow answers, silences and unreadable looks."""
    chance, log = random.Random(seed), Log(baseline=1000)
    for number in range(looks):
        log.step, log.weight = number * 3 // looks, LADDER[number * 3 // looks].weight
        for side, most in ((log.canary, 60), (log.stable, 500)):
            requests = chance.choice((0, chance.randrange(most)))
            side.serve(
                requests, failed=chance.randrange(requests // 8 + 1), times=((chance.choice((5, 15, 45)), requests),)
            )
        log.wait()
        log.look(error=chance.choice(("", "", "", "", "unreadable")))
    return log


@pytest.mark.parametrize("seed", range(5))
def test_every_look_says_what_one_from_scratch_says(seed):
    log, progress = attempt(seed), Progress()
    for seen in range(1, len(log.ticks) + 1):
        ticks = tuple(log.ticks[:seen])
        asked = (POLICY, LADDER, max(ticks[-1].step, 0), ticks, ControlHistory(), ticks[-1].reading.at)
        assert analyse(*asked, progress) == analyse(*asked)


@pytest.mark.parametrize("other", ["ticks", "shorter", "policy", "steps", "history"])
def test_what_does_not_go_on_from_what_was_seen_is_folded_anew(other):
    log, progress = attempt(1), Progress()
    asked = [POLICY, LADDER, 2, tuple(log.ticks), ControlHistory(), log.now]
    analyse(*asked, progress)
    changed = {
        "ticks": (3, tuple(attempt(2).ticks)),
        "shorter": (3, tuple(log.ticks[:20])),
        "policy": (0, type(POLICY)(interval=0.5)),
        "steps": (1, (*LADDER[:2], Step(5000, 5), LADDER[2])),
        "history": (4, ControlHistory(90_000, 900, 500.0, 100.0)),
    }
    at, value = changed[other]
    asked[at] = value
    assert analyse(*asked, progress) == analyse(*asked)


def test_a_look_folds_only_new_ticks(monkeypatch):
    log, progress, added = attempt(3, 200), Progress(), []

    class Counted(Fold):
        def add(self, tick):
            added.append(tick.seq)
            super().add(tick)

    monkeypatch.setattr(analysis, "Fold", Counted)
    for seen in range(100, len(log.ticks) + 1):
        analyse(POLICY, STEPS, 0, tuple(log.ticks[:seen]), ControlHistory(), log.now, progress)
    assert added == [tick.seq for tick in log.ticks]
