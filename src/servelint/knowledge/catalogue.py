"""From the data in `rules/libraries` and `rules/frameworks` to the types of `knowledge/types.py`.

Nothing else knows how these files are spelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from servelint.finding import Confidence
from servelint.knowledge.devices import DeviceResults
from servelint.knowledge.tables import KnowledgeError, Table
from servelint.knowledge.types import (
    Catalogue,
    Claim,
    ClassIndex,
    Entry,
    EntryPoint,
    Framework,
    Library,
    LibraryType,
    Link,
    NameIndex,
    Offload,
    Phase,
    Role,
    SyncRuns,
    Twins,
)

# `package/module.py:12: what is called`, with ` [distribution version]` before the second colon where it is
# another one's.
_LINK = re.compile(
    r"(?P<file>[^\s:]{1,400}):(?P<line>\d{1,7})(?: \[(?P<package>[^\]]{1,200})\])?: (?P<text>.{1,500})"
)


def read_catalogue(files: Mapping[str, object]) -> Catalogue:
    """The catalogue that files describe, given by their paths below `rules/`; raises `KnowledgeError`."""
    libraries = {lib.name: lib for lib in map(read_library, _in_folder(files, "libraries/"))}
    types = {name: t for lib in libraries.values() for name, t in lib.types.items()}
    return Catalogue(
        libraries=libraries,
        frameworks=tuple(map(_framework, _in_folder(files, "frameworks/"))),
        types=types,
        functions=NameIndex((name, e) for lib in libraries.values() for name, e in lib.functions.items()),
        classes=ClassIndex(types),
    )


def _in_folder(files: Mapping[str, object], folder: str) -> Iterator[Table]:
    return (Table(data, name) for name, data in files.items() if name.startswith(folder))


def read_library(file: Table) -> Library:
    """The library that one file describes; raises `KnowledgeError`."""
    name = file.need("library", str)
    version = file.get("version", str, "")
    entries = _Entries(name, version, _confidence(file))
    library = Library(
        name=name,
        modules=file.names("modules"),
        source=file.need("source", str),
        thread_safe=_claim(file.table("thread-safe")),
        thread_safe_remote=_claim(file.table("thread-safe-remote")),
        gil=_claim(file.table("gil")),
        context=_claim(file.table("context")),
        advice=file.get("advice", str, ""),
        functions=entries.all(file.table("functions")),
        types={key: _type(key, table, entries) for key, table in file.table("types").inner()},
        thread_local=file.names("thread-local"),
        twins=_twins(file.table("twins")),
        on_device=_on_device(file.table("on-device")) if file.get("on-device", object, None) else None,
        version=version,
    )
    file.done()
    return library


def _confidence(file: Table) -> Confidence:
    """How sure the entries of a file are that say nothing of it themselves."""
    try:
        return Confidence(file.get("confidence", str, Confidence.HIGH))
    except ValueError as error:
        raise file.error(str(error), "confidence") from error


def _claim(table: Table) -> Claim:
    claim = Claim(
        table.get("verdict", str, "unknown"), table.get("source", str, ""), table.get("note", str, "")
    )
    table.done()
    return claim


def _twins(table: Table) -> Twins:
    twins = Twins(
        names=table.table("names").strings(),
        classes=table.table("classes").strings(),
        attribute=table.get("attribute", str, ""),
        unless=table.names("unless"),
        source=table.get("source", str, ""),
    )
    table.done()
    if twins.names and not twins.source:
        raise table.error("`source` is missing", "names")
    return twins


def _on_device(table: Table) -> DeviceResults:
    found = DeviceResults(
        calls=frozenset(table.names("calls")),
        methods=frozenset(table.names("methods")),
        attributes=frozenset(table.names("attributes")),
        source=table.need("source", str),
    )
    table.done()
    return found


class _Entries(NamedTuple):
    """Reads the entries of one library."""

    library: str
    version: str
    confidence: Confidence

    def all(self, table: Table) -> dict[str, Entry]:
        """The entries of a mapping from names to roles, or to what else is said of them."""
        return {key: self.one(key, value, table) for key, value in table.items()}

    def one(self, name: str, value: object, around: Table) -> Entry:
        """The entry called so, in the table around it."""
        table = around.inside(name, {"role": value} if isinstance(value, str) else value)
        try:
            role = Role(table.need("role", str))
            iterating = Role(table.get("iterating", str, role if role.blocks else Role.INFERENCE))
            of_model = table.get("of-model", str, "")
        except ValueError as error:
            raise error if isinstance(error, KnowledgeError) else table.error(str(error), "role") from error
        entry = Entry(
            name=str(name),
            role=role,
            returns=table.get("returns", str, ""),
            lazy_when=dict(table.table("lazy-when").items()),
            coroutine_when=dict(table.table("coroutine-when").items()),
            cheap_when=dict(table.table("cheap-when").items()),
            iterating=iterating,
            library=self.library,
            only_with=table.get("only-with", str, ""),
            unless_given=table.get("unless-given", str, ""),
            addressed=table.get("addressed", bool, False),
            thread_safe=table.get("thread-safe", bool, False),
            between_rows=table.get("between-rows", bool, False),
            of_model=Role(of_model) if of_model else None,
            chain=tuple(self._link(text, table) for text in table.names("chain")),
            confidence=self.confidence,
        )
        table.done()
        return entry

    def _link(self, text: str, table: Table) -> Link:
        found = _LINK.fullmatch(text)
        if found is None:
            raise table.error("`chain` has to be lines as in `package/module.py:12: what is called`", "chain")
        package = found["package"] or f"{self.library} {self.version}".rstrip()
        return Link(found["file"], int(found["line"]), package, found["text"])


def _type(name: str, table: Table, entries: _Entries) -> LibraryType:
    construct = table.get("construct", object, None)
    known = LibraryType(
        name=str(name),
        library=entries.library,
        classes=table.names("classes"),
        construct=entries.one(name, construct, table) if construct else None,
        methods=entries.all(table.table("methods")),
        inherits=table.names("inherits"),
        attributes=table.table("attributes").strings(),
        items=_one_or_more(table, "items"),
        override_means=table.table("override-means").strings(),
        given=table.table("given").strings(),
        open=table.get("open", bool, False),
    )
    table.done()
    return known


def _one_or_more(table: Table, key: str) -> tuple[str, ...]:
    """The text or the list of texts under `key`."""
    value = table.get(key, object, None)
    if isinstance(value, str):
        return (value,)
    return table.names(key) if value is not None else ()


def _framework(file: Table) -> Framework:
    name = file.need("framework", str)
    framework = Framework(
        name=name,
        modules=file.names("modules"),
        source=file.need("source", str),
        entry_points=tuple(_entry_point(item, name) for item in file.tables("entry-points")),
        offloads=tuple(map(_offload, file.tables("offloads"))),
        runs=tuple(map(_offload, file.tables("runs"))),
        on_loop=tuple(map(_offload, file.tables("on-loop"))),
        injects=tuple(map(_offload, file.tables("injects"))),
        runs_coroutine=file.names("runs-coroutine"),
        runs_coroutine_methods=file.names("runs-coroutine-methods"),
        background=file.names("background"),
        caches=file.names("caches"),
        types=file.table("types").strings(),
        passes=tuple(map(_offload, file.tables("passes"))),
        gathers=tuple(map(_offload, file.tables("gathers"))),
        awaits=file.names("awaits"),
        consumes=file.names("consumes"),
        consuming_methods=file.names("consuming-methods"),
        streams=file.names("streams"),
        state=file.names("state"),
        limits_threads=file.names("limits-threads"),
        executors=file.names("executors"),
        waits=file.names("waits"),
        waits_iterated=file.names("waits-when-iterated"),
        runs_when_iterated=tuple(map(_offload, file.tables("runs-when-iterated"))),
        draws=file.names("draws"),
        operates=file.table("operates").strings(),
        sets_default_executor=file.names("sets-default-executor"),
        resolves=file.names("resolves"),
    )
    file.done()
    return framework


def _entry_point(table: Table, framework: str) -> EntryPoint:
    position = table.get("position", int, -1)
    try:
        phase, sync = Phase(table.get("phase", str, "serving")), SyncRuns(table.get("sync", str, "thread"))
    except ValueError as error:
        raise KnowledgeError(f"{table.where}: {error}") from error
    point = EntryPoint(
        role=table.get("role", str, "endpoint"),
        phase=phase,
        sync=sync,
        decorator=table.get("decorator", str, ""),
        argument_of=table.get("argument-of", str, ""),
        position=None if position < 0 else position,
        keyword=table.get("keyword", str, ""),
        subclass=table.get("subclass", str, ""),
        methods=table.names("methods"),
        loop_when=dict(table.table("loop-when").items()),
        thread_when=dict(table.table("thread-when").items()),
        loop_below={name: int(major) for name, major in table.table("loop-below").strings().items()},
        any_receiver=table.get("any-receiver", bool, False),
        awaits=table.get("awaits", bool, False),
        framework=framework,
    )
    table.done()
    if sum(map(bool, (point.decorator, point.argument_of, point.subclass))) != 1:
        raise KnowledgeError(f"{table.where}: exactly one of decorator, argument-of, subclass is needed")
    return point


def _offload(table: Table) -> Offload:
    position, pool = table.get("position", int, -1), table.get("pool", int, -1)
    offload = Offload(
        name=table.get("name", str, ""),
        method=table.get("method", str, ""),
        position=None if position < 0 else position,
        keyword=table.get("keyword", str, ""),
        pool=None if pool < 0 else pool,
        default_pool=table.get("default-pool", bool, False),
        awaitable=table.get("awaitable", bool, True),
        wraps=table.get("wraps", bool, False),
        starts=table.get("starts", bool, False),
        results=table.get("results", bool, False),
    )
    table.done()
    if bool(offload.name) == bool(offload.method):
        raise KnowledgeError(f"{table.where}: exactly one of name, method is needed")
    return offload
