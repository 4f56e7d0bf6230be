"""``prodsprint why``: what an environment waits for, and what happened to it last."""

from __future__ import annotations

import argparse

from prodsprint.v1 import (
    Analysis,
    Attempt,
    Condition,
    Environment,
    ListAttemptsRequest,
    Waiting,
    WhyRequest,
    WhyResponse,
)

from reconciler.cli import output
from reconciler.cli.client import add_connection, add_key, connect
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.status import STALLED, sync
from reconciler.core.trouble import approval
from reconciler.core.trouble import told as in_short

SUMMARY = "say why an environment is not where git wants it, and who can change that"
EXAMPLES = """example:
  prodsprint why checkout/prod"""

LABEL = 12
"""Columns of the labels; what wraps goes on to their right."""
ENDINGS = ("Tombstone", "Retiring", "Retired")
"""Reasons of Ready for which git asks for the environment no more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    add_key(parser)
    output.add_format(parser, output.PLAIN_FORMATS)
    add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Print the answer."""
    with connect(args) as client:
        answer = client.call(client.status.Why, WhyRequest(key=args.key))
        attempts = client.call(client.status.ListAttempts, ListAttemptsRequest(key=args.key, page_size=1)).attempts
    if args.output != "table":
        output.data(output.as_data(answer), args.output)
    else:
        output.write(text(answer, attempts[0] if attempts else None, output.columns()))
    return ExitCode.OK


def text(answer: WhyResponse, last: Attempt | None, width: int | None = None) -> str:
    """The answer for people, in blocks of labelled lines; each fact stands in it once."""
    said = [one.message for one in answer.waiting]
    blocks = [[_headline(answer)], [] if answer.summary in said else [answer.summary]]
    blocks += [_waiting(one) for one in answer.waiting]
    blocks.append(_standing(answer.environment, "\n".join([answer.summary, *said])))
    if answer.HasField("analysis") and answer.analysis.verdict:
        blocks.append(_numbers(answer.analysis))
    if last is not None:
        blocks.append(_last(last, said))
    indents = (0, 0, *(LABEL for _ in blocks[2:]))
    pairs = zip(blocks, indents, strict=True)
    told = ["\n".join(output.wrap(one, width, indent) for one in block) for block, indent in pairs if block]
    document = approval(answer.environment.problem)  # in one piece: it is there to be copied
    return "\n\n".join(
        [*told, *([f"To approve the removal, commit this with a reason:\n{document}"] if document else [])]
    )


def _headline(answer: WhyResponse) -> str:
    one = answer.environment
    verb = "serve" if one.stable.components else "serves"
    serves = f"{one.stable.version} {verb}" if one.stable.version else "nothing serves"
    wants = f"git asks for {one.desired.version}" if one.desired.version else "git asks for nothing"
    state = f" ({sync(one)}, {one.health_status})" if answer.waiting else ""  # else the summary names it
    return f"{one.key}: {serves}, {wants}{state}"


def _waiting(one: Waiting) -> list[str]:
    lines = [f"{'waits for':<{LABEL}}{one.condition}: {one.message}"]
    lines += [f"{'unblocked':<{LABEL}}by {one.who}"] if one.who else []
    lines += [f"{'deadline':<{LABEL}}{output.clock(one.deadline)}"] if one.HasField("deadline") else []
    lines += [f"{'next look':<{LABEL}}{output.clock(one.next_look)}"] if one.HasField("next_look") else []
    return lines


def ending(one: Environment) -> str:
    """How the environment went out of service, or that it stays without a manifest, and when; empty while git asks for it."""
    found = _ended(one)
    return f"{found.message}, {output.clock(found.last_transition_time)}" if found else ""


def _ended(one: Environment) -> Condition | None:
    return next((each for each in one.conditions if each.type == "Ready" and each.reason in ENDINGS), None)


def _in_force(one: Environment) -> list[str]:
    found = [each for each in one.conditions if each.type == "Stalled" and each.reason in STALLED]
    if not found or not one.desired.commit:
        return []
    since = output.clock(found[0].last_transition_time)
    return [f"{'in force':<{LABEL}}commit {one.desired.commit[:12]}; nothing newer since {since}"]


def _standing(one: Environment, said: str) -> list[str]:
    """What holds of the environment, whether or not something waits for it."""
    lines = [
        f"{'' if number else 'components':<{LABEL}}{part.name} {part.version} ({part.revision[:12]}), "
        f"{output.count(part.instances, 'instance')}, port {part.port}"
        for number, part in enumerate(one.stable.components)
    ]
    lines += _in_force(one)
    if one.problem and in_short(one.problem) not in said:
        lines.append(f"{'manifest':<{LABEL}}{in_short(one.problem)}")
    ended = _ended(one)
    if ended is not None:
        lines.append(f"{'since':<{LABEL}}{output.clock(ended.last_transition_time)}")
    if one.HasField("pause") and "paused by" not in said:
        lines.append(
            f"{'paused':<{LABEL}}by {one.pause.who}, until {output.clock(one.pause.until)}: {one.pause.reason}"
        )
    return lines


def _numbers(seen: Analysis) -> list[str]:
    return [
        f"{'verdict':<{LABEL}}{seen.verdict}: {seen.reason}",
        f"{'canary':<{LABEL}}{output.count(seen.canary_requests, 'request')}, {seen.canary_failed:,} failed",
        f"{'control':<{LABEL}}{output.count(seen.control_requests, 'request')}, {seen.control_failed:,} failed",
        f"{'baked':<{LABEL}}{output.seconds(seen.dwell.ToTimedelta().total_seconds())} in this step",
    ]


def _last(last: Attempt, said: list[str]) -> list[str]:
    known = any(last.reason in one for one in said)
    ended = f"attempt {last.attempt}, {last.version} {last.result.replace('_', ' ')}"
    lines = [f"{'last':<{LABEL}}{ended}" + ("" if known or not last.reason else f": {last.reason}")]
    return [*lines, f"{'':<{LABEL}}{_cost(last)}"] if last.result == "rolled_back" else lines


def _cost(last: Attempt) -> str:
    met = f"{output.count(last.bad_requests, 'request')} met it"
    if not last.HasField("restore_time"):
        return met
    restored = output.seconds(last.restore_time.ToTimedelta().total_seconds())
    return f"{met}; all traffic was back {restored} after the verdict"
