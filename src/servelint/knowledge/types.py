"""What servelint knows about libraries and frameworks.

It is read from the data in `rules/`: the files are for people to review, `knowledge/catalogue.py` knows how
they are spelled, and this module has what becomes of them.

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
from typing import Any, Generic, NamedTuple, TypeVar

from servelint.finding import Confidence
from servelint.knowledge.devices import DeviceResults

_NOTHING: Mapping[str, Any] = {}
_MAX_ALTERNATIVES = 1_000
_MAX_WILDCARDS = 4
_MAX_NAME = 1_000  # no name that somebody wrote is longer


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


class Link(NamedTuple):
    """One call inside a library: the file relative to where packages are, the line, and what happens there.

    `package` is the distribution with its version.
    """

    file: str
    line: int
    package: str
    text: str


class Entry(NamedTuple):
    """What one callable of a library does and returns.

    `returns` is a type name of the catalogue, `self` for the receiver, or empty. `lazy_when`,
    `coroutine_when` and `cheap_when` map keyword arguments to the constant that turns the call lazy or
    asynchronous, or lets it return at once.
    `iterating` is what taking elements from a lazy result does. With `only_with` the call returns at once
    unless it gives that keyword argument, with `unless_given` if it does: it then has what the model would
    work out. What is `addressed` does it only where one of its arguments is the
    address of a model, and what is `between_rows` returns at once where it is given one row and another.
    `thread_safe` says that several threads may make the call at once, whatever else holds for the library.
    `of_model` is what it does where the names in what it reads say that it is the file of a model.
    `chain` are the calls in the library's own code that show it, and `confidence` says how sure that is.
    """

    name: str
    role: Role
    returns: str = ""
    lazy_when: Mapping[str, object] = _NOTHING
    coroutine_when: Mapping[str, object] = _NOTHING
    iterating: Role = Role.INFERENCE
    library: str = ""
    cheap_when: Mapping[str, object] = _NOTHING
    only_with: str = ""
    unless_given: str = ""
    addressed: bool = False
    thread_safe: bool = False
    between_rows: bool = False
    of_model: Role | None = None
    chain: tuple[Link, ...] = ()
    confidence: Confidence = Confidence.HIGH


class LibraryType(NamedTuple):
    """A family of classes that behave alike for us.

    `name` identifies the type in `returns`, `inherits`, `attributes` and `items`; `classes` are patterns
    for the importable classes that belong to it. `items` are the types of the elements: one for all, or
    one for each position of a tuple. Of an `open` type, or one that inherits from it, a method that nobody
    lists is not known to return at once: models have methods of their own. What is made with an object of a
    type in `given` is of the type there: a store that embeds with a model of this process is none elsewhere.
    """

    name: str
    library: str
    classes: tuple[str, ...] = ()
    construct: Entry | None = None
    methods: Mapping[str, Entry] = _NOTHING
    inherits: tuple[str, ...] = ()
    attributes: Mapping[str, str] = _NOTHING
    items: tuple[str, ...] = ()
    override_means: Mapping[str, str] = _NOTHING
    given: Mapping[str, str] = _NOTHING
    open: bool = False


class Claim(NamedTuple):
    """A verdict and where it was read or measured."""

    verdict: str
    source: str = ""
    note: str = ""


class Twins(NamedTuple):
    """The coroutines of a library that do what its remote calls do.

    `names` maps the last name of a call to that of its coroutine. That is another method of the same object,
    or a function beside it; where `classes` maps the class of a client to another, a method of such a client;
    where there is an `attribute`, a method of what that attribute of the client holds. With a keyword
    argument of `unless`, of the call or of the client, or below such an attribute, it gives something else.
    """

    names: Mapping[str, str] = _NOTHING
    classes: Mapping[str, str] = _NOTHING
    attribute: str = ""
    unless: tuple[str, ...] = ()
    source: str = ""


class Library(NamedTuple):
    """One file of `rules/libraries/`."""

    name: str
    modules: tuple[str, ...]
    source: str
    thread_safe: Claim
    # The same for its remote calls, where that differs from what it does in this process.
    thread_safe_remote: Claim
    gil: Claim
    context: Claim  # whether it may read context variables that its caller has set: read | unread | unknown
    advice: str
    functions: Mapping[str, Entry]
    types: Mapping[str, LibraryType]
    # Context managers whose effect on inference ends at the thread that enters them.
    thread_local: tuple[str, ...] = ()
    twins: Twins = Twins()
    on_device: DeviceResults | None = None
    version: str = ""  # which was read, where each entry shows the calls that make it so

    def may_share(self, role: Role) -> str:
        """Whether several threads may make calls of the role on one object at once: a verdict."""
        remote = self.thread_safe_remote.verdict
        return remote if role is Role.REMOTE and remote != Verdict.UNKNOWN else self.thread_safe.verdict


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
    # The distribution and the major version below which a plain `def` runs on the event loop.
    loop_below: Mapping[str, int] = field(default_factory=dict)
    # Whether its last name counts on a receiver that nobody knows, in a file that imports the framework.
    any_receiver: bool = False
    # Whether a coroutine function would be awaited in the place of a plain one.
    awaits: bool = False
    framework: str = ""


class Offload(NamedTuple):
    """A call that runs one of its arguments elsewhere than on the calling thread.

    `name` is a pattern for the qualified name, `method` the name of a method on a receiver of any type.
    With `wraps` the call returns a callable that does the running (`sync_to_async(f)`). `pool` is the
    position of the executor argument; `default_pool` says that `None` or its absence means the loop's
    shared default executor. `awaitable` says that the result has to be awaited; with `starts` the work runs
    even if nobody does. Of what is run at once, `results` says that the call gives what it gives, of what is
    run while a result is gone through that the elements are that.
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
    results: bool = False


class Framework(NamedTuple):
    """One file of `rules/frameworks/`.

    `runs` are calls that call one of their arguments at once on the calling thread (`sorted`),
    `runs_when_iterated` those that do while their result is gone through (`map`), `draws` those whose result
    then goes through the arguments (`zip`), `operates` those that stand for an operator (`len`),
    `on_loop` those that make the event loop call it later (`call_soon`), `injects` those whose result at
    run time is what their argument returns (`Depends`), `passes` those whose result is their argument,
    `resolves` those that give what the text in their argument names (`resolve_name("pkg.module:Class")`),
    `awaits` those that take awaitables, `gathers` those of them whose own result has to be awaited,
    `consumes` and `consuming_methods` (on any receiver) those that iterate their argument at once,
    `streams` those that iterate it later and in a thread. `state` are attributes that hold what a service
    shares, `limits_threads` names of functions that bound native thread pools, `executors` classes of pools,
    `waits` calls that hold their thread until work elsewhere is done, `waits_iterated` those whose result
    does when it is gone through, `background` are methods that start a coroutine beside the caller,
    `runs_coroutine_methods` those that run one to its end, `caches` decorators that keep what a function
    gave. `sets_default_executor` methods that replace the loop's own executor. `types` maps other spellings
    of a class to the usual one.
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
    gathers: tuple[Offload, ...]
    awaits: tuple[str, ...]
    consumes: tuple[str, ...]
    consuming_methods: tuple[str, ...]
    streams: tuple[str, ...]
    state: tuple[str, ...]
    limits_threads: tuple[str, ...]
    executors: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    waits_iterated: tuple[str, ...] = ()
    runs_when_iterated: tuple[Offload, ...] = ()
    draws: tuple[str, ...] = ()
    operates: Mapping[str, str] = _NOTHING
    sets_default_executor: tuple[str, ...] = ()
    resolves: tuple[str, ...] = ()


@cache
def pattern(text: str) -> re.Pattern[str]:
    """Compile one of the `alternatives` of a pattern for qualified names (see the module's text).

    What a wildcard has skipped to the nearest text after it is not tried again: a later place could not fit
    where the nearest does not. Only what has to reach the end of the name is.
    """
    *parts, last = text.split("**")
    out = [f"(?>.*?{_segments(part)})" if number else _segments(part) for number, part in enumerate(parts)]
    head, star, tail = last.rpartition("*")
    ending = (f"{_segments(head)}[^.]*" if star else "") + re.escape(tail)
    return re.compile("".join(out) + (".*" if parts else "") + ending + r"\Z")


def _segments(text: str) -> str:
    """The pattern for text in which `*` stays within one segment; it ends at the nearest place."""
    first, *others = map(re.escape, text.split("*"))
    return first + "".join(f"(?>[^.]*?{other})" for other in others)


def matches(text: str, name: str) -> bool:
    """Whether the qualified `name` fits the pattern `text`."""
    return len(name) <= _MAX_NAME and pattern(text).match(name) is not None


def unfit(text: str) -> str:
    """Why a pattern of a user is not taken; empty for one that is.

    Each `{a,b}` doubles what a pattern stands for, and each `*` the ways to read a name: a short text can ask
    for more than any time allows.
    """
    count, wildcards = 1, [(0, 0)]  # in the alternative that is read, and the most in one before it
    choices: list[int] = []
    nested = False
    for part in re.findall(r"\*+|[{},]", text):
        here, most = wildcards[-1]
        if part == "{":
            nested = nested or bool(choices)
            choices.append(1)
            wildcards.append((0, 0))
        elif part == "}" and choices:
            count *= choices.pop()
            wildcards.pop()
            wildcards[-1] = (wildcards[-1][0] + max(here, most), wildcards[-1][1])
        elif part == "}":
            return "has a `}` without its `{`"
        elif part == "," and choices:
            choices[-1] += 1
            wildcards[-1] = (0, max(here, most))
        elif part != ",":
            wildcards[-1] = (here + 1, most)
        if count > _MAX_ALTERNATIVES:
            return f"stands for more than {_MAX_ALTERNATIVES:,} names"
    if choices:
        return "has a `{` without its `}`"
    if nested:
        return "has braces inside braces"
    return f"has more than {_MAX_WILDCARDS} wildcards" if wildcards[0][0] > _MAX_WILDCARDS else ""


def alternatives(text: str) -> Iterator[str]:
    """The pattern with each of its `{a,b}` written out."""
    brace = re.search(r"\{([^{}]*)\}", text) if "{" in text else None
    if brace is None:
        yield text
        return
    for option in brace[1].split(","):
        yield from alternatives(text[: brace.start()] + option + text[brace.end() :])


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

    def inference_method(self, type_name: str) -> str:
        """The first method of the type that infers; empty where it has none."""
        methods = (entry for known in self.lineage(type_name) for entry in known.methods.values())
        return next((entry.name for entry in methods if entry.role is Role.INFERENCE), "")

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

    def given(self, type_name: str) -> Mapping[str, str]:
        """What objects of the type are that were made with an object of another type, by that type."""
        return next((t.given for t in self.lineage(type_name) if t.given), _NOTHING)

    def is_open(self, type_name: str) -> bool:
        """Whether objects of the type may well have methods that are not listed."""
        return any(known.open for known in self.lineage(type_name))

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
