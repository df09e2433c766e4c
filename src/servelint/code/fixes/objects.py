"""Which one object inference is called on, if all requests have the same: a global, a part of the state.

A class counts where the project makes one object of it, once. Whatever else a model may be called on may be
one for each request or worker, or one of several.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from servelint.code.facts.nodes import annotation
from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.doubts.sharing import Sharing
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import given_once
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.values.values import Frame, FunctionReference, ModuleReference, plain

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What runs its parts more than once, or at another time.
_REPEATED = (
    ast.For
    | ast.AsyncFor
    | ast.While
    | ast.ListComp
    | ast.SetComp
    | ast.DictComp
    | ast.GeneratorExp
    | ast.Lambda
)
# Functions that ask about a class, and make no object of it.
_ASKING = frozenset({"isinstance", "issubclass", "cast"})
_MAXIMUM_NESTING = 8


class Objects:
    """Names the objects of one project."""

    def __init__(self, analysis: Analysis, files: Files, sharing: Sharing) -> None:
        self.analysis = analysis
        self.files = files
        self.sharing = sharing
        self._single: dict[tuple[str, str], bool] = {}

    def of(self, frame: Frame, function: ast.expr, sink: str) -> str:
        """The object that is called, or whose method is; empty where requests may have others."""
        match function:
            case ast.Call(func=called, args=[inner, *_]) if last_name(called) == "partial":
                return self.of(frame, inner, sink)
            case ast.Attribute(value=value, attr=name) if name == sink.rpartition(".")[2]:
                return self._named(self.analysis.evaluator.module(frame.module), value, 0)
        return self._named(self.analysis.evaluator.module(frame.module), function, 0)

    def _named(self, module: Module, node: ast.expr, nesting: int) -> str:
        """The object that an expression stands for, by where it is kept."""
        if nesting > _MAXIMUM_NESTING:
            return ""
        match node:
            case ast.Name(id=name):
                return self._variable(module, node, name, nesting + 1)
            case ast.Attribute(value=holder, attr=name):
                return self._attribute(module, holder, name, nesting + 1)
            case ast.Call(func=called, args=[], keywords=[]):
                return self._given(module, called, nesting + 1)
        return ""

    def _variable(self, module: Module, node: ast.expr, name: str, nesting: int) -> str:
        syntax = self.files.syntax(module)
        for outer, _ in syntax.ancestors(node):
            if isinstance(outer, ast.Lambda) and name in _parameters(outer):
                return ""
            if isinstance(outer, _FUNCTIONS):
                shared = self.sharing.of(module, outer)
                if name in shared.own_names:
                    value = syntax.worked_out(given_once, outer).get(name)
                    return self._named(module, value, nesting) if value is not None else ""
        return self._global(module, name, nesting)

    def _global(self, module: Module, name: str, nesting: int) -> str:
        """A global name of a file, its own or an imported one."""
        if nesting > _MAXIMUM_NESTING:
            return ""
        for item in module.facts.body.imports:
            if item.local == name and item.name:
                path = self.analysis.project.resolve(module, item.module, item.level)
                there = self.analysis.project.module(path) if path is not None else None
                return self._global(there, item.name, nesting + 1) if there is not None else ""
        is_ours = name in self.files.global_names(module).project and module.bound(0, name)
        return f"{module.path}:{name}" if is_ours else ""

    def _attribute(self, module: Module, holder: ast.expr, name: str, nesting: int) -> str:
        syntax, evaluator = self.files.syntax(module), self.analysis.evaluator
        function = next((n for n, _ in syntax.ancestors(holder) if isinstance(n, _FUNCTIONS)), None)
        frame = self.files.frame(module, function) if function is not None else evaluator.frame(module, 0)
        written = annotation(holder)
        if written is None or frame is None:
            return ""
        if evaluator.is_state(module, frame.function, written):
            return f"state:{name}"
        values = [value for value, _ in plain(evaluator.evaluate(frame, written))]
        if len(values) == 1 and isinstance(values[0], ModuleReference):
            there = self.analysis.project.module(values[0].path)
            return self._global(there, name, nesting) if there is not None else ""
        if isinstance(holder, ast.Name) and function is not None:
            cls = syntax.parent(function)
            first = next((a.arg for a in (*function.args.posonlyargs, *function.args.args)), "")
            if isinstance(cls, ast.ClassDef) and holder.id == first:
                return f"{module.path}:{cls.name}.{name}" if self._is_single(module, cls) else ""
        kept = self._named(module, holder, nesting)
        return f"{kept}.{name}" if kept else ""

    def _given(self, module: Module, called: ast.expr, nesting: int) -> str:
        """What a function without parameters gives: always the same global, or what it keeps for all."""
        written, evaluator = annotation(called), self.analysis.evaluator
        values = [v for v, _ in plain(evaluator.evaluate(evaluator.frame(module, 0), written))]
        if (
            len(values) != 1
            or not isinstance(values[0], FunctionReference)
            or not isinstance(called, ast.Name)
        ):
            return ""
        there = evaluator.module(values[0].module)
        syntax, facts = self.files.syntax(there), evaluator.facts(values[0])
        function = syntax.at(facts.position, ast.FunctionDef)
        if function is None or facts.parameters or facts.parent or facts.owner is not None:
            return ""
        decorators = (d.func if isinstance(d, ast.Call) else d for d in function.decorator_list)
        if any(last_name(d) in self.analysis.frameworks.caches for d in decorators):
            return f"{there.path}:{function.name}()"
        returned = [n.value for n in syntax.own_nodes(function) if isinstance(n, ast.Return)]
        names = {self._named(there, value, nesting) if value is not None else "" for value in returned}
        return names.pop() if len(names) == 1 else ""

    def _is_single(self, module: Module, cls: ast.ClassDef) -> bool:
        """Whether the project makes one object of the class, when it starts, and has no class below it."""
        key = (module.path, cls.name)
        if key not in self._single:
            self._single[key] = False  # what only makes itself is made by nobody
            uses = list(self._uses(cls.name))
            self._single[key] = len(uses) == 1 and self._is_made_once(*uses[0])
        return self._single[key]

    def _uses(self, name: str) -> Iterator[tuple[Module, ast.AST]]:
        """Where the project's code may make objects of the class, or of one below it."""
        for module in self.analysis.project.mentioning([name]):
            syntax = self.files.syntax(module)
            for node in syntax.nodes:
                if not isinstance(node, ast.Name | ast.Attribute) or last_name(node) != name:
                    continue
                outer = syntax.parent(node)
                match outer:
                    case ast.Call(func=called) if called is node:
                        yield module, outer
                    case ast.Call(func=called, args=args) if node in args and last_name(called) in _ASKING:
                        pass
                    case ast.Call() | ast.keyword() | ast.ClassDef() | ast.Assign() | ast.Dict() | ast.List():
                        yield module, node
                    case ast.Tuple() | ast.Return():
                        yield module, node

    def _is_made_once(self, module: Module, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        syntax = self.files.syntax(module)
        for outer, _ in syntax.ancestors(node):
            if isinstance(outer, _REPEATED):
                return False
            if isinstance(outer, _FUNCTIONS):
                owner = syntax.parent(outer)
                if isinstance(owner, ast.ClassDef) and outer.name == "__init__":
                    return self._is_single(module, owner)
                decorators = (d.func if isinstance(d, ast.Call) else d for d in outer.decorator_list)
                is_kept = any(last_name(d) in self.analysis.frameworks.caches for d in decorators)
                is_kept = is_kept or _guards(outer, syntax, node)
                frame, loop = self.files.frame(module, outer), self.analysis.loop
                return is_kept or (
                    frame is not None
                    and (loop.is_startup(frame) or loop.runs_at_startup(module, frame.function))
                )
        return True


def _parameters(function: ast.Lambda) -> set[str]:
    return {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}


def _guards(function: Function, syntax: Syntax, node: ast.AST) -> bool:
    """Whether the function makes the object for a global of its own, for want of one."""
    assigned, names = syntax.parent(node), set[str]()
    for own in syntax.own_nodes(function):
        if isinstance(own, ast.Global):
            names.update(own.names)
    if not isinstance(assigned, ast.Assign) or len(assigned.targets) != 1:
        return False
    name = last_name(assigned.targets[0])
    return name in names and isinstance(syntax.parent(assigned), ast.If)
