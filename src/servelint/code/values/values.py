"""What an expression may be, as far as the analysis knows.

A value is a small frozen object; what an expression may be is a tuple of them, each once, in the order
in which they were found, so that the same input always gives the same output. An empty tuple means that
nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from servelint.code.facts.facts import Constant, Expression
from servelint.knowledge.types import Role


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The body of one function, seen from one call: what its parameters are there.

    `arguments` holds only parameters about which something is known. `called` says that they are those of one
    call; of a frame that is not, any call of the function may tell what its parameters are. `parent` is the
    frame in which a nested function was made. `constants` are those that the call passes for parameters of
    which branches ask what they are. Frames are made by `Frames`, once each, and compared by identity.
    """

    module: str
    function: int
    arguments: tuple[tuple[str, Values], ...]
    parent: Frame | None
    receiver: Value | None
    called: bool
    level: int
    constants: tuple[tuple[str, Constant], ...] = ()

    def argument(self, name: str) -> Values:
        """What the call passed for the parameter `name`; empty where nothing is known."""
        return next((values for key, values in self.arguments if key == name), ())


class Frames:
    """Makes frames, the same object for the same content.

    Calls that pass what other calls made, and functions that are entered in very many ways, are followed
    so far and no further: then the arguments are forgotten. Functions that are passed are kept: there are no
    more of them than the project has, and a decorator on hundreds of functions runs one of them each time.
    """

    MAXIMUM_LEVEL = 4
    MAXIMUM_WAYS = 24

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], Frame] = {}
        self._ways: dict[tuple[str, int], int] = {}

    def __call__(
        self,
        module: str,
        function: int,
        arguments: tuple[tuple[str, Values], ...] = (),
        parent: Frame | None = None,
        receiver: Value | None = None,
        *,
        called: bool = False,
        constants: tuple[tuple[str, Constant], ...] = (),
    ) -> Frame:
        """The frame with this content."""
        key = (module, function, arguments, parent, receiver, called, constants)
        frame = self._made.get(key)
        if frame is not None:
            return frame
        level = 1 + max((_level(value) for _, values in arguments for value in values), default=-1)
        ways = self._ways.get((module, function), 0)
        functions = tuple(item for item in arguments if _are_functions(item[1]))
        if arguments and level > self.MAXIMUM_LEVEL:
            frame = self(module, function, (), parent, receiver, called=called)
        elif (functions != arguments or constants) and ways >= self.MAXIMUM_WAYS:
            frame = self(module, function, functions, parent, receiver, called=called)
        else:
            frame = Frame(module, function, arguments, parent, receiver, called, level, constants)
            self._ways[module, function] = ways + (functions != arguments or bool(constants))
        self._made[key] = frame
        return frame


def _are_functions(values: Values) -> bool:
    return all(isinstance(value, FunctionReference) for value in values)


def _level(value: Value) -> int:
    match value:
        case Literal(frame, _):
            return frame.level
        case FunctionReference(_, _, receiver, frame):
            return max(frame.level if frame else 0, _level(receiver) if receiver else 0)
        case Generator(function, frame):
            return max(frame.level if frame else 0, _level(function))
        case Partial(function, arguments, _):
            return 1 + max(_level(function), *(_level(v) for values in arguments for v in values), 0)
        case Packed(items):
            return 1 + max((_level(v) for values in items for v in values), default=0)
        case Record():
            return value.level
        case Drawn(function, arguments, sources, _):
            inner = (_level(v) for values in (*arguments, sources) for v in values)
            return 1 + max(_level(function), *inner, 0)
        case Pending(function) | Offloaded(function) | Guess(function):
            return _level(function)
    return 0


@dataclass(frozen=True, slots=True)
class External:
    """Something importable outside the project, by qualified name: module, class, function, attribute.

    `of_model` says that it is a method, or what else an object has that is known to be a model, `remote` that
    the object asks one that runs elsewhere. It is or holds, somewhere, what is in `over`.
    """

    name: str
    of_model: bool = False
    remote: bool = False
    over: Values = ()


@dataclass(frozen=True, slots=True)
class ExternalObject:
    """An instance of a class outside the project that the catalogue does not know.

    `of_model` says that it was made as models are, `remote` that it was made as clients are. `over` are
    objects of the types that it is declared to be generic over: `RunContext[Deps]` hands on a `Deps`.
    """

    name: str
    of_model: bool = False
    remote: bool = False
    over: Values = ()


@dataclass(frozen=True, slots=True)
class LibraryObject:
    """An instance of a catalogue type."""

    type: str


@dataclass(frozen=True, slots=True)
class LibraryMethod:
    """A bound method of a catalogue type."""

    type: str
    method: str


@dataclass(frozen=True, slots=True)
class LazyResult:
    """An iterator of a library; iterating it does what the call named does, which has the role."""

    name: str
    library: str
    role: Role = Role.INFERENCE


@dataclass(frozen=True, slots=True)
class ModuleReference:
    """A module or package of the project: its file, or its folder where there is no `__init__.py`."""

    path: str


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """A function of the project, bound to `receiver` where it is a method, made in `frame` where nested."""

    module: str
    function: int
    receiver: Value | None = None
    frame: Frame | None = None


@dataclass(frozen=True, slots=True)
class ClassReference:
    """A class of the project."""

    module: str
    number: int


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class of the project. Unless `exact`, it may be of a subclass.

    `made` is the frame of the constructor where what it was given matters: of a decorator. `member` is the
    name of a member of an enumeration.
    """

    cls: ClassReference
    exact: bool = True
    made: Frame | None = None
    member: str = ""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant or a container display, with the frame in which its parts mean something."""

    frame: Frame
    expression: Expression


@dataclass(frozen=True, slots=True)
class Partial:
    """`functools.partial(function, ...)`; `positional` counts the arguments given already."""

    function: Value
    arguments: tuple[Values, ...] = ()
    keywords: tuple[tuple[str, Values], ...] = ()


@dataclass(frozen=True, slots=True)
class Packed:
    """The arguments that `*args` took, one after the other."""

    items: tuple[Values, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """An object that holds what it was given by name: a named tuple, a namespace, made at `place`.

    Records hold each other, some twice: the hash is that of the place, and the level is worked out once.
    """

    fields: tuple[tuple[str, Values], ...]
    place: tuple[str, int, int]
    level: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        inner = (_level(value) for _, values in self.fields for value in values)
        object.__setattr__(self, "level", 1 + max(inner, default=0))

    def __hash__(self) -> int:
        return hash(self.place)


@dataclass(frozen=True, slots=True)
class Pending:
    """An awaitable: a coroutine of the project that has not run, or an offloaded call."""

    function: Value
    offloaded: bool = False


@dataclass(frozen=True, slots=True)
class Generator:
    """A generator of the project that has not run."""

    function: FunctionReference
    frame: Frame | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """An iterator that calls `function` for each element of `sources` (`map`).

    With `results` it gives what that returns, else the elements themselves.
    """

    function: Value
    arguments: tuple[Values, ...]
    sources: Values
    results: bool


@dataclass(frozen=True, slots=True)
class Offloaded:
    """A callable that runs `function` on another thread and gives an awaitable (`sync_to_async(f)`)."""

    function: Value


@dataclass(frozen=True, slots=True)
class State:
    """A bag of attributes shared by the application: `app.state`, `request.app.state`, `app.ctx`."""


@dataclass(frozen=True, slots=True)
class Super:
    """`super()` inside a class."""

    cls: ClassReference
    receiver: Value


@dataclass(frozen=True, slots=True)
class Guess:
    """A value found by its name alone, where nothing says what the object is."""

    value: Value


Value: TypeAlias = (
    External
    | ExternalObject
    | LibraryObject
    | LibraryMethod
    | LazyResult
    | ModuleReference
    | FunctionReference
    | ClassReference
    | Instance
    | Literal
    | Partial
    | Packed
    | Record
    | Pending
    | Generator
    | Drawn
    | Offloaded
    | State
    | Super
    | Guess
)
Values: TypeAlias = tuple[Value, ...]


MAXIMUM_VALUES = 24


def union(groups: Iterable[Values]) -> Values:
    """The values of the groups, each once, in order; of very many, the first."""
    found: dict[Value, None] = {}
    for group in groups:
        for value in group:
            found[value] = None
        if len(found) >= MAXIMUM_VALUES:
            break
    return tuple(found)


def guessed(values: Values) -> Values:
    """The same values, no longer certain."""
    return tuple(value if isinstance(value, Guess) else Guess(value) for value in values)


def plain(values: Values) -> Iterator[tuple[Value, bool]]:
    """Each value without its guess, and whether it is certain."""
    for value in values:
        if isinstance(value, Guess):
            yield value.value, False
        else:
            yield value, True
