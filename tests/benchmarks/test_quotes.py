"""The pages quote what was measured, and what they conclude from it is still so.

When the load harness or the GIL meter has run anew: `python -m benchmarks.quotes`. When a conclusion fails
here after that, the sentence in the manual has to change, not the test alone.
"""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from benchmarks import quotes
from benchmarks.incident import record
from benchmarks.incident.scenarios import SWEEP
from benchmarks.spread import spread

Runs = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    return quotes.quotes()


@pytest.fixture(scope="module")
def measured() -> dict[str, Runs]:
    """The runs by scenario and variant."""
    return {name: record.by_variant(each) for name, each in record.read().items()}


def every(runs: Runs, variant: str, column: str) -> list[float]:
    return [run[column] for run in runs[variant]]


def median(runs: Runs, variant: str, column: str) -> float:
    return statistics.median(every(runs, variant, column))


@pytest.mark.parametrize("page", quotes.pages(), ids=lambda page: page.name)
def test_a_page_quotes_what_was_measured(page: Path, known: dict[str, str]) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == quotes.written(text, known), "run `python -m benchmarks.quotes`"


@pytest.mark.parametrize("page", ["README.md", "incident.md", "pool-sizing.md", "SRV101.md", "SRV201.md"])
def test_numbers_are_quoted_where_they_are_claimed(page: str) -> None:
    (path,) = (each for each in quotes.pages() if each.name == page)
    text = path.read_text(encoding="utf-8")
    assert "<!-- measured: " in text
    assert text.count("<!-- measured: ") == text.count("<!-- / -->")


def test_a_rule_page_is_shown_without_its_comments(known: dict[str, str]) -> None:
    from servelint.knowledge.pages import page

    assert "<!--" not in page("SRV201").text
    measured = known["offloads.unfixed-4-workers.memory.median"]
    assert measured in page("SRV201").text
    assert measured not in page("SRV201").why


def test_a_changed_number_is_written_anew(known: dict[str, str]) -> None:
    stale = "fails <!-- measured: severe.fixed.failed -->99 %<!-- / --> of them"
    assert quotes.written(stale, known) == stale.replace("99 %", known["severe.fixed.failed"])


def test_a_name_that_stands_for_nothing_is_refused(known: dict[str, str]) -> None:
    with pytest.raises(quotes.UnknownQuoteError, match=r"severe\.fixed\.failed is"):
        quotes.written("<!-- measured: severe.fixed.faild -->1 %<!-- / -->", known)


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([20.0, 20.3, 20.4], "20 ms"),
        ([20.0, 30.0, 990.0], "30 ms (20 to 990)"),
        ([105.0, 140.0, 5162.0], "140 ms (105 ms to 5.2 s)"),
        ([8238.0, 13926.0, 18920.0], "13.9 s (8.2 to 18.9)"),
        ([], ""),
    ],
)
def test_how_a_spread_reads(values: list[float], written: str) -> None:
    assert spread(values, quotes.duration) == written


def test_what_is_not_quite_nothing_is_not_nothing() -> None:
    assert [quotes.percent(share) for share in (0.0, 0.002, 0.01, 0.37)] == ["0 %", "0.2 %", "1 %", "37 %"]


def test_every_form_of_a_number() -> None:
    forms = dict(quotes.Number.of("failed", [0.4, 0.37, 0.34]).forms("x"))
    assert forms == {
        "x": "37 % (34 to 40)",
        "x.median": "37 %",
        "x.lowest": "34 %",
        "x.highest": "40 %",
        "x.range": "34 to 40 %",
    }
    assert dict(quotes.Number.of("restarts", [0, 0]).forms("x"))["x.range"] == "0"


def test_what_is_quoted_alone_was_measured_three_times(measured: dict[str, Runs]) -> None:
    for scenario in ("incident", "severe", "no-probes", "light", "offloads"):
        assert {len(measured[scenario][variant]) for variant in ("unfixed", "fixed")} == {3}


def test_the_load_of_a_scenario_can_be_quoted(known: dict[str, str]) -> None:
    assert {known[f"{point.name}.load"] for point in SWEEP} == {f"{point.load:g}" for point in SWEEP}


def test_the_table_of_the_sweep_has_every_point_that_was_measured(known: dict[str, str]) -> None:
    loads = re.findall(r"^\| ([\d.]+) \|", known["table.sweep"], re.MULTILINE)
    assert loads == [f"{point.load:g}" for point in SWEEP if point.name in record.read()]


def test_the_fixed_service_never_fails(measured: dict[str, Runs]) -> None:
    assert list(record.disappointments(record.read(), measured)) == []
    for scenario in ("incident", "severe", "no-probes", "light"):
        assert set(every(measured[scenario], "fixed", "failed")) == {0.0}
        assert set(every(measured[scenario], "fixed", "unready_seconds")) == {0.0}


def test_the_blocked_service_fails_under_overload_with_probes(measured: dict[str, Runs]) -> None:
    severe = measured["severe"]
    assert min(every(severe, "unfixed", "failed")) > 0.1
    assert min(every(severe, "unfixed", "unready_seconds")) > 0
    assert min(every(severe, "unfixed", "health_worst")) > 5 * max(every(severe, "fixed", "health_worst"))
    assert median(measured["incident"], "unfixed", "failed") < min(every(severe, "unfixed", "failed"))


@pytest.mark.parametrize("scenario", ["no-probes", "light", "offloads"])
def test_nobody_fails_without_overload_or_without_probes(measured: dict[str, Runs], scenario: str) -> None:
    assert {run["failed"] for runs in measured[scenario].values() for run in runs} == {0.0}


def overlap(one: list[float], other: list[float]) -> bool:
    return min(one) <= max(other) and min(other) <= max(one)


def test_a_pool_adds_no_capacity(measured: dict[str, Runs]) -> None:
    runs = measured["incident"]
    unfixed = median(runs, "unfixed", "answered_a_second")
    assert median(runs, "fixed", "answered_a_second") == pytest.approx(unfixed, rel=0.15)


def test_who_is_not_sent_away_answers_a_little_more(measured: dict[str, Runs]) -> None:
    runs = measured["severe"]
    unfixed = median(runs, "unfixed", "answered_a_second")
    assert unfixed < median(runs, "fixed", "answered_a_second") < 1.2 * unfixed


def test_without_probes_the_fixed_service_answers_a_little_less(measured: dict[str, Runs]) -> None:
    runs = measured["no-probes"]
    unfixed = median(runs, "unfixed", "answered_a_second")
    assert 0.9 * unfixed < median(runs, "fixed", "answered_a_second") < unfixed


def spells(failed: list[int]) -> list[int]:
    """In which seconds requests began to fail."""
    return [second for second, count in enumerate(failed) if count and not (second and failed[second - 1])]


def test_the_blocked_service_is_away_after_three_probes(measured: dict[str, Runs]) -> None:
    for timeline in (run["timeline"] for run in measured["incident"]["unfixed"]):
        first, *_ = spells(timeline["failed"])
        assert 15 < first < 20
    away = every(measured["incident"], "unfixed", "unready_seconds")
    assert max(away) < min(every(measured["severe"], "unfixed", "unready_seconds"))


def test_how_busy_the_machine_was_besides(measured: dict[str, Runs]) -> None:
    apart = {
        scenario: max(
            run["elsewhere"]
            for variant, each in runs.items()
            for run in each
            if not variant.startswith("process")  # see benchmarks/incident/README.md
        )
        for scenario, runs in measured.items()
    }
    assert apart.pop("severe") < 0.1
    assert apart.pop("half") < 1.5  # where nothing fails
    assert max(apart.values()) < 1


def test_the_more_threads_the_later_the_probe(measured: dict[str, Runs]) -> None:
    health = {
        name: statistics.median(run["health_p95"] for run in runs)
        for name, runs in measured["offloads"].items()
    }
    assert health["pool of 1"] < health["pool of 4"] < health["pool of 8"] < health["pool of 32"]
    assert health["pool of 32"] < health["unfixed"]
    for way in ("default executor", "to_thread", "plain def"):
        assert health["pool of 2"] < health[way] < health["pool of 32"]


def test_pools_of_threads_answer_as_much_and_others_less(measured: dict[str, Runs]) -> None:
    runs = measured["offloads"]
    answered = {name: every(runs, name, "answered_a_second") for name in runs}
    for way in (*(f"pool of {size}" for size in (1, 2, 4, 8, 32)), "default executor", "to_thread"):
        assert overlap(answered[way], answered["unfixed"])
    for way in ("plain def", "process pool of 1", "unfixed, 2 workers", "unfixed, 4 workers"):
        assert max(answered[way]) < min(answered["fixed"])


def test_workers_hide_the_defect_now_and_then_and_cost_memory(measured: dict[str, Runs]) -> None:
    runs = measured["offloads"]
    assert median(runs, "unfixed, 4 workers", "health_p50") < 10
    for workers in ("unfixed, 2 workers", "unfixed, 4 workers"):
        slow = median(runs, workers, "health_p95")
        assert 100 * median(runs, "fixed", "health_p95") < slow < median(runs, "unfixed", "health_p95")
    overloaded = measured["incident"]
    failed = every(overloaded, "unfixed, 4 workers", "failed")
    assert max(failed) < min(every(overloaded, "unfixed", "failed"))
    assert min(every(overloaded, "unfixed, 4 workers", "p95")) > max(every(overloaded, "fixed", "p95"))
    one, two, four = (
        median(runs, name, "memory") for name in ("unfixed", "unfixed, 2 workers", "unfixed, 4 workers")
    )
    assert 1.4 < two / one < 1.8
    assert 2.8 < four / one < 3.4
    assert median(runs, "default executor", "memory") == pytest.approx(
        median(runs, "pool of 1", "memory"), rel=0.03
    )


def test_native_threads_make_no_difference_where_a_cpu_is_pinned(measured: dict[str, Runs]) -> None:
    with_eight = every(measured["offloads"], "fixed, OMP 8", "health_p95")
    without = every(measured["offloads"], "fixed", "health_p95")
    assert min(with_eight) <= max(without)
    assert min(without) <= max(with_eight)


def test_links_of_quoting_pages_lead_somewhere() -> None:
    for page in quotes.pages():
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_no_line_of_a_paragraph_begins_with_a_comment() -> None:
    torn = "it takes\n<!-- measured: a -->1 s<!-- / -->, or\n  <!-- measured: b -->2 s<!-- / --> at most\n"
    table = "as here:\n\n<!-- measured: table.x -->\n| a |\n<!-- / -->\n"
    assert quotes.joined(torn) == (
        "it takes <!-- measured: a -->1 s<!-- / -->,\nor <!-- measured: b -->2 s<!-- / -->\n  at most\n"
    )
    assert quotes.joined(table) == table
    last = "- it takes\n  <!-- measured: a -->1 s<!-- / -->.\n\nMore.\n"
    assert quotes.joined(last) == "- it takes <!-- measured: a -->1 s<!-- / -->.\n\nMore.\n"
