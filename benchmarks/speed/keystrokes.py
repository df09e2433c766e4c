"""What it costs to check a file again after a key was pressed, in a language server that runs already.

`python -m benchmarks.speed.keystrokes FILE` prints the cost as JSON: of the median of several checks, each
of another text, after two that are not counted. It is a process of its own, as an editor's server is.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from servelint.project.cache import Cache
from servelint.server import reports_of

from .processes import MAXRSS_UNIT, Cost

UNCOUNTED, COUNTED = 2, 5


def checks(path: Path) -> Iterator[tuple[float, float]]:
    """The seconds of CPU and by the clock of each check, one after the other."""
    text = path.read_bytes()
    caches: dict[Path, Cache] = {}
    for number in range(UNCOUNTED + COUNTED):
        cpu, wall = time.process_time(), time.perf_counter()
        reports_of({path: b"%s\n# %d" % (text, number)}, caches)
        yield time.process_time() - cpu, time.perf_counter() - wall


def cost(path: Path) -> Cost:
    """The cost of the median check."""
    cpu, wall = sorted(list(checks(path))[UNCOUNTED:])[COUNTED // 2]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT
    return {"cpu": round(cpu, 4), "wall": round(wall, 4), "peak": peak}


if __name__ == "__main__":
    print(json.dumps(cost(Path(sys.argv[1]).resolve())))
