"""The rule for the size of the pool that a fix makes, and that it follows from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from benchmarks import quotes
from benchmarks.gil.results import SIZES, is_long, read
from servelint.knowledge.types import Verdict
from servelint.store import rules_dir

GIL = {"releases", "holds", "mixed", "unknown"}


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    text = (rules_dir() / "pool-sizing.yaml").read_text(encoding="utf-8")
    loaded: list[dict[str, Any]] = yaml.safe_load(text)["max-workers"]
    return loaded


def test_every_entry_is_well_formed(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        assert entry.keys() <= {"when", "workers", "at-most", "without-limit", "because"}
        assert entry["when"].keys() <= {"thread-safe", "gil"}
        assert entry["when"].get("gil", "unknown") in GIL
        assert entry["when"].get("thread-safe", "unknown") in set(Verdict)
        assert entry["workers"] == "cpu-limit" or entry["workers"] >= 1
        assert ("without-limit" in entry) == ("at-most" in entry) == (entry["workers"] == "cpu-limit")
        assert entry["because"]


def test_something_always_applies(entries: list[dict[str, Any]]) -> None:
    assert entries[-1]["when"] == {}


def test_more_than_one_thread_only_for_what_can_use_and_stand_them(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        if entry["workers"] != 1:
            assert entry["when"] == {"gil": "releases", "thread-safe": "yes"}
            assert entry["without-limit"] == 1


def calls() -> Iterator[tuple[str, str, str, float, float]]:
    """Library, call, `one` or `batch`, milliseconds, and how many calls of one thread two get done."""
    for (library, case), result in read().items():
        for size in SIZES:
            if library != "reference" and "two_threads" in result[size]:
                ms, two = (statistics.median(result[size][column]) for column in ("ms", "two_threads"))
                yield library, case, size, ms, two


def test_the_meter_of_two_threads_knows_one_and_two() -> None:
    released, held = (result["batch"]["two_threads"] for result in list(read().values())[:2])
    assert min(released) > 1.8
    assert 0.9 < min(held) < max(held) < 1.1


def test_a_second_thread_is_given_where_it_gets_more_done() -> None:
    given = {call for call in calls() if quotes.workers(call[0]).endswith("at most 2")}
    assert {library for library, *_ in given} == {"catboost", "lightgbm", "onnxruntime", "torch", "xgboost"}
    assert min(two for *_, ms, two in given if is_long(ms)) > 1.2
    short = {(ms, two) for *_, ms, two in given if not is_long(ms)}
    assert max(ms for ms, _ in short) < 1 / 3
    assert min(two for _, two in short) >= 0.75


def test_one_row_of_a_table_gains_nothing_by_a_second_thread() -> None:
    tables = {"scikit-learn", "xgboost", "lightgbm", "catboost", "onnxruntime"}
    gaining = {
        (library, case): ms
        for library, case, size, ms, two in calls()
        if library in tables and size == "one" and two > 1.2
    }
    assert gaining.keys() == {
        ("onnxruntime", "InferenceSession.run (random forest)"),
        ("xgboost", "Booster.predict(DMatrix)"),
    }
    assert max(gaining.values()) < 0.22
    assert max(two for library, _, size, _, two in calls() if library == "scikit-learn" and size == "one") < 1


def test_a_batch_gains_by_a_second_thread_unless_it_is_python() -> None:
    python = {
        "ColumnTransformer + LogisticRegression",
        "GradientBoostingClassifier(200).predict_proba",
        "LogisticRegression.predict_proba",
        "Prophet.predict",
        "SARIMAX.forecast",
        "TreeExplainer.shap_values",
        "blank('en') with sentencizer",
        "PreTrainedTokenizerFast()",
    }
    batches = {case: two for _, case, size, _, two in calls() if size == "batch"}
    assert {case for case, two in batches.items() if two < 1.05} == python
    assert min(two for case, two in batches.items() if case not in python | {"bankchurn explain"}) > 1.2
