"""Whether what a call loads outlives the request: it is cached, guarded or stored somewhere on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable

from servelint.code.facts.facts import FunctionFacts, Name, Position, last_name
from servelint.code.graph.project import Module
from servelint.code.loop.preloads import Preloads

CONSTRUCTORS = ("__init__", "__new__")
_ONCE = re.compile(r"singleton|memoi[sz]e|cache", re.IGNORECASE)


def is_kept(preloads: Preloads, way: Iterable[tuple[str, int, Position]]) -> bool:
    """Whether the object outlives the request: somewhere on the way it is cached, guarded or stored.

    The way is that of the functions, by file and index, each with the call in it that leads on.
    """
    for path, index, position in way:
        module = preloads.loop.evaluator.module(path)
        facts = module.function(index)
        if preloads.keeps(facts) or _is_made_once(preloads, module, facts):
            return True
        if facts.name not in CONSTRUCTORS and _is_stored(facts, position):
            return True
        if any(isinstance(b.target, Name) and b.target.id in facts.outer for b in facts.bindings):
            return True  # a function that replaces a global keeps what it makes for it
    return False


def _is_made_once(preloads: Preloads, module: Module, facts: FunctionFacts) -> bool:
    """Whether the function makes an object of a class that gives the same object every time.

    That is one with a decorator that keeps results, or a decorator or metaclass that says so by its name.
    """
    if facts.name not in CONSTRUCTORS or facts.owner is None:
        return False
    cls = module.facts.classes[facts.owner]
    names = {last_name(decorator) for decorator in cls.decorators}
    names |= {last_name(value) for key, value in cls.keywords if key == "metaclass"}
    return any(name in preloads.frameworks.caches or _ONCE.search(name) for name in names if name)


def _is_stored(facts: FunctionFacts, position: Position) -> bool:
    """Whether the value of the call at the position goes into a global, an attribute or a container."""
    stored = {
        binding.target.id
        for binding in facts.bindings
        if isinstance(binding.target, Name) and _is_call_at(binding.value, position)
    }
    return any(
        _is_call_at(binding.value, position)
        or (isinstance(binding.value, Name) and binding.value.id in stored)
        for binding in facts.bindings
        if not isinstance(binding.target, Name) or binding.target.id in facts.outer
    )


def _is_call_at(value: object, position: Position) -> bool:
    return getattr(value, "position", None) == position
