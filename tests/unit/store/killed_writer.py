"""A process that is killed in the middle of its work: four threads commit, and say what was acknowledged."""

from __future__ import annotations

import sys
import threading

from reconciler.core.desired import Instant, Key
from reconciler.core.observed import Counters, Reading, Tick
from reconciler.core.state import KeyState, Record, Request, Verb
from reconciler.ports import Transition
from reconciler.store import open_store

store = open_store(sys.argv[1], ("log",))
said = threading.Lock()


def say(*words):
    with said:
        sys.stdout.write(" ".join(map(str, words)) + "\n")
        sys.stdout.flush()


def work(number):
    key = Key("acme", "shop", f"env-{number}")
    state = store.load(key)
    while True:
        revision = state.revision + 1
        state = KeyState(key, revision, attempts=revision)
        counters = Counters("epoch", revision, revision, 0)
        store.append(key, (Tick(1, revision, 0, 0, Reading(Instant(1.0, 1.0, "boot"), counters)),))
        record = Record("test.step", "daemon", f"{number}.{revision}")
        store.commit(Transition(state, (record,), (), float(revision), "{}"))
        say("commit", key, revision)
        say("request", key, store.submit(key, Request(0, Verb.SYNC, "ann", "why not", 1.0)))


for thread in [threading.Thread(target=work, args=(number,)) for number in range(4)]:
    thread.start()
