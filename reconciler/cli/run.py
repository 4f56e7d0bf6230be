"""``prodsprint run``: the daemon."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import ValidationError

from reconciler.cli.client import CommandError
from reconciler.core.units import format_duration, parse_duration
from reconciler.settings import Settings

SUMMARY = "run the daemon on a config repo"
EXAMPLES = """example:
  prodsprint run --config-repo https://git.example.com/acme/config.git --data-dir /var/lib/prodsprint

Stops within 5 seconds on SIGTERM or ctrl-c. The instances it started and their router go on serving, and are adopted by the
next daemon on the same data directory."""

DURATIONS = {"poll", "source_poll"}
METAVARS = {
    "config_repo": "REPO",
    "config_repos": "FILE",
    "webhooks": "HOST:PORT",
    "branch": "NAME",
    "data_dir": "DIR",
    "grpc": "HOST:PORT",
    "http": "HOST:PORT",
    "listen": "IP",
    "tls_cert": "FILE",
    "tls_key": "FILE",
    "poll": "DURATION",
    "source_poll": "DURATION",
    "workers": "N",
    "credentials": "FILE",
    "webhook": "URL",
    "webhook_secret": "FILE",
    "prometheus": "URL",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: one option a setting."""
    for name, field in Settings.model_fields.items():
        default = field.default if field.default_factory is None else None
        words = field.description or ""
        if not field.is_required() and default not in {None, ""}:
            words += f" (default: {format_duration(default)})" if name in DURATIONS else f" (default: {default})"
        parser.add_argument(
            "--" + name.replace("_", "-"),
            dest=name,
            required=field.is_required(),
            type=duration if name in DURATIONS else str,
            choices=get_args(field.annotation) if get_origin(field.annotation) is Literal else None,
            metavar=METAVARS.get(name),
            help=words.replace("%", "%%"),
        )


def duration(text: str) -> float:
    """Seconds of text such as ``500ms``. Raises ArgumentTypeError for anything else."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(args: argparse.Namespace) -> int:
    """Run until it is told to stop."""
    given = {name: getattr(args, name) for name in Settings.model_fields if getattr(args, name) is not None}
    try:
        if given.get("config_repo") and Path(given["config_repo"]).is_dir():
            given["config_repo"] = str(Path(given["config_repo"]).resolve())
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise CommandError(_mistake(error)) from None
    from reconciler.manifest.drafter import Drafter  # noqa: PLC0415  # heavy: only this verb needs it

    drafter = Drafter()
    if (
        not settings.data_dir.exists()
    ):  # the first start: every manifest has to be read, so that help is called for early
        drafter.prepare()
    from reconciler.daemon import Daemon  # noqa: PLC0415

    try:
        return Daemon(settings, drafter).run()
    finally:
        drafter.close()


def _mistake(error: ValidationError) -> str:
    first = error.errors()[0]
    words = first["msg"].removeprefix("Value error, ")
    words = f"{words[:1].lower()}{words[1:]}" if not words.startswith("--") else words
    option = str(first["loc"][0]).replace("_", "-") if first["loc"] else ""
    return f"--{option} {first['input']}: {words}" if option else words
