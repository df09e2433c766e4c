"""Settings whose values name one another many times over: each is worked out once, counted in expressions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tree_sitter import Node as TreeNode

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar
from servelint.manifests.forms import hcl
from servelint.manifests.python.defaults import Settings, uses
from servelint.manifests.python.module import PythonModule
from servelint.manifests.python.values import Value
from servelint.project.text.source import decode

_LEVELS = 16  # where each level doubles, more than sixty thousand expressions
_MOST = 2_000


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[ast.expr]:
    """The expressions that are looked at; a test fails where they are too many, and so ends."""
    seen: list[ast.expr] = []
    worth = PythonModule.worth

    def counted(module: PythonModule, node: ast.expr) -> Value | None:
        seen.append(node)
        assert len(seen) <= _MOST
        return worth(module, node)

    monkeypatch.setattr(PythonModule, "worth", counted)
    return seen


def _value(text: str, name: str = "workers") -> object:
    module = PythonModule(decode(Path("gunicorn.conf.py"), text.encode()), Environment())
    module.read(ast.parse(text))
    found = module.names.get(name)
    return found.data if found is not None else None


def _entries() -> str:
    return "".join(f"d['k{n}'] = d['k{n - 1}'] + d['k{n - 1}']\n" for n in range(1, _LEVELS))


def _fields() -> str:
    return "".join(
        f"class S{n}:\n    w = max(s{n - 1}.w, s{n - 1}.w)\ns{n} = S{n}()\n" for n in range(1, _LEVELS)
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"d = {{'k0': 1}}\n{_entries()}workers = d['k{_LEVELS - 1}']\n", 2 ** (_LEVELS - 1)),
        ("d = {'k': 1}\nd['k'] = d['k'] * 2 + d['k'] // 2\nworkers = d['k']\n", None),
        (f"class S0:\n    w = 3\ns0 = S0()\n{_fields()}workers = s{_LEVELS - 1}.w\n", 3),
        # Decoys: what is asked for again later may have become something else.
        ("n = 1\nd = {'k': n}\nx = d['k']\nn = 2\nd['k'] = 4\nworkers = d['k'] + x\n", 5),
        ("def f(n):\n    d = {'k': n}\n    return d['k']\nworkers = f(1) + f(2) + f(2)\n", 5),
    ],
)
@pytest.mark.usefixtures("looked_at")
def test_an_entry_or_a_field_is_worked_out_once(text: str, value: object) -> None:
    assert _value(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"d = {{'a': 1}}\nx = {'d.get(' * _LEVELS}unknown{')' * _LEVELS}\nworkers = 4\n", 4),
        ("workers = max(int('2'), min(8, round(3.2)))\n", 3),
    ],
)
@pytest.mark.usefixtures("looked_at")
def test_what_a_call_is_given_is_worked_out_once(text: str, value: object) -> None:
    assert _value(text) == value


def test_tuples_in_tuples_are_not_kept() -> None:
    assert _value("x = (1, 2)\n", "x") == (1, 2)
    assert _value("x = (1,)\nx = (x, x)\n", "x") is None
    assert _value("kind = 'b'\nworkers = 4 if kind in ('a', 'b') else 5\n") == 4


def test_a_block_is_repeated_without_what_it_is_repeated_for(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    value = hcl._Reader.value

    def counted(reader: hcl._Reader, node: TreeNode) -> Node:
        read.append(node)
        return value(reader, node)

    monkeypatch.setattr(hcl._Reader, "value", counted)
    many = 100
    listed = ", ".join(f'"{n}"' for n in range(many))
    text = (
        f'a "b" {{\n dynamic "env" {{\n  for_each = [{listed}]\n'
        '  content {\n   name = "N"\n   value = env.value\n  }\n }\n}\n'
    )
    body = hcl.parse(Located.of(decode(Path("main.tf"), text.encode())), lambda _: [])
    blocks = body.blocks[0].body.blocks
    values = [block.body.get("value") for block in blocks]
    assert [found.value for found in values if isinstance(found, Scalar)] == [str(n) for n in range(many)]
    assert {block.name.value for block in blocks} == {"env"}
    assert len(read) < 20 * many


def test_the_names_that_a_function_reads_are_counted_once() -> None:
    uses.cache_clear()
    calls = "x = f(1, 2)\n" * 20
    assert _value(f"def f(a, b):\n    return a + b + a\n{calls}workers = x\n") == 4
    assert uses.cache_info().misses == 1


def test_classes_that_are_made_of_one_another_are_looked_through_once() -> None:
    names = [f"A{n}" for n in range(16)]
    classes = "".join(
        f"class {name}({', '.join(other for other in names if other != name)}):\n    w: int = 1\n"
        for name in names
    )
    code = (
        f"class B(BaseSettings):\n    x: int = 1\nclass C({', '.join(names)}, B):\n    y: int = 1\n{classes}"
    )
    found = {node.name: node for node in ast.parse(code).body if isinstance(node, ast.ClassDef)}
    assert Settings.of(found["C"], found) == Settings()
    assert Settings.of(found["A0"], found) is None
