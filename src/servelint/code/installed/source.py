"""One installed package, read like a project that nobody asks findings about: what its names are and do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from servelint.boundary import LimitError
from servelint.code.facts.facts import Attribute, Call, FunctionFacts, Name, Position
from servelint.code.graph.imports import Resolver
from servelint.code.installed.judging import Inside
from servelint.code.installed.packages import Package, Shelf
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.outcomes import Blocking, Hop, preference
from servelint.code.names import evidence
from servelint.code.names.frameworks import Frameworks
from servelint.code.values.calls import NO_ARGUMENTS
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Instance,
    LibraryMethod,
    LibraryObject,
    ModuleReference,
    Value,
    Values,
    plain,
)
from servelint.finding import Confidence
from servelint.knowledge.types import Catalogue, Entry, LibraryType, Link, Role
from servelint.project.cache import Facts
from servelint.project.config import Config

T = TypeVar("T")
# How many files of one package are parsed, and how many of its functions are judged.
MOST_PARSED = 400
MOST_JUDGED = 4_000
# A parameter of a function that more files call by its name is not asked for what they pass.
MOST_CALLING = 4
_MOST_MEMBERS = 200
_MOST_LINKS = 12
# How functions begin that make an object: what they infer on the way is part of its load.
_MAKING = frozenset({("build",), ("create",), ("make",), ("init",), ("setup",), ("get",)})


class _Counted(Facts):
    """The facts of a package's files: of so many and no more."""

    def __init__(self) -> None:
        super().__init__()
        self.parsed = 0

    def of(self, content: bytes, extract: Callable[[bytes], T]) -> T:
        """The facts of a file's content; raises `LimitError` when there have been too many files."""
        self.parsed += 1
        if self.parsed > MOST_PARSED:
            raise LimitError(f"more than {MOST_PARSED} files of one package are not parsed")
        return super().of(content, extract)


class _Files:
    """The files of a package as the analysis asks for them: those of others around it are not there."""

    def __init__(self, package: Package, shelf: Shelf) -> None:
        self.root = Path(package.folder)
        self._files = shelf.files(package)
        self._shelf = shelf
        self.python = tuple(map(Path, sorted(self._files)))
        self.manifests: tuple[Path, ...] = ()
        self.facts = _Counted()
        self.scans = None

    def read(self, path: Path) -> bytes:
        """The content of one of them."""
        name = self._files.get(str(path))
        if name is None:
            raise FileNotFoundError(2, "it is not a file of the package", str(path))
        return self._shelf.read(name)


class _Installed(Resolver):
    """What imports mean in packages: an absolute one begins where packages are, and nowhere else."""

    def _absolute(self, folder: str, module: str, top: str, importing: str = "") -> str | None:  # noqa: ARG002
        return self._below(self.root, module)


class Source:
    """A package that is asked what its names do. Raises `TooMuchError` for one that is too large."""

    def __init__(
        self,
        package: Package,
        shelf: Shelf,
        catalogue: Catalogue,
        frameworks: Frameworks,
        most_bodies: int | None,
    ) -> None:
        """`most_bodies` is how many bodies are judged for one question; with None any, each once for all."""
        self.package = package
        self.catalogue = catalogue
        self._frameworks = frameworks
        self._tree = _Files(package, shelf)
        self._judged = 0
        self._cut = 0
        self._most_bodies = most_bodies

    @property
    def is_exhausted(self) -> bool:
        """Whether more was asked of the package than is looked at."""
        return self._judged > MOST_JUDGED or self._tree.facts.parsed > MOST_PARSED

    @property
    def cut(self) -> int:
        """How many questions led to more bodies of functions than are judged for one."""
        return self._cut

    @cached_property
    def analysis(self) -> Analysis:
        """The package under analysis."""
        root = str(self._tree.root)
        paths = [str(path) for path in self._tree.python]
        resolver = _Installed(paths, root, frozenset())
        made = Analysis(
            self._tree,
            Config(self._tree.root),
            catalogue=self.catalogue,
            frameworks=self._frameworks,
            resolver=resolver,
        )
        made.evaluator.callers.most_files = MOST_CALLING
        return made

    # -- by name ---------------------------------------------------------------------------------

    def values(self, name: str) -> Values:
        """What a qualified name of the package is."""
        first, *rest = name.split(".")
        evaluator = self.analysis.evaluator
        path = self.analysis.project.submodule(str(self._tree.root), first)
        found: Values = (ModuleReference(path),) if path else ()
        for part in rest:
            above, found = found, evaluator.attributes(found, part) if found else ()
            if not found and any(map(self._looks_up, above)):
                found = self._only_class(part)
        return found

    def _looks_up(self, value: Value) -> bool:
        """Whether the value is a module that looks up names which it does not have, in a table."""
        module = self.analysis.project.module(value.path) if isinstance(value, ModuleReference) else None
        return module is not None and bool(self.analysis.evaluator.member(module, "__getattr__"))

    def _only_class(self, name: str) -> Values:
        """The only class of the package that is called so."""
        found: Values = ()
        for module in self.analysis.project.mentioning((f"class {name}",)):
            classes = enumerate(module.facts.classes)
            found += tuple(ClassReference(module.path, n) for n, cls in classes if cls.qualname == name)
        return found if len(found) == 1 else ()

    def class_named(self, name: str) -> ClassReference | None:
        """The class that `name_of` calls so: what a package has under a name may be another thing."""
        parts = name.split(".")
        for count in range(len(parts) - 1, 0, -1):
            base = os.path.join(self._tree.root, *parts[:count])
            for path in (f"{base}.py", os.path.join(base, "__init__.py")):
                module = self.analysis.project.module(path)
                qualname = ".".join(parts[count:])
                for number, cls in enumerate(module.facts.classes if module is not None else ()):
                    if cls.qualname == qualname:
                        return ClassReference(path, number)
        return None

    def function(self, name: str) -> Entry | None:
        """What calling the function of this name does; None where it is none or nothing is known."""
        values = self.values(name)
        if any(self._is_of_class(value) for value, _ in plain(values)):
            return None
        return self._entry(name, values)

    def _is_of_class(self, value: Value) -> bool:
        """Whether the value is a class or a method of one, which are asked in another way, or a module."""
        if isinstance(value, FunctionReference):
            return self.analysis.evaluator.facts(value).owner is not None
        return isinstance(value, ClassReference | ModuleReference)

    def cls(self, name: str) -> LibraryType | None:
        """The type of the class of this name."""
        for value, _ in plain(self.values(name)):
            if isinstance(value, ClassReference):
                return self._type(value, name)
            if isinstance(value, External):
                return self.catalogue.classes.find(value.name)
        return None

    def type(self, name: str) -> LibraryType | None:
        """The type that `returns` and others mean by the name."""
        cls = self.class_named(name)
        return None if cls is None else self._type(cls, name)

    def method(self, type_name: str, name: str) -> Entry | None:
        """What calling a method does; None where there is none, or its name says more than its code."""
        cls = self.class_named(type_name)
        values = self._attribute(cls, name) if cls is not None else ()
        if (
            cls is None
            or not values
            or all(isinstance(v, Instance | LibraryObject) for v, _ in plain(values))
        ):
            return None
        entry = self._entry(name, values, of=cls)
        if entry is not None and not self._is_silent(name, entry, values):
            return _as_called(entry, name, type_name)
        return None if says_inference(name) else Entry(name, Role.CHEAP, library=self.package.title)

    def _is_silent(self, name: str, entry: Entry, values: Values) -> bool:
        """Whether a method that is called like inference is only not found to be some."""
        if entry.role is not Role.CHEAP or not says_inference(name):
            return False
        return not all(self.analysis.judge.is_known(value) for value, _ in plain(values))

    def attribute(self, type_name: str, name: str) -> str:
        """The type of an attribute of objects of the type, empty where it is none that is known."""
        cls = self.class_named(type_name)
        if cls is None or name.startswith("__"):
            return ""
        return self._named(self.analysis.evaluator.attributes((Instance(cls),), name))

    # -- functions -------------------------------------------------------------------------------

    def _entry(self, name: str, values: Values, *, of: ClassReference | None = None) -> Entry | None:
        """What calling what the name is does."""
        self._judged += 1
        if self._judged > MOST_JUDGED:
            return None
        found: Entry | None = None
        with self._judging() as judge:
            for value, _ in plain(values):
                entry = self._of_value(judge, name, value, of)
                if entry is not None and (entry.role.blocks or entry.role is Role.LAZY):
                    return entry  # of several classes whose method it may be, one is enough
                found = found or entry
        return found

    @contextmanager
    def _judging(self) -> Iterator[Inside]:
        """What judges the bodies that one question leads to."""
        if self._most_bodies is None:
            yield self._judge
            return
        judge = Inside(self.analysis, self._most_bodies)
        yield judge
        self._cut += judge.is_exhausted

    @cached_property
    def _judge(self) -> Inside:
        """What judges all questions where they are not bounded one by one."""
        return Inside(self.analysis, None)

    def _of_value(self, judge: Inside, name: str, value: Value, of: ClassReference | None) -> Entry | None:
        made = Entry(name, Role.CHEAP, library=self.package.title, returns=self._returned(value, of))
        match value:
            case External(other):
                known = self.catalogue.functions.find(other)
                return None if known is None else known._replace(name=name)
            case LibraryMethod(type_name, method):
                known = self.catalogue.method(type_name, method)
                return None if known is None else known._replace(name=name)
            case FunctionReference():
                facts = self.analysis.evaluator.facts(value)
                if facts.is_async:
                    return made._replace(role=Role.COROUTINE)
                if facts.stub:
                    return made if made.returns else None
                blocking = judge.summary(self._frame(value))
                if facts.is_generator:
                    return self._blocked(made, blocking, lazy=True) if blocking is not None else made
            case _:
                blocking = judge.outcome(value, self._nowhere, NO_ARGUMENTS).blocking
        if blocking is not None and blocking.confidence is not Confidence.LOW:
            return self._blocked(made, blocking, loads=_loads(name) or self._makes(name, made.returns))
        return made if made.returns or judge.is_known(value) else None

    def _blocked(self, made: Entry, blocking: Blocking, *, lazy: bool = False, loads: bool = False) -> Entry:
        """The entry of what blocks. What loading an object infers (a warm-up) is part of its load."""
        role = blocking.role if blocking.role is Role.REMOTE else _role(made.name, blocking.role, loads=loads)
        return made._replace(
            role=Role.LAZY if lazy else role,
            iterating=role,
            chain=(*map(self._link, filter(_is_somewhere, blocking.hops)), *blocking.chain)[:_MOST_LINKS],
            confidence=blocking.confidence,
        )

    def _makes(self, name: str, returned: str) -> bool:
        """Whether a function is called like one that makes an object, and gives one that may be a model."""
        if evidence.split(name.rpartition(".")[2])[:1] not in _MAKING:
            return False
        return bool(self.catalogue.inference_method(returned)) or self.class_named(returned) is not None

    def _link(self, hop: Hop) -> Link:
        file = os.path.relpath(hop.path, self.package.folder).replace(os.sep, "/")
        inside = self._qualified(hop.path, hop.position)
        return Link(file, hop.position.line, self.package.shown, f"{inside} {_verb(hop.text)}")

    def _qualified(self, path: str, position: Position) -> str:
        """The dotted name of the function around a place."""
        module = self.analysis.evaluator.module(path)
        name = self.analysis.project.name_of(module)
        around = [
            f for f in module.facts.functions[1:] if _is_within(position, f.position) and not f.is_lambda
        ]
        inner = max(around, key=lambda f: f.position.line, default=None)
        return f"{name}.{inner.qualname}" if inner is not None else name

    def _frame(self, function: FunctionReference) -> Frame:
        """The function as it is entered by a call of which nothing is known."""
        frame = function.frame
        if frame is not None and frame.module == function.module and frame.function == function.function:
            return frame
        return self.analysis.evaluator.frames(
            function.module, function.function, parent=frame, receiver=function.receiver
        )

    @property
    def _nowhere(self) -> Frame:
        return self.analysis.evaluator.frames("", 0)

    def _returned(self, value: Value, of: ClassReference | None) -> str:
        """The type of what calling the value gives, empty where it is none that is known."""
        evaluator = self.analysis.evaluator
        if isinstance(value, FunctionReference):
            # What somebody else may pass is not what the next one gets.
            where = (value.module, value.function, (), value.frame, value.receiver)
            given = evaluator.calls.of_function(value, evaluator.frames(*where, called=True))
            given = evaluator.calls.awaited(given)
            if not given and of is not None and _makes_its_own(value, evaluator.facts(value)):
                return "self"
        else:
            given = evaluator.calls.returned(value, self._nowhere, NO_ARGUMENTS)
        return self._named(given, of)

    def _named(self, values: Values, of: ClassReference | None = None) -> str:
        """The name of the type of one of the values."""
        for value, _ in plain(values):
            match value:
                case Instance(cls) if cls == of:
                    return "self"
                case Instance(cls):
                    return self.name_of(cls)
                case LibraryObject(type_name):
                    above = () if of is None else self.analysis.evaluator.classes.library_types(of)
                    return "self" if type_name in above else type_name
        return ""

    # -- classes ---------------------------------------------------------------------------------

    def name_of(self, cls: ClassReference) -> str:
        """The dotted name of a class where it is defined."""
        module = self.analysis.evaluator.module(cls.module)
        return (
            f"{self.analysis.project.name_of(module)}.{self.analysis.evaluator.classes.facts(cls).qualname}"
        )

    def _type(self, cls: ClassReference, called: str) -> LibraryType:
        """What is known of a class without its methods, each of which is judged when it is asked for."""
        name = self.name_of(cls)
        inherits = tuple(dict.fromkeys(self.analysis.evaluator.classes.library_types(cls)))
        construct = self._construct(name, cls)
        return LibraryType(name, self.package.title, (called,), construct, inherits=inherits, open=True)

    def _construct(self, name: str, cls: ClassReference) -> Entry:
        constructors = self.analysis.evaluator.classes.constructors(cls)
        with self._judging() as judge:
            found = [judge.summary(self._frame(function)) for function in constructors]
        blocking = min((one for one in found if one is not None), key=preference, default=None)
        made = Entry(name, Role.CHEAP, library=self.package.title)
        if blocking is None or blocking.confidence is Confidence.LOW:
            return made
        return self._blocked(made, blocking, loads=True)

    def methods(self, cls: ClassReference) -> list[str]:
        """The names of the methods that somebody else may call."""
        found: dict[str, None] = {}
        for base in self._lineage(cls):
            names = self.analysis.evaluator.classes.facts(base).methods
            found |= dict.fromkeys(name for name in names if not name.startswith("_") or name == "__call__")
        return list(found)[:_MOST_MEMBERS]

    def _attribute(self, cls: ClassReference, name: str) -> Values:
        """What an attribute of an object of the class is; what is only declared there, of a subclass."""
        classes = self.analysis.evaluator.classes
        found = classes.attribute(Instance(cls), name)
        stubs = found and all(classes.is_stub(value) for value in found)
        return classes.attribute(Instance(cls, exact=False), name) if stubs else found

    def attributes(self, cls: ClassReference) -> list[str]:
        """The public names that methods of the class bind as `self.name`."""
        bound = (name for base in self._lineage(cls) for name in self._bound(base))
        return list(dict.fromkeys(bound))[:_MOST_MEMBERS]

    def _bound(self, cls: ClassReference) -> Iterator[str]:
        module = self.analysis.evaluator.module(cls.module)
        for function in module.facts.functions:
            if function.owner == cls.number and function.parameters:
                own = function.parameters[0].name
                for binding in function.bindings:
                    match binding.target:
                        case Attribute(Name(holder), name) if holder == own and not name.startswith("_"):
                            yield name

    def _lineage(self, cls: ClassReference) -> Iterator[ClassReference]:
        lineage = self.analysis.evaluator.classes.lineage(cls)
        return (base for base in lineage if isinstance(base, ClassReference))


def _is_somewhere(hop: Hop) -> bool:
    """Whether a call stands in a file: what is asked from nowhere does not."""
    return bool(hop.path)


def _verb(text: str) -> str:
    """What a hop says, behind the name of the function in which it happens."""
    called, is_, what = text.partition(" is ")
    return f"calls {called}, {what}" if is_ else text


def _loads(name: str) -> bool:
    """Whether a function is called like one that loads what it gives: `load_model`, `from_pretrained`."""
    return evidence.split(name.rpartition(".")[2])[:1] in (("load",), ("from",))


def _role(name: str, found: Role, *, loads: bool) -> Role:
    """What a function is for that does what was found: `predict` may load its model first."""
    last = name.rpartition(".")[2]
    if loads:
        return Role.LOAD
    if evidence.split(last)[:1] in (("fit",), ("train",)):
        return Role.TRAINING
    ahead = found in (Role.LOAD, Role.TRAINING) and says_inference(last, of_model=True)
    return Role.INFERENCE if ahead else found


def _makes_its_own(function: FunctionReference, facts: FunctionFacts) -> bool:
    """Whether it is another constructor of its class, by how Python calls them: `from_pretrained`."""
    return isinstance(function.receiver, ClassReference) and evidence.split(facts.name)[:1] == ("from",)


def _is_within(inner: Position, outer: Position) -> bool:
    start, end = (inner.line, inner.column), (inner.end_line, inner.end_column)
    return (outer.line, outer.column) <= start and end <= (outer.end_line, outer.end_column)


def _as_called(entry: Entry, method: str, type_name: str) -> Entry:
    """The entry; what is called like a load, and was not found to be one, may look it up by a name."""
    known = evidence.load()
    if entry.role is not Role.CHEAP or method not in known.loads:
        return entry
    if known.never.intersection(evidence.split(type_name.rpartition(".")[2])):
        return entry
    return entry._replace(role=Role.LOAD, confidence=Confidence.MEDIUM)


def says_inference(method: str, *, of_model: bool = False) -> bool:
    """Whether a method's name alone says that it infers, on whatever object of a library or on a model."""
    call = Call(Attribute(Name("it"), method), (), (), Position(0, 0, 0, 0))
    return evidence.load().role_of_unlisted(call, of_model=of_model) is not None or method == "__call__"
