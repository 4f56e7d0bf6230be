"""The clients of docs/grpc.md, as they stand there, against a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from api_world import PROD, World, api, steady

from reconciler.store import open_store

PAGE = Path(__file__).parents[2] / "docs" / "grpc.md"


def test_both_clients_of_the_page_work(tmp_path):
    small, reflecting = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in small.splitlines() if line]) <= 10
    assert "prodsprint" not in re.sub(r'"[^"]*"', "", reflecting.replace("PRODSPRINT", "")), "it has to know nothing"
    store = open_store(tmp_path / "prodsprint.db")
    with api(World(store, {PROD: steady(PROD)}), tmp_path) as address:
        outside = {"PRODSPRINT_DATA_DIR": str(tmp_path), "PRODSPRINT_GRPC": address, "PATH": os.environ["PATH"]}

        def run(code):
            done = subprocess.run(
                [sys.executable, "-c", code],
                env=outside,
                cwd=tmp_path,
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert run(small) == "acme/shop/prod Synced Healthy\n"
        expected = {"projects": [{"workspace": "acme", "name": "shop", "keys": ["acme/shop/prod"]}]}
        assert json.loads(run(reflecting)) == expected
    store.close()
