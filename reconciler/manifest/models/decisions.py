"""What people decide: waivers, approvals and freezes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, JsonValue, model_validator

from reconciler.core.times import NeverError
from reconciler.manifest.fields import (
    Block,
    Digest,
    EnvironmentName,
    Finding,
    Identity,
    Name,
    Names,
    SomeNames,
    Text,
    apart,
    choice,
    fault,
    matching,
)
from reconciler.manifest.models.header import Owned
from reconciler.manifest.moments import ZONED, Cron, Deadline, Moment, Rule, TimeZone
from reconciler.manifest.problem import Code, listed
from reconciler.manifest.quantities import duration
from reconciler.manifest.recurrence import check_happens

DAY = 86_400.0
EnvironmentNames = Annotated[tuple[EnvironmentName, ...], *apart(1, 50)]
Ticket = Annotated[
    str, *matching(r"[!-~]{1,300}", "the key or URL of a ticket, without spaces", "Write it as SEC-42 or as a URL")
]


def one_of(names: tuple[str, ...], written: set[str]) -> str:
    """The one of these fields that is written. Raises a fault when it is none, or more than one."""
    found = [name for name in names if name in written]
    if not found:
        raise fault(Code.MISSING_FIELD, f"expected one of {listed(names)}, found none", "Add the one that is meant")
    if len(found) > 1:
        message = f"expected one of {listed(names)}, found {listed(found)}"
        raise fault(Code.CONFLICTING_FIELDS, message, "Keep the one that is meant", found[-1])
    return found[0]


class WaiverScope(Block):
    """What a waiver is for, at least one of them; what is absent does not narrow it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    project: Name | None = Field(default=None, description="Only this project.")
    environment: EnvironmentName | None = Field(default=None, description="Only environments of this name.")
    release: Digest | None = Field(
        default=None, description="Only this release: the first 12 or more digits of its digest."
    )

    @model_validator(mode="after")
    def _narrow(self) -> WaiverScope:
        if not self.model_fields_set:
            found = "expected at least one of `project`, `environment` and `release`, found nothing"
            raise fault(Code.MISSING_FIELD, found, "Say what the waiver is for")
        return self


class Waiver(Owned):
    """An exception from gates that expires: who asked for it, why, and until when."""

    kind: Literal["Waiver"] = Field(description="Kind of the document.")
    scope: WaiverScope = Field(description="What it is for.")
    gates: Annotated[tuple[Finding, ...], *apart(1, 100)] = Field(
        description="Names of gates, or ids of findings such as CVE-2026-1234."
    )
    reason: Text = Field(description="Why this is acceptable.")
    ticket: Ticket = Field(description="Where it is followed up.")
    requested_by: Identity | None = Field(
        default=None, description="Who asked for it, when it is not the commit's signer."
    )
    expires: Deadline = Field(
        description="When it ends. Reading a manifest knows no clock: an end in the past, or years ahead, is accepted here."
    )


def _only(form: list[str], others: tuple[str, ...]) -> JsonValue:
    """Schema of a document with the fields of one form, and without those of the others."""
    return {"required": [*form], "properties": dict.fromkeys(others, False)}


_OF_ONE_THING: dict[str, JsonValue] = {
    "oneOf": [
        _only(["release", "project", "environment"], ("removal", "plan")),
        _only(["removal"], ("release", "project", "environment", "plan")),
        _only(["plan"], ("release", "project", "environment", "removal")),
    ]
}


class Approval(Owned):
    """Somebody's yes to one release, one held removal or one plan."""

    model_config = ConfigDict(json_schema_extra=_OF_ONE_THING)

    kind: Literal["Approval"] = Field(description="Kind of the document.")
    release: Digest | None = Field(default=None, description="Digest of the release; with project and environment.")
    project: Name | None = Field(default=None, description="Project of the release.")
    environment: EnvironmentName | None = Field(default=None, description="Environment of the release.")
    removal: Digest | None = Field(default=None, description="Digest of a removal that is held.")
    plan: Digest | None = Field(default=None, description="Digest of a plan.")
    reason: Text = Field(description="What was looked at.")
    approver: Identity | None = Field(default=None, description="Who approves, when it is not the commit's signer.")
    expires: Deadline | None = Field(default=None, description="When it ends, if it does before it is used.")

    @model_validator(mode="after")
    def _of_one_thing(self) -> Approval:
        kinds = ("release", "removal", "plan")
        one_of(kinds, {name for name in kinds if getattr(self, name) is not None})
        for field in ("project", "environment"):
            present = getattr(self, field) is not None
            if self.release is not None and not present:
                raise fault(Code.MISSING_FIELD, f"`{field}` is missing", "Say where the release is approved")
            if self.release is None and present:
                found = f"`{field}` belongs to the approval of a `release`"
                raise fault(Code.CONFLICTING_FIELDS, found, "Remove it: the digest says what is meant", field)
        return self


class InFlight(StrEnum):
    """What becomes of rollouts that are under way when a freeze begins."""

    HOLD = "hold"
    FINISH = "finish"
    ROLLBACK = "rollback"


_IN_FLIGHT = {
    InFlight.HOLD: "They stay at the step where they are.",
    InFlight.FINISH: "They go on.",
    InFlight.ROLLBACK: "They are rolled back.",
}


class FreezeScope(Block):
    """What a freeze holds; what is absent does not narrow it."""

    projects: SomeNames | None = Field(default=None, description="Only these projects.")
    environments: EnvironmentNames | None = Field(default=None, description="Only environments of these names.")


Span = Annotated[float, duration(60, 366 * DAY)]
_FORMS = {"from": ("until",), "cron": ("duration",), "rrule": ("start", "duration")}
"""What belongs to each way of saying when a freeze is."""
_ALL_FORMS = {"from", "until", "cron", "rrule", "start", "duration"}
_TIMES = ("from", "until", "start")


def _local(name: str) -> dict[str, JsonValue]:
    return {"required": [name], "properties": {name: {"type": "string", "not": {"pattern": ZONED}}}}


_WHEN: dict[str, JsonValue] = {
    "oneOf": [
        _only([first, *others], tuple(sorted(_ALL_FORMS - {first, *others}))) for first, others in _FORMS.items()
    ],
    "if": {"anyOf": [{"required": ["cron"]}, *(_local(name) for name in _TIMES)]},
    "then": {"required": ["timeZone"]},
}


class Freeze(Owned):
    """A window, once or again and again, in which nothing is promoted. Rollbacks never wait for it."""

    model_config = ConfigDict(json_schema_extra=_WHEN)

    kind: Literal["Freeze"] = Field(description="Kind of the document.")
    scope: FreezeScope = Field(default=FreezeScope(), description="What it holds. Default: the whole workspace.")
    from_: Moment | None = Field(default=None, alias="from", description="When it begins; with until.")
    until: Moment | None = Field(default=None, description="When it ends.")
    cron: Cron | None = Field(
        default=None,
        description="When it begins, again and again: minute, hour, day of the month, month, day of the week; with "
        "duration and timeZone. Sunday is 0 or 7.",
    )
    rrule: Rule | None = Field(
        default=None, description="When it begins, as a recurrence rule of iCalendar; with start and duration."
    )
    start: Moment | None = Field(default=None, description="First beginning of the recurrence rule.")
    duration: Span | None = Field(default=None, description="How long it lasts each time.")
    time_zone: TimeZone | None = Field(
        default=None,
        description="Time zone of cron and of times that have none of their own, such as Europe/Paris.",
    )
    bypass: Names = Field(default=(), description="Roles whose members may promote during the freeze.")
    in_flight: Annotated[InFlight, *choice(InFlight, _IN_FLIGHT)] = Field(
        default=InFlight.HOLD, description="What becomes of rollouts that are under way when it begins."
    )
    reason: Text = Field(description="Why.")

    @model_validator(mode="after")
    def _when(self) -> Freeze:
        written = {
            name for name in ("from", "cron", "rrule", "until", "start", "duration") if self._at(name) is not None
        }
        form = one_of(tuple(_FORMS), written)
        for name in _FORMS[form]:
            if name not in written:
                raise fault(Code.MISSING_FIELD, f"`{name}` is missing", f"It belongs to `{form}`")
        for name in sorted(written - {form, *_FORMS[form]}):
            raise fault(Code.CONFLICTING_FIELDS, f"`{name}` does not belong to `{form}`", "Remove one of them", name)
        local = next((name for name in _TIMES if name in written and self._moment(name).tzinfo is None), "")
        if self.time_zone is None and (local or form == "cron"):
            raise fault(Code.MISSING_FIELD, f"`timeZone` is missing: `{local or form}` has none", "Add `timeZone: UTC`")
        self._in_order(form)
        return self

    def _in_order(self, form: str) -> None:
        if form == "from" and self.instant("from") >= self.instant("until"):
            found = f"expected a time after {self.from_}, found {self.until}"
            raise fault(Code.INCONSISTENT, found, "Correct one of them", "until")
        if form == "rrule" and self.rrule is not None:
            try:
                check_happens(self.rrule, self._moment("start"))
            except NeverError as error:
                raise fault(Code.WRONG_SCHEDULE, str(error), "Correct the rule, or its start", "rrule") from None

    def _at(self, name: str) -> object:
        return self.from_ if name == "from" else getattr(self, name)

    def _moment(self, name: str) -> datetime:
        return datetime.fromisoformat(str(self._at(name)))

    def instant(self, name: str) -> float:
        """Unix seconds of ``from``, ``until`` or ``start``. Of a local time that comes twice, the first."""
        moment = self._moment(name)
        if moment.tzinfo is None and self.time_zone is not None:
            moment = moment.replace(tzinfo=ZoneInfo(self.time_zone))
        return moment.timestamp()
