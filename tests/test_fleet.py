"""`servelint fleet`: many checkouts, each checked by a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import distributed
import pytest
from conftest import Project, Servelint

from servelint.fleet import checkout as one
from servelint.fleet import workers
from servelint.fleet.checkout import Checkout
from servelint.fleet.results import Results, table

STALLS = """\
import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/score")
async def score(rows: list[float]) -> float:
    return float(model.predict([rows])[0])
"""


@pytest.fixture
def checkouts(project: Project) -> Path:
    project.write(
        {
            "all/stalls/app.py": STALLS,
            "all/stalls/servelint.toml": "",
            "all/clean/app.py": "x = 1\n",
            "all/clean/servelint.toml": "",
            "all/broken/servelint.toml": "select = 3\n",
            "all/.hidden/app.py": STALLS,
            "all/notes.txt": "no folder\n",
        }
    )
    return project.root / "all"


def _lines(project: Project) -> dict[str, dict[str, Any]]:
    lines = map(json.loads, project.read("servelint-fleet/repositories.jsonl").splitlines())
    return {line["repository"]: line for line in lines}


def test_each_is_checked_and_one_that_fails_stops_none(
    project: Project, servelint: Servelint, checkouts: Path
) -> None:
    done = servelint("fleet", "all", "--workers", "2")
    assert done.status == 2
    assert done.out.splitlines()[0] == "3 repositories, 1 with findings, 1 not checked"
    lines = _lines(project)
    assert list(lines) == ["broken", "clean", "stalls"]
    assert lines["broken"]["status"] == "failed"
    assert "servelint.toml" in lines["broken"]["message"]
    assert (lines["clean"]["status"], lines["clean"]["exit"]) == ("done", 0)
    assert lines["stalls"]["findings"]["SRV101"] == {"high": 1}
    assert lines["stalls"]["exit"] == 1
    assert project.read("servelint-fleet/summary.md") == done.out
    rows = [row.split(" | ")[0] for row in done.out.splitlines()[4:]]
    assert rows == ["| broken", "| stalls", "| clean"]
    merged = json.loads(project.read("servelint-fleet/servelint.sarif"))
    assert merged["version"] == "2.1.0"
    assert [run["automationDetails"]["id"] for run in merged["runs"]] == [
        "servelint/clean/",
        "servelint/stalls/",
    ]
    assert any(result["ruleId"] == "SRV101" for result in merged["runs"][1]["results"])


def _committed(folder: Path, text: str) -> None:
    (folder / "app.py").write_text(text)
    name = ("-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), (*name, "commit", "-q", "-m", "x")):
        subprocess.run(["git", "-C", str(folder), *command], check=True)


def test_a_commit_that_is_done_is_not_done_again(
    project: Project, servelint: Servelint, checkouts: Path
) -> None:
    _committed(checkouts / "stalls", STALLS)
    project.write({"list.txt": "# ours\nall/stalls\n\nall/clean\n"})
    assert "2 checked, 0 known from before" in servelint("fleet", "list.txt").err
    # What an interruption has cut off is not taken for a line.
    with (project.root / "servelint-fleet/repositories.jsonl").open("a") as file:
        file.write('{"repository": "stal')
    again = servelint("fleet", "list.txt")
    assert "1 checked, 1 known from before" in again.err
    assert again.status == 1
    assert len(json.loads(project.read("servelint-fleet/servelint.sarif"))["runs"]) == 2
    _committed(checkouts / "stalls", "x = 1\n")
    after = servelint("fleet", "list.txt")
    assert "2 checked, 0 known from before" in after.err
    assert after.status == 0


def test_its_own_results_are_no_repository(project: Project, servelint: Servelint) -> None:
    project.write({"service/servelint.toml": ""})
    for _ in range(2):
        assert servelint("fleet", ".").out.startswith("1 repositories,")
    assert list(_lines(project)) == ["service"]
    # By another name it is the same folder.
    (project.root / "also").symlink_to("servelint-fleet")
    assert servelint("fleet", ".").out.startswith("1 repositories,")


def test_one_that_is_elsewhere_now_is_checked_again(
    project: Project, servelint: Servelint, checkouts: Path
) -> None:
    _committed(checkouts / "stalls", STALLS)
    project.write({"list.txt": "all/stalls\n"})
    servelint("fleet", "list.txt")
    (project.root / "moved").mkdir()
    (checkouts / "stalls").rename(project.root / "moved/stalls")
    project.write({"list.txt": "moved/stalls\n"})
    assert "1 checked, 0 known from before" in servelint("fleet", "list.txt").err
    assert Path(_lines(project)["stalls"]["path"]) == project.root / "moved/stalls"
    assert "0 checked, 1 known from before" in servelint("fleet", "list.txt").err


_DONE = '{"repository": "%s", "status": "done", "exit": 0, "findings": %s}'


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "1" * 10_000,
        "\0\ufffd",
        "[]",
        '{"repository": "stalls"}',
        '{"repository": ["stalls"], "status": "done"}',
        _DONE % ("stalls", "[]"),
        _DONE % ("stalls", '{"SRV101": 3}'),
        _DONE % ("stalls", '{"SRV101": {"high": "3"}}'),
        '{"repository": "stalls", "status": "done", "exit": "0", "findings": {}}',
    ],
)
def test_a_line_that_is_no_result_counts_as_not_written(
    project: Project, servelint: Servelint, checkouts: Path, line: str
) -> None:
    _committed(checkouts / "clean", "x = 1\n")
    project.write({"list.txt": "all/clean\n"})
    servelint("fleet", "list.txt")
    with (project.root / "servelint-fleet/repositories.jsonl").open("a") as file:
        file.write(line)
    done = servelint("fleet", "list.txt")
    assert done.status == 0
    assert "repositories.jsonl: lines that are no results count as not written: 1\n" in done.err
    assert "0 checked, 1 known from before" in done.err
    assert list(_lines(project)) == ["clean"]


@pytest.mark.parametrize("report", ["[" * 100_000, "{", "[]", '{"runs": 1}', '{"runs": [1]}'])
def test_a_report_that_cannot_be_read_is_made_again(
    project: Project, servelint: Servelint, checkouts: Path, report: str
) -> None:
    _committed(checkouts / "stalls", STALLS)
    project.write({"list.txt": "all/stalls\n"})
    servelint("fleet", "list.txt")
    project.write({"servelint-fleet/sarif/stalls.sarif": report})
    assert "1 checked, 0 known from before" in servelint("fleet", "list.txt").err
    assert len(json.loads(project.read("servelint-fleet/servelint.sarif"))["runs"]) == 1


def test_what_cannot_be_read_is_said(project: Project, servelint: Servelint, checkouts: Path) -> None:
    (project.root / "large").mkdir()
    with (project.root / "large/repositories.jsonl").open("w") as file:
        file.truncate(65 * 1024 * 1024)
    (project.root / "folder/repositories.jsonl").mkdir(parents=True)
    (project.root / "pipe").mkdir()
    os.mkfifo(project.root / "pipe/repositories.jsonl")
    for folder, why in (("large", "bytes are more than"), ("folder", "directory"), ("pipe", "regular file")):
        done = servelint("fleet", "all", "--output", folder)
        assert done.status == 2
        assert why in done.err
        assert f"{folder}/repositories.jsonl: cannot be read: " in done.err.replace("\\", "/")
    assert "cannot be read" in servelint("fleet", "pipe/repositories.jsonl").err


def test_folders_of_one_name_are_told_apart(project: Project, servelint: Servelint) -> None:
    project.write({f"{team}/service/servelint.toml": "" for team in ("a", "b")})
    project.write({"list.txt": "a/service\nb/service\na/service\n"})
    servelint("fleet", "list.txt")
    assert list(_lines(project)) == ["b+service", "service"]


def test_nothing_of_a_checkout_is_imported(project: Project, servelint: Servelint) -> None:
    trap = "raise SystemExit('imported')\n"
    project.write({f"all/it/{name}.py": trap for name in ("click", "servelint", "json", "yaml")})
    project.write({"all/it/servelint.toml": "", "servelint.py": trap, "click.py": trap})
    assert servelint("fleet", "all").status == 0


def test_one_that_takes_too_long_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(*_: object) -> None:
        raise subprocess.TimeoutExpired("servelint", 3)

    monkeypatch.setattr(one, "_run", run)
    outcome = one.check(Checkout("slow", str(tmp_path)), 3)
    assert outcome.failed
    assert (outcome.line["status"], outcome.line["message"]) == ("timeout", "more than 3 s")


def test_one_whose_process_is_killed_is_tried_again(checkouts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, killed = one._run, subprocess.CompletedProcess([], -9, "", "")
    answers = [killed]
    monkeypatch.setattr(one, "_run", lambda *given: answers.pop() if answers else run(*given))
    assert one.check(Checkout("stalls", str(checkouts / "stalls")), 60).line["status"] == "done"
    monkeypatch.setattr(one, "_run", lambda *_: killed)
    outcome = one.check(Checkout("stalls", str(checkouts / "stalls")), 60)
    assert outcome.line["message"] == "its process was killed by signal 9"


def test_names_do_not_break_the_table() -> None:
    line = {"repository": "a|b\x1b[2J", "status": "done", "findings": {}}
    assert "\x1b" not in table([line])
    assert "a&#124;b" in table([line])


def test_without_dask_it_says_what_to_install(
    servelint: Servelint, checkouts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(workers, "import_module", missing)
    told = servelint("fleet", "all", "--scheduler", "tcp://127.0.0.1:1")
    assert told.status == 2
    assert "servelint[fleet]" in told.err


def test_a_cluster_finds_the_same_though_a_worker_is_killed(checkouts: Path, tmp_path: Path) -> None:
    known = [Checkout(path.name, str(path)) for path in sorted(checkouts.iterdir()) if path.is_dir()]
    many = [Checkout(f"{number}-{item.name}", item.path) for number in range(3) for item in known]
    alone = {outcome.line["repository"]: outcome for outcome in workers.local(many, 1, 100)}
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    ) as cluster:
        before = cluster.workers[0].pid
        together: dict[str, one.Outcome] = {}
        for outcome in workers.cluster(many, cluster.scheduler_address, 100):
            if not together:
                os.kill(before, signal.SIGKILL)
            together[outcome.line["repository"]] = outcome
        assert cluster.workers[0].pid != before
    assert {name: _same(o) for name, o in together.items()} == {n: _same(o) for n, o in alone.items()}
    kept = Results(tmp_path / "kept")
    for outcome in together.values():
        kept.add(outcome)
    assert kept.finish(list(together)).startswith(f"{len(many)} repositories")


def _same(outcome: one.Outcome) -> tuple[dict[str, Any], int]:
    """What does not change from run to run."""
    return {**outcome.line, "seconds": 0}, len(outcome.sarif)
