"""Look-up of what frameworks do with callables, over all of `rules/frameworks` and the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from servelint.knowledge import Catalogue, EntryPoint, NameIndex, Offload, alternatives, name_index


class Frameworks:
    """The framework data of a catalogue, indexed by qualified name; `None` where nothing is known."""

    def __init__(self, catalogue: Catalogue, offloads: Iterable[str] = ()) -> None:
        all_ = catalogue.frameworks
        own = [Offload(name=name) for name in offloads]
        self.own_offloads = name_index(offloads)
        self.offload = CallTable([*own, *(o for f in all_ for o in f.offloads)])
        self.runs = CallTable(o for f in all_ for o in f.runs)
        self.on_loop = CallTable(o for f in all_ for o in f.on_loop)
        self.injects = CallTable(o for f in all_ for o in f.injects)
        self.passes = CallTable(o for f in all_ for o in f.passes)
        self.awaits = name_index(name for f in all_ for name in f.awaits)
        self.consumes = name_index(name for f in all_ for name in f.consumes)
        self.consuming_methods = frozenset(name for f in all_ for name in f.consuming_methods)
        self.streams = name_index(name for f in all_ for name in f.streams)
        self.runs_coroutine = name_index(name for f in all_ for name in f.runs_coroutine)
        self.runs_coroutine_methods = frozenset(name for f in all_ for name in f.runs_coroutine_methods)
        self.background = frozenset(name for f in all_ for name in f.background)
        self.caches = frozenset(name for f in all_ for name in f.caches)
        self.executors = name_index(name for f in all_ for name in f.executors)
        self.waits = name_index(name for f in all_ for name in f.waits)
        self.sets_default_executor = frozenset(name for f in all_ for name in f.sets_default_executor)
        self.state = frozenset(name for f in all_ for name in f.state)
        self.limits_threads = frozenset(name for f in all_ for name in f.limits_threads)
        self.modules = frozenset(name for f in all_ for name in f.modules)
        points = [p for f in all_ for p in f.entry_points]
        self.decorators: NameIndex[list[EntryPoint]] = _grouped(points, lambda p: p.decorator)
        self.subclasses: NameIndex[list[EntryPoint]] = _grouped(points, lambda p: p.subclass)
        self.arguments: NameIndex[list[EntryPoint]] = _grouped(points, lambda p: p.argument_of)
        self._types = {spelled: usual for f in all_ for spelled, usual in f.types.items()}

    def usual(self, name: str) -> str:
        """The usual name of a class or factory that has several spellings."""
        if name in self._types:
            return self._types[name]
        head, _, last = name.rpartition(".")
        return f"{self.usual(head)}.{last}" if head else name


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
