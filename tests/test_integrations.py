"""The places that run servelint: pre-commit, GitHub, GitLab. Each is driven as its users drive it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import Project

ROOT = Path(__file__).parents[1]
BLOCKING = """\
import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/predict")
async def predict(features: list[float]) -> float:
    return model.predict([features])[0]
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  template:
    spec:
      containers:
        - name: api
          image: api
          command: ["uvicorn", "app:app", "--workers", "4"]  # four
"""


def run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        command, cwd=folder, env=variables | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def distribution(tmp_path: Path) -> Project:
    """The project as it is here, in a repository that others can install hooks from."""
    copy = Project(tmp_path / "servelint")
    copy.root.mkdir()
    for name in ("src", "rules"):
        shutil.copytree(ROOT / name, copy.root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, copy.root / name)
    copy.commit()
    return copy


def test_pre_commit(project: Project, distribution: Project, tmp_path: Path) -> None:
    revision = distribution.git("rev-parse", "HEAD").strip()
    hooks = [{"id": "servelint", "verbose": True}]
    repository = {"repo": str(distribution.root), "rev": revision, "hooks": hooks}
    project.write(
        {
            ".pre-commit-config.yaml": yaml.safe_dump({"repos": [repository]}),
            "app.py": BLOCKING,
            "old.py": BLOCKING.replace("predict", "old"),
            "notes.md": "# notes\n",
        }
    )
    project.commit()
    environment = {"PRE_COMMIT_HOME": str(tmp_path / "home"), "PRE_COMMIT_COLOR": "never"}

    def committed(message: str) -> subprocess.CompletedProcess[str]:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        return run("git", *identity, "commit", "-m", message, folder=project.root, **environment)

    installed = run(sys.executable, "-m", "pre_commit", "install", folder=project.root, **environment)
    assert installed.returncode == 0, installed.stdout + installed.stderr

    project.write({"app.py": BLOCKING + "\n"})
    project.git("add", "app.py")
    refused = committed("a staged file that blocks")
    assert refused.returncode == 1
    assert "SRV101 blocking-inference" in refused.stderr
    assert "app.py:10:12" in refused.stderr
    assert "old.py" not in refused.stderr, "what is not staged is not reported"

    project.write({"app.py": BLOCKING.replace("async ", "")})
    project.git("add", "app.py")
    accepted = committed("a staged file that does not")
    assert accepted.returncode == 0, accepted.stderr

    project.write({"notes.md": "# more notes\n", "k8s/deployment.yaml": DEPLOYMENT})
    project.git("add", "notes.md")
    accepted = committed("nothing to check")
    assert accepted.returncode == 0, accepted.stderr
    project.git("add", "k8s")
    refused = committed("a manifest")
    assert refused.returncode == 1
    assert "SRV201" in refused.stderr


def test_the_hooks_are_well_formed() -> None:
    manifest = str(ROOT / ".pre-commit-hooks.yaml")
    done = run(sys.executable, "-m", "pre_commit", "validate-manifest", manifest, folder=ROOT)
    assert done.returncode == 0, done.stdout


def validated(schema: str, path: Path) -> None:
    done = run(
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.{schema}",
        str(path),
        folder=ROOT,
    )
    assert done.returncode == 0, done.stdout


def test_the_github_action(project: Project, tmp_path: Path) -> None:
    validated("github-actions", ROOT / "action.yml")
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    check = next(step for step in action["runs"]["steps"] if step.get("id") == "check")
    project.write({"app.py": BLOCKING})
    project.commit()
    installed = tmp_path / "servelint" / "bin"
    installed.mkdir(parents=True)
    (installed / "servelint").symlink_to(Path(sys.executable).parent / "servelint")
    output, summary = tmp_path / "output", tmp_path / "summary"
    done = run(
        "bash",
        "-e",
        "-o",
        "pipefail",
        "-c",
        check["run"],
        folder=project.root,
        RUNNER_TEMP=str(tmp_path),
        GITHUB_OUTPUT=str(output),
        GITHUB_STEP_SUMMARY=str(summary),
        PATHS=". app.py",
        ARGS="--select SRV1",
        SINCE="",
        SARIF="servelint.sarif",
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=app.py,line=10,")
    assert output.read_text() == f"sarif-file={project.root}/servelint.sarif\n"
    assert "**SRV101**" in summary.read_text()
    assert json.loads(project.read("servelint.sarif"))["runs"][0]["results"][0]["ruleId"] == "SRV101"


def test_scripts_take_no_input_as_code() -> None:
    """An expression inside a script would run whatever a pull request puts into its name."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert not [step["name"] for step in action["runs"]["steps"] if "${{" in step.get("run", "")]


def test_the_gitlab_component(project: Project, tmp_path: Path) -> None:
    inputs, job = yaml.safe_load_all((ROOT / "templates" / "servelint.yml").read_text())
    (tmp_path / "ci.yml").write_text(yaml.safe_dump(job))
    validated("gitlab-ci", tmp_path / "ci.yml")
    used = {value[4:-3].strip() for value in _strings(job) if value.startswith("$[[")}
    assert used == {f"inputs.{name}" for name in inputs["spec"]["inputs"]}
    project.write({"app.py": BLOCKING})
    command = next(line for line in job["servelint"]["script"] if line.startswith("servelint check"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = run("sh", "-ec", command, folder=project.root, SERVELINT_ARGS="", SERVELINT_PATHS=".", PATH=path)
    assert done.returncode == 1, done.stderr
    assert "SRV101" in done.stdout
    assert json.loads(project.read("gl-code-quality-report.json"))[0]["location"]["path"] == "app.py"
    assert 'failures="1"' in project.read("servelint-junit.xml")


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []
