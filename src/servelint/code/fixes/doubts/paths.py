"""Files that all requests name the same: one thread must not write what another has yet to read.

with open("upload.wav", "wb") as file:
    file.write(data)
text = model.transcribe("upload.wav")        # with an `await` here, another request writes it first
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.doubts.timed import is_interrupted
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import Range
from servelint.project.text.parsing import unparsed

# Methods, and functions of whatever library, that write the file that they are given first.
_WRITING = frozenset({"save", "imwrite", "imsave", "savefig", "to_csv", "write_wav"})
# Methods of a path that write, make or remove it.
_OF_PATHS = frozenset({"write_text", "write_bytes", "mkdir", "unlink", "rmdir", "touch"})
# Functions of `os` and `shutil` that do.
_OF_MODULES = frozenset(
    {"mkdir", "makedirs", "rmtree", "remove", "unlink", "rmdir", "rename", "replace"}
    | {"copy", "copy2", "copyfile", "copytree", "move"}
)
_MODULES = frozenset({"os", "shutil"})
_JOINING = frozenset({"join", "joinpath", "Path", "PurePath", "str", "abspath", "fspath"})
_SETTINGS = frozenset({"settings", "config", "cfg"})
_FILE = re.compile(r"[^\s/]\.\w{1,5}$|/[^\s/]")
_MAXIMUM_NESTING = 5


def written_below(syntax: Syntax, function: Function) -> str:
    """What the function writes that has the same name for all requests; empty for nothing."""
    return next((name for _, name in syntax.worked_out(_written, function)), "")


def overwritten(syntax: Syntax, function: Function, moved: Range) -> str:
    """What the function writes before what is moved and uses in it or later, under one name for all."""
    for end, name in syntax.worked_out(_written, function):
        if end > moved.first:
            continue
        for number, other in syntax.worked_out(_named, function):
            if other == name and number >= moved.first:
                if not is_interrupted(syntax, function, Range(end, number), moved):
                    return name
                break
    return ""


def _written(syntax: Syntax, function: Function) -> list[tuple[int, str]]:
    """What the function writes under a name that is always the same, by the number at which it has."""
    given = syntax.worked_out(_assigned, function)
    found: list[tuple[int, str]] = []
    for node in syntax.own_nodes(function):
        if isinstance(node, ast.Call):
            # What functions of these modules are given is a path, however it looks.
            is_path = isinstance(node.func, ast.Attribute) and last_name(node.func.value) in _MODULES
            for place in _places(node):
                name = _fixed(place, given, int(is_path))
                if name:
                    found.append((_end(syntax, node), name))
    return sorted(found)


def _places(node: ast.Call) -> Iterator[ast.expr]:
    """The files that the call writes."""
    if any(keyword.arg == "exist_ok" for keyword in node.keywords):
        return
    match node.func:
        case ast.Name(id="open"):
            if _writes(node, 1):
                yield from node.args[:1]
        case ast.Attribute(value=path, attr="open"):
            if _writes(node, 0):
                yield path
        case ast.Attribute(value=ast.Name(id=module), attr=name) if module in _MODULES:
            if name in _OF_MODULES:
                yield from node.args[:2]
        case ast.Attribute(value=path, attr=name) if name in _OF_PATHS:
            yield path
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in _WRITING:
            yield from node.args[:1]


def _writes(node: ast.Call, position: int) -> bool:
    """Whether the file is opened to be written anew."""
    given = node.args[position] if len(node.args) > position else None
    mode = next((keyword.value for keyword in node.keywords if keyword.arg == "mode"), given)
    return isinstance(mode, ast.Constant) and not set("wx+").isdisjoint(str(mode.value))


def _end(syntax: Syntax, node: ast.Call) -> int:
    """Where it is done: at the end of the `with` that opens it."""
    item = syntax.parent(node)
    entered = syntax.parent(item) if isinstance(item, ast.withitem) else None
    return syntax.end_number(entered if isinstance(entered, ast.With) else node)


def _named(syntax: Syntax, function: Function) -> list[tuple[int, str]]:
    """Where the function names files always the same way, in the order of the text."""
    given = syntax.worked_out(_assigned, function)
    named = (
        n for n in syntax.own_nodes(function) if isinstance(n, ast.Constant | ast.Name | ast.BinOp | ast.Call)
    )
    return sorted((syntax.number(node), name) for node in named if (name := _fixed(node, given)))


def _assigned(syntax: Syntax, function: Function) -> dict[str, ast.expr | None]:
    """What the function gives to its variables; None for parameters, and where it is not one thing."""
    found: dict[str, ast.expr | None] = {
        n.arg: None for n in ast.walk(function.args) if isinstance(n, ast.arg)
    }
    for node in syntax.own_nodes(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            outer = syntax.parent(node)
            alone = isinstance(outer, ast.Assign) and outer.targets == [node] and node.id not in found
            found[node.id] = outer.value if alone and isinstance(outer, ast.Assign) else None
    return found


def _fixed(node: ast.expr, given: Mapping[str, ast.expr | None], nesting: int = 0) -> str:
    """The name of a file as it is written, where no request has a part in it; empty otherwise."""
    if nesting > _MAXIMUM_NESTING:
        return ""
    match node:
        case ast.Constant(value=str(text)):
            return text if nesting or _FILE.search(text) else ""
        case ast.Name(id=name) if name in given:
            value = given[name]
            return _fixed(value, given, nesting + 1) if value is not None else ""
        case ast.Name(id=name):
            return name if name.isupper() else ""
        case ast.Attribute() if unparsed(node).partition(".")[0] in _SETTINGS:
            return unparsed(node)
        case ast.BinOp(left=left, op=ast.Div() | ast.Add(), right=right):
            return _joined([left, right], given, nesting)
        case ast.Call(func=called, args=[_, *_] as parts) if (
            last_name(called) in _JOINING and not node.keywords
        ):
            return _joined(parts, given, nesting)
    return ""


def _joined(parts: list[ast.expr], given: Mapping[str, ast.expr | None], nesting: int) -> str:
    names = [_fixed(part, given, nesting + 1) for part in parts]
    return "/".join(names) if all(names) else ""
