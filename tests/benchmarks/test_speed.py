"""What the speed harness computes and shows; and that sink first finds what parsing all files finds.

No test here looks at a time: it would say more of the machine than of the program.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import __main__ as speed
from benchmarks.speed import keystrokes, peers, results, trees
from benchmarks.speed.census import census
from benchmarks.speed.equality import compare
from benchmarks.speed.processes import CommandError, Cost, measure
from servelint.code.graph.reach import Reach

FIXTURES = Path(__file__).parents[1] / "fixtures" / "code"
SHAPES = sorted(path.name for path in FIXTURES.iterdir())
MB = results.MB


@pytest.mark.parametrize("shape", [*SHAPES, "."])
def test_sink_first_finds_what_parsing_everything_finds(shape: str) -> None:
    assert list(compare((FIXTURES / shape).resolve()).differences()) == []


def test_there_is_something_to_compare() -> None:
    compared = compare(FIXTURES)
    assert len(compared.everything) > 100
    assert {found.code for found in compared.everything} >= {"SRV101", "SRV102", "SRV107"}


def test_a_file_that_is_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Reach.files.func  # type: ignore[attr-defined]
    left_out = property(lambda reach: chosen(reach) if reach.everything else ())
    monkeypatch.setattr(Reach, "files", left_out)
    found = list(compare(FIXTURES / "routes").differences())
    assert found
    assert all(line.startswith("- ") for line in found)


# -- ratios and tables ---------------------------------------------------------------------------


def cost(cpu: float, wall: float = 1.0, peak: int = 50) -> Cost:
    return {"cpu": cpu, "wall": wall, "peak": peak * MB}


ROUNDS: list[results.Round] = [
    {"servelint, cold": cost(1.0), "ruff": cost(2.0), "servelint, 1x": cost(1.0), "servelint, 4x": cost(4.2)},
    {"servelint, cold": cost(3.0), "ruff": cost(2.0), "servelint, 1x": cost(2.0), "servelint, 4x": cost(9.0)},
    {"servelint, cold": cost(8.0, peak=70), "ruff": cost(10.0), "servelint, 1x": cost(1.0)},
    {"servelint, cold": cost(5.0)},
]


def record(**trees_: list[results.Round]) -> results.Record:
    counted: results.Census = {
        "python_files": 8000,
        "manifests": 10,
        "bytes": 3 * MB,
        "parsed": 400,
        "unreadable": 7,
        "typical": "app.py",
    }
    return {
        "date": "2026-01-31",
        "machine": {"cpus": 2, "python": "3.12.1", "system": "Linux x86_64"},
        "versions": {"servelint": "1.0", "ruff": "0.9"},
        "trees": {
            name.replace("_", " "): {"census": counted, "rounds": rounds} for name, rounds in trees_.items()
        },
    }


def test_a_ratio_is_of_two_costs_of_one_round() -> None:
    assert results.ratios(ROUNDS, "servelint, cold", "ruff") == [0.5, 1.5, 0.8]
    assert results.ratios(ROUNDS, "servelint, cold", "semgrep, one rule") == []


def test_a_target_is_met_by_the_median() -> None:
    lines = list(results.targets_table(record(Home_Assistant=ROUNDS)))
    assert "| Home Assistant | servelint, cold | ruff | <= 0.9 | 0.80 (0.50 to 1.50) | yes |" in lines
    slower = list(results.targets_table(record(Home_Assistant=ROUNDS[1:])))
    assert "| Home Assistant | servelint, cold | ruff | <= 0.9 | 1.15 (0.80 to 1.50) | no |" in slower


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    lines = list(results.targets_table(record()))
    assert lines[2:]
    assert all(line.endswith("| not measured |  |") for line in lines[2:])


def test_the_table_of_trees() -> None:
    (row,) = list(results.trees_table(record(app=ROUNDS)))[2:]
    assert row == "| app | 8,000 | 400 (5%) | 7 | 10 | 3.00 | 4.00 (1.00 to 8.00) |  |  |  | 50 (50 to 70) |"


def test_the_table_of_peers() -> None:
    rows = list(results.peers_table(record(app=ROUNDS)))[2:]
    assert rows == ["| app | ruff | 2.00 (2.00 to 10.0) | 1.00 | 50 | 0.80 (0.50 to 1.50) |"]


def test_a_warm_peer_is_compared_with_a_warm_run() -> None:
    rounds: list[results.Round] = [
        {"servelint, cold": cost(9.0), "servelint, warm": cost(1.0), "ruff, warm": cost(2.0)}
    ]
    (row,) = list(results.peers_table(record(app=rounds)))[2:]
    assert row.endswith("| 0.50 |")


def test_the_table_of_copies() -> None:
    (row,) = list(results.scaling_table(record(app=ROUNDS)))[2:]
    assert row == "| app |  | 4.35 (4.20 to 4.50) |"


def test_all_tables_have_as_many_cells_as_titles() -> None:
    measured = record(Home_Assistant=ROUNDS, mlflow=ROUNDS[:1])
    for table in results.TABLES.values():
        assert len({line.count("|") for line in table(measured)}) == 1


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0213, "0.021"), (0.1, "0.10"), (1.149, "1.15"), (9.99, "9.99"), (12.34, "12.3"), (123.4, "123")],
)
def test_numbers(value: float, written: str) -> None:
    assert results.two_digits(value) == written


def test_when_and_with_what() -> None:
    assert results.conditions(record(a=ROUNDS, b=ROUNDS[:2])) == (
        "Measured 2026-01-31, Linux x86_64, 2 CPUs, Python 3.12.1: servelint 1.0, ruff 0.9. "
        "Rounds: 2 to 4. Medians, lowest and highest in brackets."
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    assert results.read(path) is None
    speed.report(record(app=ROUNDS), path)
    assert results.read(path) == record(app=ROUNDS)
    assert "| app | ruff |" in path.with_suffix(".md").read_text()


def test_rounds_are_replaced_or_added() -> None:
    kept = record(app=ROUNDS)
    new = record(app=ROUNDS[:1])["trees"]["app"]
    speed.keep(kept, "app", new, add=True)
    assert len(kept["trees"]["app"]["rounds"]) == 5
    speed.keep(kept, "app", new, add=False)
    assert len(kept["trees"]["app"]["rounds"]) == 1


# -- measuring -----------------------------------------------------------------------------------


def python(script: str, folder: Path, **options: Any) -> Cost:
    return measure([sys.executable, "-c", script], folder, os.environ, **({"timeout": 60.0} | options))


def test_the_peak_is_of_the_command(tmp_path: Path) -> None:
    # Linux counts what the process had before it became the command: as much as this one.
    large = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 100 * MB
    assert python("pass", tmp_path)["peak"] < large < python(f"bytearray({large})", tmp_path)["peak"]


def test_cpu_is_not_time_that_passes(tmp_path: Path) -> None:
    waiting = python("import time; time.sleep(2)", tmp_path)
    assert waiting["wall"] >= 2 > waiting["cpu"]


def test_cpu_is_of_what_the_command_starts_too(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 1: pass"
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    assert python(started, tmp_path)["cpu"] > 0.9


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="exit status 3: of all things"):
        python("import sys; print('of all things', file=sys.stderr); sys.exit(3)", tmp_path)
    assert python("import sys; sys.exit(3)", tmp_path, statuses=(0, 3))["cpu"] > 0


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="more than 1 s"):
        python("import time; time.sleep(60)", tmp_path, timeout=1.0)


def test_what_is_measured_is_not_imported_from_the_tree(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit(9)\n")
    for command in ([*peers.SERVELINT], [*peers.CLICK]):
        measure(command, tmp_path, os.environ | {"SERVELINT_CACHE_DIR": str(tmp_path)}, timeout=60.0)


def test_only_installed_peers_are_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "flake8-async"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = peers.installed(peers.CODE)
    assert found.name == "flake8-async"
    assert not peers.installed(peers.CODE, ["ruff"])
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text("")
    assert found.command(tmp_path, tmp_path)[-1] == "pkg/a.py"


# -- trees ---------------------------------------------------------------------------------------


def test_what_is_parsed_is_counted(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(trees.one_file())
    (tmp_path / "plain.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "broken.py").write_text("import joblib\nasync def f(:\n    joblib.load('m')\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    counted = census(tmp_path)
    assert (counted["python_files"], counted["manifests"]) == (3, 1)
    assert (counted["parsed"], counted["unreadable"]) == (2, 1)
    assert counted["typical"] == "app.py"


def test_a_tree_is_copied_and_multiplied(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "app.py").write_text("x = 1\n")
    (tmp_path / "gone.py").symlink_to("nowhere")
    with trees.copied(tmp_path) as copy:
        with trees.multiplied(copy) as folders:
            counts = {scale: len(list(folder.rglob("app.py"))) for scale, folder in folders.items()}
            assert counts == {1: 1, 2: 2, 4: 4}
            assert not list(copy.parent.glob("speed-*/**/.git"))
        trees.touch(copy / "app.py", 1)
        assert (copy / ".git").is_dir()
        assert (copy / "app.py").read_text() != "x = 1\n"
    assert (tmp_path / "app.py").read_text() == "x = 1\n"


def test_a_copy_is_a_repository(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "app.py").write_text("x = 1\n")
    with trees.copied(tmp_path) as copy:
        assert (copy / ".git" / "index").is_file()
    assert not (tmp_path / ".git").exists()


def test_the_one_file(tmp_path: Path) -> None:
    path = tmp_path / "service.py"
    path.write_text(trees.one_file())
    assert trees.one_file().count("\n") == 350
    (found,) = compare(tmp_path).everything
    assert (found.code, found.line) == ("SRV101", 11)


@pytest.mark.parametrize(("text", "label"), [("{}", "tree"), ("Home Assistant={}", "Home Assistant")])
def test_a_label_before_the_folder(tmp_path: Path, text: str, label: str) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    assert trees.Named.parse(text.format(folder)) == trees.Named(label, folder.resolve())
    with pytest.raises(ValueError, match="no folder"):
        trees.Named.parse(f"{text.format(folder)}/missing")


def test_a_key_pressed_costs_a_check(tmp_path: Path) -> None:
    service = tmp_path / "service.py"
    service.write_text(trees.one_file(), encoding="utf-8")
    measured = keystrokes.cost(service)
    assert measured["cpu"] > 0
    assert measured["peak"] > 1 * MB
    assert service.read_text(encoding="utf-8") == trees.one_file()
