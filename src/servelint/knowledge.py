"""What servelint knows about libraries and frameworks, read from the data in `rules/`.

The files are data for people to review; this module gives them types and refuses what does not fit,
naming file and key. Nothing else knows how they are spelled.

A qualified name is dotted, as a user would import it (`sklearn.linear_model.LogisticRegression`). In a
pattern `*` stands for anything inside one segment, `**` for any number of segments, and `{a,b}` for
either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Generic, TypeVar

# Made by `hatch_build.py` for the wheel.
COMPILED = "knowledge.json"


class KnowledgeError(ValueError):
    """A file in `rules/` does not have the form this module documents."""


class Role(StrEnum):
    """What a call does to the thread that makes it."""

    INFERENCE = "inference"
    LOAD = "load"
    PREPROCESSING = "preprocessing"
    EXPLANATION = "explanation"
    TRAINING = "training"
    REMOTE = "remote"  # a synchronous request to a model elsewhere
    LAZY = "lazy"  # returns an iterator; iterating it is the inference
    COROUTINE = "coroutine"  # returns an awaitable or an async iterator: never blocks by itself
    CHEAP = "cheap"  # known to return at once

    @property
    def blocks(self) -> bool:
        """Whether a call with this role holds its thread for as long as an inference, load or request."""
        return self not in (Role.LAZY, Role.COROUTINE, Role.CHEAP)


class Verdict(StrEnum):
    """Whether one object may be called from several threads at once."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """What one callable of a library does and returns.

    `returns` is a type name of the catalogue, `self` for the receiver, or empty. `lazy_when` and
    `coroutine_when` map keyword arguments to the constant that turns the call lazy or asynchronous.
    `iterating` is what taking elements from a lazy result does.
    """

    name: str
    role: Role
    returns: str = ""
    lazy_when: Mapping[str, object] = field(default_factory=dict)
    coroutine_when: Mapping[str, object] = field(default_factory=dict)
    iterating: Role = Role.INFERENCE
    library: str = ""


@dataclass(frozen=True, slots=True)
class LibraryType:
    """A family of classes that behave alike for us.

    `name` identifies the type in `returns`, `inherits`, `attributes` and `items`; `classes` are patterns
    for the importable classes that belong to it. `items` are the types of the elements: one for all, or
    one for each position of a tuple.
    """

    name: str
    library: str
    classes: tuple[str, ...] = ()
    construct: Entry | None = None
    methods: Mapping[str, Entry] = field(default_factory=dict)
    inherits: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    items: tuple[str, ...] = ()
    override_means: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A verdict and where it was read or measured."""

    verdict: str
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Library:
    """One file of `rules/libraries/`."""

    name: str
    modules: tuple[str, ...]
    source: str
    thread_safe: Claim
    gil: Claim
    advice: str
    functions: Mapping[str, Entry]
    types: Mapping[str, LibraryType]
    # Context managers whose effect on inference ends at the thread that enters them.
    thread_local: tuple[str, ...] = ()


class Phase(StrEnum):
    """When the callables of an entry point run."""

    SERVING = "serving"
    STARTUP = "startup"  # before the first request or after the last: may block


class SyncRuns(StrEnum):
    """Where a framework runs a plain `def`."""

    LOOP = "loop"
    THREAD = "thread"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """How a framework learns of a callable, and where it runs it.

    Exactly one of `decorator`, `argument_of`, `subclass` is set. With `argument_of` the callable stands
    at `position` (0-based, the receiver not counted) or under `keyword`. With `subclass` it is one of
    `methods`.
    """

    role: str
    phase: Phase = Phase.SERVING
    sync: SyncRuns = SyncRuns.THREAD
    decorator: str = ""
    argument_of: str = ""
    position: int | None = None
    keyword: str = ""
    subclass: str = ""
    methods: tuple[str, ...] = ()
    loop_when: Mapping[str, object] = field(default_factory=dict)
    thread_when: Mapping[str, object] = field(default_factory=dict)
    framework: str = ""


@dataclass(frozen=True, slots=True)
class Offload:
    """A call that runs one of its arguments elsewhere than on the calling thread.

    `name` is a pattern for the qualified name, `method` the name of a method on a receiver of any type.
    With `wraps` the call returns a callable that does the running (`sync_to_async(f)`). `pool` is the
    position of the executor argument; `default_pool` says that `None` or its absence means the loop's
    shared default executor. `awaitable` says that the result has to be awaited; with `starts` the work runs
    even if nobody does.
    """

    name: str = ""
    method: str = ""
    position: int | None = 0
    keyword: str = ""
    pool: int | None = None
    default_pool: bool = False
    awaitable: bool = True
    wraps: bool = False
    starts: bool = False


@dataclass(frozen=True, slots=True)
class Framework:
    """One file of `rules/frameworks/`.

    `runs` are calls that call one of their arguments at once on the calling thread (`map`, `sorted`),
    `on_loop` those that make the event loop call it later (`call_soon`), `injects` those whose result at
    run time is what their argument returns (`Depends`), `passes` those whose result is their argument,
    `awaits` those that take awaitables, `consumes` and `consuming_methods` (on any receiver) those that
    iterate their argument at once, `streams` those that iterate it later and in a thread. `state` are
    attributes that hold what a service shares, `limits_threads` names of functions that bound native thread
    pools, `executors` classes of pools, `waits` calls that hold their thread until work elsewhere is done,
    `background` are methods that start a coroutine beside the caller, `runs_coroutine_methods` those that run
    one to its end, `caches` decorators that keep what a function gave.
    `sets_default_executor` methods that replace the loop's own executor. `types` maps other spellings of a
    class to the usual one.
    """

    name: str
    modules: tuple[str, ...]
    source: str
    entry_points: tuple[EntryPoint, ...]
    offloads: tuple[Offload, ...]
    runs: tuple[Offload, ...]
    on_loop: tuple[Offload, ...]
    injects: tuple[Offload, ...]
    runs_coroutine: tuple[str, ...]
    runs_coroutine_methods: tuple[str, ...]
    background: tuple[str, ...]
    caches: tuple[str, ...]
    types: Mapping[str, str]
    passes: tuple[Offload, ...]
    awaits: tuple[str, ...]
    consumes: tuple[str, ...]
    consuming_methods: tuple[str, ...]
    streams: tuple[str, ...]
    state: tuple[str, ...]
    limits_threads: tuple[str, ...]
    executors: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    sets_default_executor: tuple[str, ...] = ()


@cache
def pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern for qualified names (see the module's text)."""
    out: list[str] = []
    depth = 0
    for part in re.findall(r"\*\*|\*|[{},]|[^*{},]+", text):
        if part == "**":
            out.append(r".*")
        elif part == "*":
            out.append(r"[^.]*")
        elif part == "{":
            depth += 1
            out.append("(?:")
        elif part == "}":
            depth -= 1
            out.append(")")
        elif part == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(part))
    return re.compile("".join(out) + r"\Z")


def matches(text: str, name: str) -> bool:
    """Whether the qualified `name` fits the pattern `text`."""
    return pattern(text).match(name) is not None


def alternatives(text: str) -> Iterator[str]:
    """The pattern with each of its `{a,b}` written out."""
    brace = re.search(r"\{([^{}]*)\}", text)
    if brace is None:
        yield text
        return
    for option in brace[1].split(","):
        yield from alternatives(text[: brace.start()] + option + text[brace.end() :])


def rules_dir() -> Path:
    """The folder `rules/`: inside the installed package, or beside `src/` in a checkout."""
    packaged = Path(__file__).parent / "rules"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "rules"


T = TypeVar("T")


class NameIndex(Generic[T]):
    """Values by pattern for a qualified name: an exact name wins, then the longest pattern that fits."""

    def __init__(self, items: Iterable[tuple[str, T]]) -> None:
        self._exact: dict[str, T] = {}
        self._patterns: dict[str, list[tuple[str, T]]] = {}
        self._open: list[tuple[str, T]] = []
        self._last_names: set[str] = set()
        for text, value in ((option, value) for written, value in items for option in alternatives(written)):
            first, last = text.partition(".")[0], text.rpartition(".")[2]
            self._last_names.add(last)
            if "*" not in text:
                self._exact.setdefault(text, value)
            elif "*" in first:
                self._open.append((text, value))
            else:
                self._patterns.setdefault(first, []).append((text, value))
        for found in (*self._patterns.values(), self._open):
            found.sort(key=lambda item: -len(item[0]))
        self._known: dict[str, T | None] = {}

    def find(self, name: str) -> T | None:
        """The value for a qualified name, or None."""
        if name not in self._known:
            self._known[name] = self._search(name)
        return self._known[name]

    def __bool__(self) -> bool:
        return bool(self._exact or self._patterns or self._open)

    def last_names(self) -> frozenset[str]:
        """The last segments that a name can have to be found (`*` for any)."""
        return frozenset(self._last_names)

    def _search(self, name: str) -> T | None:
        if name in self._exact:
            return self._exact[name]
        for text, value in chain(self._patterns.get(name.partition(".")[0], []), self._open):
            if matches(text, name):
                return value
        return None


def name_index(names: Iterable[str]) -> NameIndex[str]:
    """The names and patterns themselves: `find` tells whether a qualified name fits one of them."""
    return NameIndex((name, name) for name in names)


class ClassIndex(NameIndex[LibraryType]):
    """Types by the name of a class. A method of a class is not mistaken for a class by `**`."""

    def __init__(self, types: Mapping[str, LibraryType]) -> None:
        super().__init__((name, t) for t in types.values() for name in (t.name, *t.classes))
        self._types = types

    def _search(self, name: str) -> LibraryType | None:
        found = super()._search(name)
        head, _, last = name.rpartition(".")
        if found is None or not head or name in self._exact:
            return found
        owner = self.find(head)
        is_method = owner and any(last in t.methods for t in lineage(self._types, owner.name))
        return None if is_method else found


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All of `rules/libraries` and `rules/frameworks`, joined for look-up by name."""

    libraries: Mapping[str, Library]
    frameworks: tuple[Framework, ...]
    types: Mapping[str, LibraryType]
    functions: NameIndex[Entry]
    classes: NameIndex[LibraryType]

    @property
    def modules(self) -> frozenset[str]:
        """Top-level modules whose import puts machine learning in reach of a file."""
        return frozenset(m.partition(".")[0] for lib in self.libraries.values() for m in lib.modules)

    def method(self, type_name: str, method: str) -> Entry | None:
        """What a method does, looked up in the type and then in what it inherits."""
        return next((t.methods[method] for t in self.lineage(type_name) if method in t.methods), None)

    def attribute(self, type_name: str, attribute: str) -> str:
        """The type name of an attribute, or an empty string."""
        return next(
            (t.attributes[attribute] for t in self.lineage(type_name) if attribute in t.attributes), ""
        )

    def items(self, type_name: str, position: object = None) -> str:
        """The type name of what subscripting or iterating gives, or an empty string."""
        items = next((t.items for t in self.lineage(type_name) if t.items), ())
        if len(items) == 1:
            return items[0]
        return items[position] if isinstance(position, int) and 0 <= position < len(items) else ""

    def override_means(self, type_name: str, method: str) -> tuple[str, ...]:
        """The methods of the type that run `method` when a project subclass defines it."""
        return tuple(
            caller
            for known in self.lineage(type_name)
            for overridden, caller in known.override_means.items()
            if overridden == method
        )

    def lineage(self, type_name: str) -> Iterator[LibraryType]:
        """The type and all it inherits, nearest first, each once."""
        return lineage(self.types, type_name)


def lineage(types: Mapping[str, LibraryType], type_name: str) -> Iterator[LibraryType]:
    """The type and all it inherits, nearest first, each once."""
    waiting, seen = [type_name], set[str]()
    while waiting:
        name = waiting.pop(0)
        known = types.get(name)
        if known is None or name in seen:
            continue
        seen.add(name)
        yield known
        waiting.extend(known.inherits)


@cache
def load(folder: Path | None = None) -> Catalogue:
    """Read all of `rules/libraries` and `rules/frameworks` below `folder` (default: `rules_dir()`).

    Raises KnowledgeError for a file that does not have the documented form.
    """
    base = folder or rules_dir()
    libraries = {lib.name: lib for lib in map(_library, _files(base / "libraries"))}
    types = {name: t for lib in libraries.values() for name, t in lib.types.items()}
    return Catalogue(
        libraries=libraries,
        frameworks=tuple(map(_framework, _files(base / "frameworks"))),
        types=types,
        functions=NameIndex((name, e) for lib in libraries.values() for name, e in lib.functions.items()),
        classes=ClassIndex(types),
    )


def evidence_data(folder: Path | None = None) -> Table:
    """The mapping in `rules/evidence.yaml`, to be read with `Table`'s methods."""
    return data("evidence.yaml", folder)


def data(name: str, folder: Path | None = None) -> Table:
    """The mapping in the file `name` of `rules/`, to be read with `Table`'s methods."""
    return next(_files(folder or rules_dir(), name))


def _files(folder: Path, names: str = "*.yaml") -> Iterator[Table]:
    compiled = _compiled(folder)
    for path in sorted(folder.glob(names)):
        yield Table(_parsed(path) if compiled is None else compiled[path.name], str(path))


def _compiled(folder: Path) -> Mapping[str, object] | None:
    """The content of the data files of a folder, by name, as the build of the wheel has put them together."""
    base = folder.parent if folder.name in ("libraries", "frameworks", "servers") else folder
    prefix = "" if base == folder else f"{folder.name}/"
    together = _knowledge(base / COMPILED)
    if together is None:
        return None
    return {name.removeprefix(prefix): data for name, data in together.items() if name.startswith(prefix)}


@cache
def _knowledge(path: Path) -> Mapping[str, object] | None:
    import json

    try:
        found: dict[str, object] = json.loads(path.read_bytes())
    except FileNotFoundError:  # a checkout
        return None
    return found


def _parsed(path: Path) -> object:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        raise KnowledgeError(f"{path}: {error}") from error


class Table:
    """A mapping of a data file that says which keys were never asked for."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, dict):
            raise KnowledgeError(f"{where}: a mapping is needed, not {data!r}")
        self._data = data
        self._asked: set[str] = set()
        self.where = where

    def get(self, key: str, kind: type[T], default: T) -> T:
        """The value of `key`, which has to be of this kind, or the default."""
        self._asked.add(key)
        value: object = self._data.get(key, default)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise KnowledgeError(f"{self.where}: `{key}` has to be {kind.__name__}, not {value!r}")
        return value

    def need(self, key: str, kind: type[T]) -> T:
        """The value of `key`, which has to be there."""
        if key not in self._data:
            raise KnowledgeError(f"{self.where}: `{key}` is missing")
        default: T = self._data[key]
        return self.get(key, kind, default)

    def names(self, key: str) -> tuple[str, ...]:
        """The list under `key`, as text."""
        return tuple(str(item) for item in self.get(key, list, []))

    def table(self, key: str) -> Table:
        """The mapping under `key`."""
        return Table(self.get(key, dict, {}), f"{self.where}: {key}")

    def tables(self, key: str) -> Iterator[Table]:
        """The list of mappings under `key`."""
        for number, item in enumerate(self.get(key, list, []), 1):
            yield Table(item, f"{self.where}: {key}[{number}]")

    def items(self) -> Iterator[tuple[str, object]]:
        """All keys and values."""
        for key, value in self._data.items():
            self._asked.add(key)
            yield str(key), value

    def strings(self) -> dict[str, str]:
        """All keys and values, as text."""
        return {key: str(value) for key, value in self.items()}

    def done(self) -> None:
        """Raise for a key that was never asked for."""
        if unknown := sorted(set(map(str, self._data)) - self._asked):
            raise KnowledgeError(f"{self.where}: unknown key `{unknown[0]}`")


def _library(file: Table) -> Library:
    name = file.need("library", str)
    library = Library(
        name=name,
        modules=file.names("modules"),
        source=file.need("source", str),
        thread_safe=_claim(file.table("thread-safe")),
        gil=_claim(file.table("gil")),
        advice=file.get("advice", str, ""),
        functions={
            key: _entry(key, value, name, file.where) for key, value in file.table("functions").items()
        },
        types={
            key: _type(key, Table(value, f"{file.where}: {key}"), name)
            for key, value in file.table("types").items()
        },
        thread_local=file.names("thread-local"),
    )
    file.done()
    return library


def _claim(table: Table) -> Claim:
    claim = Claim(
        table.get("verdict", str, "unknown"), table.get("source", str, ""), table.get("note", str, "")
    )
    table.done()
    return claim


def _entry(name: str, value: object, library: str, where: str) -> Entry:
    table = Table({"role": value} if isinstance(value, str) else value, f"{where}: {name}")
    try:
        role = Role(table.need("role", str))
        iterating = Role(table.get("iterating", str, role if role.blocks else Role.INFERENCE))
    except ValueError as error:
        raise KnowledgeError(f"{table.where}: {error}") from error
    entry = Entry(
        name=name,
        role=role,
        returns=table.get("returns", str, ""),
        lazy_when=dict(table.table("lazy-when").items()),
        coroutine_when=dict(table.table("coroutine-when").items()),
        iterating=iterating,
        library=library,
    )
    table.done()
    return entry


def _type(name: str, table: Table, library: str) -> LibraryType:
    construct = table.get("construct", object, None)
    known = LibraryType(
        name=name,
        library=library,
        classes=table.names("classes"),
        construct=_entry(name, construct, library, table.where) if construct else None,
        methods={
            key: _entry(key, value, library, table.where) for key, value in table.table("methods").items()
        },
        inherits=table.names("inherits"),
        attributes=table.table("attributes").strings(),
        items=_one_or_more(table, "items"),
        override_means=table.table("override-means").strings(),
    )
    table.done()
    return known


def _one_or_more(table: Table, key: str) -> tuple[str, ...]:
    """The text or the list of texts under `key`."""
    value = table.get(key, object, None)
    if isinstance(value, str):
        return (value,)
    return table.names(key) if value is not None else ()


def _framework(file: Table) -> Framework:
    name = file.need("framework", str)
    framework = Framework(
        name=name,
        modules=file.names("modules"),
        source=file.need("source", str),
        entry_points=tuple(_entry_point(item, name) for item in file.tables("entry-points")),
        offloads=tuple(map(_offload, file.tables("offloads"))),
        runs=tuple(map(_offload, file.tables("runs"))),
        on_loop=tuple(map(_offload, file.tables("on-loop"))),
        injects=tuple(map(_offload, file.tables("injects"))),
        runs_coroutine=file.names("runs-coroutine"),
        runs_coroutine_methods=file.names("runs-coroutine-methods"),
        background=file.names("background"),
        caches=file.names("caches"),
        types=file.table("types").strings(),
        passes=tuple(map(_offload, file.tables("passes"))),
        awaits=file.names("awaits"),
        consumes=file.names("consumes"),
        consuming_methods=file.names("consuming-methods"),
        streams=file.names("streams"),
        state=file.names("state"),
        limits_threads=file.names("limits-threads"),
        executors=file.names("executors"),
        waits=file.names("waits"),
        sets_default_executor=file.names("sets-default-executor"),
    )
    file.done()
    return framework


def _entry_point(table: Table, framework: str) -> EntryPoint:
    position = table.get("position", int, -1)
    try:
        phase, sync = Phase(table.get("phase", str, "serving")), SyncRuns(table.get("sync", str, "thread"))
    except ValueError as error:
        raise KnowledgeError(f"{table.where}: {error}") from error
    point = EntryPoint(
        role=table.get("role", str, "endpoint"),
        phase=phase,
        sync=sync,
        decorator=table.get("decorator", str, ""),
        argument_of=table.get("argument-of", str, ""),
        position=None if position < 0 else position,
        keyword=table.get("keyword", str, ""),
        subclass=table.get("subclass", str, ""),
        methods=table.names("methods"),
        loop_when=dict(table.table("loop-when").items()),
        thread_when=dict(table.table("thread-when").items()),
        framework=framework,
    )
    table.done()
    if sum(map(bool, (point.decorator, point.argument_of, point.subclass))) != 1:
        raise KnowledgeError(f"{table.where}: exactly one of decorator, argument-of, subclass is needed")
    return point


def _offload(table: Table) -> Offload:
    position, pool = table.get("position", int, -1), table.get("pool", int, -1)
    offload = Offload(
        name=table.get("name", str, ""),
        method=table.get("method", str, ""),
        position=None if position < 0 else position,
        keyword=table.get("keyword", str, ""),
        pool=None if pool < 0 else pool,
        default_pool=table.get("default-pool", bool, False),
        awaitable=table.get("awaitable", bool, True),
        wraps=table.get("wraps", bool, False),
        starts=table.get("starts", bool, False),
    )
    table.done()
    if bool(offload.name) == bool(offload.method):
        raise KnowledgeError(f"{table.where}: exactly one of name, method is needed")
    return offload
