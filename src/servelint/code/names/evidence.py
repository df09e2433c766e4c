"""What names say about an object of which nothing else is known: `rules/evidence.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Constant,
    Entered,
    Expression,
    Name,
    Operated,
    Sequence,
    Subscript,
    Text,
    last_name,
)
from servelint.knowledge.compiled import table
from servelint.knowledge.types import Role


@dataclass(frozen=True, slots=True)
class Evidence:
    """The lists of `rules/evidence.yaml`."""

    unmistakable: Mapping[str, Role]
    receivers: tuple[tuple[frozenset[str], frozenset[str]], ...]
    called: frozenset[str]
    makes: frozenset[str]
    none_first: frozenset[str]
    given_model: frozenset[str]
    loads: frozenset[str]
    loaders: frozenset[str]
    makers: frozenset[str]
    made: frozenset[str]
    moved: frozenset[str]
    elsewhere: frozenset[str]
    given_files: frozenset[str]
    given_device: frozenset[str]
    given_except: frozenset[str]
    told_bare: frozenset[str]
    told_any: frozenset[str]
    told_surely: frozenset[str]
    told_except: frozenset[str]
    devices: frozenset[str]
    beside: frozenset[str]
    feeding: frozenset[str]
    fed: frozenset[str]
    files: frozenset[str]
    never: frozenset[str]
    about: frozenset[str]
    text_methods: frozenset[str]
    codecs: frozenset[str]
    startup: frozenset[str]
    startup_events: frozenset[str]
    closing: frozenset[str]
    serving: frozenset[str]
    commands: frozenset[str]
    strong_verbs: frozenset[str]
    weak_verbs: frozenset[str]
    subjects: frozenset[str]
    hosts: frozenset[str]
    paths: Mapping[str, re.Pattern[str]]
    short_words: frozenset[str]
    short_methods: frozenset[str]
    record_modules: frozenset[str]
    rows: frozenset[str]
    prepares: frozenset[str]

    def is_short(self, call: Call) -> bool:
        """Whether the names in a call say that it takes microseconds: of text, or of a `label_encoder`."""
        if not isinstance(call.function, Attribute):
            return False
        receiver, method = call.function.value, call.function.name
        words = words_of(receiver)
        if isinstance(receiver, Subscript) and isinstance(receiver.key, Constant):
            words |= frozenset(split(str(receiver.key.value)))  # `bundle["scaler"]`
        if method in self.short_methods and not words.isdisjoint(self.short_words):
            return True
        return method in self.text_methods and self.is_text(receiver, method, call)

    def role_of_unlisted(self, call: Call, *, of_model: bool) -> Role | None:
        """What the words of a method's name say it does; None where they say nothing.

        Its receiver is a model (`of_model`), or an object of a library that nobody has catalogued.
        """
        if not isinstance(call.function, Attribute):
            return None
        if not of_model and words_of(call.function.value) & self.never:
            return None
        parts = split(call.function.name)
        if not parts or parts[0] in self.makes:
            return None
        words = frozenset(parts)
        telling = words & self.strong_verbs or (
            words & self.weak_verbs and (of_model or words & self.subjects)
        )
        return Role.INFERENCE if telling else None

    def feeds(self, call: Call) -> bool:
        """Whether a method of a model is given what it works on: `predictor.set_image(image)`."""
        parts = split(last_name(call.function))
        given = (*call.arguments, *(value for _, value in call.keywords))
        return (
            bool(parts)
            and parts[0] in self.feeding
            and not self.fed.isdisjoint(parts[1:])
            and any(not isinstance(value, Constant) for value in given)
        )

    def loads_model(self, name: str) -> bool:
        """Whether a function or method is called like one that loads: `load_model`, `build_sam_predictor`."""
        return name in self.loads or (self.makes_model(name) and split(name)[0] in self.loaders)

    def makes_model(self, name: str) -> bool:
        """Whether a function is called like one that gives a model: `load_model`, `create_asr_model`."""
        parts = split(name)
        return (
            len(parts) > 1
            and name[:1].islower()
            and parts[0] in self.loaders | self.makers
            and parts[-1] in self.made
            and self.never.isdisjoint(parts)
        )

    def moves(self, call: Call, *, sure: bool) -> bool:
        """Whether a method of a model gives the model: `model.eval()`, `Net().to(device)`."""
        name = last_name(call.function)
        if name not in self.moved:
            return False
        if sure or not call.arguments:
            return sure or name in ("eval", "cuda")
        return name == "to" and any(map(self._is_device, call.arguments))

    def names_device(self, given: Expression) -> bool:
        """Whether a text is that of a device that computes: `cuda:0`."""
        if isinstance(given, Constant) and isinstance(given.value, str):
            return given.value.partition(":")[0] in self.devices
        return False

    def _is_device(self, given: Expression) -> bool:
        return self.names_device(given) or "device" in words_of(given)

    @property
    def telling_statements(self) -> frozenset[str]:
        """The methods of which `tells` may be true."""
        return self.told_bare | self.told_any | {"to"}

    def tells(self, call: Call) -> bool:
        """Whether a call whose result is dropped is one that only models know: `net.eval()`."""
        if not isinstance(call.function, Attribute) or words_of(call.function.value) & self.told_except:
            return False
        name = call.function.name
        if name in self.told_any:
            return bool(call.arguments or call.keywords)
        if name in self.told_bare:
            return not call.arguments and not call.keywords
        return name == "to" and any(map(self._is_device, call.arguments))

    def is_called(self, name: str) -> bool:
        """Whether a name is one that models have."""
        parts = split(name)
        return bool(parts) and parts[-1] in self.called and self.never.isdisjoint(parts)

    def is_file_of_model(self, opened: Expression) -> bool:
        """Whether the names and texts in an expression say that a file holds a model: `open(MODEL_PATH)`."""
        words = frozenset(word for text in _texts(opened) for word in split(text))
        return not words.isdisjoint(self.called | self.files)

    def is_beside(self, name: str) -> bool:
        """Whether a name is that of something that goes with a model and is none: `model.tokenizer`."""
        return not self.beside.isdisjoint(split(name.rpartition(".")[2]))

    def role_of_object(self, name: str) -> Role | None:
        """What calling an object does whose class has the qualified name, and that nobody has catalogued."""
        if name.partition(".")[0] in self.record_modules:
            return None
        words = frozenset(split(name.rpartition(".")[2]))
        return Role.INFERENCE if words & self.called and not words & self.never else None

    def role_of(self, call: Call) -> Role | None:
        """What the names in a call say it does; None where they say nothing."""
        match call.function:
            case Attribute(receiver, method):
                return self._of_method(receiver, method, call)
            case Name(name):
                return self._of_name(name, call)
            case Subscript(_, Constant(str(key))) if self.strong_verbs.intersection(split(key)[:1]):
                return Role.INFERENCE  # `bundle["predict_fn"](rows)`
            case Subscript():
                return Role.INFERENCE if self._is_called_model(call) else None
        return None

    def _of_method(self, receiver: Expression, method: str, call: Call) -> Role | None:
        words = words_of(receiver)
        if words & self.never or self.is_text(receiver, method, call):
            return None
        if method in self.unmistakable:
            return self.unmistakable[method]
        if method in self.none_first and call.arguments and call.arguments[0] == Constant(None):
            return Role.INFERENCE
        if any(words & named and method in methods for named, methods in self.receivers):
            return Role.INFERENCE
        if method in self.loads and words & self.called:
            return Role.LOAD
        if self._is_called_model(call) and not method[:1].isupper():
            return Role.INFERENCE
        # Of what is called a model outright the weaker verbs tell as well: `model.compute_score(pairs)`.
        outright = self._is(self.receivers[0][0], receiver)
        if self._is(self.called, receiver) and self.role_of_unlisted(call, of_model=outright):
            return Role.INFERENCE
        return self._of_given(method, call)

    def is_text(self, receiver: Expression, method: str, call: Call) -> bool:
        """Whether the receiver is text about a model, or the method that of a text: `model_id.encode()`."""
        parts = split(last_name(receiver))
        if parts and parts[-1] in self.about:
            return True
        if method not in self.text_methods:
            return False
        given = call.arguments[0] if call.arguments else Constant("utf-8")
        return not call.keywords and isinstance(given, Constant) and given.value in self.codecs

    def _of_name(self, name: str, call: Call) -> Role | None:
        if name[:1].isupper() or words_of(call.function) & self.never:
            return None
        if self._is_called_model(call) and not self._makes_record(call):
            return Role.INFERENCE
        return self._of_given(name, call)

    def _makes_record(self, call: Call) -> bool:
        """Whether all that is given are the columns of a row: `model(**row)`."""
        return not call.arguments and all(
            key is None and split(last_name(value))[-1:] and split(last_name(value))[-1] in self.rows
            for key, value in call.keywords
        )

    def _is_called_model(self, call: Call) -> bool:
        """Whether what has the name of a model is called and given something: not `plt.clf()`."""
        return bool(call.arguments or call.keywords) and self._is(self.called, call.function)

    def _of_given(self, name: str, call: Call) -> Role | None:
        if name in self.given_model and call.arguments and self._is(self.called, call.arguments[0]):
            return Role.INFERENCE
        return None

    def _is(self, wanted: frozenset[str], expression: Expression) -> bool:
        """Whether the last word of the expression's name is one of the wanted (`sentiment_model`)."""
        parts = split(last_name(expression))
        if not parts or parts[0] in self.makes:
            return False
        return parts[-1] in wanted and not set(parts) & self.never


def _texts(expression: Expression) -> Iterator[str]:
    """The names and texts that an expression is made of."""
    match expression:
        case Name(text) | Constant(str(text)):
            yield text
        case Attribute(value, name):
            yield name
            yield from _texts(value)
        case Call(function, arguments, _, _):
            yield from (text for value in (function, *arguments) for text in _texts(value))
        case Text(parts) | Operated(_, parts):
            yield from (text for part in parts for text in _texts(part))
        case Subscript(value, key):
            yield from (*_texts(value), *_texts(key))
        case Entered(value):
            yield from _texts(value)


def is_row(expression: Expression) -> bool:
    """Whether an expression makes one row of what is in it: `vector.reshape(1, -1)`, `[vector]`."""
    match expression:
        case Call(Attribute(_, "reshape"), (Constant(1), *_)):
            return True
        case Call(Attribute(_, "reshape"), (Sequence((Constant(1), *_)),)):
            return True
        case Call(Attribute(_, "unsqueeze"), (Constant(0),)):
            return True
        case Call(Attribute(_, "expand_dims"), (_, *rest), keywords):
            return Constant(0) in (*rest, dict(keywords).get("axis"))
        case Call(Attribute(_, "array" | "asarray" | "atleast_2d"), (inner, *_)):
            return is_row(inner)
        case Subscript(_, Constant(None)):
            return True
    return isinstance(expression, Sequence) and len(expression.items) == 1


@cache
def split(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case: `loadModel_v2` gives `load`, `model`, `v2`."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    return tuple(part.lower() for part in parts)


def words_of(expression: Expression) -> frozenset[str]:
    """The words of the last name of an expression."""
    return frozenset(split(last_name(expression)))


@cache
def may_tell(name: str) -> bool:
    """Whether a call of this last name may be known by its name alone, whatever stands before it."""
    known = load()
    words = split(name)
    if name in _telling_methods() or (words and words[-1] in known.called):
        return True
    if known.makes_model(name) or (words and words[0] in known.feeding and not known.fed.isdisjoint(words)):
        return True
    return not known.strong_verbs.union(known.weak_verbs).isdisjoint(words)


def is_address(text: str) -> bool:
    """Whether the text is, or ends like, the address of a model."""
    known = load()
    return any(host in text for host in known.hosts) or any(
        path.search(text) for word, path in known.paths.items() if word in text
    )


def may_hold_address(data: bytes) -> bool:
    """Whether a file may hold the address of a model, or the last part of one."""
    hosts, paths = _in_bytes()
    return any(host in data for host in hosts) or any(
        path.search(data) for word, path in paths if word in data
    )


@cache
def _in_bytes() -> tuple[tuple[bytes, ...], tuple[tuple[bytes, re.Pattern[bytes]], ...]]:
    """The hosts, and the words and expressions of the paths: in a file a text ends where its quote does."""
    known = load()
    paths = ((word, path.pattern.replace("$", "[\"']")) for word, path in known.paths.items())
    return (
        tuple(host.encode() for host in sorted(known.hosts)),
        tuple((word.encode(), re.compile(path.encode())) for word, path in paths),
    )


@cache
def _telling_methods() -> frozenset[str]:
    known = load()
    of_receivers = (methods for _, methods in known.receivers)
    return frozenset(known.unmistakable).union(
        *of_receivers, known.none_first, known.loads, known.given_model
    )


@cache
def load() -> Evidence:
    """Read `rules/evidence.yaml`."""
    data = table("evidence.yaml")
    return Evidence(
        unmistakable={
            method: Role(role)
            for role, methods in data.table("unmistakable").items()
            for method in _list(methods)
        },
        receivers=tuple(
            (frozenset(item.names("words")), frozenset(item.names("methods")))
            for item in data.tables("receivers")
        ),
        called=frozenset(data.names("called")),
        makes=frozenset(data.names("makes")),
        none_first=frozenset(data.names("none-first")),
        given_model=frozenset(data.names("given-model")),
        loads=frozenset(data.table("loads").names("methods")),
        loaders=frozenset(data.table("loads").names("loaders")),
        makers=frozenset(data.table("loads").names("makers")),
        made=frozenset(data.table("loads").names("made")),
        moved=frozenset(data.names("moved")),
        elsewhere=frozenset(data.names("elsewhere")),
        given_files=frozenset(data.table("given").names("files")),
        given_except=frozenset(data.table("given").names("except")),
        given_device=frozenset(data.table("given").names("device")),
        told_bare=frozenset(data.table("told").names("bare")),
        told_any=frozenset(data.table("told").names("any")),
        told_surely=frozenset(data.table("told").names("surely")),
        told_except=frozenset(data.table("told").names("except")),
        devices=frozenset(data.table("told").names("devices")),
        beside=frozenset(data.names("beside")),
        feeding=frozenset(data.table("feeds").names("verbs")),
        fed=frozenset(data.table("feeds").names("subjects")),
        files=frozenset(data.names("files")),
        never=frozenset(data.names("never")),
        about=frozenset(data.names("about")),
        text_methods=frozenset(data.table("text").names("methods")),
        codecs=frozenset(data.table("text").names("codecs")),
        startup=frozenset(data.names("startup")),
        startup_events=frozenset(data.names("startup-events")),
        closing=frozenset(data.names("closing")),
        serving=frozenset(data.names("serving")),
        commands=frozenset(data.names("commands")),
        strong_verbs=frozenset(data.table("verbs").names("strong")),
        weak_verbs=frozenset(data.table("verbs").names("weak")),
        subjects=frozenset(data.table("verbs").names("subjects")),
        hosts=frozenset(data.table("addresses").names("hosts")),
        paths={
            word: re.compile(path) for word, path in data.table("addresses").table("paths").strings().items()
        },
        short_words=frozenset(data.table("short").names("words")),
        record_modules=frozenset(data.table("records").names("modules")),
        rows=frozenset(data.table("records").names("rows")),
        short_methods=frozenset(data.table("short").names("methods")),
        prepares=frozenset(data.names("prepares")),
    )


def _list(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
