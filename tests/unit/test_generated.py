"""What is generated is what would be generated now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from reconciler.metric_specs import page

ROOT = Path(__file__).parents[2]


def test_the_python_of_the_protocol_is_what_its_files_give(tmp_path):
    spec = importlib.util.spec_from_file_location("generate", ROOT / "proto" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    generate.generate(tmp_path)
    made = {path.name: path.read_bytes() for path in (tmp_path / "prodsprint" / "v1").iterdir()}
    folder = ROOT / "proto" / "prodsprint" / "v1"
    there = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".proto"}
    assert made.keys() == there.keys()
    assert [name for name in made if made[name] != there[name]] == [], "run: python proto/generate.py"


def test_the_page_of_metrics_is_what_their_specs_give():
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == page()
