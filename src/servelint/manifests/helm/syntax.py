"""Go templates as trees. Positions are offsets into the template's text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from servelint.boundary import LimitError
from servelint.manifests.documents.text import Located, Place

# What an action is made of, and where it ends: a `-` that trims has white space before it.
_PART = re.compile(
    r"""(?P<end>\s++-\}\}|\}\})|"(?:\\.|[^"\\])*+"|`[^`]*+`|'(?:\\.|[^'\\])*+'|\s++|(?P<quote>["`'])
       |[^\s"`'}]++|\}""",
    re.DOTALL | re.VERBOSE,
)
_SPACE = re.compile(r"\s*+")
_COMMENT_END = re.compile(r"(?:\s++-|\s*+)\}\}")
_TOKEN = re.compile(
    r"""(?P<space>\s++)|(?P<string>"(?:\\.|[^"\\])*+")|(?P<raw>`[^`]*+`)|(?P<char>'(?:\\.|[^'\\])++')
       |(?P<number>[-+]?(?:0x[0-9A-Fa-f]++|[0-9]++(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?))|(?P<assign>:=|=)
       |(?P<punct>[|(),])|(?P<variable>\$\w*+)|(?P<field>\.[A-Za-z_]\w*+)|(?P<dot>\.)|(?P<name>[A-Za-z_]\w*+)""",
    re.VERBOSE,
)
_MAX_NESTING = 100
_MAX_DIGITS = 20  # more than Go's numbers have
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "nil": None}


class TemplateError(ValueError):
    """A text is not a Go template that this module reads."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: object


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`; the empty name is the root."""

    name: str


@dataclass(frozen=True, slots=True)
class Dot:
    """The current value."""


@dataclass(frozen=True, slots=True)
class Field:
    """A chain of keys of a value."""

    base: Expression
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A function's name."""

    name: str


@dataclass(frozen=True, slots=True)
class Command:
    """A function or method with arguments, or a single value."""

    words: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each taking the result of the one before as its last argument."""

    commands: tuple[Command, ...]


Expression: TypeAlias = Literal | Variable | Dot | Field | Name | Command | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is copied."""

    text: Located


@dataclass(frozen=True, slots=True)
class Output:
    """`{{ pipeline }}`."""

    pipeline: Pipeline
    place: Place


@dataclass(frozen=True, slots=True)
class Assign:
    """`{{ $x := pipeline }}` declares, `=` assigns."""

    name: str
    pipeline: Pipeline
    declares: bool
    place: Place


@dataclass(slots=True)
class Block:
    """`if`, `with`, `range`, `define`, `block`: each branch has a condition, the last one perhaps none."""

    kind: str
    variables: tuple[str, ...]
    branches: list[tuple[Pipeline | None, list[Piece]]]
    place: Place
    name: str = ""
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Invoke:
    """`{{ template "name" pipeline }}`."""

    name: str
    pipeline: Pipeline | None
    place: Place


@dataclass(frozen=True, slots=True)
class Jump:
    """`{{ break }}` or `{{ continue }}`."""

    kind: str


Piece: TypeAlias = Text | Output | Assign | Block | Invoke | Jump


@dataclass(slots=True)
class Template:
    """A parsed template file and the named templates it defines."""

    pieces: list[Piece]
    defines: dict[str, list[Piece]] = field(default_factory=dict)


def parse(text: Located) -> Template:
    """The tree of a template; raises `TemplateError`, and `LimitError` with the place."""
    template = Template([])
    stack: list[Block] = []
    bodies = [template.pieces]
    for piece in _pieces(text):
        if isinstance(piece, tuple):
            _control(piece, stack, bodies, template)
        else:
            bodies[-1].append(piece)
    if stack:
        raise TemplateError(f"`{stack[-1].kind}` has no `end`")
    return template


def _control(
    piece: tuple[str, str, Place], stack: list[Block], bodies: list[list[Piece]], template: Template
) -> None:
    """Open, continue or close a block."""
    word, rest, place = piece
    if word in ("if", "with", "range", "define", "block"):
        block = _block(word, rest, place)
        stack.append(block)
        if len(stack) > _MAX_NESTING:
            raise LimitError(
                f"blocks nested more than {_MAX_NESTING} levels deep", place.span.line, place.source.path
            )
        bodies.append(block.branches[0][1])
        return
    if not stack:
        raise TemplateError(f"`{word}` outside a block")
    block = stack[-1]
    bodies.pop()
    if word == "else":
        kind, _, condition = rest.partition(" ")
        pipeline = _expression(condition)[1] if kind in ("if", "with") else None
        body: list[Piece] = []
        block.branches.append((pipeline, body))
        block.otherwise = kind
        bodies.append(body)
        return
    stack.pop()
    if block.kind in ("define", "block"):
        template.defines[block.name] = block.branches[0][1]
        if block.kind == "block":
            bodies[-1].append(Invoke(block.name, block.branches[0][0], place))
    else:
        bodies[-1].append(block)


def _block(word: str, rest: str, place: Place) -> Block:
    if word in ("define", "block"):
        found = re.match(r"\s*+(\"(?:\\.|[^\"\\])*+\"|`[^`]*+`)\s*+", rest)
        if found is None:
            raise TemplateError(f"`{word}` without a name")
        argument = rest[found.end() :].strip()
        pipeline = _expression(argument)[1] if argument else None
        return Block(word, (), [(pipeline, [])], place, name=found.group(1)[1:-1])
    variables, pipeline, _ = _assignment(rest)
    return Block(word, variables, [(pipeline, [])], place)


@dataclass(frozen=True, slots=True)
class _Action:
    """One `{{ ... }}`: its range, its text (None for a comment), and whether white space beside it goes."""

    start: int
    end: int
    body: str | None
    trims_before: bool
    trims_after: bool


def _actions(content: str) -> Iterator[_Action]:
    """The actions in order; raises `TemplateError` for one that does not end."""
    position = 0
    while (start := content.find("{{", position)) >= 0:
        trims = content[start + 2 : start + 3] == "-" and content[start + 3 : start + 4].isspace()
        begin = start + 2 + trims
        first = _SPACE.match(content, begin)
        comment = first is not None and content.startswith("/*", first.end())
        if comment and first is not None:
            close = content.find("*/", first.end() + 2)
            found = _COMMENT_END.match(content, close + 2) if close >= 0 else None
        else:
            found = _end(content, begin)
        if found is None:
            line = content.count("\n", 0, start) + 1
            raise TemplateError(f"the action in line {line} has no end")
        body = None if comment else content[begin : found.start()].strip()
        yield _Action(start, found.end(), body, trims, found[0].endswith("-}}"))
        position = found.end()


def _end(content: str, position: int) -> re.Match[str] | None:
    """Where an action ends that begins here; what stands in quotes does not end it."""
    while found := _PART.match(content, position):
        if found["quote"]:
            return None
        if found["end"]:
            return found
        position = found.end()
    return None


def _pieces(text: Located) -> Iterator[Piece | tuple[str, str, Place]]:
    """Text and actions in order; white space that `{{-` and `-}}` trim is gone."""
    content = text.text
    position, trim = 0, False
    for action in _actions(content):
        end = action.start
        start = position + (len(content[position:end]) - len(content[position:end].lstrip()) if trim else 0)
        if action.trims_before:
            end = max(start, position + len(content[position:end].rstrip()))
        if end > start:
            yield Text(text.slice(start, end))
        position, trim = action.end, action.trims_after
        if action.body is not None:
            place = text.place_of(action.start, action.end)
            try:
                yield _action(action.body, place)
            except LimitError as error:
                error.line, error.path = place.span.line, place.source.path
                raise
    start = position + (len(content[position:]) - len(content[position:].lstrip()) if trim else 0)
    if start < len(content):
        yield Text(text.slice(start, len(content)))


def _action(body: str, place: Place) -> Piece | tuple[str, str, Place]:
    word, _, rest = body.partition(" ") if re.match(r"[a-z]++\s", body) else (body, "", "")
    word = word.strip()
    if word in ("if", "with", "range", "define", "block", "else", "end"):
        return word, rest.strip(), place
    if body in ("break", "continue"):
        return Jump(body)
    if word == "template":
        found = re.match(r"\s*+\"((?:\\.|[^\"\\])*+)\"\s*+", rest)
        if found is None:
            raise TemplateError("`template` without a name")
        argument = rest[found.end() :].strip()
        return Invoke(found.group(1), _expression(argument)[1] if argument else None, place)
    variables, pipeline, operator = _assignment(body)
    if variables:
        return Assign(variables[0], pipeline, operator == ":=", place)
    return Output(pipeline, place)


def _assignment(body: str) -> tuple[tuple[str, ...], Pipeline, str]:
    """Variables that are set, if any, the pipeline, and the operator."""
    found = re.match(r"\s*+(\$\w++)(?:\s*+,\s*+(\$\w++))?\s*+(:=|=)\s*+", body)
    if found is None:
        return (), _expression(body)[1], ""
    names = tuple(name[1:] for name in found.group(1, 2) if name)
    return names, _expression(body[found.end() :])[1], found.group(3)


@lru_cache(maxsize=4096)
def _expression(body: str) -> tuple[int, Pipeline]:
    parser = _Parser(body)
    pipeline = parser.pipeline()
    if parser.position < len(parser.tokens):
        raise TemplateError(f"unexpected {parser.tokens[parser.position][1]!r}")
    return parser.position, pipeline


class _Parser:
    """Recursive descent over the tokens of one action; each token knows whether white space is before it."""

    def __init__(self, body: str) -> None:
        self.tokens: list[tuple[str, str, bool]] = []
        self.position = 0
        self.nesting = 0
        position, spaced = 0, True
        while position < len(body):
            found = _TOKEN.match(body, position)
            if found is None or found.lastgroup is None:
                raise TemplateError(f"unexpected {body[position]!r}")
            if found.lastgroup == "space":
                spaced = True
            else:
                self.tokens.append((found.lastgroup, found.group(), spaced))
                spaced = False
            position = found.end()

    def peek(self) -> tuple[str, str, bool]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "", True)

    def pipeline(self) -> Pipeline:
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise LimitError(f"parentheses nested more than {_MAX_NESTING} levels deep")
        commands = [self.command()]
        while self.peek()[1] == "|":
            self.position += 1
            commands.append(self.command())
        self.nesting -= 1
        return Pipeline(tuple(commands))

    def command(self) -> Command:
        words: list[Expression] = []
        while self.peek()[0] != "end" and self.peek()[1] not in ("|", ")"):
            words.append(self.operand())
        if not words:
            raise TemplateError("missing value")
        return Command(tuple(words))

    def operand(self) -> Expression:
        kind, text, _ = self.peek()
        self.position += 1
        base = self.atom(kind, text)
        names: list[str] = []
        while self.peek()[0] == "field" and not self.peek()[2]:
            names.append(self.peek()[1][1:])
            self.position += 1
        if isinstance(base, Field) and isinstance(base.base, Dot):
            return Field(base.base, (*base.names, *names))
        return Field(base, tuple(names)) if names else base

    def atom(self, kind: str, text: str) -> Expression:
        match kind:
            case "string" | "char":
                return Literal(_unquoted(text))
            case "raw":
                return Literal(text[1:-1])
            case "number":
                return Literal(_number(text))
            case "variable":
                return Variable(text[1:])
            case "field":
                return Field(Dot(), (text[1:],))
            case "dot":
                return Dot()
            case "name":
                return Literal(_CONSTANTS[text]) if text in _CONSTANTS else Name(text)
            case "punct" if text == "(":
                inner = self.pipeline()
                if self.peek()[1] != ")":
                    raise TemplateError("missing `)`")
                self.position += 1
                return inner
            case _:
                raise TemplateError(f"unexpected {text!r}")


def _number(text: str) -> float:
    if len(text) > _MAX_DIGITS:
        raise TemplateError("a number of too many digits")
    if "x" in text:
        return int(text, 16)
    return float(text) if re.search(r"[.eE]", text) else int(text)


def _unquoted(text: str) -> str:
    if "\\" not in text:
        return text[1:-1]
    try:
        return str(ast.literal_eval(text))
    except (SyntaxError, ValueError):
        return text[1:-1]
