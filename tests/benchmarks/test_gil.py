"""What of the GIL meter can be tested on a busy machine, and that the catalogue says what it found."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import quotes
from benchmarks.gil import __main__ as command
from benchmarks.gil import catalogue, meter
from benchmarks.gil.__main__ import main, same
from benchmarks.gil.cases import CASES
from benchmarks.gil.meter import Sample, Span, speed_up
from benchmarks.gil.results import DISTURBED, Result, add, measured_on, new, read, table, verdict, write
from servelint.store import rules_dir

Measured = dict[str, Any]


def run(
    gil_free: float = 0.5, ms: float = 5.0, disturbed: float = 0.0, shared: str = "same answers"
) -> Measured:
    """What one process measured, the same for one row and for a batch."""
    each = {"ms": ms, "gil_free": gil_free, "two_threads": None, "disturbed": disturbed}
    return {"one": each, "batch": each, "two_threads_share_it": shared}


def result(*runs: Measured) -> Result:
    case = new("library", "call", "1.0", "10 rows")
    for each in runs:
        add(case, each)
    return case


def test_two_threads_at_once_are_twice_as_fast() -> None:
    assert speed_up(0.01, [Span(5, 0.0, 0.05), Span(5, 0.0, 0.05)]) == pytest.approx(2)


def test_two_threads_one_after_the_other_are_no_faster() -> None:
    assert speed_up(0.01, [Span(5, 0.0, 0.05), Span(5, 0.05, 0.10)]) == pytest.approx(1)


def test_the_least_disturbed_samples_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_PATIENCE_SECONDS", 0.0)
    taken = iter([Sample(100.0, 0.9), *(Sample(1.0, 0.02) for _ in range(3)), Sample(100.0, 0.8)])
    assert meter.undisturbed(lambda: next(taken)) == Sample(1.0, 0.9)
    calm = iter([Sample(100.0, 0.9), *(Sample(float(n), 0.0) for n in range(5))])
    monkeypatch.setattr(meter, "_PATIENCE_SECONDS", 60.0)
    assert meter.undisturbed(lambda: next(calm)) == Sample(2.0, 0.0)


def test_an_object_that_cannot_be_shared_is_noticed() -> None:
    def refuse() -> int:
        if calls.pop():
            raise IndexError
        return 1

    calls = [True, True, False]  # taken from the end: the first call is the one that says what is expected
    assert meter.shared_by_threads(refuse, same, times=1) == "IndexError"
    assert meter.shared_by_threads(lambda: 1, same, times=3) == "same answers"
    counted = iter(range(100))
    assert meter.shared_by_threads(lambda: next(counted), same, times=3) == "other answers"


def test_a_disturbed_measurement_is_counted_and_left_out() -> None:
    case = result(run(0.9), run(0.0, disturbed=DISTURBED * 2), run(0.8))
    assert case["one"]["gil_free"] == [0.9, 0.8]
    assert case["discarded"] == {"one": 1, "batch": 1}
    assert "two_threads" not in case["one"]


def test_what_is_said_of_a_measurement() -> None:
    assert add(new("l", "c", "1", "b"), run(disturbed=0.5)) == (
        "one discarded (50% disturbed), batch discarded (50% disturbed)"
    )


def test_one_error_among_many_runs_is_remembered() -> None:
    assert result(run(shared="IndexError"), run())["two_threads_share_it"] == "IndexError"


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        ([0.99, 0.7], "releases"),
        ([0.0, 0.1], "holds"),
        ([0.99, 0.0], "mixed"),
        ([0.5], "mixed"),
        ([], "unknown"),
    ],
)
def test_the_verdict(free: list[float], expected: str) -> None:
    assert verdict([result(run(share)) for share in free]) == expected


def test_calls_of_microseconds_decide_nothing() -> None:
    assert verdict([result(run(0.0, ms=0.01)), result(run(0.99))]) == "releases"
    assert verdict([result(run(0.0, ms=0.01))]) == "unknown"


def test_results_are_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = {("library", "call"): result(run(0.9), run(0.7))}
    write(
        results,
        [("library", "call"), ("other", "call")],
        {"date": "2026-11-23", "python": "3", "cpus": 2},
        path,
    )
    assert read(path) == results
    assert measured_on(path) == date(2026, 11, 23)
    assert "80% (70% to 90%) / 80% (70% to 90%)" in (tmp_path / "results.md").read_text()
    assert read(tmp_path / "none.json") == {}


def test_the_table_says_what_was_not_measured() -> None:
    *_, row = table([result(run(disturbed=1.0))], {"date": "2026-11-23", "python": "3", "cpus": 2})
    assert row == "| library 1.0 | call | 10 rows | same answers | 0 of 1 / 0 of 1 |"


def test_the_line_in_the_catalogue() -> None:
    line = 'gil: {verdict: mixed, source: benchmarks/gil, note: "old; by hand"}'
    written = catalogue.written(
        f"library: x\n{line}\n", [result(run(0.9), run(0.7)), result(run(0.99))], date(2026, 11, 1)
    )
    assert written == (
        "library: x\ngil: {verdict: releases, source: benchmarks/gil, note: "
        '"free for 80 to 99 % of calls of a millisecond or more (library 1.0, November 2026); by hand"}\n'
    )
    elsewhere = "gil: {verdict: holds, source: https://example.org}\n"
    assert catalogue.written(elsewhere, [result(run())], date(2026, 11, 1)) == elsewhere


@pytest.mark.parametrize("library", sorted({library for library, _ in read()} - {"reference"}))
def test_the_catalogue_says_what_was_measured(library: str) -> None:
    path = rules_dir() / "libraries" / f"{library}.yaml"
    text = path.read_text(encoding="utf-8")
    assert "source: benchmarks/gil" in text
    assert quotes.catalogued(path) == text, "run `python -m benchmarks.quotes`"


def test_only_what_was_measured_names_the_benchmark() -> None:
    measured = {library for library, _ in read()}
    for path in (rules_dir() / "libraries").glob("*.yaml"):
        if "benchmarks/gil" in path.read_text(encoding="utf-8"):
            assert path.stem in measured


def test_what_raises_in_two_threads_is_not_called_thread_safe() -> None:
    raised = {
        library for (library, _), found in read().items() if "answers" not in found["two_threads_share_it"]
    }
    assert raised
    for library in raised:
        text = (rules_dir() / "libraries" / f"{library}.yaml").read_text(encoding="utf-8")
        assert yaml.safe_load(text)["thread-safe"]["verdict"] == "no"


def test_every_case_is_in_the_results() -> None:
    assert [(case.library, case.name) for case in CASES] == list(read())


def test_references_are_where_they_belong() -> None:
    released, held = list(read().values())[:2]
    assert min(released["batch"]["gil_free"]) > 0.9
    assert max(held["batch"]["gil_free"]) < 0.1


def measured_by(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """The command, with a meter that finds the same of everything."""
    monkeypatch.setattr("sys.argv", ["benchmarks.gil", *arguments])
    main()


def test_runs_are_added_or_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "wait_for_quiet", lambda seconds: None)
    monkeypatch.setattr(command, "run_apart", lambda index, seconds: run() | {"batch_of": "10 rows"})
    monkeypatch.setattr(command, "version_of", lambda case: "1.0")
    out = tmp_path / "results.json"

    def kept(library: str) -> set[int]:
        return {len(case["one"]["ms"]) for (name, _), case in read(out).items() if name == library}

    measured_by(monkeypatch, "--out", str(out), "--runs", "2")
    assert (kept("shap"), kept("torch")) == ({2}, {2})
    measured_by(monkeypatch, "--out", str(out), "--runs", "1", "--add")
    assert (kept("shap"), kept("torch")) == ({3}, {3})
    measured_by(monkeypatch, "--out", str(out), "--runs", "1", "--library", "shap")
    assert (kept("shap"), kept("torch")) == ({1}, {3})
    monkeypatch.setattr(command, "version_of", lambda case: "2.0")
    measured_by(monkeypatch, "--out", str(out), "--runs", "1", "--add", "--library", "torch")
    assert (kept("shap"), kept("torch")) == ({1}, {1})
