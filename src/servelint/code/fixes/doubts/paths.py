"""Files that all requests name the same: one thread must not write what another has yet to read.

with open("upload.wav", "wb") as file:
    file.write(data)
text = model.transcribe("upload.wav")        # with an `await` here, another request writes it first

if not cached.exists():                      # and here another one may find nothing either, and write too
    cached.write_text(model.summarize(text))
"""

from __future__ import annotations

import ast
import re
from collections import ChainMap
from collections.abc import Iterator, Sequence

from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.doubts.timed import is_interrupted
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import Range, given_once, where_read
from servelint.project.text.parsing import unparsed

# Methods, and functions of whatever library, that write the file that they are given first.
_WRITING = frozenset(
    {"save", "imwrite", "imsave", "savefig", "to_csv", "to_json", "to_pickle", "to_parquet", "to_file"}
    | {"write_wav", "write_image", "write_video", "write_audiofile", "write_videofile", "export", "dump"}
)
# Those that take the object first.
_SECOND = frozenset({"save", "dump"})
# Modules whose `write` does.
_SOUNDS = frozenset({"sf", "soundfile", "wavfile", "wav"})
# What a call is given to write to.
_TARGETS = frozenset({"file_path", "save_path", "filename", "path", "fp"})
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
# Functions that give the same folder each time.
_FOLDERS = frozenset({"gettempdir", "getcwd", "cwd", "home"})
# What an attribute of an object is called that is a path.
_OF_OBJECT = re.compile(r"(?:^|_)(?:path|file|dir|folder|directory)$")
# Functions and methods that ask whether a file is there.
_LOOKING = frozenset({"exists", "isfile", "isdir", "lexists", "is_file", "is_dir"})
# What makes a name that nobody else has.
_NEW = re.compile(r"uuid|tempfile|temporary|mkstemp|mkdtemp|token_|urandom|randint|time_ns")
# What tells the time: by the second, two requests are told the same.
_CLOCKS = frozenset(
    {"time.time", "time", "time.strftime", "strftime", "time.ctime", "time.asctime"}
    | {
        f"{prefix}{name}"
        for prefix in ("datetime.", "datetime.datetime.")
        for name in ("now", "utcnow", "today")
    }
    | {"date.today", "datetime.date.today"}
)
# Methods of a time that write it, and functions that round it.
_SPELLING = frozenset({"strftime", "isoformat", "timestamp", "ctime", "replace"})
_ROUNDING = frozenset({"int", "round", "str", "float"})
# What the kind of a file is called: few have one of their own.
_KIND = re.compile(r"(?:^|_)(?:ext|extension|suffix|format|fmt)$")
_FILE = re.compile(r"[^\s/]\.\w{1,5}$|/[^\s/]")
_ENDING = re.compile(r"\.\w{1,5}$")
# A folder, from the root on, that holds no models, and what a function takes that is given files by requests.
_FOLDER = re.compile(r"(?!.*(?:model|weight|checkpoint))(?:/[^\s/.]+){2,}/?$")
_UPLOADS = frozenset({"UploadFile", "File"})
# The parameters in an address, and their kinds on either side: `/{job}`, `/{name:path}`, `/<int:page>`.
_IN_ADDRESS = re.compile(r"[{<](\w+)(?::(\w+))?[}>]")
_MAXIMUM_NESTING = 7
_MAXIMUM_NAMES = 32
_LONGEST_NAME = 1000


class _Given(ChainMap[str, ast.expr | None]):
    """What variables were given, those of a function before those of its file; `known` are names of files."""

    def __init__(self, *maps: dict[str, ast.expr | None]) -> None:
        super().__init__(*maps)
        self.known: dict[str, str] = {}


def written_below(syntax: Syntax, function: Function) -> str:
    """What the function writes that has the same name for all requests; empty for nothing."""
    return next((name for _, name in syntax.worked_out(_written, function)), "")


def doubt(syntax: Syntax, function: Function, nodes: Sequence[ast.AST]) -> str:
    """Why another request may come between what the function does with a file and the moved nodes."""
    moved = Range.of(syntax, nodes)
    path = _overwritten(syntax, function, moved)
    if path:
        return f"`{path}` is written for the call: another request may write it before it is read"
    path = looked_for(syntax, function, moved)
    if path:
        return f"`{path}` is looked for before the call and written then: another request may do that between"
    path = _read_after(syntax, function, moved)
    if path:
        return f"`{path}` is written by the call: another request may write it before it is used"
    path = _named_by_time(syntax, function, moved)
    if path:
        return f"`{path}` is named by the time: another request may have the same name meanwhile"
    path = _uploaded_into(syntax, function, moved)
    return f"`{path}` is the folder of all requests: another one may change what is in it" if path else ""


def _uploaded_into(syntax: Syntax, function: Function, moved: Range) -> str:
    """A folder that is written out and that a function which takes uploads gives to what is moved."""
    given = syntax.worked_out(_folders, function)
    return next((folder for number, folder in given if moved.has(number)), "")


def _folders(syntax: Syntax, function: Function) -> list[tuple[int, str]]:
    """The folders that a function which takes uploads gives to calls, by the numbers of the calls."""
    taken = (n for n in ast.walk(function.args) if isinstance(n, ast.Name | ast.Attribute))
    if not any(last_name(node) in _UPLOADS for node in taken):
        return []
    given, found = syntax.worked_out(given_once, function), list[tuple[int, str]]()
    for node in syntax.own_nodes(function):
        if isinstance(node, ast.Call):
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                match given.get(argument.id) if isinstance(argument, ast.Name) else argument:
                    case ast.Constant(value=str(text)) if _FOLDER.match(text):
                        found.append((syntax.number(node), text))
    return found


def _overwritten(syntax: Syntax, function: Function, moved: Range) -> str:
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


def written_in(syntax: Syntax, function: Function, moved: Range) -> str:
    """What is moved that writes what has the same name for all requests; empty for nothing."""
    written = syntax.worked_out(_written, function)
    return next((name for end, name in written if moved.first < end <= moved.end), "")


def _read_after(syntax: Syntax, function: Function, moved: Range) -> str:
    """What is moved writes under one name for all, and the function uses afterwards; empty for nothing."""
    names = {name for end, name in syntax.worked_out(_written, function) if moved.first < end <= moved.end}
    names.update(name for number, name in syntax.worked_out(_given, function) if moved.has(number))
    for number, name in syntax.worked_out(_named, function):
        is_after = name in names and number >= moved.end
        if is_after and not is_interrupted(syntax, function, Range(moved.end, number), moved):
            return name
    return ""


def _given(syntax: Syntax, function: Function) -> list[tuple[int, str]]:
    """What calls are given to write to, by the numbers of the calls."""
    given = syntax.worked_out(_assigned, function)
    return [
        (syntax.number(node), _fixed(keyword.value, given))
        for node in syntax.own_nodes(function)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg and _is_target(keyword.arg)
    ]


def _named_by_time(syntax: Syntax, function: Function, moved: Range) -> str:
    """A file that is named by the time before what is moved and used in it; empty for nothing.

    So far the call was over before another request asked for the time.
    """
    for number, name, text in syntax.worked_out(_timed_names, function):
        if number < moved.first and not is_interrupted(syntax, function, Range(number, moved.first), moved):
            read = syntax.worked_out(where_read, function).get(name, ())
            if any(moved.has(syntax.number(node)) for node in read):
                return text
    return ""


def _timed_names(syntax: Syntax, function: Function) -> list[tuple[int, str, str]]:
    """Variables that the function sets to a file named by the time, itself or by a function of the file."""
    given = syntax.worked_out(_assigned, function)
    made = syntax.worked_out(_makers, syntax.tree)
    found: list[tuple[int, str, str]] = []
    for node in syntax.own_nodes(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if given.get(name) is value:
                text = _file_by_time(value, given)
                if not text and isinstance(value, ast.Call):
                    text = made.get(last_name(value.func), "")
                if text:
                    found.append((syntax.number(node), name, text))
    return found


def _makers(syntax: Syntax, _: ast.Module) -> dict[str, str]:
    """The functions of the file that name a file by the time, each with the file."""
    found: dict[str, str] = {}
    for function in syntax.nodes:
        if isinstance(function, ast.FunctionDef):
            given = syntax.worked_out(_assigned, function)
            for node in syntax.own_nodes(function):
                text = _file_by_time(node, given) if isinstance(node, ast.JoinedStr | ast.BinOp) else ""
                if text:
                    found[function.name] = text
                    break
    return found


def _file_by_time(node: ast.expr, given: _Given) -> str:
    """The name of a file as it is written, where nothing but the time tells it from others."""
    name = _fixed(node, given)
    return name if name and _ENDING.search(name) and _tells_time(node, given) else ""


def _tells_time(node: ast.expr, given: _Given) -> bool:
    """Whether the value has the time in it."""
    return any(
        isinstance(inner, ast.Call) and unparsed(inner.func) in _CLOCKS
        for value in _behind(node, given)
        for inner in ast.walk(value)
    )


def _behind(node: ast.expr, given: _Given) -> Iterator[ast.expr]:
    """The expression, what its variables were given, what the variables in that were, and so on."""
    waiting, seen = [node], set[str]()
    while waiting and len(seen) <= _MAXIMUM_NAMES:
        value = waiting.pop()
        yield value
        for inner in ast.walk(value):
            if isinstance(inner, ast.Name) and inner.id not in seen:
                seen.add(inner.id)
                further = given.get(inner.id)
                waiting += [further] if further is not None else []


def looked_for(syntax: Syntax, function: Function, moved: Range | None = None) -> str:
    """What the function looks for before it is written; with `moved` before that. Empty for nothing."""
    for number, end, text in syntax.worked_out(_looked_and_written, function):
        if moved is None:
            return text
        between = Range(number, end)
        if number < moved.first < end and not is_interrupted(syntax, function, between, moved):
            return text
    return ""


def _looked_and_written(syntax: Syntax, function: Function) -> list[tuple[int, int, str]]:
    """Where the function looks for a file, where it next has written it, and its name as it is written."""
    given = syntax.worked_out(_assigned, function)
    places: dict[str, list[int]] = {}
    for end, place in _places_of(syntax, function):
        if not _is_new(place, given):
            places.setdefault(_text(place), []).append(end)
    found: list[tuple[int, int, str]] = []
    for number, looked in _looked(syntax, function):
        text = _text(looked)
        after = min((end for end in places.get(text, ()) if end > number), default=0)
        if after:
            found.append((number, after, text))
    return found


def _looked(syntax: Syntax, function: Function) -> list[tuple[int, ast.expr]]:
    """What the function looks for, in the order of the text."""
    found: list[tuple[int, ast.expr]] = []
    for node in syntax.own_nodes(function):
        match node:
            case ast.Call(func=ast.Attribute(value=path, attr=name), args=[]) if name in _LOOKING:
                found.append((syntax.number(node), path))
            case ast.Call(func=called, args=[path]) if last_name(called) in _LOOKING:
                found.append((syntax.number(node), path))
    return sorted(found, key=lambda one: one[0])


def _places_of(syntax: Syntax, function: Function) -> list[tuple[int, ast.expr]]:
    """The files that the function writes, whatever their names, by the number at which it has."""
    calls = (node for node in syntax.own_nodes(function) if isinstance(node, ast.Call))
    return [(_end(syntax, node), place) for node in calls for place in _places(node)]


def _text(path: ast.expr) -> str:
    """A path as it is written, whether it is made an object or a text."""
    match path:
        case ast.Call(func=called, args=[inner]) if last_name(called) in _JOINING:
            return _text(inner)
    return unparsed(path)


def _is_new(path: ast.expr, given: _Given) -> bool:
    """Whether the name is made for this request alone."""
    return any(_NEW.search(unparsed(value).lower()) for value in _behind(path, given))


def _is_target(keyword: str) -> bool:
    return keyword in _TARGETS or "out" in keyword.split("_") or "output" in keyword


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
                yield from node.args[name.startswith("copy") : 2]  # what is copied stays as it is
        case ast.Attribute(value=path, attr=name) if name in _OF_PATHS:
            yield path
        case ast.Attribute(value=ast.Name(id=module), attr="write") if module in _SOUNDS:
            yield from node.args[:1]
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in _WRITING:
            yield from node.args[: 1 + (name in _SECOND)]


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
        n
        for n in syntax.own_nodes(function)
        if isinstance(n, ast.Constant | ast.Name | ast.BinOp | ast.Call | ast.Attribute | ast.JoinedStr)
    )
    return sorted((syntax.number(node), name) for node in named if (name := _fixed(node, given)))


def _assigned(syntax: Syntax, function: Function) -> _Given:
    """What the function and its file give to variables."""
    given = syntax.worked_out(given_once, function)
    return _Given(_of_address(syntax, function), given, syntax.worked_out(_of_file, syntax.tree))


def _of_address(syntax: Syntax, function: Function) -> dict[str, ast.expr | None]:
    """The parameters that the address of an endpoint has: what is asked for twice has the same ones twice.

    `@app.get("/reports/{job}")`; of one that the function sets itself nothing is known.
    """
    own = {n.arg for n in ast.walk(function.args) if isinstance(n, ast.arg)}
    own -= {
        n.id for n in syntax.own_nodes(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    found: dict[str, ast.expr | None] = {}
    for decorator in function.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(), args=[ast.Constant(value=str(address)), *_]):
                names = {name for pair in _IN_ADDRESS.findall(address) for name in pair}
                found |= {name: ast.Constant(f"{{{name}}}") for name in sorted(names & own)}
    return found


def _of_file(_: Syntax, tree: ast.Module) -> dict[str, ast.expr | None]:
    """What the file gives once to its global names that are not spelled as constants."""
    found: dict[str, ast.expr | None] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not name.isupper():
                found[name] = value if name not in found else None
    return found


def _fixed(node: ast.expr, given: _Given, nesting: int = 0) -> str:
    """The name of a file as it is written, where no request has a part in it; empty otherwise."""
    if nesting > _MAXIMUM_NESTING:
        return ""
    match node:
        case ast.Constant(value=str(text)):
            return text if nesting or _FILE.search(text) else ""
        case ast.Name(id=name) if name in given:
            fixed = _fixed_variable(name, given, nesting)
            return fixed or (name if nesting and _KIND.search(name) else "")
        case ast.Name(id=name):
            return name if name.isupper() or name == "__file__" else ""
        case ast.Attribute(attr=name) if nesting and _KIND.search(name):
            return unparsed(node)
        case ast.Attribute(attr="filename"):
            return unparsed(node)  # of two uploads it may be the same: `blob`, `image.jpg`
        case ast.Attribute(value=ast.Name(id="self"), attr=name) if _OF_OBJECT.search(name):
            return f"self.{name}"
        case ast.Attribute(value=inner, attr="parent"):
            return _fixed(inner, given, nesting + 1)
        case ast.JoinedStr(values=parts):
            return _joined(
                [p.value if isinstance(p, ast.FormattedValue) else p for p in parts], given, nesting
            )
        case ast.Attribute() if unparsed(node).partition(".")[0] in _SETTINGS:
            return unparsed(node)
        case ast.BinOp(left=left, op=ast.Div() | ast.Add(), right=right):
            return _joined([left, right], given, nesting)
        case ast.Call() if nesting and _is_time(node, given):
            return unparsed(node)
        case ast.Call(func=called, args=[_, *_] as parts) if (
            last_name(called) in _JOINING and not node.keywords
        ):
            return _joined(parts, given, nesting)
        case ast.Call(func=called, args=[]) if last_name(called) in _FOLDERS and not node.keywords:
            return unparsed(node)
    return ""


def _fixed_variable(name: str, given: _Given, nesting: int) -> str:
    """The same of what a variable was given."""
    if name not in given.known:
        given.known[name] = ""  # where it is in its own value
        value = given.get(name)
        given.known[name] = _fixed(value, given, nesting + 1) if value is not None else ""
    return given.known[name]


def _is_time(node: ast.expr, given: _Given, nesting: int = 0) -> bool:
    """Whether it is the time, however it is written, and not to the fraction of a second by its form."""
    if nesting > _MAXIMUM_NESTING:
        return False
    match node:
        case ast.Name(id=name):
            value = given.get(name)
            return value is not None and _is_time(value, given, nesting + 1)
        case ast.Call(func=called) if unparsed(called) in _CLOCKS:
            return "%f" not in unparsed(node)
        case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _SPELLING:
            return "%f" not in unparsed(node) and _is_time(inner, given, nesting + 1)
        case ast.Call(func=ast.Name(id=name), args=[inner, *_]) if name in _ROUNDING:
            return _is_time(inner, given, nesting + 1)
        case ast.BinOp(left=left, op=ast.Mult() | ast.FloorDiv(), right=ast.Constant()):
            return _is_time(left, given, nesting + 1)
    return False


def _joined(parts: list[ast.expr], given: _Given, nesting: int) -> str:
    names: list[str] = []
    for part in parts:
        names.append(_fixed(part, given, nesting + 1))
        if not names[-1]:
            return ""
    joined = "/".join(names)
    return joined if len(joined) <= _LONGEST_NAME else ""
