"""Evaluates Go templates with Helm's functions; the result knows where each character comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from servelint.boundary import LimitError
from servelint.manifests.documents.budget import Budget
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.helm import functions, syntax
from servelint.manifests.helm.values import (
    UNKNOWN_VALUE,
    Leaf,
    Unknown,
    Value,
    bare,
    located,
    to_yaml,
    truthy,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_MAX_DEPTH = 60
_MAX_NESTING = 500
_MAX_RANGE = 10_000
_STEPS = 200_000
_CHARACTERS = 10_000_000
_FEW = 5
_PARSING = 10  # the same for parsing a character


class RenderError(ValueError):
    """A template runs too long, or calls itself without end."""


@dataclass(slots=True)
class Patience:
    """What rendering one template may cost. After some that have used up theirs, others get less.

    A template that is meant to be rendered needs a small part of it; one that is not must not take all the
    time there is, nor may a hundred of its kind.
    """

    exhausted: int = 0

    def budgets(self) -> tuple[Budget, Budget]:
        """Steps, and characters of values and output."""
        share = 1 if self.exhausted < _FEW else 10
        return (
            Budget(_STEPS // share, "steps"),
            Budget(_CHARACTERS // share, "characters of values and output"),
        )


class _Break(Exception):  # noqa: N818 - control flow of the template
    """`{{ break }}`."""


class _Continue(Exception):  # noqa: N818 - control flow of the template
    """`{{ continue }}`."""


@dataclass(slots=True)
class Engine:
    """Renders the templates of one chart. `defines` are the named templates within reach.

    `switches` are the values that decide whether something is printed, by where they stand: those that a
    condition asks for are true, those that something is printed for each of are false.
    """

    defines: Mapping[str, Sequence[syntax.Piece]]
    root: Mapping[str, Value]
    values_paths: frozenset[str] = frozenset()
    readers: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    switches: dict[tuple[str, int], bool] = field(default_factory=dict)
    template: str = ""
    steps: Budget = field(default_factory=lambda: Patience().budgets()[0])
    characters: Budget = field(default_factory=lambda: Patience().budgets()[1])
    depth: int = 0
    nesting: int = 0
    action: Place | None = None  # the outermost that is evaluated

    def render(self, template: syntax.Template, path: Path, patience: Patience | None = None) -> Located:
        """The text that a template file becomes; raises `RenderError`, and `LimitError` with the line."""
        self.template = str(path)
        self.depth = self.nesting = 0
        self.steps, self.characters = (patience or Patience()).budgets()
        try:
            return self.body(template.pieces, _Frame(self.root, [{"": self.root}]))
        except LimitError as error:
            if patience is not None:
                patience.exhausted += 1
            # Where the author of the file sees it, whatever is included there.
            error.path, error.line = path, self.action.span.line if self.action else 0
            raise

    def body(self, pieces: Sequence[syntax.Piece], frame: _Frame) -> Located:
        """The text of a sequence of pieces, run for what they print."""
        out: list[Located] = []
        self.run(pieces, frame, out)
        self.characters.spend(sum(part.weight for part in out))
        return Located.join(out)

    def nest(self) -> None:
        """Go one level deeper into what is evaluated; `nesting` is counted down again by hand."""
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise LimitError(f"evaluated more than {_MAX_NESTING} levels deep")

    def run(self, pieces: Sequence[syntax.Piece], frame: _Frame, out: list[Located]) -> None:
        """Append to `out` what the pieces print."""
        self.nest()
        for piece in pieces:
            self.steps.spend(1)
            if not self.depth and not isinstance(piece, (syntax.Text, syntax.Jump)):
                self.action = piece.place
            match piece:
                case syntax.Text(text=text):
                    out.append(text)
                case syntax.Output(pipeline=pipeline, place=place):
                    value = self.pipeline(pipeline, frame, place)
                    if value is not None:
                        self.note(value)
                        out.append(located(value, place))
                case syntax.Assign(name=name, pipeline=pipeline, declares=declares, place=place):
                    frame.assign(name, self.pipeline(pipeline, frame, place), declares=declares)
                case syntax.Invoke(name=name, pipeline=pipeline, place=place):
                    value = self.pipeline(pipeline, frame, place) if pipeline else None
                    out.append(self.named(name, value))
                case syntax.Jump(kind=kind):
                    raise _Break if kind == "break" else _Continue
                case syntax.Block():
                    self.block(piece, frame, out)
        self.nesting -= 1

    def note(self, value: Value) -> None:
        """Remember which template reads a value of a values file."""
        if isinstance(value, Leaf):
            place = value.text.place
            self.readers.setdefault((str(place.source.path), place.start), set()).add(self.template)
        elif isinstance(value, Located):
            for run in value.runs:
                if str(run.source.path) in self.values_paths:
                    self.readers.setdefault((str(run.source.path), run.offset), set()).add(self.template)

    def switch(self, value: Value, *, asked: bool) -> None:
        """Remember that a value decides what is printed."""
        if isinstance(value, Leaf):
            place = value.text.place
            key = (str(place.source.path), place.start)
            self.switches[key] = asked or self.switches.get(key, False)

    def ask(self, condition: syntax.Expression, frame: _Frame) -> None:
        """Remember the values that a condition which holds asks for."""
        match condition:
            case syntax.Pipeline(commands=commands):
                for command in commands:
                    self.ask(command, frame)
            case syntax.Command(words=words):
                for word in words:
                    self.ask(word, frame)
            case syntax.Field() | syntax.Variable() | syntax.Dot():
                self.steps.spend(1)
                self.switch(self.value(condition, frame), asked=True)

    def block(self, block: syntax.Block, frame: _Frame, out: list[Located]) -> None:
        """`if`, `with` and `range`."""
        if block.kind == "range":
            self.loop(block, frame, out)
            return
        for position, (condition, body) in enumerate(block.branches):
            if condition is None:
                self.run(body, frame.inner(frame.dot), out)
                return
            value = self.pipeline(condition, frame, block.place)
            if truthy(value):
                self.ask(condition, frame)
                scoped = block.kind == "with" if position == 0 else block.otherwise == "with"
                inner = frame.inner(value if scoped else frame.dot)
                if position == 0 and block.variables:
                    inner.assign(block.variables[0], value, declares=True)
                self.run(body, inner, out)
                return

    def loop(self, block: syntax.Block, frame: _Frame, out: list[Located]) -> None:
        """`range`, its body once for each entry."""
        condition, body = block.branches[0]
        assert condition is not None
        entries = list(_entries(self.pipeline(condition, frame, block.place)))
        nesting = self.nesting
        for key, value in entries:
            self.steps.spend(1)
            self.nesting = nesting  # `break` and `continue` leave what is nested
            self.switch(value, asked=False)
            inner = frame.inner(value)
            if len(block.variables) == 2:
                inner.assign(block.variables[0], key, declares=True)
            if block.variables:
                inner.assign(block.variables[-1], value, declares=True)
            try:
                self.run(body, inner, out)
            except _Continue:
                continue
            except _Break:
                break
        self.nesting = nesting
        if not entries and len(block.branches) > 1:
            self.run(block.branches[1][1], frame.inner(frame.dot), out)

    def named(self, name: str, value: Value) -> Located:
        """What the named template prints for a value; nothing where it is not known."""
        pieces = self.defines.get(name)
        if pieces is None:
            return Located("")
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise RenderError(f"`{name}` includes itself")
        result = self.body(pieces, _Frame(value, [{"": value}]))
        self.depth -= 1
        return result

    def include(self, name: str, value: Value, here: Place) -> Value:
        """`include`: a short text that no values file holds stands where it is included."""
        if name not in self.defines:
            return _rendered_elsewhere(name, value, here)
        result = self.named(name, value)
        short = "\n" not in result.text.strip() and len(result.text) < 200
        if not short or any(str(run.source.path) in self.values_paths for run in result.runs):
            return result
        stripped = result.strip()
        return Located.computed(result.text, here, stripped if stripped.runs else None)

    def pipeline(self, pipeline: syntax.Pipeline, frame: _Frame, here: Place) -> Value:
        """The value of a pipeline."""
        frame.place = here
        self.nest()
        result: Value = None
        for position, command in enumerate(pipeline.commands):
            self.steps.spend(1)
            result = self.command(command, frame, [result] if position else [])
        self.nesting -= 1
        return result

    def command(self, command: syntax.Command, frame: _Frame, last: list[Value]) -> Value:
        """The value of one command of a pipeline; `last` holds the result of the one before."""
        first = command.words[0]
        if isinstance(first, syntax.Name):
            arguments = [self.value(word, frame) for word in command.words[1:]]
            return functions.call(self, first.name, [*arguments, *last], frame.place)
        if isinstance(first, syntax.Field) and (len(command.words) > 1 or last):
            arguments = [self.value(word, frame) for word in command.words[1:]]
            return self.method(first, [*arguments, *last], frame)
        return self.value(first, frame)

    def method(self, chain: syntax.Field, arguments: list[Value], frame: _Frame) -> Value:
        """`.Capabilities.APIVersions.Has "x"`, `.Files.Get "x"`."""
        owner = self.value(syntax.Field(chain.base, chain.names[:-1]), frame)
        found = bare(owner).get(chain.names[-1]) if isinstance(bare(owner), Mapping) else None
        try:
            return found(*arguments) if callable(found) else UNKNOWN_VALUE
        except (TypeError, ValueError):  # called with what it does not take
            return UNKNOWN_VALUE

    def value(self, expression: syntax.Expression, frame: _Frame) -> Value:
        """The value of an expression."""
        match expression:
            case syntax.Literal(value=value):
                return value
            case syntax.Dot():
                return frame.dot
            case syntax.Variable(name=name):
                return frame.variable(name)
            case syntax.Field(base=base, names=names):
                return _chain(self.value(base, frame), names)
            case syntax.Pipeline():
                return self.pipeline(expression, frame, frame.place)
            case syntax.Command():
                return self.command(expression, frame, [])
            case syntax.Name(name=name):
                return functions.call(self, name, [], frame.place)

    def evaluate_text(self, text: Located, value: Value) -> Value:
        """`tpl`: a text evaluated as a template."""
        if "{{" not in text.text:
            return text
        self.characters.spend(_PARSING * len(text))
        try:
            template = syntax.parse(text)
        except syntax.TemplateError:
            return UNKNOWN_VALUE
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise RenderError("a value includes itself")
        result = self.body(template.pieces, _Frame(value, [{"": value}]))
        self.depth -= 1
        return result


def _chain(value: Value, names: tuple[str, ...]) -> Value:
    for name in names:
        plain = bare(value)
        if isinstance(plain, Unknown):
            return UNKNOWN_VALUE
        value = plain.get(name) if isinstance(plain, Mapping) else None
    return value


def _entries(value: Value) -> Iterable[tuple[Value, Value]]:
    plain = bare(value)
    if isinstance(plain, Mapping):
        return ((key, plain[key]) for key in sorted(plain, key=str))
    if isinstance(plain, list):
        return enumerate(plain)
    if isinstance(plain, int) and not isinstance(plain, bool):
        if plain > _MAX_RANGE:
            raise LimitError(f"a range of more than {_MAX_RANGE:,} numbers")
        return ((number, number) for number in range(plain))
    return ()


def _rendered_elsewhere(name: str, value: Value, here: Place) -> Value:
    """What a template of a library that is elsewhere prints: not known, but for one that many charts use.

    https://github.com/bitnami/charts/blob/main/bitnami/common/templates/_tplvalues.tpl
    """
    given = bare(value)
    if name != "common.tplvalues.render" or not isinstance(given, dict) or given.get("value") is None:
        return UNKNOWN_VALUE
    inner = given["value"]
    return to_yaml(inner, here) if isinstance(bare(inner), (dict, list)) else inner


@dataclass(slots=True)
class _Frame:
    """The current value and the variables in scope; `place` is the action being evaluated."""

    dot: Value
    scopes: list[dict[str, Value]]
    _place: Place | None = None

    @property
    def place(self) -> Place:
        assert self._place is not None
        return self._place

    @place.setter
    def place(self, place: Place) -> None:
        self._place = place

    def inner(self, dot: Value) -> _Frame:
        return _Frame(dot, [*self.scopes, {}], self._place)

    def assign(self, name: str, value: Value, *, declares: bool) -> None:
        if not declares:
            for scope in reversed(self.scopes):
                if name in scope:
                    scope[name] = value
                    return
        self.scopes[-1][name] = value

    def variable(self, name: str) -> Value:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return None
