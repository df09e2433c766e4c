"""The rule for the size of the pool that a fix makes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from servelint.knowledge import Verdict, rules_dir

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
