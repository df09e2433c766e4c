"""From the data in `rules/libraries` and `rules/frameworks` to the types of `knowledge/types.py`.

Nothing else knows how these files are spelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
    NameIndex,
    Offload,
    Phase,
    Role,
    SyncRuns,
    Twins,
)


def read_catalogue(files: Mapping[str, object]) -> Catalogue:
    """The catalogue that files describe, given by their paths below `rules/`; raises `KnowledgeError`."""
    libraries = {lib.name: lib for lib in map(_library, _in_folder(files, "libraries/"))}
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


def _library(file: Table) -> Library:
    name = file.need("library", str)
    library = Library(
        name=name,
        modules=file.names("modules"),
        source=file.need("source", str),
        thread_safe=_claim(file.table("thread-safe")),
        thread_safe_remote=_claim(file.table("thread-safe-remote")),
        gil=_claim(file.table("gil")),
        context=_claim(file.table("context")),
        advice=file.get("advice", str, ""),
        functions={
            key: _entry(key, value, name, file.where) for key, value in file.table("functions").items()
        },
        types={
            key: _type(key, Table(value, f"{file.where}: {key}"), name)
            for key, value in file.table("types").items()
        },
        thread_local=file.names("thread-local"),
        twins=_twins(file.table("twins")),
    )
    file.done()
    return library


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
        raise KnowledgeError(f"{table.where}: `source` is missing")
    return twins


def _entry(name: str, value: object, library: str, where: str) -> Entry:
    table = Table({"role": value} if isinstance(value, str) else value, f"{where}: {name}")
    try:
        role = Role(table.need("role", str))
        iterating = Role(table.get("iterating", str, role if role.blocks else Role.INFERENCE))
    except ValueError as error:
        raise KnowledgeError(f"{table.where}: {error}") from error
    entry = Entry(
        name=name,
        role=role,
        returns=table.get("returns", str, ""),
        lazy_when=dict(table.table("lazy-when").items()),
        coroutine_when=dict(table.table("coroutine-when").items()),
        iterating=iterating,
        library=library,
        only_with=table.get("only-with", str, ""),
        addressed=table.get("addressed", bool, False),
    )
    table.done()
    return entry


def _type(name: str, table: Table, library: str) -> LibraryType:
    construct = table.get("construct", object, None)
    known = LibraryType(
        name=name,
        library=library,
        classes=table.names("classes"),
        construct=_entry(name, construct, library, table.where) if construct else None,
        methods={
            key: _entry(key, value, library, table.where) for key, value in table.table("methods").items()
        },
        inherits=table.names("inherits"),
        attributes=table.table("attributes").strings(),
        items=_one_or_more(table, "items"),
        override_means=table.table("override-means").strings(),
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
