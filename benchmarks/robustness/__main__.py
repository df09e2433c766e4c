"""Long runs against hostile input.

    python -m benchmarks.robustness fuzz [--seconds 3600] [--first 0] [--keep FOLDER]
    python -m benchmarks.robustness kill [--times 1000]

`fuzz` mutates the fixtures into small projects, a number each, and holds that a check never fails, that what
it names lies inside the files, that a fix keeps every byte outside of it, breaks nothing and leaves nothing
to fix. `kill` kills `servelint fix` at a random moment: every file is as before or as after, and the next
run leaves nothing behind. Exit status 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from benchmarks.robustness import fuzz, kill

LIMIT = 20.0  # seconds a project


def main(arguments: list[str]) -> int:
    """Do what the arguments say; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        prog="benchmarks.robustness",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    fuzzing = commands.add_parser("fuzz")
    fuzzing.add_argument("--seconds", type=float, default=3600)
    fuzzing.add_argument("--first", type=int, default=0)
    fuzzing.add_argument("--keep", type=Path, default=Path("robustness-failures"))
    killing = commands.add_parser("kill")
    killing.add_argument("--times", type=int, default=1000)
    killing.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.command == "kill":
        torn = kill.torn(options.times, options.seed)
        print("\n".join((*torn, f"{options.times} kills, {len(torn)} faults")))
        return int(bool(torn))
    counts: Counter[str] = Counter()
    for failure in fuzz.failures(options.first, options.seconds, LIMIT, counts):
        counts["failures"] += 1
        place = fuzz.keep(failure, options.keep)
        print(f"{failure.number}: {failure.what[:300]!r} (kept in {place})", flush=True)
    print(f"{counts['projects']} projects in {options.seconds:g} s, {counts['failures']} failures")
    return int(bool(counts["failures"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
