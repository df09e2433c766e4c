"""What is read from bytes is never less than what the syntax tree has, over all Python files of this project."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from servelint.code.facts import scan
from servelint.code.facts.extract import extract
from servelint.code.facts.facts import Attribute, Constant, ModuleFacts, Name, Subscript, last_name
from servelint.code.facts.plain import plain

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for folder in ("src", "tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")
)


@pytest.fixture(scope="module")
def read() -> list[tuple[bytes, ModuleFacts]]:
    return [(plain(data), extract(data)) for data in (path.read_bytes() for path in FILES)]


def test_imports(read: list[tuple[bytes, ModuleFacts]]) -> None:
    for data, facts in read:
        found = {
            (item.module, item.level, name) for item in scan.imports(data) for name in item.names or ("",)
        }
        imports = [item for function in facts.functions for item in function.imports]
        assert {(item.module, item.level, item.name) for item in imports} <= found
        assert {(module, level, "*") for module, level in facts.stars} <= found
        assert {item.name for item in imports if item.name and item.local != item.name} <= scan.renamed(data)


def test_calls_definitions_bases_and_decorators(read: list[tuple[bytes, ModuleFacts]]) -> None:
    for data, facts in read:
        named = {function.name for function in facts.functions if function.name.isidentifier()}
        assert named <= scan.defined(data)
        assert scan.has_coroutines(data) or not any(function.is_async for function in facts.functions)
        decorated = [*facts.functions, *facts.classes]
        assert {last_name(one) for thing in decorated for one in thing.decorators} - {""} <= scan.decorators(
            data
        )
        assert {last_name(base) for cls in facts.classes for base in cls.bases} - {""} <= {
            word for _, words in scan.classes(data) for word in words
        }
        tree = ast.parse(data)
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        names = {f.id for f in calls if isinstance(f, ast.Name)} | {
            f.attr for f in calls if isinstance(f, ast.Attribute)
        }
        assert names <= scan.called(data)


def test_what_is_bound(read: list[tuple[bytes, ModuleFacts]]) -> None:
    for data, facts in read:
        for function in facts.functions:
            for binding in function.bindings:
                match binding.target:
                    case Attribute(_, name) if binding.value is not None:
                        assert scan.assigns_attribute(data, name) or _is_narrowed(binding.value)
                        assert name in scan.attributes(data) or _is_narrowed(binding.value)
                    case Subscript(_, Constant(str(key))):
                        assert key in scan.item_keys(data) or _is_narrowed(binding.value)


def test_what_classes_hold_and_inherit(read: list[tuple[bytes, ModuleFacts]]) -> None:
    for data, facts in read:
        children = [cls for cls in facts.classes if cls.bases]
        held = {*(name for cls in children for name in (*cls.methods, *cls.classes))}
        held |= {b.target.id for cls in children for b in cls.bindings if isinstance(b.target, Name)}
        assert held <= scan.members(data)
        inherited = {(child, base) for child, bases in scan.classes(data) for base in bases}
        assert {(cls.name, last_name(base)) for cls in facts.classes for base in cls.bases} <= inherited | {
            (cls.name, "") for cls in facts.classes
        }


def test_functions_that_call(read: list[tuple[bytes, ModuleFacts]]) -> None:
    for data, facts in read:
        callers: dict[str, set[str]] = {}
        for function in facts.functions:
            called = [site.call.function for site in function.sites if function.name.isidentifier()]
            for name in (last_name(one) for one in called if isinstance(one, Name | Attribute)):
                callers.setdefault(name, set()).add(function.name)
        for name, expected in callers.items():
            assert expected <= set(scan.functions_calling(data, {name}))


def test_a_definition_in_a_text_ends_no_function() -> None:
    lines = ("def outer():", "    text = QQQ", "async def inner():", "    pass", "QQQ", "    called(text)")
    data = "\n".join((*lines, "", "def other():", "    called()", "")).replace("QQQ", "'" * 3).encode()
    assert set(scan.functions_calling(data, {"called"})) == {"outer", "inner", "other"}
    data = data.replace(b"async def", b'"""\nasync def')
    assert "outer" in set(scan.functions_calling(data, {"called"}))


def _is_narrowed(value: object) -> bool:
    """`isinstance(x.name, T)` binds nothing in the text."""
    return type(value).__name__ == "Narrowed"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import a", [("a", 0, ())]),
        ("import a.b as c, d", [("a.b", 0, ()), ("d", 0, ())]),
        ("from a import b as c, d", [("a", 0, ("b", "d"))]),
        ("from . import b", [("", 1, ("b",))]),
        ("from ..a import b", [("a", 2, ("b",))]),
        ("from . . a import b", [("a", 2, ("b",))]),
        ("from a import *", [("a", 0, ("*",))]),
        ("from a import (\n    b,  # why\n    c as d,\n)", [("a", 0, ("b", "c"))]),
        ("from a import b, \\\n    c", [("a", 0, ("b", "c"))]),
        ("x = 1; import a", [("a", 0, ())]),
        ("try: import a\nexcept: pass", [("a", 0, ())]),
        ("if x: from a import b", [("a", 0, ("b",))]),
        ('importlib.import_module("a.b")', [("a.b", 0, ()), ("a", 0, ("b",))]),
        ('import_module(f"a.b.{name}")', [("a.b", 0, ("**",)), ("a.b", 0, ("**",))]),
        ('import_module(f"a_{name}")', []),
        ('import_module("." + name, "a.b")', [("a.b", 0, ("**",)), ("a.b", 0, ()), ("a", 0, ("b",))]),
        ('import_module("." + name, package="a")', [("a", 0, ("**",))]),
        ('import_module(f".b.{name}", __package__)', [("b", 1, ("**",)), ("b", 1, ("**",))]),
        ('import_module(f"{__name__}.{name}")', [("", 1, ("**",))]),
        ('import_module(__package__ + "." + name)', [("", 1, ("**",))]),
        ('import_module(names[0])\nnames = ["a.b:C"]', [("a.b", 0, ()), ("a", 0, ("b",))]),
        ('import_module(names[0])\nnames = ["..a.b"]', [("a.b", 2, ()), ("a", 2, ("b",))]),
        ('names = ["a.b"]', []),
        ('__import__("a")', [("a", 0, ())]),
        ("import a; import b", [("a", 0, ()), ("b", 0, ())]),
        ("from importlib import metadata", [("importlib", 0, ("metadata",))]),
        ("importance = 1", []),
    ],
)
def test_forms_of_imports(text: str, expected: list[tuple[str, int, tuple[str, ...]]]) -> None:
    assert [tuple(item) for item in scan.imports(plain(text.encode()))] == expected


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("a.x = 1", True),
        ("a.x: int = 1", True),
        ("a.x, b = f()", True),
        ("(\n    a.x,\n    a.y,\n) = f()", True),
        ("for a.x in y: pass", True),
        ("with y as a.x: pass", True),
        ("a.b.x = a.x = 1", True),
        ("y = a.x", False),
        ("f(a.x, y=1)", False),
        ("a.x == 1", False),
        ("a.xy = 1", False),
    ],
)
def test_bound_attributes(text: str, bound: bool) -> None:
    assert scan.assigns_attribute(text.encode(), "x") is bound
    assert not bound or "x" in scan.attributes(text.encode())


def test_names_of_classes_in_any_script() -> None:
    assert scan.classes("class Größe(maße.Maß):\n    pass\n".encode()) == (("Größe", {"maße", "Maß"}),)


@pytest.mark.parametrize(
    ("body", "held"),
    [
        ("x = 1", True),
        ("x: int", True),
        ("def x(self): ...", True),
        ("async def x(self): ...", True),
        ("class x: ...", True),
        ("y = x = 1", True),
        ("x, y = 1, 2", True),
        ("if True:\n        x = 1", True),
        ('"""Text."""\n\n    # Comment.\n    x = 1', True),
        ("def y(self):\n        x = 1", False),
        ("y = call(\n        x=1,\n    )", False),
    ],
)
def test_members(body: str, held: bool) -> None:
    assert ("x" in scan.members(f"class A(B):\n    {body}\n".encode())) is held
