"""Commands that a Python program runs: `subprocess.run([...])`, `os.execvp(...)`, `os.system("...")`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, word
from servelint.manifests.python.files import calls_by_scope
from servelint.manifests.python.module import FindModule, PythonModule, parsed
from servelint.manifests.python.values import Value
from servelint.manifests.shell.commandline import PER_CORE, UNKNOWN, Words
from servelint.project.text.source import Source

# One of these stands in a program that runs others.
WORDS = (b"subprocess", b"os.exec", b"os.system")
_LISTS = {f"subprocess.{name}": 0 for name in ("run", "call", "check_call", "Popen", "check_output")}
_LISTS |= {f"os.{name}": 1 for name in ("execv", "execve", "execvp", "execvpe")}
_ARGUMENTS = {f"os.{name}": 1 for name in ("execl", "execlp")}
_CODE = frozenset(("os.system",))
_MAX_WORDS = 200


@dataclass(frozen=True, slots=True)
class Command:
    """What is run: words, or shell code."""

    words: Words = ()
    code: Located | None = None


def commands(
    source: Source, environment: Environment, parameters: Words = (), find: FindModule | None = None
) -> Iterator[Command]:
    """The commands that a program runs, as far as its text and the container's variables say."""
    tree = parsed(source)
    if tree is None:
        return
    module = PythonModule(source, environment, parameters=parameters, find=find)
    module.read(tree)
    added = _added(tree)
    for scope, calls in calls_by_scope(tree):
        with module.inside(scope):
            for call in calls:
                found = _command(_Reader(module, added), call)
                if found is not None:
                    yield found


def _command(reader: _Reader, call: ast.Call) -> Command | None:
    name = reader.module.qualified(call.func)
    position = _LISTS.get(name, 0)
    if name in _CODE and call.args:
        return Command(code=reader.text(call.args[0]))
    if name in _ARGUMENTS:
        return Command(words=reader.texts(call.args[_ARGUMENTS[name] :]))
    if name not in _LISTS or len(call.args) <= position:
        return None
    given = call.args[position]
    words = reader.words(given)
    if words is None:
        return Command(code=reader.text(given))
    return Command(words=words)


def _added(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """What is added to lists, by their names: `command += [...]`, `command.extend([...])`, `.append(x)`."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                found.setdefault(name, []).append(value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="extend"), args=[value]):
                found.setdefault(name, []).append(value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value]):
                found.setdefault(name, []).append(ast.List([value]))
    return found


@dataclass(slots=True)
class _Reader:
    """Reads the expressions of one scope as words."""

    module: PythonModule
    added: dict[str, list[ast.expr]]
    depth: int = 0

    def words(self, node: ast.expr) -> Words | None:
        """A list of words; None where it is no list."""
        self.depth += 1
        found = self._words(node) if self.depth < _MAX_WORDS else None
        self.depth -= 1
        return found

    def _words(self, node: ast.expr) -> Words | None:
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return self.texts(items)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                parts = [self.words(left), self.words(right)]
                return None if None in parts else tuple(word for part in parts for word in part or ())
            case ast.Name(id=name) if name in self.module.assigned:
                own = self.module.assigned[name]
                first = self.words(own) if own is not node else None
                if first is None:
                    return None
                more = (self.words(item) or () for item in self.added.get(name, ()))
                return (*first, *(text for part in more for text in part))
            case _:
                return None

    def texts(self, items: Sequence[ast.expr]) -> Words:
        """The words that expressions are."""
        found: list[Located] = []
        for item in items[:_MAX_WORDS]:
            if isinstance(item, ast.Starred):
                found += self.words(item.value) or ()
            else:
                found.append(self.text(item))
        return tuple(found)

    def text(self, node: ast.expr) -> Located:
        """One word, or a piece of shell code."""
        place = self.module.place(node) if hasattr(node, "lineno") else None
        match node:
            case ast.JoinedStr(values=parts) if place is not None:
                return word([self.text(part) if hasattr(part, "lineno") else Located("") for part in parts])
            case ast.FormattedValue(value=inner):
                return self.text(inner)
            case ast.Attribute() if self.module.qualified(node) == "sys.executable" and place is not None:
                return Located.computed("python", place)
            case ast.Call(func=ast.Name(id="str"), args=[inner]):
                return self.text(inner)
        value = self.module.value(node)
        if place is None:
            return Located("")
        if value is None or value.data is None:
            return Located.computed(UNKNOWN, place)
        if value.text is not None:
            return value.text
        return self._written(node, value)

    def _written(self, node: ast.expr, value: Value) -> Located:
        place = self.module.place(node)
        text = str(value.data)
        whole = Located.of(self.module.source, place.start, place.end)
        at = whole.text.find(text)
        if isinstance(node, ast.Constant) and at >= 0 and not value.per_core:
            return whole.slice(at, at + len(text))
        return Located.computed(f"{PER_CORE if value.per_core else ''}{text}", place)
