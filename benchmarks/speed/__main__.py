"""CPU time of servelint next to its peers, over folders that are given: see README.md.

python -m benchmarks.speed FOLDER ... --manifests FOLDER
python -m benchmarks.speed --verify FOLDER ...    # does sink first find what parsing everything finds?
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import peers, trees
from .peers import Peer
from .processes import CommandError, Cost, measure
from .results import (
    CHANGED,
    CLICK,
    COLD,
    KEY,
    MB,
    ONE_FILE,
    RESULTS,
    TABLES,
    WARM,
    Machine,
    Record,
    Round,
    TreeRecord,
    conditions,
    copies,
    read,
    targets_table,
    write,
)

if TYPE_CHECKING:
    from .census import Census

ROOT = Path(__file__).parents[2]
# A run of milliseconds is disturbed by everything, and costs little to repeat.
SHORT_ROUNDS = 4
# Findings are not kept of files that were written a moment before: another change would go unseen.
SETTLED_SECONDS = 3.0
# Nobody waits for the network.
OFFLINE = {"SEMGREP_ENABLE_VERSION_CHECK": "0", "SEMGREP_SEND_METRICS": "off"}


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "folders", nargs="*", metavar="[LABEL=]FOLDER", help="trees with Python files, as they come"
    )
    parser.add_argument(
        "--manifests",
        action="append",
        default=[],
        metavar="[LABEL=]FOLDER",
        help="a tree of manifests, compared with checkov and yamllint (may be repeated)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="times that everything is run (default: 5)")
    parser.add_argument(
        "--peer", action="append", choices=peers.NAMES, help="only this one (may be repeated; default: all)"
    )
    parser.add_argument("--no-scaling", action="store_true", help="leave out two and four copies of a tree")
    parser.add_argument("--add", action="store_true", help="add the rounds to those that there are")
    parser.add_argument(
        "--timeout", type=float, default=900.0, help="seconds that a peer may take (default: 900)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS / "results.json",
        help="where the results go, with tables and a plot beside them",
    )
    parser.add_argument(
        "--verify", action="store_true", help="measure nothing, compare with parsing all files"
    )
    chosen = parser.parse_args(arguments)
    try:
        chosen.folders = [trees.Named.parse(text) for text in chosen.folders]
        chosen.manifests = [trees.Named.parse(text) for text in chosen.manifests]
    except ValueError as error:
        parser.error(str(error))
    return chosen


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements of a tree share: the tree, a folder for caches, the peers, their time."""

    tree: Path
    caches: Path
    peers: tuple[Peer, ...]
    timeout: float

    def run(self, command: Sequence[str], folder: Path | None = None, *, peer: Peer | None = None) -> Cost:
        """The cost of a command in the tree, or in another folder; raises CommandError."""
        statuses = peer.statuses if peer else (0,)
        place = folder or self.tree
        return measure(command, place, self.environment, timeout=self.timeout, statuses=statuses)

    @property
    def environment(self) -> dict[str, str]:
        """What commands are run with."""
        variables = {**os.environ, "SERVELINT_CACHE_DIR": str(self.caches / "servelint"), **OFFLINE}
        variables.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling is not what is measured
        return variables

    def run_peer(self, peer: Peer) -> Cost:
        """The cost of a peer over the tree; raises CommandError."""
        return self.run(peer.command(self.tree, self.caches / peer.program), peer=peer)


def count(tree: Path) -> Census:
    """What servelint lists and parses, counted in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.census", str(tree)]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    counted: Census = json.loads(run.stdout)
    return counted


def cold(bench: Bench, failing: set[str]) -> Iterator[tuple[str, Cost]]:
    """Everybody in turn, without a cache. A peer that fails is told of once and left out from then on."""
    yield COLD, bench.run(peers.COLD)
    for peer in bench.peers:
        if peer.name in failing or peer.name == peers.RUFF_WARM:
            continue
        try:
            yield peer.name, bench.run_peer(peer)
        except CommandError as error:
            print(f"  {peer.name} is left out: {error}", flush=True)
            failing.add(peer.name)


def warm(bench: Bench, census: Census, number: int) -> Iterator[tuple[str, Cost]]:
    """With caches that know the tree as it is, then with one file changed."""
    ruff = [peer for peer in bench.peers if peer.name == peers.RUFF_WARM]
    time.sleep(SETTLED_SECONDS)
    bench.run(peers.SERVELINT)
    for peer in ruff:
        bench.run_peer(peer)
    yield WARM, bench.run(peers.SERVELINT)
    for peer in ruff:
        yield peer.name, bench.run_peer(peer)
    if census["typical"]:
        trees.touch(bench.tree / census["typical"], number)
        yield CHANGED, bench.run((*peers.SERVELINT, census["typical"]))
        yield KEY, keystroke(bench, census["typical"])


def keystroke(bench: Bench, name: str) -> Cost:
    """The cost of checking a file again in a language server."""
    command = [sys.executable, "-m", "benchmarks.speed.keystrokes", str(bench.tree / name)]
    run = subprocess.run(command, cwd=ROOT, env=bench.environment, check=True, capture_output=True, text=True)
    measured: Cost = json.loads(run.stdout)
    return measured


def rounds(bench: Bench, census: Census, chosen: argparse.Namespace) -> Iterator[Round]:
    """One round after the other: within each, everything in turn."""
    failing: set[str] = set()
    bench.run(peers.COLD)  # writes the bytecode of servelint, reads the tree into memory
    for number in range(chosen.rounds):
        print(f" round {number + 1} of {chosen.rounds}", flush=True)
        measured = told(cold(bench, failing))
        measured |= told(warm(bench, census, number))
        yield measured


def scaled(bench: Bench, folders: Mapping[int, Path]) -> Iterator[tuple[str, Cost]]:
    """One, two and four copies of the tree, without a cache."""
    for scale, folder in folders.items():
        yield copies(scale), bench.run(peers.COLD, folder)


@contextmanager
def bench_for(named: trees.Named, some: tuple[Peer, ...], timeout: float) -> Iterator[Bench]:
    """A bench over a copy of the folder."""
    with trees.copied(named.folder) as tree:
        caches = tree.parent / "caches"
        caches.mkdir()
        yield Bench(tree, caches, some, timeout)


def measure_tree(named: trees.Named, known: Sequence[Peer], chosen: argparse.Namespace) -> TreeRecord:
    """All rounds over a copy of one tree."""
    scaling = named in chosen.folders and not chosen.no_scaling
    with bench_for(named, tuple(known), chosen.timeout) as bench:
        census = count(bench.tree)
        record: TreeRecord = {"census": census, "rounds": []}
        record["rounds"].extend(rounds(bench, census, chosen))
        if scaling:
            with trees.multiplied(bench.tree) as folders:
                for measured in record["rounds"]:
                    measured.update(told(scaled(bench, folders)))
    return record


def measure_one_file(chosen: argparse.Namespace) -> TreeRecord:
    """One file, as a hook gives it, in turn with what starting a command line takes at least."""
    with tempfile.TemporaryDirectory(prefix="speed-") as name:
        folder = Path(name).resolve()
        (folder / "service.py").write_text(trees.one_file(), encoding="utf-8")
        bench = Bench(folder, folder, (), chosen.timeout)
        census = count(folder)
        found: list[Round] = []
        for number in range(chosen.rounds * SHORT_ROUNDS + 1):
            measured: Round = {
                COLD: bench.run((*peers.COLD, "service.py")),
                CLICK: bench.run(peers.CLICK),
            }
            if number:  # the first one writes bytecode
                found.append(measured)
    return {"census": census, "rounds": found}


def told(costs: Iterator[tuple[str, Cost]]) -> Round:
    """The costs as they come, each with a line on the terminal."""
    measured: Round = {}
    for activity, cost in costs:
        print(f"  {activity}: {cost['cpu']:.2f} s CPU, {cost['peak'] / MB:.0f} MB", flush=True)
        measured[activity] = cost
    return measured


def machine() -> Machine:
    """The machine that this runs on."""
    return {
        "cpus": os.cpu_count() or 1,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def measure_all(chosen: argparse.Namespace) -> Iterator[Record]:
    """Measure tree after tree and yield the record so far after each."""
    before = read(chosen.out)
    record: Record = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": dict(before["versions"]) if before else {},
        "trees": dict(before["trees"]) if before else {},
    }
    plan = [(named, peers.installed(peers.CODE, chosen.peer)) for named in chosen.folders]
    plan += [(named, peers.installed(peers.MANIFESTS, chosen.peer)) for named in chosen.manifests]
    record["versions"].update(peers.versions(peer for _, known in plan for peer in known))
    for named, known in plan:
        print(f"{named.label}: {', '.join(peer.name for peer in known) or 'no peers installed'}", flush=True)
        keep(record, named.label, measure_tree(named, known, chosen), add=chosen.add)
        yield record
    print(ONE_FILE, flush=True)
    keep(record, ONE_FILE, measure_one_file(chosen), add=chosen.add)
    yield record


def keep(record: Record, label: str, measured: TreeRecord, *, add: bool) -> None:
    """Put a tree into the record, in the place of what was there or with its rounds before the new ones."""
    earlier = record["trees"].get(label)
    if add and earlier:
        measured = {"census": measured["census"], "rounds": [*earlier["rounds"], *measured["rounds"]]}
    record["trees"][label] = measured


def report(record: Record, path: Path) -> None:
    """Write the results, and the tables beside them."""
    write(record, path)
    tables = ("\n".join(table(record)) for table in TABLES.values())
    text = "\n\n".join(["# Speed", conditions(record), *tables])
    path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")


def verify(chosen: argparse.Namespace) -> int:
    """Compare both ways of analysis over every folder; 1 if they differ anywhere."""
    from .equality import compare

    status = 0
    for named in (*chosen.folders, *chosen.manifests):
        compared = compare(named.folder)
        differences = list(compared.differences())
        print(f"{named.label}: {len(compared.everything)} findings, {len(differences)} differences")
        print(*(f"  {line}\n" for line in differences), sep="", end="", flush=True)
        status |= bool(differences)
    return status


def main() -> int:
    # A measured command is not in the terminal's group: it is ended here, with the copies it reads.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    chosen = options()
    if chosen.verify:
        return verify(chosen)
    if not shutil.which("git"):
        sys.exit("git is not installed: the copies that are measured are repositories")
    for record in measure_all(chosen):
        # After every tree: whoever stops it half-way keeps what was measured.
        report(record, chosen.out)
    try:
        from .plots import draw
    except ImportError:
        print("no plot: matplotlib is not installed")
    else:
        draw(record, chosen.out.with_name("ratios"))
    print("\n".join(targets_table(record)))
    print(f"{chosen.out.parent}/ written; `python -m benchmarks.quotes` puts the tables into the manual")
    return 0


if __name__ == "__main__":
    sys.exit(main())
