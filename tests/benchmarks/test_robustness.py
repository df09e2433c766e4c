"""The robustness harness itself: that its cases repeat, and that its oracles see what they are for."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from benchmarks.robustness import __main__ as robustness
from benchmarks.robustness import foreign, growth, killing, large, oracles, projects, shrinking
from benchmarks.robustness.ledger import Ledger
from benchmarks.robustness.mutations import FILE_CHANGES, PROJECT_CHANGES, make
from benchmarks.robustness.oracles import Failure, judge
from benchmarks.robustness.pool import Limits, Pair, Worker
from servelint import cli, edits

SERVICE = killing.services(1)
FIXTURES = projects.fixtures()


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one service that blocks; judging goes into it, and comes back here afterwards."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "project"
    folder.mkdir()
    projects.write(SERVICE, folder)
    return folder


def kinds(failures: list[Failure]) -> set[str]:
    return {failure["kind"] for failure in failures}


# -- cases -----------------------------------------------------------------------------------------


def test_the_same_seed_and_number_make_the_same_case() -> None:
    assert [make(3, number, FIXTURES) for number in range(40)] == [
        make(3, number, FIXTURES) for number in range(40)
    ]


def test_cases_differ() -> None:
    made = {
        tuple(sorted(make(seed, number, FIXTURES).project.items())) for seed in (1, 2) for number in range(50)
    }
    assert len(made) > 90


def test_every_change_is_made_sometimes() -> None:
    seen = Counter(change for number in range(3000) for change in make(1, number, FIXTURES).recipe)
    assert set(seen) == {change.__name__ for change in (*FILE_CHANGES, *PROJECT_CHANGES)} | {"splice_files"}


@pytest.mark.parametrize("change", dict.fromkeys(FILE_CHANGES), ids=lambda change: change.__name__)
@pytest.mark.parametrize("content", [b"", b"\xff\n", b"x = 1\r\n    y = 2\n"])
def test_changes_take_any_content(change: Callable[[Random, bytes, str], bytes], content: bytes) -> None:
    for number in range(20):
        assert isinstance(change(Random(number), content, ".py"), bytes)


def test_names_stay_inside_the_project(tmp_path: Path) -> None:
    for number in range(500):
        assert all(projects.is_safe(name) for name in make(1, number, FIXTURES).project)


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", ".git/config", "a/./b", "a\0"])
def test_names_that_lead_out(name: str) -> None:
    assert not projects.is_safe(name)


def test_a_project_comes_back_as_it_was_written(tmp_path: Path) -> None:
    project = {"a/b.py": b"1\r\n", "é\udcff": b"", "c\nd": b"\0"}
    projects.write(project, tmp_path)
    assert projects.read(tmp_path) == project


# -- oracles ---------------------------------------------------------------------------------------


def test_a_service_has_no_failures(service: Path) -> None:
    verdict = judge(service)
    assert verdict["failures"] == []
    assert (verdict["findings"], verdict["fixed"], verdict["named"]) == (1, 1, ["service0/app.py"])


def test_a_digest_is_of_everything(service: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    projects.write({"service0/app.py": SERVICE["service0/app.py"] + b"# more\n"}, other)
    assert judge(service)["digest"] != judge(other)["digest"]


def test_a_crash_is_seen(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(arguments: object) -> int:
        sys.stderr.write("servelint: crashed: IndexError: no such thing (visit, line 3)\n")
        return 2

    monkeypatch.setattr(cli, "run", crash)
    (failure,) = judge(service)["failures"]
    assert (failure["kind"], failure["place"]) == ("crash", "IndexError: no such thing (visit, line 3)")


def test_an_exception_that_gets_out_is_seen(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "run", lambda arguments: {}["nothing"])
    (failure,) = judge(service)["failures"]
    assert failure["kind"] == "crash"
    assert "KeyError" in failure["detail"]


def altered(monkeypatch: pytest.MonkeyPatch, alter: Callable[[dict[str, object]], object]) -> None:
    """Let `check` say something else than it does."""
    real = oracles.run

    def run(*arguments: str) -> oracles.Ran:
        ran = real(*arguments)
        if arguments[0] != "check":
            return ran
        report = json.loads(ran.out)
        alter(report)
        return ran._replace(out=json.dumps(report))

    monkeypatch.setattr(oracles, "run", run)


@pytest.mark.parametrize(
    ("key", "value"), [("line", 99), ("column", 0), ("end_column", 400), ("end_line", 1), ("line", 0)]
)
def test_a_position_outside_is_seen(
    service: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: int
) -> None:
    altered(monkeypatch, lambda report: report["findings"][0].update({key: value}))  # type: ignore[index]
    assert kinds(judge(service)["failures"]) == {"position"}


def test_a_defect_that_is_told_is_seen(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"path": "service0/app.py", "line": 1, "message": "SRV101: KeyError, a defect of servelint, ..."}
    altered(monkeypatch, lambda report: report["errors"].append(error))  # type: ignore[attr-defined]
    (failure,) = judge(service)["failures"]
    assert (failure["kind"], failure["place"]) == ("defect", error["message"])


def test_another_answer_to_the_same_question_is_seen(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(9))
    altered(monkeypatch, lambda report: report.update(time=next(times)))
    assert kinds(judge(service)["failures"]) == {"unstable"}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (b"async def", b"async async def", "unparsable"),
        (b'load("model0.joblib")', b'load("other.joblib")', "elsewhere"),
    ],
)
def test_a_fix_that_does_more_is_seen(
    service: Path, monkeypatch: pytest.MonkeyPatch, old: bytes, new: bytes, kind: str
) -> None:
    real = edits.replace_file
    monkeypatch.setattr(
        "servelint.edits.replace_file", lambda path, content: real(path, content.replace(old, new))
    )
    assert kind in kinds(judge(service)["failures"])


def test_a_repair_that_only_another_one_makes_possible_is_none(tmp_path: Path) -> None:
    """The import that the first fix brings in makes an offload of the second call."""
    loads = "import joblib\nmodel = joblib.load('m')\n\n\nasync def reload():\n    return joblib.load('n')\n"
    later = "\n\nasync def predict(x):\n    return await asyncio.to_thread(model.predict, x)\n"
    (tmp_path / "app.py").write_text(loads + later)
    assert judge(tmp_path, unsafe=True)["failures"] == []
    assert "run_in_executor" in (tmp_path / "app.py").read_text()


@pytest.mark.parametrize(("context", "is_seen"), [("model_lock", False), ("suppress()", True)])
def test_a_lock_that_a_later_round_adds_is_none(context: str, is_seen: bool) -> None:
    """No edit is told for it where the fix of another finding removes what was against it."""
    before = b"if model is None:\n    model = load()\n"
    after = f"with {context}:\n    if model is None:\n        model = load()\n".encode()
    assert bool([*oracles._elsewhere("app.py", before, after, {"findings": []})]) is is_seen


def test_a_second_fix_is_seen(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = oracles.run

    def run(*arguments: str) -> oracles.Ran:
        ran = real(*arguments)
        if arguments[0] == "fix":
            with (service / "service0/app.py").open("a") as file:
                file.write("# once more\n")
        return ran

    monkeypatch.setattr(oracles, "run", run)
    assert kinds(judge(service)["failures"]) == {"second fix"}


# -- workers ---------------------------------------------------------------------------------------


def test_workers_agree() -> None:
    with Worker(Limits(), 1) as one, Worker(Limits(), 2) as other:
        verdict = Pair(one, other).compare(SERVICE, unsafe=False, configured=False, both=True)
    assert verdict["failures"] == []
    assert verdict["fixed"] == 1


def test_what_only_the_second_worker_meets_is_told_as_what_it_is() -> None:
    with (
        Worker(Limits(), 1) as one,
        Worker(Limits(), hash_seed=-1) as other,
    ):  # which Python refuses to start with
        verdict = Pair(one, other).compare(SERVICE, unsafe=False, configured=False, both=True)
    assert [failure["kind"] for failure in verdict["failures"]] == ["killed"]


def test_a_worker_that_takes_too_long_is_ended_and_started_again() -> None:
    with Worker(Limits(seconds=0.001)) as worker:
        # The limit is in whole seconds, which a large project takes longer than.
        verdict = worker.judge(large.functions(400))
        assert [failure["kind"] for failure in verdict["failures"]] == ["time out"]
        worker.limits = Limits()
        assert worker.judge(SERVICE)["findings"] == 1


def test_a_worker_that_dies_is_told_of() -> None:
    with Worker(Limits(), hash_seed=-1) as worker:  # which Python refuses to start with
        (failure,) = worker.judge(SERVICE)["failures"]
    assert (failure["kind"], failure["place"]) == ("killed", "exit status 1")


# -- what is kept ----------------------------------------------------------------------------------


def test_projects_are_made_smaller() -> None:
    project = {"a.py": b"one\ntwo\nbad luck\nthree\n" * 5, "b.py": b"x\n" * 50, "c": b"y"}

    def fails(candidate: projects.Project) -> bool:
        return b"bad" in candidate.get("a.py", b"")

    assert shrinking.shrink(project, fails, 10.0) == {"a.py": b"bad"}


def test_failures_are_kept_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    failure: Failure = {"kind": "crash", "place": "a|b.py:1 visit", "detail": "..."}
    verdict = oracles.unsettled([failure])
    assert ledger.note(verdict) == [failure]
    assert ledger.note(verdict) == []
    kept = ledger.keep(failure, SERVICE, {"seed": 1})
    assert projects.read(kept / "project") == SERVICE
    assert json.loads((kept / "failure.json").read_text())["seed"] == 1
    assert f"| crash | a\\|b.py:1 visit | 2 | {kept.name} |" in list(ledger.table())


# -- the other commands ----------------------------------------------------------------------------


def test_a_killed_run_leaves_nothing_half_done() -> None:
    result = killing.kill(killing.services(3), 1, seed=4)
    assert result.faults == []
    assert sum(result.moments.values()) == 1


def test_a_torn_file_is_seen() -> None:
    before, after = {"a": b"12", "b": b"1"}, {"a": b"34", "b": b"2"}
    bench = killing.Bench(before, after, None, 1.0)
    assert list(bench.torn({"a": b"12", "b": b"2", ".a.x.servelint-tmp": b"3"})) == []
    assert list(bench.torn({"a": b"3", "b": b"2"})) == ["a is neither old nor new"]


def test_a_project_with_nothing_to_fix_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to fix"):
        killing.Bench.prepare({"a.py": b"x = 1\n"})


@pytest.mark.parametrize("name", large.SHAPES)
def test_large_projects_are_read_and_have_findings(name: str) -> None:
    shape = large.SHAPES[name]
    with Worker(Limits()) as worker:
        verdict = worker.judge(shape.make(3), fixes=False)
    assert verdict["failures"] == []
    assert verdict["findings"]
    assert _size(shape.make(150)) > _size(shape.make(3))


def _size(project: projects.Project) -> int:
    return sum(map(len, project.values()))


@pytest.mark.parametrize(
    ("seconds", "linear"),
    [
        (((1.0,), (2.0,), (4.0,)), True),
        (((1.0, 9.0, 1.0), (2.0,), (4.0,)), True),
        (((1.0,), (2.0,), (7.0,)), False),
        (((0.01,), (0.02,), (0.2,)), True),
    ],
)
def test_what_is_linear(seconds: tuple[tuple[float, ...], ...], linear: bool) -> None:
    assert growth.Curve("x", 10, seconds).is_linear is linear


def test_what_could_not_be_measured_is_not_linear() -> None:
    curve = growth.Curve("x", 10, (), "more than 300 s")
    assert not curve.is_linear
    assert list(growth.table([curve]))[-1] == "| x | 10 |  |  |  | more than 300 s |"


def test_foreign_code_gets_an_endpoint(tmp_path: Path) -> None:
    projects.write({"tests/test_a.py": b"x = 1\n", "b.yaml": b"a: 1\n", "c.py": b"x = = 1\n"}, tmp_path)
    (batch,) = foreign.batches(tmp_path, 10)
    assert set(batch) == {"examines/examine_a.py", "b.yaml", "c.py"}
    assert foreign.silent(batch, ["c.py"]) == ["examines/examine_a.py"]
    found = foreign.survey([tmp_path], 10, Limits(), tmp_path / "kept", fixes=True)
    assert (found.python, found.others, found.silent, found.ledger.findings) == (2, 1, [], 2)


@pytest.mark.parametrize("command", ["fuzz", "kill", "growth", "foreign"])
def test_commands_have_defaults(command: str) -> None:
    assert callable(robustness.options([command]).run)


def test_a_short_fuzz(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (
        "fuzz",
        "--seconds",
        "2",
        "--jobs",
        "1",
        "--shrinking",
        "0",
        "--failures",
        os.fspath(tmp_path),
    )
    robustness.main(arguments)
    assert " inputs, " in capsys.readouterr().out
