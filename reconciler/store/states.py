"""Rows of states, plans and recorded inputs."""

from __future__ import annotations

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from reconciler.core.desired import Key
from reconciler.core.outcome import StaleGenerationError, TerminalError
from reconciler.core.state import KeyState, Plan
from reconciler.ports import Transition
from reconciler.store import codec
from reconciler.store.tables import decisions, plans, states

KEPT = 200
"""Newest decisions of a key whose inputs are kept, and newest plans."""

_KEY: BindParameter[str] = bindparam("of")
_LOAD = select(states.c.state).where(states.c.key == _KEY)
_GENERATION = select(states.c.generation).where(states.c.key == _KEY)
_REVISION = select(states.c.revision).where(states.c.key == _KEY)
_KEYS = select(states.c.key)
_REPLACE = (
    update(states)
    .where(states.c.key == _KEY, states.c.revision == bindparam("before"))
    .values(revision=bindparam("to_revision"), generation=bindparam("to_generation"), state=bindparam("to_state"))
)
_PLAN = select(plans.c.plan).where(plans.c.key == _KEY, plans.c.generation == bindparam("number"))
_INPUTS = select(decisions.c.inputs).where(decisions.c.key == _KEY, decisions.c.revision == bindparam("number"))
_RECORD = insert(decisions)
_FORGET_INPUTS = delete(decisions).where(decisions.c.key == _KEY, decisions.c.revision <= bindparam("until"))
_FORGET_PLANS = delete(plans).where(plans.c.key == _KEY, plans.c.generation <= bindparam("until"))


class Change:
    """A transition made ready to be written: all the encoding is done before the group is entered.

    Raises TerminalError for a state that cannot be stored, ValueError for a revision below 1.
    """

    def __init__(self, transition: Transition) -> None:
        state = transition.state
        if state.revision < 1:
            raise ValueError(
                f"the next state of {state.key} has revision {state.revision}: it is the loaded one's plus 1"
            )
        self._key = str(state.key)
        self._revision = state.revision
        self._generation = state.generation
        self._state = codec.encode_state(state)
        self._plan = state.plan and (state.plan.generation, state.plan.digest, codec.encode_plan(state.plan))
        self._inputs = {
            "key": self._key,
            "revision": state.revision,
            "at": transition.at,
            "inputs": codec.pack(transition.inputs),
        }

    def write(self, connection: Connection) -> None:
        """Replace the state, if it is still the one that was loaded. Raises StaleGenerationError."""
        self._swap(connection)
        if self._plan:
            self._keep_plan(connection, *self._plan)
        connection.execute(_RECORD, self._inputs)
        if self._revision > KEPT:
            connection.execute(_FORGET_INPUTS, {"of": self._key, "until": self._revision - KEPT})

    def _swap(self, connection: Connection) -> None:
        values = {"to_revision": self._revision, "to_generation": self._generation, "to_state": self._state}
        before = self._revision - 1
        if connection.execute(_REPLACE, {"of": self._key, "before": before, **values}).rowcount == 1:
            return
        stored = connection.execute(_REVISION, {"of": self._key}).scalar() or 0
        if stored != before:
            raise StaleGenerationError(f"{self._key} was decided from revision {before}, but is at {stored} now")
        row = {"key": self._key, "revision": self._revision, "generation": self._generation, "state": self._state}
        connection.execute(insert(states), row)

    def _keep_plan(self, connection: Connection, generation: int, digest: str, text: str) -> None:
        kind = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        row = {"key": self._key, "generation": generation, "digest": digest, "plan": text}
        new = connection.execute(kind(plans).on_conflict_do_nothing(), row).rowcount == 1
        if new and generation > KEPT:
            connection.execute(_FORGET_PLANS, {"of": self._key, "until": generation - KEPT})


def load(connection: Connection, key: Key) -> KeyState:
    """The state of a key; a new one when there is none."""
    text = connection.execute(_LOAD, {"of": str(key)}).scalar()
    return KeyState(key) if text is None else codec.decode_state(text, str(key))


def oldest_attempt(connection: Connection, key: Key) -> int:
    """The oldest attempt that a key remembers; 0, before all of them, when there is none or the state cannot be read."""
    try:
        history = load(connection, key).history
    except TerminalError:  # whoever looks at this key says so; the others are pruned all the same
        return 0
    return min((past.attempt for past in history), default=0)


def generation(connection: Connection, key: Key) -> int:
    """Number of the newest plan of a key; 0 when there is none."""
    return int(connection.execute(_GENERATION, {"of": str(key)}).scalar() or 0)


def keys(connection: Connection) -> tuple[Key, ...]:
    """Every key with a state, sorted."""
    return tuple(sorted(Key.parse(text) for text in connection.execute(_KEYS).scalars()))


def plan(connection: Connection, key: Key, number: int) -> Plan | None:
    """The plan of that generation; None when it is not there (any more)."""
    text = connection.execute(_PLAN, {"of": str(key), "number": number}).scalar()
    return None if text is None else codec.decode_plan(text, str(key))


def inputs(connection: Connection, key: Key, revision: int) -> str | None:
    """What the decision of that revision was made on; None when it is not there (any more)."""
    data = connection.execute(_INPUTS, {"of": str(key), "number": revision}).scalar()
    return None if data is None else codec.unpack(data, str(key))
