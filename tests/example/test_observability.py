"""Dashboard and Prometheus rules: well-formed, and they ask for metrics that the service has.

Expressions are parsed here. Where promtool is installed (Debian: `prometheus`) it runs the cases of
`rules_test.yaml` too; the scheduled workflow installs it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

_METRIC = re.compile(r"\bbankchurn[a-z_:0-9]+")
_DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")


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
def groups(example: Path) -> list[dict[str, Any]]:
    text = (example / "observability" / "rules.yaml").read_text(encoding="utf-8")
    loaded: list[dict[str, Any]] = yaml.safe_load(text)["groups"]
    return loaded


@pytest.fixture(scope="module")
def rules(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def cases(example: Path) -> list[dict[str, Any]]:
    """The unit tests of the rules."""
    text = (example / "observability" / "rules_test.yaml").read_text(encoding="utf-8")
    loaded: list[dict[str, Any]] = yaml.safe_load(text)["tests"]
    return loaded


@pytest.fixture(scope="module")
def dashboard(example: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((example / "observability" / "dashboard.json").read_text("utf-8"))
    return loaded


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def promtool(folder: Path, *arguments: str) -> None:
    """Let promtool look at it, where it is installed."""
    if executable := shutil.which("promtool"):
        done = subprocess.run([executable, *arguments], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_have_the_form_of_prometheus(example: Path, groups: list[dict[str, Any]]) -> None:
    promtool(example / "observability", "check", "rules", "rules.yaml")
    assert len({group["name"] for group in groups}) == len(groups)
    for group in groups:
        assert group.keys() == {"name", "rules"}
        for rule in group["rules"]:
            promql_parser.parse(rule["expr"])
            if "record" in rule:
                assert rule.keys() == {"record", "expr"}
                assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", rule["record"])
            else:
                assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
                assert _DURATION.fullmatch(rule.get("for", "0s"))


def test_every_rule_has_a_case(
    example: Path, rules: list[dict[str, Any]], cases: list[dict[str, Any]], exported: set[str]
) -> None:
    promtool(example / "observability", "test", "rules", "rules_test.yaml")
    expected = {each["alertname"] for case in cases for each in case.get("alert_rule_test", ())}
    assert expected == {rule["alert"] for rule in rules if "alert" in rule}
    asked = " ".join(each["expr"] for case in cases for each in case.get("promql_expr_test", ()))
    assert set(_METRIC.findall(asked)) == {rule["record"] for rule in rules if "record" in rule}
    for case in cases:
        for series in case["input_series"]:
            assert set(_METRIC.findall(series["series"])) <= exported


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


def test_the_dashboard_can_be_imported(dashboard: dict[str, Any]) -> None:
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert isinstance(dashboard["schemaVersion"], int)
    assert {"uid", "title", "time"} <= dashboard.keys()
    assert "id" not in dashboard, "the number of a dashboard belongs to one Grafana"
    for panel in dashboard["panels"]:
        assert panel["type"] == "timeseries"
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names), panel["title"]
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(panel)))
        assert used <= {*variables, "__rate_interval"}, panel["title"]


def test_the_dashboard_asks_in_promql(dashboard: dict[str, Any]) -> None:
    for expression in expressions(dashboard):
        # What Grafana puts in before it asks Prometheus.
        asked = expression.replace("$__rate_interval", "5m").replace("$pod", "a|b")
        assert "$" not in asked
        promql_parser.parse(asked)


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
