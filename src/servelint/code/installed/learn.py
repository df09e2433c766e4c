"""What a catalogue file says of a package, worked out from the package itself, as data."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from servelint.code.facts.facts import Name
from servelint.code.installed import sdist
from servelint.code.installed.kept import Kept
from servelint.code.installed.layer import Installed
from servelint.code.installed.packages import Package, Shelf
from servelint.code.installed.source import Source, says_inference
from servelint.code.judge.analysis import deep_recursion
from servelint.code.names.frameworks import Frameworks
from servelint.code.values.values import ClassReference, FunctionReference, Value, plain
from servelint.finding import Confidence
from servelint.knowledge import compiled
from servelint.knowledge.layers import without
from servelint.knowledge.types import Entry, Link, Role

_MOST_ALIASES = 8
LONGEST_TEXT = 500  # characters, as the reader of the file has it


def learn(shelf: Shelf, modules: Iterable[str]) -> dict[str, Any] | None:
    """The content of a catalogue file about packages of one distribution; None where nothing in them blocks.

    What the catalogue says of them already is put aside: they are read as if nobody had described them.
    """
    wanted = sorted(modules)
    base = without(compiled.catalogue(), {module.partition(".")[0] for module in wanted})
    frameworks = Frameworks(base, ())
    ordinary = frozenset(sys.stdlib_module_names | frameworks.modules)
    layer = Installed(shelf, base, frameworks, ordinary, Kept(), most_bodies=None)
    layer.follow(wanted)
    found: dict[str, Any] = {}
    for module in wanted:
        package = layer.followed(module)
        source = layer.source(package) if package is not None and package.module == module else None
        if package is not None and source is not None:
            with deep_recursion():
                functions, types = _Reading(source).all()
            if functions or types:
                found = found or _head(package)
                found["modules"].append(module)
                found["functions"] |= functions
                found["types"] |= types
    return {key: value for key, value in found.items() if value} or None


def _head(package: Package) -> dict[str, Any]:
    kind = "sdist" if package.folder.endswith(sdist.ENDS) else "wheel"
    return {
        "library": package.title,
        "version": package.version,
        "modules": [],
        "source": f"{kind} {package.title}=={package.version}",
        "confidence": "medium",
        "functions": {},
        "types": {},
    }


class _Reading:
    """Goes through the names that a package has for others."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.package = source.package
        self.project = source.analysis.project
        self.evaluator = source.analysis.evaluator

    def all(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The `functions` and `types` of the file."""
        functions: dict[FunctionReference, list[str]] = {}
        classes: dict[ClassReference, list[str]] = {}
        for name, value in self._public():
            match value:
                case FunctionReference() if self.evaluator.facts(value).owner is None:
                    functions.setdefault(value, []).append(name)
                case ClassReference():
                    classes.setdefault(value, []).append(name)
        types = {self.source.name_of(cls): self._members(cls, names) for cls, names in classes.items()}
        telling = _telling(types)
        entries = {_either(names): _certain(self.source.function(names[0])) for names in functions.values()}
        writing = _Writing(self.package, telling)
        told = {name: writing.entry(entry) for name, entry in entries.items() if entry is not None}
        return (
            {name: told[name] for name in sorted(told) if told[name] != Role.CHEAP},
            {name: writing.type(types[name]) for name in sorted(telling)},
        )

    def _public(self) -> Iterator[tuple[str, Value]]:
        """The names that others import, each with what it is: as short as it can be first."""
        paths = self.source.analysis.reach.files
        modules = [(self.project.name_of(module), module) for module in self.project.modules(paths)]
        modules.sort(key=lambda item: (item[0].count("."), item[0]))
        for prefix, module in modules:
            if any(part.startswith("_") for part in prefix.split(".")):
                continue
            body = module.facts.body
            bound = (b.target.id for b in body.bindings if isinstance(b.target, Name))
            names = dict.fromkeys((*body.names, *(item.local for item in body.imports), *bound))
            if self.evaluator.member(module, "__getattr__"):
                names |= dict.fromkeys(cls.name for _, other in modules for cls in other.facts.classes)
            for name in names:
                if not name.startswith("_"):
                    full = f"{prefix}.{name}"
                    yield from ((full, value) for value, _ in plain(self.source.values(full)))

    def _members(self, cls: ClassReference, names: list[str]) -> dict[str, Any]:
        """Everything that is known of a class, members that say nothing included."""
        own = self.source.name_of(cls)
        known = self.source.type(own)
        methods = {name: _certain(self.source.method(own, name)) for name in self.source.methods(cls)}
        attributes = {name: self.source.attribute(own, name) for name in self.source.attributes(cls)}
        return {
            "classes": sorted({own, *names[:_MOST_ALIASES]}),
            "construct": _certain(known.construct) if known is not None else None,
            "inherits": list(known.inherits) if known is not None else [],
            "methods": {name: entry for name, entry in methods.items() if entry is not None},
            "attributes": {name: type_name for name, type_name in attributes.items() if type_name},
            "open": any(entry is None for entry in methods.values()),
        }


def _either(names: list[str]) -> str:
    """One pattern for all names of a function."""
    few = list(dict.fromkeys(names))[:_MOST_ALIASES]
    return few[0] if len(few) == 1 else f"{{{','.join(few)}}}"


def _certain(entry: Entry | None) -> Entry | None:
    """The entry; nothing where it only may be: one of several things that are called by a name or chosen."""
    if entry is None or entry.confidence is Confidence.HIGH or not entry.chain:
        return entry
    gives = entry.returns and not says_inference(entry.name.rpartition(".")[2], of_model=True)
    return entry._replace(role=Role.CHEAP, chain=()) if gives else None


def _tells(entry: Entry | None) -> bool:
    return entry is not None and (entry.role.blocks or entry.role is Role.LAZY)


def _telling(types: dict[str, dict[str, Any]]) -> set[str]:
    """The types that block, that are library types, or that lead to such a type."""
    found = {
        name
        for name, known in types.items()
        if known["inherits"] or _tells(known["construct"]) or any(map(_tells, known["methods"].values()))
    }
    while True:
        more = {n for n, known in types.items() if n not in found and not found.isdisjoint(_leading(known))}
        if not more:
            return found
        found |= more


def _leading(known: dict[str, Any]) -> set[str]:
    return {*known["attributes"].values(), *(entry.returns for entry in known["methods"].values())}


def _is_known(type_name: str, telling: set[str]) -> bool:
    return type_name in telling or type_name in compiled.catalogue().types


class _Writing:
    """Writes what is known in the form of a catalogue file."""

    def __init__(self, package: Package, telling: set[str]) -> None:
        self.package = package
        self.telling = telling

    def type(self, known: dict[str, Any]) -> dict[str, Any]:
        """What the file says of a type."""
        methods = {name: self.entry(entry) for name, entry in sorted(known["methods"].items())}
        said: dict[str, Any] = {
            "classes": known["classes"],
            "construct": self.entry(known["construct"]) if known["construct"] is not None else "cheap",
            "inherits": known["inherits"],
            "methods": {
                name: told
                for name, told in methods.items()
                if told != Role.CHEAP or (known["open"] and says_inference(name, of_model=True))
            },
            "attributes": {
                n: t for n, t in sorted(known["attributes"].items()) if _is_known(t, self.telling)
            },
            "open": known["open"],
        }
        return {key: value for key, value in said.items() if value}

    def entry(self, entry: Entry) -> Any:
        """An entry: its role alone, if there is no more to say."""
        said: dict[str, Any] = {"role": str(entry.role)}
        if entry.returns == "self" or _is_known(entry.returns, self.telling):
            said["returns"] = entry.returns
        if entry.role is Role.LAZY and entry.iterating is not Role.INFERENCE:
            said["iterating"] = str(entry.iterating)
        if entry.chain:
            said["chain"] = list(map(self.link, entry.chain))
        return said["role"] if len(said) == 1 else said

    def link(self, link: Link) -> str:
        """A line of a chain; whose it is where it is another package's."""
        other = "" if link.package == self.package.shown else f" [{link.package}]"
        return f"{link.file}:{link.line}{other}: {link.text[:LONGEST_TEXT]}"
