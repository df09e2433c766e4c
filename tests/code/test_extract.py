"""What the facts of a function say beyond its calls: which names go anywhere."""

from __future__ import annotations

import pytest

from servelint.code.facts.extract import extract
from servelint.code.facts.facts import Attribute, Constant, Expression, Name, Subscript, last_name


@pytest.mark.parametrize(
    ("body", "used"),
    [
        ("return x", True),
        ("y = x", True),
        ("self.y = x", True),
        ("f(x)", True),
        ("x.f()", True),
        ("yield x", True),
        ("for y in x: pass", True),
        ("return [y for y in x]", True),
        ("with x: pass", True),
        ("if f(x): pass", True),
        ("if y := x: y.predict()", True),
        ("if [y.predict() for y in x]: pass", True),
        ("return lambda: x", True),
        ("def g():\n        return x", True),
        ("class A:\n        y = x", True),
        ("return f'{x.f()}'", True),
        ("return f'{x}'", False),
        ("if x: pass", False),
        ("if x is None: raise ValueError(f'no {x}')", False),
        ("while x < 1: pass", False),
        ("y = 0\n    y += x", False),
        ("return x + 1", False),
        ("return not x", False),
        ("pass", False),
    ],
)
def test_a_name_is_used_where_its_value_goes_somewhere(body: str, used: bool) -> None:
    assert ("x" in extract(f"def h(x):\n    {body}\n".encode()).functions[1].used) is used


@pytest.mark.parametrize(
    ("annotation", "used"),
    [
        ("str", False),
        ("int | None", False),
        ("Optional[str]", False),
        ("list[dict[str, float]]", False),
        ("typing.Literal['a', 'b']", False),
        ("'str'", False),
        ("Model", True),
        ("Model | str", True),
        ("list[Model]", True),
        ("Iterator[str]", True),
        ("Callable[[int], str]", True),
    ],
)
def test_what_is_declared_as_text_or_a_number_is_no_model(annotation: str, used: bool) -> None:
    assert ("x" in extract(f"def h(x: {annotation}):\n    g(x)\n".encode()).functions[1].used) is used


def test_the_last_name_of_a_long_chain() -> None:
    """The time for a file of `f()()()...` is linear; one call of a function a link was not."""
    chain: Expression = Attribute(Name("model"), "layers")
    for number in range(5000):
        chain = Subscript(chain, Constant(number))
    assert last_name(chain) == "layers"
