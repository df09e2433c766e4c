"""What matters in one Python file, as small immutable values.

Facts depend on nothing but the bytes of the file, so that they can be cached by content and made in
another process; what a name *means* is worked out later, in `values`. They are named tuples because
those pickle small and are made fast.

Positions are those of `ast`: 1-based lines, 0-based columns in UTF-8 bytes. They become the contract's
columns in `source.span`, for the few places that end up in a finding.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Position(NamedTuple):
    """Where an expression stands: 1-based lines, 0-based columns in bytes, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Name(NamedTuple):
    """`id`."""

    id: str


class Attribute(NamedTuple):
    """`value.name`."""

    value: Expression
    name: str


class Subscript(NamedTuple):
    """`value[key]`."""

    value: Expression
    key: Expression


class Slice(NamedTuple):
    """`lower:upper:step` as a key."""

    lower: Expression | None
    upper: Expression | None
    step: Expression | None


class Constant(NamedTuple):
    """A literal: text, number, truth value or None."""

    value: str | int | float | bool | None


class Choice(NamedTuple):
    """One of several: `a or b`, `a if c else b`, the cases of a match."""

    options: tuple[Expression, ...]


class Sequence(NamedTuple):
    """A tuple, list or set display."""

    items: tuple[Expression, ...]


class Mapping(NamedTuple):
    """A dict display; a key is None for `**other`."""

    keys: tuple[Expression | None, ...]
    values: tuple[Expression, ...]


class Element(NamedTuple):
    """What iterating `value` gives: loop and comprehension variables."""

    value: Expression


class Entered(NamedTuple):
    """What `with value as x` binds."""

    value: Expression


class Listed(NamedTuple):
    """A comprehension whose elements are `element`; `lazy` for a generator expression."""

    element: Expression
    lazy: bool


class Awaited(NamedTuple):
    """`await value`."""

    value: Expression


class Narrowed(NamedTuple):
    """An object that `isinstance` has shown to be of the class that `annotation` names."""

    annotation: Expression


class Closure(NamedTuple):
    """A function or lambda as a value: its index in `ModuleFacts.functions`."""

    number: int


class ClassValue(NamedTuple):
    """A class as a value: its index in `ModuleFacts.classes`."""

    number: int


class Call(NamedTuple):
    """`function(*arguments, **keywords)`; the name of a keyword is None for `**other`."""

    function: Expression
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str | None, Expression], ...]
    position: Position


class Spread(NamedTuple):
    """`*value` among arguments or items."""

    value: Expression


class Text(NamedTuple):
    """Text put together of parts: an address (`f"{host}/v1"`), or a module of a package (`f"ocr.{name}"`)."""

    parts: tuple[Expression, ...]


class Operated(NamedTuple):
    """What an operator gives: it is named like its special method, `add` for `a + b`."""

    operator: str
    operands: tuple[Expression, ...]


class Opaque(NamedTuple):
    """Whatever else: comparisons, formatted strings."""

    def __bool__(self) -> bool:
        return True  # it is an expression, although it has no parts


Expression: TypeAlias = (
    Name
    | Attribute
    | Subscript
    | Constant
    | Choice
    | Sequence
    | Mapping
    | Element
    | Entered
    | Listed
    | Awaited
    | Narrowed
    | Closure
    | ClassValue
    | Call
    | Spread
    | Text
    | Slice
    | Operated
    | Opaque
)

OPAQUE = Opaque()


class Condition(NamedTuple):
    """What a branch asks of a name: to be one of some values (None: to be true), or else not to be.

    An attribute is spelled with its dots. The values are constants, and names, whose values nobody looks up.
    """

    name: str
    among: tuple[Constant | Name, ...] | None
    holds: bool

    def may_be_met_by(self, value: Constant | Name) -> bool:
        """Whether the value may fulfil it."""
        if self.among is None:
            return isinstance(value, Name) or bool(value.value) == self.holds
        if any(type(value) is type(one) and value == one for one in self.among):
            return self.holds
        is_sure = not any(isinstance(one, Name) for one in (value, *self.among))
        return not is_sure or not self.holds


# What a condition is called that asks which thread it is: it holds on others than the event loop's.
OFF_LOOP = "threading.get_ident()"


class Site(NamedTuple):
    """A call expression, or an iteration, that a function body executes itself.

    `use` says what becomes of the result: `await`, `discard`, `return`, `yield`, `assign`, `argument`,
    `iterate` (the iterable of `for`), `async` (of `async for`, `async with`), `enter` (of `with`) or
    `other`. `receiver` is the function of the call that takes the result as an argument. `name` is the
    variable it is assigned to. `contexts` are the sync `with` items around it, outermost first. `endless`
    says that it stands in a loop that is not meant to end: `while True`, `async for`. `lacking` is the name
    for whose lack it runs: in `if x is None`, or behind `x or`; an attribute is spelled with its dot.
    `conditions` are what the branches around it ask of names.
    """

    call: Call
    use: str
    receiver: Expression | None
    name: str
    contexts: tuple[Expression, ...]
    endless: bool
    lacking: str
    conditions: tuple[Condition, ...]

    @property
    def is_off_loop(self) -> bool:
        """Whether it stands in a branch for threads other than the event loop's."""
        return any(condition.name == OFF_LOOP and condition.holds for condition in self.conditions)


class Iteration(NamedTuple):
    """A `for`, a comprehension or an unpacking that draws from `iterable`; `endless` as for a site."""

    iterable: Expression
    position: Position
    endless: bool

    @property
    def about(self) -> Expression:
        """What the source shows of it."""
        return self.iterable


class Read(NamedTuple):
    """`value.name` where it is read and not called: it may be a property; `endless` as for a site."""

    attribute: Attribute
    position: Position
    endless: bool

    @property
    def about(self) -> Expression:
        """What the source shows of it."""
        return self.attribute


class Operation(NamedTuple):
    """What the language does to objects through methods of their classes; `endless` as for a site.

    `a + b`, `a[b]`, `a[b] = c`, `a in b`, `if a`, `f"{a}"`, `with a`, `await a`, `a.b = c`, `raise A`,
    `class A`.
    """

    operated: Operated
    position: Position
    endless: bool

    @property
    def about(self) -> Expression:
        """What the source shows of it."""
        return self.operated


class Binding(NamedTuple):
    """`target = value`, `target: annotation`, or both. A value is None for a bare annotation."""

    target: Expression
    value: Expression | None
    annotation: Expression | None
    line: int


class Parameter(NamedTuple):
    """One parameter. `kind` is `positional`, `keyword`, `*` or `**`."""

    name: str
    kind: str
    annotation: Expression | None
    default: Expression | None


class Import(NamedTuple):
    """`from module import name as local`, or `import module as local` where `name` is empty.

    `level` counts the leading dots. `import a.b` without `as` binds `a` and has `local == "a"`.
    """

    local: str
    module: str
    name: str
    level: int


class FunctionFacts(NamedTuple):
    """A function, a lambda, or the body of the module (always index 0).

    `parent` is the index of the enclosing function, `owner` that of the class whose method it is.
    `awaited` holds the names that the body awaits (`await task`). `outer` are names declared global or
    nonlocal. `stub` says that the body does nothing: `...`, `pass`, `raise NotImplementedError`.
    `guarded` says that it asks whether a name or attribute has been set already (`if model is None`).
    `demo` says that it is defined under `if __name__ == "__main__"`.
    `used` are the names whose values go anywhere, in functions inside it too: one that is only compared,
    computed with or formatted is not among them, nor is a parameter that is declared as text or a number.
    """

    name: str
    qualname: str
    position: Position
    is_async: bool
    is_generator: bool
    is_lambda: bool
    parent: int | None
    owner: int | None
    parameters: tuple[Parameter, ...]
    decorators: tuple[Expression, ...]
    annotation: Expression | None
    bindings: tuple[Binding, ...]
    sites: tuple[Site, ...]
    iterations: tuple[Iteration, ...]
    reads: tuple[Read, ...]
    operations: tuple[Operation, ...]
    returns: tuple[Expression, ...]
    yields: tuple[Expression, ...]
    imports: tuple[Import, ...]
    names: dict[str, Expression]
    outer: frozenset[str]
    awaited: frozenset[str]
    awaits: bool
    stub: bool
    guarded: bool
    demo: bool
    used: frozenset[str]

    @property
    def own_parameters(self) -> tuple[Parameter, ...]:
        """Its parameters, but for the one that takes the object of a method."""
        return self.parameters[1:] if self.owner is not None else self.parameters


class ClassFacts(NamedTuple):
    """A class. `methods` maps a name to the index of the function that a caller gets (the last)."""

    name: str
    qualname: str
    position: Position
    parent: int
    bases: tuple[Expression, ...]
    keywords: tuple[tuple[str | None, Expression], ...]
    decorators: tuple[Expression, ...]
    methods: dict[str, int]
    bindings: tuple[Binding, ...]
    classes: dict[str, int]


class ModuleFacts(NamedTuple):
    """One file. `stars` are the modules of `from module import *`, as (module, level)."""

    functions: tuple[FunctionFacts, ...]
    classes: tuple[ClassFacts, ...]
    stars: tuple[tuple[str, int], ...]

    @property
    def body(self) -> FunctionFacts:
        """The module's own body."""
        return self.functions[0]


def last_name(expression: Expression) -> str:
    """The last name of `a.b.c` (`c`), also where it is called or an element is taken; empty for none."""
    while isinstance(expression, Call | Subscript):  # of a chain of thousands it is asked for each link
        expression = expression.function if isinstance(expression, Call) else expression.value
    match expression:
        case Name(id):
            return id
        case Attribute(_, name):
            return name
    return ""


def dotted(expression: Expression | None) -> str:
    """The source-like text of names and attributes (`self.model.predict`), `?` for what is neither."""
    match expression:
        case Name(id):
            return id
        case Attribute(value, name):
            return f"{dotted(value)}.{name}"
        case Subscript(value, Constant(key)):
            return f"{dotted(value)}[{key!r}]"
        case Subscript(value, _):
            return f"{dotted(value)}[...]"
        case Call(function, _, _, _):
            return f"{dotted(function)}()"
        case Awaited(value):
            return f"(await {dotted(value)})"
        case Closure():
            return "lambda"
        case Operated(operator, operands):
            return _SHOWN.get(operator, f"{operator}({{}})").format(*map(dotted, operands), "?", "?")
    return "?"


# How operations are written.
BINARY = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "matmul": "@",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "lshift": "<<",
    "rshift": ">>",
    "and": "&",
    "or": "|",
    "xor": "^",
}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_SHOWN = {
    **{name: f"{{}} {sign} {{}}" for name, sign in (BINARY | COMPARISONS).items()},
    **{f"i{name}": f"{{}} {sign}= {{}}" for name, sign in BINARY.items()},
    "neg": "-{}",
    "pos": "+{}",
    "invert": "~{}",
    "getitem": "{}[{}]",
    "setitem": "{}[{}] = {}",
    "delitem": "del {}[{}]",
    "setattr": "{}.{} = {}",
    "delattr": "del {}.{}",
    "contains": "{1} in {0}",
    "bool": "bool({})",
    "unpack": "{}",
    "with": "with {}",
    "async with": "async with {}",
    "async for": "async for ... in {}",
    "await": "await {}",
    "raise": "raise {}",
    "class": "class {}",
}
