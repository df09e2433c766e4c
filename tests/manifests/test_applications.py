"""What the Python side knows changes severity, adds SRV204 and SRV205, and may hold a fix back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servelint.finding import Confidence, Finding, Severity, Span
from servelint.manifests import read
from servelint.serving import Application

from .harness import check, tree, written

_BLOCKING = Finding(
    "SRV101", Span(Path("/x/app/main.py"), 9, 5, 9, 20), "predict blocks", Severity.ERROR, Confidence.HIGH
)
_DEPLOYMENT = """kind: Deployment
metadata: {name: churn-api}
spec:
  template:
    spec:
      containers:
        - name: api
          image: registry.test/churn:1
          command: [uvicorn, app.main:app, --workers, "4"]
          env: [{name: LOG_LEVEL, value: info}]
          resources: {limits: {cpu: 500m}}
          livenessProbe:
            httpGet: {path: /health, port: 8000}
            periodSeconds: 10
            timeoutSeconds: 1
            failureThreshold: 3
---
kind: HorizontalPodAutoscaler
metadata: {name: churn-api}
spec:
  scaleTargetRef: {kind: Deployment, name: churn-api}
  metrics: [{type: Resource, resource: {name: memory}}]
"""


@dataclass
class _Application:
    path: Path = Path("/x/app/main.py")
    libraries: frozenset[str] = frozenset({"sklearn"})
    findings: Sequence[Finding] = (_BLOCKING,)
    serves_model: bool = True
    runs_model: bool = True
    limits_threads: bool = False
    blocked: bool = False
    repaired: bool = False

    names: frozenset[str] = frozenset()
    model_files: Collection[Path] = ()

    def mentions(self, names: Collection[str]) -> bool:
        return bool(self.names & set(names))

    def is_blocked(self, repaired: Collection[Span] = ()) -> bool:
        return self.blocked and not (repaired and self.repaired)


@dataclass
class _Applications:
    application: Application | None = field(default_factory=_Application)
    asked: list[tuple[str, tuple[Path, ...]]] = field(default_factory=list)

    def find(self, reference: str, folders: Sequence[Path]) -> Application | None:
        self.asked.append((reference, tuple(folders)))
        return self.application


def _codes(root: Path, applications: _Applications) -> dict[str, Finding]:
    return {finding.code: finding for finding in check(root, applications).findings}


def test_everything_that_the_application_adds(tmp_path: Path) -> None:
    root = written(tmp_path, {"k8s.yaml": _DEPLOYMENT})
    found = _codes(root, _Applications())
    assert sorted(found) == ["SRV201", "SRV202", "SRV204", "SRV205"]
    assert found["SRV202"].severity is Severity.ERROR
    assert found["SRV204"].span == Span(root / "k8s.yaml", 11, 37, 11, 41)
    assert "OMP_NUM_THREADS is not set" in found["SRV204"].message
    assert found["SRV205"].message == (
        "the liveness probe /health of deployment churn-api allows 3 x 10 s + 1 s "
        "on an event loop that one call blocks for as long as an inference takes"
    )
    assert found["SRV205"].trace[0].span == _BLOCKING.span


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (("LOG_LEVEL", "OMP_NUM_THREADS"), "SRV204"),
        (("cpu: 500m", 'cpu: "32"'), "SRV204"),
        (("env: [", "envFrom: [{secretRef: {name: s}}]\n          env: ["), "SRV204"),
        (("failureThreshold: 3", "failureThreshold: 30"), "SRV205"),
        (("httpGet: {path: /health, port: 8000}", "tcpSocket: {port: 8000}"), "SRV205"),
    ],
)
def test_what_a_manifest_does_right(change: tuple[str, str], gone: str, tmp_path: Path) -> None:
    root = written(tmp_path, {"k8s.yaml": _DEPLOYMENT.replace(*change)})
    assert {"SRV204", "SRV205"} - set(_codes(root, _Applications())) == {gone}


def test_what_the_application_does_right(tmp_path: Path) -> None:
    root = written(tmp_path, {"k8s.yaml": _DEPLOYMENT})
    good = _Application(findings=(), limits_threads=True)
    assert sorted(_codes(root, _Applications(good))) == ["SRV201", "SRV202"]
    assert sorted(_codes(root, _Applications(None))) == ["SRV201", "SRV202"]


@pytest.mark.parametrize(("failures", "severity"), [("2", Severity.WARNING), ("6", Severity.INFO)])
def test_a_patient_probe_only_informs(failures: str, severity: Severity, tmp_path: Path) -> None:
    manifest = _DEPLOYMENT.replace("failureThreshold: 3", f"failureThreshold: {failures}").replace(
        "periodSeconds: 10", "periodSeconds: 25"
    )
    root = written(tmp_path, {"k8s.yaml": manifest})
    found = _codes(root, _Applications())["SRV205"]
    assert found.severity is severity
    assert f"allows {failures} x 25 s + 1 s" in found.message


_WSGI = _DEPLOYMENT.replace("uvicorn, app.main:app, --workers", "gunicorn, app.main:app, --workers")


@pytest.mark.parametrize(
    ("manifest", "application", "codes"),
    [
        (_WSGI, _Application(), ["SRV201", "SRV202"]),
        (_WSGI.replace('"4"', '"1"'), _Application(), ["SRV202"]),
        (_WSGI, _Application(serves_model=False), ["SRV202"]),
        (_WSGI, None, ["SRV202"]),
    ],
)
def test_workers_without_an_event_loop_count_where_each_holds_a_model(
    manifest: str, application: Application | None, codes: list[str], tmp_path: Path
) -> None:
    found = _codes(written(tmp_path, {"k8s.yaml": manifest}), _Applications(application))
    assert sorted(found) == codes
    if "SRV201" in found:
        assert found["SRV201"].message.endswith(", each with the model")
        assert found["SRV201"].fix is None
        assert "several threads" in found["SRV201"].unfixable


@pytest.mark.parametrize(
    ("service", "first"),
    [
        ("working_dir: /srv\n    volumes: ['./board:/srv:ro']", "board"),
        ("working_dir: /srv/board\n    volumes: ['.:/srv']", "board"),
        (
            "working_dir: /srv\n    volumes: [{type: bind, source: ./ui/board.py, target: /srv/board.py}]",
            "ui",
        ),
        ("volumes: ['./board:/srv', 'data:/data', '/etc:/etc']", "board"),
        ("working_dir: /srv\n    volumes: ['./board:/data', './a.py:/srv/b.py', '${X}:/srv']", ""),
    ],
)
def test_an_application_is_looked_for_where_a_service_has_it_from(
    service: str, first: str, tmp_path: Path
) -> None:
    compose = (
        f"services:\n  it:\n    image: python\n    command: uvicorn board:app --workers 2\n    {service}\n"
    )
    root = written(tmp_path, {"compose.yaml": compose})
    applications = _Applications()
    check(root, applications)
    reference, folders = applications.asked[0]
    assert reference == "board:app"
    assert folders[0] == root / first


@pytest.mark.parametrize(
    ("copies", "found"),
    [
        ("COPY app/search ./app/search\n", False),
        ("COPY app/search ./app/search\nCOPY app/models/ ./app/models/\n", True),
        ("COPY app/search app/m*s ./app/\n", True),
        ("COPY . .\n", True),
        ("", True),
    ],
)
def test_a_model_that_the_image_does_not_copy_is_not_held(copies: str, found: bool, tmp_path: Path) -> None:
    command = 'CMD ["gunicorn", "app.search.web:app", "-w", "3"]\n'
    root = written(tmp_path, {"docker/Dockerfile": f"FROM python:3.12\nWORKDIR /app\n{copies}{command}"})
    application = _Application(root / "app/search/web.py", model_files=[root / "app/models/registry.py"])
    assert ("SRV201" in _codes(root, _Applications(application))) is found


def test_one_worker_with_a_blocked_loop_is_no_safe_fix(tmp_path: Path) -> None:
    root = written(tmp_path, {"k8s.yaml": _DEPLOYMENT})
    fix = _codes(root, _Applications(_Application(blocked=True)))["SRV201"].fix
    assert fix is not None
    assert (fix.applicability.value, bool(fix.reason)) == ("unsafe", True)


@pytest.mark.parametrize(
    ("application", "variable", "found"),
    [
        (_Application(libraries=frozenset({"onnxruntime"})), "OMP_NUM_THREADS", True),
        (_Application(libraries=frozenset({"onnxruntime"}), limits_threads=True), "LOG_LEVEL", True),
        (
            _Application(libraries=frozenset({"onnxruntime"}), names=frozenset({"intra_op_num_threads"})),
            "LOG_LEVEL",
            False,
        ),
        (
            _Application(libraries=frozenset({"faster_whisper"}), names=frozenset({"cpu_threads"})),
            "LOG_LEVEL",
            False,
        ),
        (_Application(libraries=frozenset({"sklearn", "onnxruntime"})), "OMP_NUM_THREADS", True),
        (_Application(libraries=frozenset({"tensorflow"})), "OMP_NUM_THREADS", True),
        (_Application(libraries=frozenset({"tensorflow"})), "TF_NUM_INTRAOP_THREADS", False),
        (_Application(libraries=frozenset({"sklearn"})), "OPENBLAS_NUM_THREADS", False),
        (_Application(libraries=frozenset({"ultralytics"})), "OMP_NUM_THREADS", True),
        # These read the quota of the container.
        (_Application(libraries=frozenset({"xgboost", "joblib"})), "LOG_LEVEL", False),
        (_Application(libraries=frozenset({"spacy", "paddle"})), "LOG_LEVEL", False),
    ],
)
def test_each_library_listens_to_its_own_bound(
    application: _Application, variable: str, found: bool, tmp_path: Path
) -> None:
    root = written(tmp_path, {"k8s.yaml": _DEPLOYMENT.replace("LOG_LEVEL", variable)})
    assert ("SRV204" in _codes(root, _Applications(application))) is found


@pytest.mark.parametrize(
    ("library", "limit", "threads"),
    [
        ("faster_whisper", "2", "4 threads of OpenMP"),
        ("faster_whisper", "4", ""),
        ("paddleocr", "4", "10 threads"),
    ],
)
def test_a_library_with_a_few_threads_is_held_to_those(
    library: str, limit: str, threads: str, tmp_path: Path
) -> None:
    root = written(tmp_path, {"k8s.yaml": _DEPLOYMENT.replace("cpu: 500m", f'cpu: "{limit}"')})
    found = _codes(root, _Applications(_Application(libraries=frozenset({library})))).get("SRV204")
    assert (threads in found.message) if threads and found else not threads and found is None


@pytest.mark.parametrize(
    ("period", "timeout", "allowance"), [(10, 1, "3 x 10 s + 1 s"), (5, 10, "3 x 10 s + 5 s")]
)
def test_the_next_probe_waits_for_the_last(period: int, timeout: int, allowance: str, tmp_path: Path) -> None:
    """A probe of ten seconds every five is one after the other: the kubelet sends them in a loop."""
    manifest = _DEPLOYMENT.replace("periodSeconds: 10", f"periodSeconds: {period}")
    manifest = manifest.replace("timeoutSeconds: 1", f"timeoutSeconds: {timeout}")
    root = written(tmp_path, {"k8s.yaml": manifest})
    assert f"allows {allowance} on" in _codes(root, _Applications())["SRV205"].message


def test_severity_rises_with_inference(tmp_path: Path) -> None:
    root = written(tmp_path, {"Dockerfile": 'FROM a\nCMD ["uvicorn", "app.main:app", "--workers", "4"]\n'})
    assert _codes(root, _Applications(None))["SRV201"].severity is Severity.INFO
    assert _codes(root, _Applications())["SRV201"].severity is Severity.WARNING


def test_the_application_is_looked_for_where_the_image_copies_it_from(tmp_path: Path) -> None:
    dockerfile = (
        'FROM a\nWORKDIR /srv\nCOPY service/src /srv\nCMD ["uvicorn", "app.main:app", "--workers", "4"]\n'
    )
    root = written(tmp_path, {"Dockerfile": dockerfile})
    applications = _Applications()
    check(root, applications)
    reference, folders = applications.asked[0]
    assert reference == "app.main:app"
    assert folders[0] == root / "service/src"


def test_who_serves_what_is_told_to_the_other_side(tmp_path: Path) -> None:
    root = written(tmp_path, {"k8s.yaml": _DEPLOYMENT})
    [served] = read(tree(root)).served
    assert (served.reference, served.workload, served.kubernetes) == (
        "app.main:app",
        "deployment churn-api",
        True,
    )
    assert served.liveness is not None
    assert (served.liveness.path, served.liveness.allowance, served.liveness.budget) == (
        "/health",
        "3 x 10 s + 1 s",
        31,
    )
