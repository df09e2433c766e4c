"""A stand-in for the engine, so that the shell around it is tested on what it does itself.

A call of `.predict(` in an `async def` blocks; so does a call of a function of the same project that has one.
`--workers N` in a manifest is too many. `.predict(` becomes `.apredict(`, and the number 1; `.predict_raw(`
is an unsafe fix, `.predict_odd(` one that breaks the file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from servelint.finding import (
    Applicability,
    Confidence,
    Edit,
    Finding,
    Fix,
    Problem,
    Severity,
    Span,
    Step,
)
from servelint.lint import Analysed
from servelint.project.config import Config
from servelint.project.listing.files import Tree

_BLOCKING = ("predict", "predict_raw", "predict_odd", "predict_maybe")


@dataclass
class _Module:
    path: Path
    tree: ast.Module
    lines: list[str]


def analyse(tree: Tree, _config: Config) -> Analysed:
    findings: list[Finding] = []
    problems: list[Problem] = list(tree.problems)
    modules: list[_Module] = []
    for path in tree.python:
        try:
            text = tree.read(path).decode("utf-8-sig")
            modules.append(_Module(path, ast.parse(text), re.split(r"\r\n|\r|\n", text)))
        except SyntaxError as error:
            problems.append(Problem(path, f"syntax error: {error.msg}", error.lineno or 0))
        except UnicodeDecodeError:
            problems.append(Problem(path, "is not UTF-8"))
        except OSError as error:
            problems.append(Problem(path, f"cannot be read: {error.strerror}"))
    sinks = {name: span for module in modules for name, span in _blocking_helpers(module)}
    for module in modules:
        findings += _calls(module, sinks)
    for path in tree.manifests:
        findings += _workers(path, tree.read(path).decode("utf-8", "replace"))
    return Analysed(tuple(findings), tuple(problems), tuple)


def _span(module: _Module, node: ast.expr) -> Span:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    column = _column(module, node.lineno, node.col_offset)
    return Span(
        module.path,
        node.lineno,
        column,
        node.end_lineno,
        _column(module, node.end_lineno, node.end_col_offset),
    )


def _column(module: _Module, line: int, offset: int) -> int:
    return len(module.lines[line - 1].encode()[:offset].decode()) + 1


def _sink(node: ast.AST) -> str:
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) if name in _BLOCKING:
            return name
    return ""


def _blocking_helpers(module: _Module) -> Iterator[tuple[str, Span]]:
    for function in ast.walk(module.tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and _sink(node):
                    yield function.name, _span(module, node)


def _calls(module: _Module, sinks: dict[str, Span]) -> Iterator[Finding]:
    for function in ast.walk(module.tree):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if not isinstance(node, ast.Call):
                continue
            span = _span(module, node)
            name = _sink(node)
            if name:
                steps = (Step(span, f"{name} holds the event loop"),)
                yield _finding(span, function.name, name, steps, _fix(module, node, name))
            elif isinstance(node.func, ast.Name) and node.func.id in sinks:
                steps = (
                    Step(span, f"calls {node.func.id}"),
                    Step(sinks[node.func.id], "predict holds the event loop"),
                )
                yield _finding(span, function.name, node.func.id, steps, None)


def _finding(span: Span, function: str, name: str, steps: tuple[Step, ...], fix: Fix | None) -> Finding:
    return Finding(
        code="SRV101",
        span=span,
        message=f"`{name}` blocks the event loop in `{function}`",
        severity=Severity.ERROR,
        confidence=Confidence.LOW if name == "predict_maybe" else Confidence.HIGH,
        function=function,
        role="endpoint",
        library="toy",
        trace=steps,
        fix=fix,
        unfixable="" if fix else "the helper is shared",
        identity=(function, name),
    )


def _fix(module: _Module, node: ast.Call, name: str) -> Fix | None:
    end = _span(module, node.func)
    place = Span(end.path, end.end_line, end.end_column - len(name), end.end_line, end.end_column)
    match name:
        case "predict":
            return Fix(
                Applicability.SAFE,
                "await the asynchronous method",
                (Edit(place, "apredict"),),
                replaces=(end,),
            )
        case "predict_raw":
            edit = Edit(place, "apredict")
            return Fix(Applicability.UNSAFE, "await it", (edit,), "the raw call keeps state", (end,))
        case "predict_odd":
            return Fix(Applicability.SAFE, "break the file", (Edit(place, "apredict(("),))
    return None


def _workers(path: Path, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), start=1):
        found = re.search(r"--workers[ =](\d+)", line.split("#")[0])
        if found and found[1] != "1":
            span = Span(path, number, found.start(1) + 1, number, found.end(1) + 1)
            yield Finding(
                code="SRV201",
                span=span,
                message=f"the server starts {found[1]} workers",
                severity=Severity.WARNING,
                confidence=Confidence.HIGH,
                fix=Fix(Applicability.SAFE, "start one worker", (Edit(span, "1"),)),
                identity=("server", found[1]),
            )
