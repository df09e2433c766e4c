"""Look-up of what frameworks do with callables, over all of `rules/frameworks` and the configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from servelint.knowledge.types import (
    Catalogue,
    EntryPoint,
    NameIndex,
    Offload,
    Phase,
    SyncRuns,
    alternatives,
    name_index,
)


class Frameworks:
    """The framework data of a catalogue, indexed by qualified name; `None` where nothing is known."""

    def __init__(self, catalogue: Catalogue, offloads: Iterable[str] = ()) -> None:
        all_ = catalogue.frameworks
        own = [Offload(name=name) for name in offloads]
        self.own_offloads = name_index(offloads)
        self.offloads = tuple(o for f in all_ for o in f.offloads)
        self.offload = CallTable([*own, *self.offloads])
        self.runs = CallTable(o for f in all_ for o in f.runs)
        self.runs_when_iterated = CallTable(o for f in all_ for o in f.runs_when_iterated)
        self.draws = name_index(name for f in all_ for name in f.draws)
        self.operates = NameIndex(item for f in all_ for item in f.operates.items())
        self.on_loop = CallTable(o for f in all_ for o in f.on_loop)
        self.injects = CallTable(o for f in all_ for o in f.injects)
        self.passes = CallTable(o for f in all_ for o in f.passes)
        self.resolves = name_index(name for f in all_ for name in f.resolves)
        self.gathers = CallTable(o for f in all_ for o in f.gathers)
        self.awaits = name_index(name for f in all_ for name in f.awaits)
        self.consumes = name_index(name for f in all_ for name in f.consumes)
        self.consuming_methods = frozenset(name for f in all_ for name in f.consuming_methods)
        self.streams = name_index(name for f in all_ for name in f.streams)
        self.runs_coroutine = name_index(name for f in all_ for name in f.runs_coroutine)
        self.runs_coroutine_methods = frozenset(name for f in all_ for name in f.runs_coroutine_methods)
        # Who runs a coroutine awaits it in an `async def`, or hands it to one of these.
        runners = (*self.runs_coroutine.last_names(), *self.runs_coroutine_methods)
        self.coroutine_words = (b"async", *(f"{name}(".encode() for name in runners))
        self.background = frozenset(name for f in all_ for name in f.background)
        self.caches = frozenset(name for f in all_ for name in f.caches)
        self.executors = name_index(name for f in all_ for name in f.executors)
        self.waits = name_index(name for f in all_ for name in f.waits)
        self.waits_iterated = name_index(name for f in all_ for name in f.waits_iterated)
        self.sets_default_executor = frozenset(name for f in all_ for name in f.sets_default_executor)
        self.state = frozenset(name for f in all_ for name in f.state)
        self.limits_threads = frozenset(name for f in all_ for name in f.limits_threads)
        self.modules = frozenset(name for f in all_ for name in f.modules)
        self.distributions = self.modules - sys.stdlib_module_names - {"builtins"}
        points = [p for f in all_ for p in f.entry_points]
        served = [p for p in points if p.sync is SyncRuns.LOOP or is_request(p)]
        self.served_decorators = ServedBy(p.decorator for p in served)
        self.served_subclasses = _by_class(p for p in served if p.sync is not SyncRuns.PROCESS)
        self.served_arguments = ServedBy(p.argument_of for p in points)
        self.arguments_by_last_name = _by_last_name(points, lambda p: p.argument_of)
        self.served_methods = frozenset(method for p in served for method in p.methods)
        self.emitters = _by_last_name((p for p in points if p.any_receiver), lambda p: p.decorator)
        self.decorators: NameIndex[list[EntryPoint]] = _grouped(points, lambda p: p.decorator)
        self.subclasses: NameIndex[list[EntryPoint]] = _grouped(points, lambda p: p.subclass)
        self.arguments: NameIndex[list[EntryPoint]] = _grouped(points, lambda p: p.argument_of)
        self.model_bases = _model_bases(points)
        self._types = {spelled: usual for f in all_ for spelled, usual in f.types.items()}

    def usual(self, name: str) -> str:
        """The usual name of a class or factory that has several spellings."""
        found = self._types.get(name)
        if found is None:
            head, _, last = name.rpartition(".")
            found = self._types[name] = f"{self.usual(head)}.{last}" if head else name
        return found


def is_request(point: EntryPoint) -> bool:
    """Whether a framework calls the function again and again while it serves, and not a thread just once."""
    name = point.decorator or point.argument_of or point.subclass
    return point.phase is Phase.SERVING and name.partition(".")[0] not in sys.stdlib_module_names


class ModelBase(NamedTuple):
    """A class of a model server: the end of the path of its source, and what is called for requests."""

    path: str
    name: str
    framework: str
    serves: frozenset[str]


def _model_bases(points: Iterable[EntryPoint]) -> tuple[ModelBase, ...]:
    """The classes of model servers by each place in which their sources may have them."""
    methods: dict[tuple[str, str], set[str]] = {}
    for point in points:
        for name in alternatives(point.subclass) if point.role == _OF_MODEL and point.subclass else ():
            methods.setdefault((name, point.framework), set()).update(point.methods)
    found: list[ModelBase] = []
    for (name, framework), serves in methods.items():
        module, _, last = name.rpartition(".")
        for file in (".py", "/__init__.py"):
            path = f"/{module.replace('.', '/')}{file}".replace("/", os.sep)
            found.append(ModelBase(path, last, framework, frozenset(serves)))
    return tuple(found)


_OF_MODEL = "model-server method"


def split_owner(name: str) -> tuple[str, str]:
    """What has to stand before the last name where it is used, empty for any object, and the last name."""
    head, _, last = name.rpartition(".")
    owner = head.rpartition(".")[2]
    return ("" if owner[:1].isupper() or "*" in owner else owner), last


class ServedBy:
    """The names through which frameworks learn of functions in one way, and their last segments."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(option for name in names if name for option in alternatives(name))
        self.last_names = frozenset(name.rpartition(".")[2] for name in self.names)


class CallTable:
    """Offload-like entries by qualified name, or by method name on any receiver."""

    def __init__(self, entries: Iterable[Offload]) -> None:
        listed = list(entries)
        self.names: NameIndex[Offload] = NameIndex((o.name, o) for o in listed if o.name)
        self.methods = {o.method: o for o in reversed(listed) if o.method}

    def find(self, name: str, method: str = "") -> Offload | None:
        """The entry for a qualified name (may be empty), else for a method name."""
        return (self.names.find(name) if name else None) or self.methods.get(method)


def _grouped(points: list[EntryPoint], key: Callable[[EntryPoint], str]) -> NameIndex[list[EntryPoint]]:
    groups: dict[str, list[EntryPoint]] = {}
    for point in points:
        for name in alternatives(key(point)) if key(point) else ():
            groups.setdefault(name, []).append(point)
    return NameIndex(groups.items())


def _by_last_name(
    points: Iterable[EntryPoint], key: Callable[[EntryPoint], str]
) -> dict[str, list[tuple[str, EntryPoint]]]:
    """The entry points, each with its qualified name, by the last name of that."""
    found: dict[str, list[tuple[str, EntryPoint]]] = {}
    for point in points:
        for name in alternatives(key(point)) if key(point) else ():
            found.setdefault(name.rpartition(".")[2], []).append((name, point))
    return found


def _by_class(points: Iterable[EntryPoint]) -> dict[str, frozenset[str]]:
    """The methods that a framework calls, by the qualified names of the classes to inherit from."""
    found: dict[str, frozenset[str]] = {}
    for point in points:
        for name in alternatives(point.subclass) if point.subclass else ():
            found[name] = found.get(name, frozenset()) | frozenset(point.methods)
    return found
