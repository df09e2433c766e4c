"""What servelint knows about libraries and frameworks, read from the data in `rules/`.

The files are data for people to review; this module gives them types and refuses what does not fit,
naming file and key. Nothing else knows how they are spelled.

A qualified name is dotted, as a user would import it (`sklearn.linear_model.LogisticRegression`). In a
pattern `*` stands for anything inside one segment, `**` for any number of segments, and `{a,b}` for
either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any


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
    """

    name: str
    role: Role
    returns: str = ""
    lazy_when: Mapping[str, object] = field(default_factory=dict)
    coroutine_when: Mapping[str, object] = field(default_factory=dict)
    library: str = ""


@dataclass(frozen=True, slots=True)
class LibraryType:
    """A family of classes that behave alike for us.

    `name` identifies the type in `returns`, `inherits`, `attributes` and `items`; `classes` are patterns
    for the importable classes that belong to it.
    """

    name: str
    library: str
    classes: tuple[str, ...] = ()
    construct: Entry | None = None
    methods: Mapping[str, Entry] = field(default_factory=dict)
    inherits: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    items: str = ""
    overridden_by: Mapping[str, str] = field(default_factory=dict)


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
    shared default executor. `awaitable` says that the result has to be awaited.
    """

    name: str = ""
    method: str = ""
    position: int | None = 0
    keyword: str = ""
    pool: int | None = None
    default_pool: bool = False
    awaitable: bool = True
    wraps: bool = False


@dataclass(frozen=True, slots=True)
class Framework:
    """One file of `rules/frameworks/`.

    `runs` are calls that call one of their arguments at once on the calling thread (`map`, `sorted`),
    `on_loop` those that make the event loop call it later (`call_soon`), `injects` those whose result at
    run time is what their argument returns (`Depends`). `types` maps a factory to the class of its result.
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
    transparent: tuple[str, ...]
    types: Mapping[str, str]


@cache
def pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern for qualified names (see the module's text)."""
    out: list[str] = []
    depth = 0
    for token in re.findall(r"\*\*|\*|[{},]|[^*{},]+", text):
        if token == "**":
            out.append(r".*")
        elif token == "*":
            out.append(r"[^.]*")
        elif token == "{":
            depth += 1
            out.append("(?:")
        elif token == "}":
            depth -= 1
            out.append(")")
        elif token == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(token))
    return re.compile("".join(out) + r"\Z")


def matches(text: str, name: str) -> bool:
    """Whether the qualified `name` fits the pattern `text`."""
    return pattern(text).match(name) is not None


def rules_dir() -> Path:
    """The folder `rules/`: inside the installed package, or beside `src/` in a checkout."""
    packaged = Path(__file__).parent / "rules"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "rules"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All of `rules/libraries` and `rules/frameworks`, joined for look-up by name."""

    libraries: Mapping[str, Library]
    frameworks: tuple[Framework, ...]
    types: Mapping[str, LibraryType]
    _functions: _Index
    _classes: _Index

    @property
    def modules(self) -> frozenset[str]:
        """Top-level modules whose import puts machine learning in reach of a file."""
        return frozenset(m.partition(".")[0] for lib in self.libraries.values() for m in lib.modules)

    def function(self, name: str) -> Entry | None:
        """What calling the function with this qualified name does, if the catalogue knows it."""
        return self._functions.find(name)

    def type_of_class(self, name: str) -> LibraryType | None:
        """The type that the importable class with this qualified name belongs to, if any."""
        return self._classes.find(name)

    def method(self, type_name: str, method: str) -> Entry | None:
        """What a method does, looked up in the type and then in what it inherits."""
        for known in self.lineage(type_name):
            if method in known.methods:
                return known.methods[method]
        return None

    def attribute(self, type_name: str, attribute: str) -> str:
        """The type name of an attribute, or an empty string."""
        return next((t.attributes[attribute] for t in self.lineage(type_name) if attribute in t.attributes), "")

    def items(self, type_name: str) -> str:
        """The type name of what subscripting or iterating gives, or an empty string."""
        return next((t.items for t in self.lineage(type_name) if t.items), "")

    def lineage(self, type_name: str) -> Iterator[LibraryType]:
        """The type and all it inherits, nearest first, each once."""
        waiting, seen = [type_name], set[str]()
        while waiting:
            name = waiting.pop(0)
            known = self.types.get(name)
            if known is None or name in seen:
                continue
            seen.add(name)
            yield known
            waiting.extend(known.inherits)


class _Index[T]:
    """Values by qualified name: exact names first, then patterns, the most specific first."""

    def __init__(self, items: Iterable[tuple[str, T]]) -> None: ...
