"""Runs the demo's service (app.py) with the fault that its release file names."""

import asyncio
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path

RELEASE = json.loads(Path("release.json").read_text(encoding="utf-8"))
FAULT = RELEASE["fault"]
LEAVES_HOME = "import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); time.sleep(600)"


def flood():
    """Write 60 MB as fast as somebody reads."""
    for _ in range(60_000):
        sys.stdout.write("all is well, " * 77 + "\n")


if FAULT == "exits":
    sys.exit("no database")
if FAULT == "crashes":
    threading.Timer(3.0, os._exit, (9,)).start()
if FAULT == "floods":
    threading.Thread(target=flood, daemon=True).start()
if FAULT == "forks":
    subprocess.run([sys.executable, "-I", "-S", "-c", LEAVES_HOME], check=True)
if FAULT == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asyncio.SelectorEventLoop.add_signal_handler = lambda *_: None
runpy.run_path("app.py")
