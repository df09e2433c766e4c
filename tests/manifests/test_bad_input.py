"""What cannot be read is told with file and line; everything else is still checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import check, written

_GOOD = "services:\n  a: {image: i, command: uvicorn a:app --workers 4}\n"


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("hpa.yaml", b"kind: HorizontalPodAutoscaler\na: [\n", 3, "not valid YAML"),
        ("hpa.yaml", b"kind: HorizontalPodAutoscaler\n# \xff\n", 2, "is not utf-8"),
        ("Dockerfile", b"FROM x\nCMD \xff\n", 2, "is not utf-8"),
        ("docker-compose.yml", b"services:\n\tuvicorn: {}\n", 2, "not valid YAML"),
        (
            "a.yaml",
            b"kind: HorizontalPodAutoscaler\nspec: &a\n  metrics: [*a]\n",
            2,
            "contains itself",
        ),
        ("a.yaml", b"kind: X\nspec: &a {command: [uvicorn], again: *a}\n", 2, "contains itself"),
    ],
)
def test_a_broken_file_is_a_problem_with_its_line(
    name: str, content: bytes, line: int, message: str, tmp_path: Path
) -> None:
    result = check(written(tmp_path, {name: content, "sub/compose.yaml": _GOOD}))
    [problem] = result.problems
    assert (problem.path, problem.line) == (tmp_path / name, line)
    assert message in problem.message
    assert [finding.span.path for finding in result.findings] == [tmp_path / "sub/compose.yaml"]


@pytest.mark.parametrize(
    "contents",
    [
        {"notes.yaml": "a: [\n"},
        {"c/Chart.yaml": "name: c", "c/templates/hpa.yaml": "kind: HorizontalPodAutoscaler {{ if }}"},
        {"c/Chart.yaml": "name: c", "c/templates/a.yaml": '{{ include "gone" . }}uvicorn: {{ fail "no" }}'},
        {
            "c/Chart.yaml": "name: c",
            "c/templates/a.yaml": '{{ define "a" }}{{ include "a" . }}{{ end }}uvicorn: {{ include "a" . }}',
        },
        {"hpa.yaml": "kind: HorizontalPodAutoscaler\nmetadata: {name: {{ name }}}\n{% if x %}\n  a:\nb\n"},
        {"Dockerfile": 'CMD ["uvicorn", "a:app", "--workers"'},
        {"Dockerfile": "FROM a\nENTRYPOINT []\nCMD []\nENV\nCOPY\n"},
        {"compose.yaml": "services: {a: {extends: {service: b}}, b: {extends: a, command: uvicorn}}\n"},
        {"compose.yaml": "services: [uvicorn]\n"},
        {"start.sh": "uvicorn ${", "Dockerfile": 'FROM a\nCOPY start.sh .\nCMD ["./start.sh"]\n'},
        {"start.sh": ". ./start.sh; uvicorn", "Dockerfile": 'FROM a\nCMD ["./start.sh"]\n'},
        {"gunicorn.conf.py": "workers = ("},
        {"Procfile": ""},
        {
            "hpa.yaml": "%{ if on ~}\nkind: HorizontalPodAutoscaler\n%{ endif ~}\nname: %{ if on }a%{ endif }\n"
        },
        {"a.yaml": "{{- range }} uvicorn {{ end }}"},
    ],
)
def test_odd_files_are_no_problem(contents: dict[str, str | bytes], tmp_path: Path) -> None:
    result = check(written(tmp_path, {**contents, "sub/compose.yaml": _GOOD}))
    assert not result.problems
    assert len(result.findings) == 1


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    written(tmp_path, {"docker-compose.yml": _GOOD, "sub/compose.yaml": _GOOD})
    (tmp_path / "docker-compose.yml").unlink()
    (tmp_path / "docker-compose.yml").symlink_to("/nonexistent/outside.yml")
    assert len(check(tmp_path).findings) == 1


def test_a_mapping_that_names_itself_twice_is_read_once(tmp_path: Path) -> None:
    """Each of the mappings is made of two that are made of two, and the last of itself."""
    chain = "".join(f"m{n} = {{**m{n + 1}, **dict(m{n + 1})}}\n" for n in range(40))
    code = f"""import uvicorn

{chain}m40 = {{"workers": 4}}
m40 = {{**m40, **m40}} | m40
key = "workers"
many = m0.get(key, 2)
uvicorn.run("a:app", **m0, host="0.0.0.0")
uvicorn.run("a:app", workers=many)
"""
    result = check(written(tmp_path, {"serve.py": code, "compose.yaml": _GOOD}))
    assert not result.problems
