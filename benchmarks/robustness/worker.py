"""A process that judges one folder after the other, within a limit of memory and one of CPU time for each.

python -m benchmarks.robustness.worker MEGABYTES    # reads jobs and writes verdicts, JSON, a line each
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from pathlib import Path

MB = 1024 * 1024


def limit_memory(megabytes: int) -> None:
    """What goes past it is a MemoryError, or the end of the process."""
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * MB, megabytes * MB))


def limit_time(seconds: float) -> None:
    """So much more CPU time from now on; what goes past it ends the process with SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds), hard))


def main() -> None:
    limit_memory(int(sys.argv[1]))
    from .oracles import judge

    # Whatever is printed by accident must not stand among the verdicts.
    verdicts = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        job = json.loads(line)
        limit_time(job.pop("seconds"))
        verdict = judge(Path(job.pop("folder")), **job)
        verdicts.write(json.dumps(verdict) + "\n")
        verdicts.flush()


if __name__ == "__main__":
    main()
