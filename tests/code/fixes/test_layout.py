"""A rewritten call stands as the project's formatter would have it, whatever brackets are around it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelint import edits
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/p")
async def predict(rows: list):
"""
# No subscripts: the formatter breaks inside `[0]` where that makes the line fit, which nobody would write.
CALLS = (
    "model.predict(rows)",
    "model.predict_proba(rows, threshold=0.5)",
    "model.predict(rows).tolist()",
    "model.predict(rows).reshape(-1).tolist()",
)
OPERATED = (
    "{} if rows else None",
    "rows if rows else {}",
    "{}[0].tolist() if rows else None",
    "{} or rows",
    "rows or other or {}",
    "rows and {} and other",
    "{} is not None",
    "rows == {} != other",
)
AROUND = (
    "{}",
    "answer({})",
    "answer(content={}, status=200)",
    '{{"labels": {}, "count": len(rows)}}',
    "[{}, rows]",
    "({}, rows)",
    "({},)",
    "[int(label) for label in {}]",
    "{{number: label for number, label in enumerate({}) if label}}",
    "next((label for label in {} if label > 0.25), None)",
    "sum(float(label) for label in {})",
    "answer(rows, *{})",
)
STATEMENTS = (
    "return {}",
    "rows = {}",
    "the_labels_of_the_rows = {}",
    "the_labels_of_the_rows, other = {}",
    "if rows:\n        answer.the_labels = {}",
    "for row in {}:\n        pass",
)


def ruff(*arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--no-cache", *arguments, "main.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def fix(folder: Path) -> str:
    outcome = edits.apply(check([], Config(root=folder, select=("SRV101",))), unsafe=True)
    assert not outcome.rejected
    list(edits.write(outcome))
    return (folder / "main.py").read_text()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    call=st.sampled_from(CALLS),
    around=st.lists(st.sampled_from(AROUND), max_size=3),
    statement=st.sampled_from(STATEMENTS),
    width=st.sampled_from((79, 88, 100, 120)),
)
def test_as_the_formatter_would_have_it(
    tmp_path: Path, call: str, around: list[str], statement: str, width: int
) -> None:
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    (folder / "pyproject.toml").write_text(f"[tool.ruff]\nline-length = {width}\n")
    expression = call
    for each in around:
        expression = each.format(expression)
    (folder / "main.py").write_text(HEAD + f"    {statement.format(expression)}\n")
    ruff(folder=folder)
    assert "run_in_executor(" in fix(folder)
    assert ruff("--diff", folder=folder) == ""


@pytest.mark.parametrize("statement", ["return {}", "the_labels = {}", "if {}:\n        pass"])
@pytest.mark.parametrize("operated", OPERATED)
def test_it_is_broken_before_operators(tmp_path: Path, operated: str, statement: str) -> None:
    line = statement.format(operated.format("model.predict(rows, rows)"))
    (tmp_path / "main.py").write_text(HEAD + f"    {line}\n")
    assert "\n    )" in fix(tmp_path)
    assert ruff("--diff", folder=tmp_path) == ""


@pytest.mark.parametrize("indent", ["    ", "    " * 6])
@pytest.mark.parametrize(
    "operated", ["{} if rows else None", "{} or the_rows_that_were_given", "rows == {} != other"]
)
def test_parentheses_around_a_value_are_not_doubled(tmp_path: Path, operated: str, indent: str) -> None:
    value = operated.format("model.predict(rows)")
    blocks = "".join(f"{'    ' * depth}if rows:\n" for depth in range(1, len(indent) // 4))
    line = f"{indent}the_labels_of_all_the_rows_that_were_given = (\n{indent}    {value}\n{indent})\n"
    (tmp_path / "main.py").write_text(HEAD + blocks + line)
    text = fix(tmp_path)
    assert text.count(" (\n") == 1
    assert ruff("--diff", folder=tmp_path) == ""


@pytest.mark.parametrize(
    "statement",
    [
        'return {} + ["no label at all", "x"]',
        "if {} == [1.0, 2.0, 3.0, 4.0]:\n        pass",
        'return {{"labels": {} or ["no label at all"]}}',
        "return not {}",
    ],
)
def test_nothing_is_left_out_around_methods_that_follow_each_other(tmp_path: Path, statement: str) -> None:
    called = "model.predict(rows).astype(float).round(3).tolist()"
    (tmp_path / "main.py").write_text(HEAD + f"    {statement.format(called)}\n")
    after = "".join(fix(tmp_path).split())
    expected = "(awaitasyncio.get_running_loop().run_in_executor(_inference_executor,model.predict,rows"
    assert expected in after
    before, _, behind = "".join(statement.split()).partition("{}")
    assert behind.replace("}}", "}") in after
    assert before.replace("{{", "{") in after


@pytest.mark.parametrize("comma", ["", ","])
def test_brackets_that_are_open_are_not_opened_again(tmp_path: Path, comma: str) -> None:
    line = f"    return answer(\n        model.predict(rows), the_status=200, kind=None{comma}\n    )\n"
    (tmp_path / "main.py").write_text(HEAD + line)
    assert "        the_status=200,\n        kind=None,\n    )\n" in fix(tmp_path)
    assert ruff("--diff", folder=tmp_path) == ""


@pytest.mark.parametrize("comment", ["", "  # one at a time"])
def test_parentheses_that_only_group_stay(tmp_path: Path, comment: str) -> None:
    line = (
        f"    return answer((model.predict(rows)), status_of_the_answer=200, content_type='text'){comment}\n"
    )
    (tmp_path / "main.py").write_text(HEAD + line)
    text = fix(tmp_path)
    assert "answer((await asyncio.get_running_loop().run_in_executor(" in text
    assert f"), status_of_the_answer=200, content_type='text'){comment}\n" in text


def test_lines_that_no_formatter_breaks_do_not_count(tmp_path: Path) -> None:
    long = f'TEXT = "{"a" * 100}"\n\n\n'
    (tmp_path / "main.py").write_text(
        long + HEAD + "    return model.predict(rows, threshold=0.5, other=1)\n"
    )
    lines = [line for line in fix(tmp_path).splitlines() if "TEXT" not in line]
    assert max(map(len, lines)) <= 88


def test_comments_stay_with_their_arguments(tmp_path: Path) -> None:
    call = """\
    return model.predict(  # one call
        (rows),  # the rows, all of them
        # above, between
        threshold=0.5,
        keep=False  # the last, (without a comma)
        # below
    )
"""
    (tmp_path / "main.py").write_text(HEAD + call)
    expected = """\
        functools.partial(
            model.predict,
            # one call
            (rows),  # the rows, all of them
            # above, between
            threshold=0.5,
            keep=False,  # the last, (without a comma)
            # below
        ),
"""
    assert expected in fix(tmp_path)
    assert ruff("--diff", folder=tmp_path) == ""


def test_text_over_several_lines_is_not_moved(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + '    return model.predict("""a\n        b""", rows)\n')
    assert '"""a\n        b""", rows' in fix(tmp_path)


AWAITED = """
class Detector:
    def __init__(self):
        self.model = joblib.load("a.pkl")

    async def analyze(self, row):
        return await remote(self.model, row)


@app.post("/twice")
async def twice(row: list):
    return await {call}
"""


def test_what_is_awaited_is_not_awaited_again_in_one_expression(tmp_path: Path) -> None:
    reason = "its result would be awaited within the same expression: assign it first"
    for call, expected in (("Detector().analyze(row)", reason), ("remote(Detector(), row)", "")):
        head = (
            "import joblib\nfrom fastapi import FastAPI\nfrom elsewhere import remote\n\napp = FastAPI()\n\n"
        )
        (tmp_path / "main.py").write_text(head + AWAITED.format(call=call))
        (finding,) = check([], Config(root=tmp_path, select=("SRV102",))).findings
        assert finding.fix is not None
        assert finding.fix.reason == expected


@pytest.mark.parametrize(
    "statement", ["return model.predict(rows, threshold=0.5)", "return [\n\t\tmodel.predict(rows)\n\t]"]
)
def test_a_file_that_indents_with_tabs_keeps_them(tmp_path: Path, statement: str) -> None:
    (tmp_path / "main.py").write_text(f"{HEAD}\t{statement}\n")
    lines = fix(tmp_path).splitlines()
    body = lines[
        1 + next(number for number, line in enumerate(lines) if line.startswith("async def predict")) :
    ]
    assert len(body) > 1
    assert all(line.startswith("\t") and not line.lstrip("\t").startswith(" ") for line in body)
