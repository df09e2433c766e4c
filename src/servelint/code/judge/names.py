"""What the names in a call say where nothing else is known of what it calls."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Choice,
    Constant,
    Expression,
    FunctionFacts,
    Name,
    Text,
    dotted,
    last_name,
)
from servelint.code.graph.reach import Reach
from servelint.code.judge.outcomes import Blocking, Hop
from servelint.code.names import evidence
from servelint.code.names.frameworks import ModelBase
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import (
    ClassReference,
    External,
    ExternalObject,
    Frame,
    FunctionReference,
    Instance,
    LibraryMethod,
    LibraryObject,
    Literal,
    Value,
    Values,
    plain,
)
from servelint.finding import Confidence
from servelint.knowledge.types import Role

# Who asks this of a method calls it where it is no coroutine function.
_ASKS = "iscoroutinefunction"
_LOADS = frozenset({"load", "setup"})
# An address has few parts, and each of them few forms: a default, the one of a test, the one of a stage.
_MAXIMUM_TEXTS = 16
_MAXIMUM_DEPTH = 8


class Names:
    """Judges calls by the names in them."""

    def __init__(self, evaluator: Evaluator, reach: Reach) -> None:
        self.evaluator = evaluator
        self.catalogue = evaluator.catalogue
        self.reach = reach
        self.evidence = evidence.load()
        self.known = self.catalogue.modules

    def blocking(self, frame: Frame, call: Call, values: Values) -> Blocking | None:
        """What the call does by its name, of medium confidence; None where names do not count."""
        role = self._role(frame, call, values)
        if role is None:
            return None
        what = "a request to a model elsewhere" if role is Role.REMOTE else role.value
        text = f"{dotted(call.function)} looks like {what} by its name"
        hop = Hop(frame.module, call.position, text)
        return Blocking(role, "", dotted(call.function), Confidence.MEDIUM, (hop,))

    def _role(self, frame: Frame, call: Call, values: Values) -> Role | None:
        """What the call does by its name, `values` being what it may call; None where names do not count."""
        if not all(self._is_nameless(value) for value, _ in plain(values)):
            return None
        # A model is one whatever holds it: `self.model(x)`.
        is_model = any(isinstance(value, ExternalObject) and value.of_model for value, _ in plain(values))
        if not is_model and self._is_elsewhere(frame, call) and not self._is_held(frame, call, values):
            return None
        role = self.evidence.role_of(call)
        if role is None:
            role = self._of_unlisted(call, values)
        if role is None or not self.reach.has_models(frame.module):
            return None
        asks = any(
            isinstance(value, External | ExternalObject) and value.remote for value, _ in plain(values)
        )
        return Role.REMOTE if asks and role is Role.INFERENCE else role

    def _is_nameless(self, value: Value) -> bool:
        """Whether nothing but names is known of what is called."""
        match value:
            case LibraryMethod(type_name, method):
                return self.catalogue.is_open(type_name) and self.catalogue.method(type_name, method) is None
            case LibraryObject(type_name):  # whatever an artefact holds under that name
                return self.catalogue.is_open(type_name) and not self.catalogue.method(type_name, "__call__")
            case External() | ExternalObject():
                return True
        return False

    def _of_unlisted(self, call: Call, values: Values) -> Role | None:
        """What a method that nobody lists does, of a model or of a class that nobody has catalogued."""
        for value, _ in plain(values):
            match value:
                case LibraryMethod() | LibraryObject():
                    return self._of_model(call)
                case External(name) if self._loads(name):
                    return Role.LOAD
                case External(name, True) if not self.reach.is_ordinary(name):
                    return self._of_model(call)
                case External(name) if _is_method(name) and not self.reach.is_ordinary(name):
                    return self.evidence.role_of_unlisted(call, of_model=False)
                case ExternalObject(name, of_model) if not self.reach.is_ordinary(name):
                    given = call.arguments or call.keywords
                    return Role.INFERENCE if of_model and given else self.evidence.role_of_object(name)
        return None

    def _of_model(self, call: Call) -> Role | None:
        """What a method of a model does by its name."""
        if self.evidence.feeds(call):
            return Role.INFERENCE
        return self.evidence.role_of_unlisted(call, of_model=True)

    def _loads(self, name: str) -> bool:
        """Whether it is called `load_model`, or the like, in a library that nobody has catalogued."""
        top, _, last = name.partition(".")[0], *name.rpartition(".")[1:]
        return self.evidence.loads_model(last) and not (self.reach.is_ordinary(name) or top in self.known)

    def is_of_model(self, frame: Frame, call: Call) -> bool:
        """Whether the names in what the call reads, or of what it is kept in, say that it is a model."""
        if not call.arguments or not self.reach.has_models(frame.module):
            return False
        if self._is_kept_as_model(frame, call):
            return True
        opened = call.arguments[0]
        if not isinstance(opened, Name):
            return self.evidence.is_file_of_model(opened)
        bound = self.evaluator.module(frame.module).bound(frame.function, opened.id)
        return any(b.binding.value and self.evidence.is_file_of_model(b.binding.value) for b in bound)

    def is_row(self, frame: Frame, given: Expression) -> bool:
        """Whether an argument is one row, where it is written or where its variable is set."""
        if isinstance(given, Name):
            bound = self.evaluator.module(frame.module).bound(frame.function, given.id)
            return bool(bound) and all(b.binding.value and evidence.is_row(b.binding.value) for b in bound)
        return evidence.is_row(given)

    def _is_kept_as_model(self, frame: Frame, call: Call) -> bool:
        """Whether what the call gives is called like a model, and is of no class of the project."""
        function = self.evaluator.facts(frame)
        kept = (
            b for b in function.bindings if b.value is call and self.evidence.is_called(last_name(b.target))
        )
        declared = [a for b in kept for a in (b.annotation, function.annotation)]
        annotated = self.evaluator.annotations.annotated
        return bool(declared) and not any(
            isinstance(value, Instance) for a in declared for value in annotated(frame, a)
        )

    def _is_held(self, frame: Frame, call: Call, values: Values) -> bool:
        """Whether an attribute is called like a model, and holds what the project's own class was given.

        A class is no model, and what makes a row of it names each column: `self.model(**columns)`.
        """
        if not isinstance(call.function, Attribute) or not call.arguments:
            return False
        objects = (value for value, _ in plain(values))
        if any(not isinstance(o, ExternalObject) or self.reach.is_ordinary(o.name) for o in objects):
            return False
        name = call.function.name
        holders = [value for value, _ in plain(self.evaluator.evaluate(frame, call.function.value))]
        return self.evidence.is_called(name) and all(
            isinstance(holder, Instance) and self._is_given(holder.cls, name) for holder in holders
        )

    def _is_given(self, cls: ClassReference, name: str) -> bool:
        """Whether an attribute of the class is set to something that is not declared to be a class."""
        classes = self.evaluator.classes
        if not self.evidence.never.isdisjoint(evidence.split(classes.facts(cls).name)):
            return False
        given = [(where, value) for where, value in classes.members.bound(cls, name) if value is not None]
        return bool(given) and not any(self._is_class(*where, value) for where, value in given)

    def _is_class(self, path: str, function: int, value: Expression | None) -> bool:
        """Whether a value is a parameter that is declared to be a class: `model: type[Row]`."""
        parameters = self.evaluator.module(path).function(function).parameters
        declared = (p.annotation for p in parameters if isinstance(value, Name) and p.name == value.id)
        return any(last_name(a) in ("Type", "type") for a in declared if a is not None)

    def _is_elsewhere(self, frame: Frame, call: Call) -> bool:
        """Whether the receiver is known, and known to be no model: text, a number, a framework's object."""
        if not isinstance(call.function, Attribute | Name):
            return False
        base = call.function.value if isinstance(call.function, Attribute) else call.function
        for value, _ in plain(self.evaluator.evaluate(frame, base)):
            match value:
                case External(name) | ExternalObject(name):
                    if self.reach.is_ordinary(name):
                        return True
                case LibraryObject(type_name) if self.catalogue.is_open(type_name):
                    pass
                case _:
                    return True
        return False


def _is_method(name: str) -> bool:
    """Whether a qualified name is that of a method of a class, by the way in which classes are spelled."""
    return name.rpartition(".")[0].rpartition(".")[2][:1].isupper()


class ModelBases:
    """Judges calls of what a model server's base class leaves to others, where the project is that server.

    There `predict` only declares itself, and `load` gives a constant: what they do is in other projects.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.bases = evaluator.frameworks.model_bases
        self.verbs = evidence.load().strong_verbs

    def filled(self, function: FunctionReference, frame: Frame, call: Call) -> Blocking | None:
        """What the call runs of those who fill the method in; None where it is none of these methods."""
        facts = self.evaluator.facts(function)
        if facts.owner is None or not _does_nothing(facts):
            return None
        base = self._base(ClassReference(function.module, facts.owner))
        role = self._role(base, facts.name) if base is not None else None
        if base is None or role is None or (facts.is_async and not self._is_asked(frame, call)):
            return None
        text = f"{dotted(call.function)} is what a user of {base.framework} writes for {role.value}"
        hop = Hop(frame.module, call.position, text)
        return Blocking(role, "", f"{base.name}.{facts.name}", Confidence.MEDIUM, (hop,))

    def _base(self, cls: ClassReference) -> ModelBase | None:
        """The base class of a model server that the class is: in its source, and not a subclass of it."""
        name = self.evaluator.classes.facts(cls).name
        for base in self.bases:
            if base.name == name and cls.module.endswith(base.path):
                lineage = self.evaluator.classes.lineage(cls)
                derived = any(isinstance(b, External) and b.name.endswith(f".{name}") for b in lineage)
                return None if derived else base
        return None

    def _role(self, base: ModelBase, name: str) -> Role | None:
        words = evidence.split(name)
        if name in base.serves:
            return None if self.verbs.isdisjoint(words) else Role.INFERENCE
        return None if _LOADS.isdisjoint(words) else Role.LOAD

    def _is_asked(self, frame: Frame, call: Call) -> bool:
        """Whether the caller asks whether it is a coroutine function, and so may call one that is none."""
        return any(
            last_name(site.call.function) == _ASKS and site.call.arguments[:1] == (call.function,)
            for site in self.evaluator.facts(frame).sites
        )


def _does_nothing(function: FunctionFacts) -> bool:
    """Whether the body only declares the method, or gives a constant."""
    constant = all(isinstance(value, Constant) for value in function.returns)
    return function.stub or (constant and not (function.sites or function.bindings or function.is_generator))


def goes_to_model(evaluator: Evaluator, frame: Frame, call: Call) -> bool:
    """Whether an argument of the call is the address of a model (`addresses` of `rules/evidence.yaml`)."""
    reader = _Addresses(evaluator)
    given = (*call.arguments, *(value for _, value in call.keywords))
    return any(evidence.is_address(text) for value in given for text in reader.texts(frame, value))


class _Addresses:
    """Reads what the address of a request may be."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.depth = 0

    def texts(self, frame: Frame, expression: Expression) -> tuple[str, ...]:
        """The texts that an expression may be; what is not known of them is left out."""
        if self.depth >= _MAXIMUM_DEPTH:
            return ()
        self.depth += 1
        found = tuple(dict.fromkeys(self._texts(frame, expression)))
        self.depth -= 1
        return found[:_MAXIMUM_TEXTS]

    def _texts(self, frame: Frame, expression: Expression) -> Iterable[str]:
        match expression:
            case Constant(str(text)):
                return (text,)
            case Constant():
                return ()
            case Text(parts):
                return self._joined(frame, parts)
            case Choice(options):
                return [text for option in options for text in self.texts(frame, option)]
            case Call(function, arguments, _, _):
                # Text comes out of what it goes into: `urljoin(base, path)`, `url.rstrip("/")`.
                receiver = (function.value,) if isinstance(function, Attribute) else ()
                return [*self._held(frame, expression), *self._joined(frame, (*receiver, *arguments))]
            case Name(name):
                return [*self._held(frame, expression), *self._made(frame, name)]
        return self._held(frame, expression)

    def _made(self, frame: Frame, name: str) -> list[str]:
        """The texts that went into what a variable of the function holds: `request = Request(url)`."""
        module = self.evaluator.module(frame.module)
        made = [bound.binding.value for bound in module.bound(frame.function, name)]
        return [text for value in made if isinstance(value, Call) for text in self.texts(frame, value)]

    def _held(self, frame: Frame, expression: Expression) -> list[str]:
        """The texts that a variable or attribute is ever given, or a function of the project returns."""
        values = [value for value, _ in plain(self.evaluator.evaluate(frame, expression))]
        literals = [v for v in values if isinstance(v, Literal) and v.expression != expression]
        return [text for value in literals for text in self.texts(value.frame, value.expression)]

    def _joined(self, frame: Frame, parts: tuple[Expression, ...]) -> list[str]:
        ways = [self.texts(frame, part) or ("",) for part in parts]
        return ["".join(pieces) for _, pieces in zip(range(_MAXIMUM_TEXTS), product(*ways), strict=False)]
