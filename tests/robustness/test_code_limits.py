"""One Python file that goes too far is one finding, and what people generate is read to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import lint
from servelint.code.fixes import offload
from servelint.code.judge.analysis import Analysis
from servelint.code.rules import srv101
from servelint.finding import Finding
from servelint.project.config import Config
from servelint.project.reported.baseline import BaselineError, load

HEAD = "import torch\nfrom fastapi import FastAPI\n\napp = FastAPI()\nmodel = torch.nn.Linear(1, 1)\n"
ENDPOINT = "\n@app.post('/predict')\nasync def predict(x):\n    return model(x)\n"
CHAIN = 3000

READ = {
    "additions": f"total = {' + '.join(['1'] * CHAIN)}",
    "comparisons": f"total = {' < '.join(['a'] * CHAIN)}",
    "conditions": f"total = {' and '.join(['a or b'] * CHAIN)}",
    "attributes": f"total = a{'.b' * CHAIN}",
    "calls of calls": f"total = a{'()' * 1000}",
    "methods": "total = (a\n" + "    .b(1)\n" * CHAIN + ")",
    "items": f"total = a{'[0]' * CHAIN}",
    "unions": f"def f(a: {' | '.join(['int'] * CHAIN)}): pass",
    "quoted unions": f"def f(a: '{' | '.join(['int'] * CHAIN)}'): pass",
    "merged dictionaries": f"total = {' | '.join(['a'] * CHAIN)}",
    "elif": "if a == 0: pass\n" + "".join(f"elif a == {n}: b = f({n})\n" for n in range(2000)),
    "elif in a class": "class A:\n  if a: pass\n" + "".join(f"  elif a == {n}: b = 1\n" for n in range(2000)),
    "conditional values": f"total = {''.join(f'a{n} if b{n} else ' for n in range(1000))}c",
    "texts": "total = (" + "'a' " * CHAIN + ")",
    "parentheses": f"total = {'(' * 190}1{')' * 190}",
    "comprehensions": f"total = {'[x for x in ' * 90}y{']' * 90}",
    "patterns": f"match a:\n  case {'[' * 90}b{']' * 90}: pass",
    "functions in functions": "".join(f"{' ' * n}def f{n}():\n" for n in range(90)) + " " * 90 + "pass",
    "classes in classes": "".join(f"{' ' * n}class C{n}:\n" for n in range(90)) + " " * 90 + "pass",
    "with": "".join(f"{' ' * n}with a as b{n}:\n" for n in range(90)) + " " * 90 + "pass",
    "decorators": "@d\n" * 1000 + "def f(): pass",
    "names for one name": "a0 = model\n" + "".join(f"a{n + 1} = a{n}\n" for n in range(CHAIN)),
    "names in a circle": "a0 = a500\n" + "".join(f"a{n + 1} = a{n}\n" for n in range(500)) + "a7(1)",
    "half a surrogate pair": "\n".join(
        [
            "class Box: pass",
            "box, held = Box(), {'\\udc80': model}",
            "setattr(box, '\\ud800', model)",
            "@app.post('/held')",
            "async def on_held(x):",
            "    getattr(box, '\\ud800')(x)",
            "    globals()['\\ud800'](x)",
            "    return held['\\udc80'].missing(x)",
        ]
    ),
    "values of one name": "".join(f"a = b{n}\n" for n in range(CHAIN)) + "a(1)",
    "an annotation that is no type": f"def f(a: '{'not ' * 20_000}b'): pass",
}
REFUSED = {
    "not": (f"total = {'not ' * 900}a", "nested more than 500 levels"),
    "signs": (f"total = {'-' * 900}a", "nested more than 500 levels"),
    "lambdas": (f"total = {'lambda: ' * 900}a", "nested more than 500 levels"),
    "powers": (f"total = {'**'.join(['a'] * 900)}", "nested more than 500 levels"),
    "not, too many for the parser": (f"total = {'not ' * 20_000}a", "than the parser of"),
    "additions, too many for the parser": (f"total = {'+'.join(['a'] * 50_000)}", "than the parser of"),
}


def _checked(folder: Path, **files: str) -> lint.Report:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return lint.check([folder], Config(folder))


def _codes(findings: tuple[Finding, ...], name: str) -> list[str]:
    return [finding.code for finding in findings if finding.span.path.name == f"{name}.py"]


@pytest.mark.parametrize("kind", READ)
def test_what_is_long_is_read(kind: str, tmp_path: Path) -> None:
    report = _checked(tmp_path, app=f"{HEAD}{READ[kind]}\n{ENDPOINT}")
    assert _codes(report.findings, "app") == ["SRV101"]
    assert report.findings[0].fix is not None


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_too_deep_is_one_finding_with_the_limit_and_the_line(kind: str, tmp_path: Path) -> None:
    text, limit = REFUSED[kind]
    report = _checked(tmp_path, app=f"{HEAD}{text}\n{ENDPOINT}", other=HEAD + ENDPOINT)
    assert _codes(report.findings, "app") == ["SRV000"]
    assert _codes(report.findings, "other") == ["SRV101"]
    (problem,) = report.problems
    assert limit in problem.message
    assert problem.line == HEAD.count("\n") + 1
    assert "please report" not in problem.message


def test_a_chain_in_front_of_the_call_hides_nothing(tmp_path: Path) -> None:
    report = _checked(tmp_path, app=f"{HEAD}{ENDPOINT.rstrip()}{'.b(1)' * 2000}\n")
    assert _codes(report.findings, "app") == ["SRV101"]


def test_a_field_may_be_declared_as_anything(tmp_path: Path) -> None:
    text = "@dataclass\nclass Parts:\n    model: 1 < 2 = None\n\nparts = Parts(model)\n"
    (tmp_path / "app.py").write_text(
        "from dataclasses import dataclass\n" + HEAD + text + ENDPOINT.replace("model", "parts.model")
    )
    report = lint.check([tmp_path], Config(tmp_path))
    assert [finding.code for finding in report.findings] == ["SRV101"]
    assert not report.problems


@pytest.mark.parametrize("step", [1, -1])
def test_a_hierarchy_is_followed_to_its_end(step: int, tmp_path: Path) -> None:
    classes = [f"class C{n + 1}(C{n}): pass\n" for n in range(CHAIN)][::step]
    text = f"class C0(torch.nn.Module): pass\n{''.join(classes)}\nown = C{CHAIN}()\n"
    report = _checked(tmp_path, app=HEAD + text + ENDPOINT.replace("model(x)", "own(x)"))
    assert _codes(report.findings, "app") == ["SRV101"]


@pytest.mark.parametrize("number", [1, 2, 1000])
def test_classes_that_inherit_in_a_circle_end(number: int, tmp_path: Path) -> None:
    text = "".join(f"class C{n}(C{(n + 1) % number}): pass\n" for n in range(number))
    report = _checked(tmp_path, app=f"{HEAD}{text}C0().run(1)\n{ENDPOINT}")
    assert _codes(report.findings, "app") == ["SRV101"]


@pytest.mark.parametrize("circle", [True, False])
def test_calls_through_thousands_of_functions_end(circle: bool, tmp_path: Path) -> None:
    text = "".join(f"def f{n}(x): return f{n + 1}(x)\n" for n in range(CHAIN))
    last = f"def f{CHAIN}(x): return {'f0' if circle else 'model'}(x)\n"
    report = _checked(tmp_path, app=HEAD + text + last + ENDPOINT.replace("model(x)", "model(f0(x))"))
    assert _codes(report.findings, "app") == ["SRV101"]


def test_modules_that_import_each_other_in_a_circle_end(tmp_path: Path) -> None:
    files = {f"m{n}": f"from m{(n + 1) % 50} import x\nfrom m{(n + 1) % 50} import *\n" for n in range(50)}
    endpoint = ENDPOINT.replace("model(x)", "model(m(x))")
    report = _checked(tmp_path, app=f"from m0 import x as m\n{HEAD}{endpoint}", **files)
    assert _codes(report.findings, "app") == ["SRV101"]


def test_what_goes_wrong_in_one_file_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Analysis.blocking_calls_in

    def failing(analysis: Analysis, path: str) -> object:
        if path.endswith("bad.py"):
            raise OverflowError
        return whole(analysis, path)

    monkeypatch.setattr(Analysis, "blocking_calls_in", failing)
    report = _checked(tmp_path, bad=HEAD + ENDPOINT, good=HEAD + ENDPOINT)
    assert _codes(report.findings, "bad") == ["SRV000"]
    assert _codes(report.findings, "good") == ["SRV101"]
    (problem,) = report.problems
    assert problem.message.startswith(f"{srv101.CODE}: OverflowError")
    assert "please report" in problem.message


def test_a_fix_that_cannot_be_planned_costs_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(offload.OffloadPlanner, "plan", failing)
    report = _checked(tmp_path, app=HEAD + ENDPOINT)
    assert _codes(report.findings, "app") == ["SRV101"]
    assert report.findings[0].fix is None
    assert report.findings[0].unfixable.startswith("planning the fix: RecursionError")


def test_a_baseline_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(BaselineError, match="nested too deeply"):
        load(path)
