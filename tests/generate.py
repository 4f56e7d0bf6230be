"""Rewrites every generated file of the repository: ``make generate``. The drift tests use the same functions."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from reconciler import metric_specs
from reconciler.cli import build_parser, reference
from reconciler.manifest import schema

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write them all."""
    schema.write(ROOT / "schema")
    (ROOT / "docs" / "metrics.md").write_text(metric_specs.page(), encoding="utf-8")
    (ROOT / "docs" / "cli.md").write_text(reference.page(build_parser()), encoding="utf-8")
    sys.argv = ["generate.py"]
    runpy.run_path(str(ROOT / "proto" / "generate.py"), run_name="__main__")


if __name__ == "__main__":
    main()
