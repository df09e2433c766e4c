"""Modules and names that the program puts together as text: `import_module(f"backends.{name}")`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from servelint.code.facts.facts import Attribute, Call, Constant, Expression, Name, Operated, Text
from servelint.code.values.calls import argument
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Guess,
    Instance,
    LibraryMethod,
    LibraryObject,
    Literal,
    ModuleReference,
    Packed,
    Value,
    Values,
    guessed,
    plain,
    union,
)

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator

# How many functions and classes of a module, or modules of a package, a name may mean that nobody knows.
MAXIMUM_MEMBERS = 20
MAXIMUM_MODULES = 200
# Names of the package or the file itself, as in `f"{__package__}.{name}"`.
_ITSELF = frozenset({"__package__", "__name__"})
# What is filled in: `"load_%s" % name`, `"load_{}".format(name)`.
_CONVERSION, _FIELD = re.compile(r"%[sdr]"), re.compile(r"\{[^{}]*\}")
# A module of a package, or something in one: `pkg.module.Class`, `pkg.module:Class`.
_DOTTED = re.compile(r"\w+(?:\.\w+)+(?::\w+)?|\w+:\w+")


class Chosen:
    """The part of the evaluation that is about modules whose names are text."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._pieces: dict[str, Constant] = {}

    def module(self, frame: Frame, call: Call) -> Values:
        """What `import_module(name, package)` may give.

        A leading dot is a level of the package. Of a name that ends in something unknown, the modules of the
        package that is known are all meant.
        """
        named, anchor = call.arguments[0], argument(call, 1, "package")
        package = anchor.value if isinstance(anchor, Constant) and isinstance(anchor.value, str) else ""
        return union(self._module(frame, text, package) for text in self._texts(frame, named))

    def resolved(self, frame: Frame, named: Expression) -> Values:
        """What a text names that is a path into a module: `pkg.module.Class`, `pkg.module:Class`."""
        return union(self._at(frame, text) for text in self._texts(frame, named))

    def _at(self, frame: Frame, text: Expression) -> Values:
        if not isinstance(text, Constant) or not isinstance(text.value, str):
            return ()
        if not _DOTTED.fullmatch(text.value):
            return ()
        module, _, name = text.value.replace(":", ".").rpartition(".")
        return self.evaluator.attributes(self._module(frame, Constant(module), ""), name)

    def attribute(self, frame: Frame, holders: Values, named: Expression) -> Values:
        """What `getattr(holder, name)` gives; for a name that nobody knows, what a model infers with."""
        names = self.evaluator.evaluate(frame, named)
        known = list(_written(names))
        if known:
            return union(self.evaluator.attributes(holders, name) for name in known)
        bounded = [*self._of_enumerations(names), *self._allowed(frame, named)]
        found = union(self.evaluator.attributes(holders, name) for name in bounded)
        if found:
            return guessed(found)
        texts = (v.expression for v, _ in plain(names) if isinstance(v, Literal))
        form = next(map(_Form.of, texts), None) or self._form(frame, named)
        return union(self._whichever(holder, form) for holder in holders)

    def _of_enumerations(self, names: Values) -> Iterator[str]:
        """The texts that a name may be that is a member of an enumeration: `class Kind(str, Enum)`."""
        classes = self.evaluator.classes
        for value, _ in plain(names):
            if isinstance(value, Instance) and classes.members.is_enumeration(value.cls):
                given = (binding.value for binding in classes.facts(value.cls).bindings)
                yield from (v.value for v in given if isinstance(v, Constant) and isinstance(v.value, str))

    def _allowed(self, frame: Frame, named: Expression) -> Iterator[str]:
        """The texts that a function asks for among which a name is (`name in NAMES`), else its default."""
        if not isinstance(named, Name) or not frame.function:
            return
        facts, asked = self.evaluator.facts(frame), 0
        for operation in facts.operations:
            match operation.operated:
                case Operated("contains", (holder, one)) if one == named:
                    for text in _written(self.evaluator.elements(frame, holder)):
                        asked += 1
                        yield text
        default = next((p.default for p in facts.parameters if p.name == named.id), None)
        if not asked and isinstance(default, Constant) and isinstance(default.value, str):
            yield default.value

    def _form(self, frame: Frame, named: Expression) -> _Form:
        """What is known of a name that is put together: `"load_" + kind`, `"load_%s" % kind`."""
        match named:
            case Text():
                return _Form.of(named)
            case Operated("add", (one, other)):
                return _Form(_constant(one), _constant(other))
            case Operated("mod", (Constant(str(text)), _)):
                return _Form.around(text, _CONVERSION)
            case Call(Attribute(Constant(str(text)), "format"), _, _, _):
                return _Form.around(text, _FIELD)
            case Name(id):
                bound = (
                    self.evaluator.module(frame.module).bound(frame.function, id) if frame.function else ()
                )
                values = (one.binding.value for one in bound)
                made = next((v for v in values if isinstance(v, Text | Operated | Call)), None)
                return self._form(frame, made) if made is not None else _Form("", "")
        return _Form("", "")

    def _whichever(self, holder: Value, form: _Form) -> Values:
        """What an attribute is whose name nobody knows: a function or class of a module, a way to infer.

        What is known of the name is its `form`: `f"{kind}Engine"`. Of an object it takes some form.
        """
        match holder:
            case Guess(inner):
                return self._whichever(inner, form)
            case ModuleReference(path):
                return guessed(self._members(path, form))
            case Instance() | ClassReference() if form != _Form("", ""):
                cls = holder.cls if isinstance(holder, Instance) else holder
                return guessed(self._methods(holder, cls, form))
            case LibraryObject(type_name):
                method = self.evaluator.catalogue.inference_method(type_name)
                return (Guess(LibraryMethod(type_name, method)),) if method else ()
        return ()

    def _methods(self, holder: Value, cls: ClassReference, form: _Form) -> Values:
        """The methods of an object or a class, of its bases and subclasses, under names of the form."""
        classes = self.evaluator.classes
        family = (*classes.lineage(cls), *classes.subclasses(cls))
        names = (n for one in family if isinstance(one, ClassReference) for n in classes.facts(one).methods)
        fitting = islice(filter(form.fits, dict.fromkeys(names)), MAXIMUM_MEMBERS)
        found = union(self.evaluator.attributes((holder,), name) for name in fitting)
        return tuple(v for v, _ in plain(found) if isinstance(v, FunctionReference))

    def _members(self, path: str, form: _Form) -> Values:
        """The functions and classes of the project that a module has under a name of the form."""
        module = self.evaluator.project.module(path)
        if module is None:
            return ()
        body = module.facts.body
        names = (*body.names, *(item.local for item in body.imports if item.name))
        fitting = islice(filter(form.fits, dict.fromkeys(names)), MAXIMUM_MEMBERS)
        found = union(self.evaluator.module_member(path, name) for name in fitting)
        return tuple(v for v, _ in plain(found) if isinstance(v, FunctionReference | ClassReference))

    def is_module(self, text: Expression) -> bool:
        """Whether the text names a module of the project, or something in it (`pkg.module:Class`)."""
        return bool(self._path(text))

    def _path(self, text: Expression) -> str:
        """The text where it names a module of the project, or something in it; else an empty one."""
        if not isinstance(text, Constant) or not isinstance(text.value, str):
            return ""
        top = text.value.partition(".")[0].partition(":")[0]
        is_known = _DOTTED.fullmatch(text.value) is not None and self.evaluator.project.has_top(top)
        return text.value if is_known else ""

    def parts(self, frame: Frame, text: Expression, method: str, separator: Expression) -> Values:
        """What splitting a name of the project gives: `"pkg.module.Class".rsplit(".", 1)`; else nothing."""
        if not isinstance(separator, Constant) or separator.value not in (".", ":"):
            return ()
        found = []
        for value, _ in plain(self.evaluator.evaluate(frame, text)):
            path = self._path(value.expression) if isinstance(value, Literal) else ""
            if isinstance(value, Literal) and path:
                pieces = _split(path, method, separator.value)
                # An expression is known by its identity as long as the evaluation lives.
                kept = (self._pieces.setdefault(piece, Constant(piece)) for piece in pieces)
                found.append(Packed(tuple((Literal(value.frame, piece),) for piece in kept)))
        return tuple(found)

    def _texts(self, frame: Frame, named: Expression) -> Iterator[Expression]:
        match named:
            case Constant(str()) | Text():
                yield named
            case Call(Attribute(Constant(str(form)), "format"), _, _, _):
                yield Text((Constant(form.partition("{")[0]),))
            case _:
                for value, _ in plain(self.evaluator.evaluate(frame, named)):
                    if isinstance(value, Literal):
                        yield value.expression

    def _module(self, frame: Frame, named: Expression, package: str) -> Values:
        match named:
            case Constant(str(name)) if name:
                whole = f"{package}{name}" if package and name.startswith(".") else name
                relative = whole.lstrip(".")
                path = self._resolved(frame, relative, len(whole) - len(relative))
                return (ModuleReference(path),) if path else (External(relative),)
            case Text((Constant(str(start)), *_)) if start.partition("%")[0].endswith("."):
                within = package if package and start.startswith(".") else ""
                return self._below(frame, f"{within}{start.partition('%')[0]}")
            case Text((Name(name), Constant(str(start)), *_)) if name in _ITSELF and start[-1:] == ".":
                return self._below(frame, f".{start.lstrip('.')}")
        return ()

    def _below(self, frame: Frame, start: str) -> Values:
        package = start.strip(".")
        path = self._resolved(frame, package, len(start) - len(start.lstrip(".")))
        inside = self.evaluator.project.submodules(path) if path else ()
        others = (ModuleReference(module) for module in inside if module != frame.module)
        return tuple(islice(others, MAXIMUM_MODULES))

    def _resolved(self, frame: Frame, module: str, level: int) -> str | None:
        return self.evaluator.project.resolve(self.evaluator.module(frame.module), module, level)


class _Form(NamedTuple):
    """What is known of a name that is put together: how it begins and ends."""

    start: str
    end: str

    @classmethod
    def around(cls, text: str, gap: re.Pattern[str]) -> _Form:
        """The form of a text with gaps for what it is put together of."""
        pieces = gap.split(text)
        return cls(pieces[0], pieces[-1]) if len(pieces) > 1 else cls("", "")

    @classmethod
    def of(cls, text: Expression | None) -> _Form:
        """The form of `f"{kind}Engine"`; of anything else nothing is known."""
        if not isinstance(text, Text) or not text.parts:
            return cls("", "")
        first, last = text.parts[0], text.parts[-1]
        start = first.value if isinstance(first, Constant) else ""
        end = last.value if isinstance(last, Constant) else ""
        return cls(str(start), str(end))

    def fits(self, name: str) -> bool:
        """Whether the name may be meant."""
        return name.startswith(self.start) and name.endswith(self.end)


def _written(values: Values) -> Iterator[str]:
    """The texts among values."""
    for value, _ in plain(values):
        match value:
            case Literal(_, Constant(str(text))):
                yield text


def _constant(expression: Expression) -> str:
    return str(expression.value) if isinstance(expression, Constant) else ""


def _split(text: str, method: str, separator: str) -> tuple[str, ...]:
    """The pieces that the method of the same name gives, split once."""
    cut = text.rpartition if method.startswith("r") else text.partition
    before, mark, after = cut(separator)
    return (before, mark, after) if method.endswith("partition") else (before, after)
