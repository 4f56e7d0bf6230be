"""``prodsprint run``: the daemon."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from reconciler.cli.client import CommandError
from reconciler.core.units import parse_duration
from reconciler.settings import Settings

SUMMARY = "run the daemon on a config repo"
EXAMPLES = """example:
  prodsprint run --config-repo https://git.example.com/acme/config.git --data-dir /var/lib/prodsprint

Stops within 5 seconds on SIGTERM or ctrl-c. The instances it started and their router go on serving, and are adopted by the
next daemon on the same data directory."""

DURATIONS = {"poll", "source_poll"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: one option a setting."""
    for name, field in Settings.model_fields.items():
        default = field.default if field.default_factory is None else None
        words = field.description or ""
        if not field.is_required() and default not in {None, ""}:
            words += f" (default: {default:g} s)" if name in DURATIONS else f" (default: {default})"
        parser.add_argument(
            "--" + name.replace("_", "-"),
            dest=name,
            required=field.is_required(),
            metavar="DURATION" if name in DURATIONS else None,
            help=words.replace("%", "%%"),
        )


def run(args: argparse.Namespace) -> int:
    """Run until it is told to stop."""
    given = {name: getattr(args, name) for name in Settings.model_fields if getattr(args, name) is not None}
    try:
        given |= {name: parse_duration(given[name]) for name in DURATIONS & set(given)}
        if Path(given["config_repo"]).is_dir():
            given["config_repo"] = str(Path(given["config_repo"]).resolve())
        settings = Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise CommandError(f"--{option} {first['input']!r}: {first['msg']}") from None
    except ValueError as error:
        raise CommandError(str(error)) from None
    from reconciler.daemon import Daemon  # noqa: PLC0415  # heavy: only this verb needs it

    return Daemon(settings).run()
