"""servelint finds what is planted in the example and nothing else, and `fix` leaves nothing to find."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

PLANTED = Path(__file__).parent / "planted.txt"


def servelint(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "servelint", *arguments], capture_output=True, text=True)


def found_in(service: Path) -> list[dict[str, Any]]:
    done = servelint("check", "--output-format", "json", str(service))
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["errors"] == []
    findings: list[dict[str, Any]] = report["findings"]
    return findings


def as_planted(service: Path, finding: dict[str, Any]) -> str:
    """Code, file and source line, as `planted.txt` has them: line numbers would change with every edit."""
    path = Path.cwd() / finding["path"]
    line = path.read_text(encoding="utf-8").splitlines()[finding["line"] - 1].strip()
    return f"{finding['code']} {path.relative_to(service).as_posix()} {line}"


def test_what_is_planted_is_found_and_nothing_else(example: Path, tmp_path: Path) -> None:
    # A copy, so that models or caches in the working tree are no part of it.
    service = tmp_path / "bankchurn"
    shutil.copytree(example, service, ignore=shutil.ignore_patterns("model", "__pycache__"))
    planted = [line for line in PLANTED.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert Counter(as_planted(service, finding) for finding in found_in(service)) == Counter(planted)


def test_findings_through_other_functions_show_the_way(example: Path) -> None:
    findings = {finding["function"].rpartition(".")[2]: finding for finding in found_in(example)}
    for endpoint in ("predict", "predict_batch", "explain", "campaign"):
        way = [Path(step["path"]).name for step in findings[endpoint]["trace"]]
        assert way[-1] == "predictor.py", endpoint
        assert findings[endpoint]["library"] == "scikit-learn", endpoint
    assert "scoring.py" in [Path(step["path"]).name for step in findings["predict_batch"]["trace"]]
    assert "service.py" in [Path(step["path"]).name for step in findings["campaign"]["trace"]]


def test_fix_leaves_nothing_to_find(fixed: Path) -> None:
    assert found_in(fixed) == []


def test_fixing_again_changes_nothing(fixed: Path) -> None:
    before = {path: path.read_bytes() for path in fixed.rglob("*") if path.is_file()}
    assert servelint("fix", "--unsafe-fixes", str(fixed)).returncode == 0
    after = {path: path.read_bytes() for path in fixed.rglob("*") if path.is_file()}
    assert {p: b for p, b in after.items() if "__pycache__" not in p.parts} == {
        p: b for p, b in before.items() if "__pycache__" not in p.parts
    }


def test_fix_keeps_every_comment(example: Path, fixed: Path) -> None:
    for path in ("Dockerfile", "k8s/deployment.yaml", "k8s/hpa.yaml", "bankchurn/app.py"):
        before = (example / path).read_text(encoding="utf-8")
        after = (fixed / path).read_text(encoding="utf-8")
        comments = [line.strip() for line in before.splitlines() if line.strip().startswith("#")]
        kept = [line.strip() for line in after.splitlines() if line.strip().startswith("#")]
        # The comment on the metric that goes may go with it.
        assert [c for c in comments if c not in kept and "model is big" not in c] == [], path


def test_fix_leaves_the_manifests_alone_but_for_the_findings(example: Path, fixed: Path) -> None:
    for path in ("k8s/deployment.yaml", "k8s/hpa.yaml"):
        before = (example / path).read_text(encoding="utf-8").splitlines()
        after = (fixed / path).read_text(encoding="utf-8").splitlines()
        gone = Counter(before) - Counter(after)
        assert 1 <= sum(gone.values()) <= 8, path
    assert '"2"' not in (fixed / "k8s" / "deployment.yaml").read_text(encoding="utf-8")
    assert "name: memory" not in (fixed / "k8s" / "hpa.yaml").read_text(encoding="utf-8")
