"""Dashboard and Prometheus rules ask for metrics that the service has. promtool checks the rest in CI."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

_METRIC = re.compile(r"\bbankchurn[a-z_:0-9]+")


@pytest.fixture(scope="module")
def exported(example: Path) -> set[str]:
    """The names of all samples that the service's own metrics can have."""
    script = (
        "import bankchurn.telemetry as t\n"
        "[t.STAGE_SECONDS.labels(s) for s in ('parse', 'queue_wait', 'inference', 'response')]\n"
        "t.InstrumentedExecutor(1, 'x')\n"
        "import prometheus_client as p\n"
        "print('\\n'.join(s.name for m in p.REGISTRY.collect() for s in m.samples))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=example, capture_output=True, text=True, check=True
    )
    return {name for name in done.stdout.split() if name.startswith("bankchurn")}


@pytest.fixture(scope="module")
def rules(example: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((example / "observability" / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def dashboard(example: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((example / "observability" / "dashboard.json").read_text("utf-8"))
    return loaded


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_rules_ask_for_what_there_is(rules: list[dict[str, Any]], exported: set[str]) -> None:
    recorded = {rule["record"] for rule in rules if "record" in rule}
    for rule in rules:
        asked = set(_METRIC.findall(rule["expr"]))
        assert asked
        assert asked <= exported | recorded, rule


def test_every_alert_says_what_it_is(rules: list[dict[str, Any]]) -> None:
    alerts = [rule for rule in rules if "alert" in rule]
    assert {alert["alert"] for alert in alerts} >= {"EventLoopBlocked", "InferenceQueueGrowing"}
    for alert in alerts:
        assert alert["annotations"]["summary"]
        assert alert["labels"]["severity"] in {"page", "ticket"}


def test_the_dashboard_asks_for_what_there_is(dashboard: dict[str, Any], exported: set[str]) -> None:
    for expression in expressions(dashboard):
        assert set(_METRIC.findall(expression)) <= exported, expression


def test_the_dashboard_shows_every_metric(dashboard: dict[str, Any], exported: set[str]) -> None:
    shown = {name for expression in expressions(dashboard) for name in _METRIC.findall(expression)}
    assert shown >= {name for name in exported if not name.endswith("_created")}


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        assert max(x for x, _ in own) < 24, panel["title"]
        cells |= own
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
