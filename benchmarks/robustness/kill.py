"""`servelint fix`, killed at a random moment, again and again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

EXAMPLE = Path(__file__).parents[2] / "examples" / "bankchurn"


def torn(times: int, seed: int) -> list[str]:
    """What was left behind that is neither the file before nor the file after, in so many kills."""
    random, found = Random(seed), list[str]()
    with tempfile.TemporaryDirectory() as name:
        cache = {**os.environ, "SERVELINT_CACHE_DIR": f"{name}/cache"}
        before, after = Path(name, "before"), Path(name, "after")
        for copy in (before, after):
            shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", "model"))
        started = time.monotonic()
        subprocess.run(_fix(after), env=cache, capture_output=True, check=False)
        usual = time.monotonic() - started
        for number in range(times):
            project = Path(name, "project")
            shutil.copytree(before, project)
            process = subprocess.Popen(
                _fix(project), env=cache, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(random.uniform(0, usual * 1.1))
            process.send_signal(signal.SIGKILL)
            process.wait()
            known = {path.relative_to(before) for path in _files(before)} | {
                p.relative_to(after) for p in _files(after)
            }
            for path in _files(project):
                relative = path.relative_to(project)
                contents = [
                    (root / relative).read_bytes() for root in (before, after) if (root / relative).exists()
                ]
                if relative in known and path.read_bytes() not in contents:
                    found.append(f"kill {number}: {relative} is neither as before nor as after")
            subprocess.run(_fix(project), env=cache, capture_output=True, check=False)
            found += [
                f"kill {number}: {p.name} is left"
                for p in _files(project)
                if p.relative_to(project) not in known
            ]
            shutil.rmtree(project)
    return found


def _fix(folder: Path) -> list[str]:
    return [sys.executable, "-m", "servelint", "fix", "--unsafe-fixes", "--quiet", str(folder)]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
