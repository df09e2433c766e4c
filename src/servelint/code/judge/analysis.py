"""The Python side of a check: a project, what is known of it, and what blocks its event loop."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from servelint.code.facts.contents import Contents, Files
from servelint.code.facts.facts import Call, Constant, Position, Site, dotted
from servelint.code.graph.dependencies import Dependencies
from servelint.code.graph.edges import ImportGraph
from servelint.code.graph.imports import Resolver
from servelint.code.graph.project import Module, Project
from servelint.code.graph.pythons import Pythons
from servelint.code.graph.reach import Reach
from servelint.code.judge.blocking import Judge
from servelint.code.judge.outcomes import HARMLESS, Blocking, Hop, Outcome
from servelint.code.judge.preparing import Preparing
from servelint.code.loop.bound import Loop, LoopBound
from servelint.code.loop.filled import Filled
from servelint.code.loop.keeping import is_kept
from servelint.code.loop.offloads import Handoff
from servelint.code.loop.preloads import Entered, Preloads
from servelint.code.names.frameworks import Frameworks
from servelint.code.values.calls import argument
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import ClassReference, Frame, FunctionReference, Value, plain
from servelint.finding import Span, Step
from servelint.knowledge import compiled
from servelint.knowledge.types import Catalogue, Link, NameIndex, Role
from servelint.project.config import Config
from servelint.project.text.source import Source, decode

if TYPE_CHECKING:
    from servelint.serving import Served

# Enough for MAXIMUM_NESTING levels of evaluation, each of them several calls.
RECURSION_LIMIT = 10_000
# Inference, and what takes as long.
COMPUTED = frozenset({Role.INFERENCE, Role.PREPROCESSING, Role.EXPLANATION, Role.TRAINING})
# What a call may take of the stack where Python's own C code stands between two functions, twice over.
BYTES_A_CALL = 800


@dataclass(frozen=True, slots=True)
class BlockingCall:
    """A call, or an iteration (`site` is None), in a loop-bound function that blocks the event loop."""

    caller: LoopBound
    frame: Frame
    position: Position
    blocking: Blocking
    site: Site | None
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """A call in a function that may run on the event loop while serving."""

    caller: LoopBound
    frame: Frame
    site: Site


class Analysis:
    """One project under analysis. Rules ask it; nothing is worked out before it is asked for."""

    def __init__(
        self,
        tree: Files,
        config: Config,
        served: Sequence[Served] = (),
        *,
        wanted: Collection[Path] | None = None,
        everything: bool = False,
        catalogue: Catalogue | None = None,
        frameworks: Frameworks | None = None,
        resolver: Resolver | None = None,
        unread: Callable[[str], str] = lambda _: "",
        contents: Contents | None = None,
    ) -> None:
        """Findings are worked out for the `wanted` files (default: all); `everything` parses all files.

        `catalogue` (default: what servelint comes with) says what libraries do, `frameworks` what it says of
        frameworks, if somebody has made that before, `resolver` what imports mean,
        `unread` why nothing is known of a name in an installed package; `contents` are the files, if somebody
        has looked at them before.
        """
        self.tree = tree
        self.config = config
        self.unread = unread
        self.served = served
        self.catalogue = compiled.catalogue() if catalogue is None else catalogue
        self.frameworks = frameworks or Frameworks(self.catalogue, config.offloads)
        contents, paths = contents or Contents(tree), sorted(str(path) for path in tree.python)
        if resolver is None:
            resolver = Resolver(paths, str(tree.root), self.catalogue.modules | self.frameworks.modules)
        graph = ImportGraph(resolver, contents)
        asked = Dependencies(tree)
        self.reach = Reach(
            graph, paths, self.catalogue, self.frameworks, config, asked, everything=everything
        )
        self.project = Project(contents, self.reach)
        self.pythons = Pythons(tree, self.project, self.reach)
        self.evaluator = Evaluator(self.project, self.catalogue, self.frameworks)
        self.judge = Judge(self.evaluator, self.reach, config.blocking_calls)
        self.loop = Loop(self.evaluator, self.reach, config.loop_bound, config.startup)
        self.preloads = Preloads(self.loop)
        self.filled = Filled(self.preloads)
        self.handoffs = self.judge.handoffs
        self.waits = self.judge.waits
        self._wanted = None if wanted is None else frozenset(map(str, wanted))
        self._sources: dict[str, Source] = {}
        self._focus: str | None = None
        self._places: dict[str, tuple[Place, ...]] = {}
        self._offloads: dict[str, tuple[tuple[Place, Handoff], ...]] = {}
        self._on_default: dict[str, tuple[tuple[Place, Handoff, Blocking], ...]] = {}
        self._eager: dict[str, dict[tuple[str, Position], tuple[Place, Blocking]]] = {}
        self._loop_bound: dict[str, tuple[LoopBound, ...]] = {}
        self._blocking: dict[str, tuple[BlockingCall, ...]] = {}
        self._blocking_of: dict[str, dict[int, list[BlockingCall]]] = {}

    # -- what rules go through -------------------------------------------------------------------

    @property
    def paths(self) -> tuple[str, ...]:
        """The files in which findings are looked for: sorted, those that nobody asked about left out."""
        return self._all_paths if self._focus is None else (self._focus,)

    @cached_property
    def _all_paths(self) -> tuple[str, ...]:
        wanted = self._wanted
        paths = sorted({*self.loop.paths, *self._with_pools})
        return tuple(path for path in paths if wanted is None or path in wanted)

    @cached_property
    def _with_pools(self) -> frozenset[str]:
        """The files that build pools: plain functions in them may do so for each request."""
        names = self.frameworks.executors.last_names()
        return frozenset(path for name in names for path in self.project.paths_calling(name))

    def file_by_file(self) -> Iterator[str]:
        """The `paths`, one after the other; while it is one's turn it is all that rules look at."""
        for path in self._all_paths:
            self._focus = path
            yield path
        self._focus = None

    @property
    def places(self) -> Iterator[Place]:
        """Every call in a function that may be loop-bound."""
        for path in self.paths:
            yield from self._places_in(path)

    @property
    def offloads(self) -> Iterator[tuple[Place, Handoff]]:
        """The calls in loop-bound functions that run something on another thread, and what they run."""
        for path in self.paths:
            yield from self.offloads_in(path)

    @property
    def blocking_calls(self) -> Iterator[BlockingCall]:
        """Every blocking call in a loop-bound function, what one begins and another goes on with once."""
        for path in self.paths:
            yield from self.told_in(path)

    @property
    def eager_offloads(self) -> Mapping[tuple[str, Position], tuple[Place, Blocking]]:
        """The blocking calls whose results are offloaded as if they were functions, by file and position."""
        found: dict[tuple[str, Position], tuple[Place, Blocking]] = {}
        for path in self.paths:
            if path not in self._eager:
                self._eager[path] = self._eager_in(path)
            found |= self._eager[path]
        return found

    def _eager_in(self, path: str) -> dict[tuple[str, Position], tuple[Place, Blocking]]:
        found: dict[tuple[str, Position], tuple[Place, Blocking]] = {}
        for place, offload in self.offloads_in(path):
            if isinstance(offload.callable, Call):
                blocking = self.judge.call(place.frame, offload.callable)
                if blocking is not None:
                    found[place.frame.module, offload.callable.position] = place, blocking
        return found

    @cached_property
    def thread_local(self) -> NameIndex[str]:
        """Context managers of libraries that do not reach into other threads, and whose they are."""
        return NameIndex(
            (name, library.name)
            for library in self.catalogue.libraries.values()
            for name in library.thread_local
        )

    # -- file by file, also those that nobody asked about ----------------------------------------

    def loop_bound(self, path: str) -> tuple[LoopBound, ...]:
        """The functions of a file that may run on the event loop while serving, in the order of lines.

        Whether one does (`serves`) takes a look at its callers, so that is asked last.
        """
        if path not in self._loop_bound:
            self._loop_bound[path] = tuple(self.loop.candidates(path))
        return self._loop_bound[path]

    def _places_in(self, path: str) -> tuple[Place, ...]:
        if path not in self._places:
            self._places[path] = tuple(
                Place(caller, self.evaluator.frame(caller.module, caller.index), site)
                for caller in self.loop_bound(path)
                for site in caller.facts.sites
            )
        return self._places[path]

    def offloads_in(self, path: str) -> tuple[tuple[Place, Handoff], ...]:
        """What the loop-bound functions of a file run on other threads."""
        if path not in self._offloads:
            places = self._places_in(path)
            found = ((place, self.handoffs.of(place.frame, place.site.call)) for place in places)
            self._offloads[path] = tuple(
                (place, offload) for place, offload in found if offload is not None and place.caller.serves
            )
        return self._offloads[path]

    def computed(self, place: Place, found: Handoff) -> Blocking | None:
        """The inference, or what takes as long, that an offloaded callable runs; None where none is known."""
        values = [value for value, _ in plain(self.evaluator.evaluate(place.frame, found.callable))]
        is_own = any(isinstance(value, FunctionReference) for value in values)
        inner = found.inner if is_own else Call(found.callable, (), (), found.call.position)
        blocking = self.judge.call(place.frame, inner)
        return blocking if blocking is not None and blocking.role in COMPUTED else None

    def on_default_executor(self, path: str) -> tuple[tuple[Place, Handoff, Blocking], ...]:
        """The inference that a file runs on the executor that the event loop uses for everything else.

        Training is no inference: it takes minutes, and in a pool for predictions they would wait for it.
        Nor is what prepares data: there they would wait for that.
        """
        if path not in self._on_default:
            found = (one for one in self.offloads_in(path) if _on_default_pool(one[1]))
            judged = [(place, offload, self.computed(place, offload)) for place, offload in found]
            self._on_default[path] = tuple(
                (place, offload, runs)
                for place, offload, runs in judged
                if runs is not None and runs.role is not Role.TRAINING
                if not self.hands_over_preparation(place, offload, runs)
            )
        return self._on_default[path]

    @cached_property
    def _preparing(self) -> Preparing:
        return Preparing(self.evaluator, self.reach, self.config.blocking_calls)

    def prepares(self, call: BlockingCall) -> bool:
        """Whether the call only prepares data, and several threads may do that at once."""
        made = call.site.call if call.site is not None else None
        return self._preparing.only(call.frame, made, call.blocking, call.site)

    def hands_over_preparation(self, place: Place, found: Handoff, runs: Blocking) -> bool:
        """The same of a callable that is handed to a thread."""
        made = Call(found.callable, (), (), found.call.position)
        return self._preparing.only(place.frame, made, runs)

    @cached_property
    def _judge_of_loaded(self) -> Judge:
        return _OfLoaded(self)

    @cached_property
    def sets_default_executor(self) -> bool:
        """Whether the project gives the loop an executor of its own."""
        names = self.frameworks.sets_default_executor
        return any(True for name in names for _ in self.project.calls(name))

    def blocking_calls_in(self, path: str) -> tuple[BlockingCall, ...]:
        """The blocking calls in the loop-bound functions of a file."""
        if path not in self._blocking:
            self._blocking[path] = tuple(self._blocking_calls(path))
        return self._blocking[path]

    def blocking_calls_of(self, caller: LoopBound) -> list[BlockingCall]:
        """The blocking calls in one function."""
        path = caller.module.path
        if path not in self._blocking_of:
            found = self._blocking_of[path] = {}
            for call in self.blocking_calls_in(path):
                found.setdefault(call.caller.index, []).append(call)
        return self._blocking_of[path].get(caller.index, [])

    def _blocking_calls(self, path: str) -> Iterator[BlockingCall]:
        for caller in self.loop_bound(path):
            frame = self.evaluator.frame(caller.module, caller.index)
            for site in caller.facts.sites:
                blocking = self.judge.site(frame, site)
                if blocking is not None and self.is_done(frame, blocking):
                    blocking = self.beside_loads(frame, site)
                if blocking is None:
                    continue
                if caller.serves_in(endless=site.endless):
                    text = f"{dotted(site.call.function)}()"
                    yield BlockingCall(caller, frame, site.call.position, blocking, site, text)
            for subject, blocking in self.judge.implicit.in_body(frame, caller.facts):
                if not self.is_done(frame, blocking) and caller.serves_in(endless=subject.endless):
                    text = dotted(subject.about)
                    yield BlockingCall(caller, frame, subject.position, blocking, None, text)

    def told_in(self, path: str) -> Iterator[BlockingCall]:
        """The blocking calls of a file, but for those that only begin what another one of the function does.

        `segments, _ = model.transcribe(audio)` detects the language, and going through `segments` is the rest
        of the inference: both block, and are told as one only where the second stands right below the first.
        """
        calls = self.blocking_calls_in(path)
        drawn = {(call.caller, call.blocking.library): call for call in calls if call.blocking.drawn}
        for call in calls:
            goes_on = drawn.get((call.caller, call.blocking.library))
            begins = call.blocking.makes and len(call.blocking.hops) == 1 and not call.blocking.drawn
            if goes_on is None or not begins or call.blocking.role is Role.LOAD:
                yield call
            elif not self._stand_together(path, call.position, goes_on.position):
                yield call  # each has its own fix

    def _stand_together(self, path: str, first: Position, second: Position) -> bool:
        """Whether one stands right below the other: not in one expression, nor one alone inside a `with`."""
        line = self.source(path).line
        deeper = _indent(line(first.line)) > _indent(line(second.line))
        return second.line - first.end_line == 1 and not deeper

    def preloaded(self, blocking: Blocking) -> tuple[Module, int] | None:
        """The function on the way that loads once, and that start-up has called; None where there is none.

        What making the object infers (a warm-up) is part of its load, and so is what a cached function does.
        """
        way = list(self._way(blocking))
        if blocking.role is not Role.LOAD:
            made = [n for n, entered in enumerate(way) if entered.function.name == "__init__"]
            made += [n + 1 for n, one in enumerate(way) if self.preloads.is_cached(one.function)]
            way = way[: max(made, default=0)]
        found = self.preloads.first(way)
        return (found.module, found.number) if found is not None else None

    def not_lacking(self, frame: Frame, blocking: Blocking) -> tuple[Module, int] | None:
        """The function on the way that loads only for want of what start-up has filled; None for none.

        What infers for want of something may ask a setting: `if not use_pool: model.predict(rows)`.
        """
        if blocking.role is not Role.LOAD:
            return None
        functions = ((frame.module, frame.function), *blocking.functions)
        for number, ((path, index), hop) in enumerate(zip(functions, blocking.hops, strict=False)):
            module, runs = self.evaluator.module(path), next(iter(functions[number + 1 :]), None)
            for site in (s for s in module.function(index).sites if s.call.position == hop.position):
                if site.lacking and self.filled.is_there(module, index, site.lacking):
                    return module, index
                if self.filled.is_turned_off(module, index, site, runs):
                    return module, index
        return None

    def is_kept(self, frame: Frame, blocking: Blocking) -> bool:
        """Whether what is loaded outlives the request in which the frame's function loads it."""
        functions = [(frame.module, frame.function), *blocking.functions]
        way = zip(functions, blocking.hops, strict=False)
        return is_kept(self.preloads, ((path, index, hop.position) for (path, index), hop in way))

    def beside_loads(self, frame: Frame, site: Site) -> Blocking | None:
        """What the call does that start-up has not done before, when it finds everything loaded."""
        blocking = self._judge_of_loaded.site(frame, site)
        return blocking if blocking is None or not self.is_done(frame, blocking) else None

    def is_done(self, frame: Frame, blocking: Blocking) -> bool:
        """Whether start-up has done what the call in the frame would block for."""
        return self.preloaded(blocking) is not None or self.not_lacking(frame, blocking) is not None

    def _way(self, blocking: Blocking) -> Iterator[Entered]:
        """The functions on the way, each with the place of the call that enters it."""
        for (path, index), hop in zip(blocking.functions, blocking.hops, strict=False):
            yield Entered(self.evaluator.module(path), index, hop.path, hop.position)

    def source(self, path: str) -> Source:
        """The text of a file that has been parsed."""
        if path not in self._sources:
            self._sources[path] = decode(Path(path), self.tree.read(Path(path)))
        return self._sources[path]

    def span(self, path: str, position: Position) -> Span:
        """A position as the contract has it: columns in characters, counted from 1."""
        source = self.source(path)
        return Span(
            Path(path),
            position.line,
            _characters(source.line(position.line), position.column),
            position.end_line,
            _characters(source.line(position.end_line), position.end_column),
        )

    def trace(self, blocking: Blocking) -> tuple[Step, ...]:
        """The way from a blocking call to the library; empty where the call is the library's."""
        if not blocking.chain:
            return self.steps(blocking.hops)
        hops = (Step(self.span(hop.path, hop.position), hop.text) for hop in blocking.hops)
        return (*hops, *map(_inside, blocking.chain))

    def steps(self, hops: tuple[Hop, ...]) -> tuple[Step, ...]:
        """The hops as the contract has them; empty where there is one only, which the finding tells."""
        if len(hops) == 1:
            return ()
        return tuple(Step(self.span(hop.path, hop.position), hop.text) for hop in hops)


class _OfLoaded(Judge):
    """Judges what calls do where everything is loaded that is loaded once."""

    def __init__(self, analysis: Analysis) -> None:
        super().__init__(analysis.evaluator, analysis.reach, analysis.config.blocking_calls)
        self.preloads = analysis.preloads

    def site(self, frame: Frame, site: Site) -> Blocking | None:
        """As ever, but for what is done for want of what is there."""
        return super().site(frame, site) if not site.lacking else None

    def call(self, frame: Frame, call: Call, site: Site | None = None) -> Blocking | None:
        """As ever, but for loads."""
        found = super().call(frame, call, site)
        return found if found is None or found.role is not Role.LOAD else None

    def outcome(self, value: Value, frame: Frame, call: Call) -> Outcome:
        """As ever, but for what makes objects, and what gives what it has kept."""
        match value:
            case ClassReference():
                return HARMLESS
            case FunctionReference():
                facts = self.evaluator.facts(value)
                is_getter = facts.guarded and not any(site.lacking for site in facts.sites)
                if is_getter or self.preloads.is_cached(facts):
                    return HARMLESS
        found = super().outcome(value, frame, call)
        return HARMLESS if found.blocking is not None and found.blocking.role is Role.LOAD else found


def _on_default_pool(found: Handoff) -> bool:
    if found.dispatched or not found.offload.default_pool:
        return False
    if found.offload.pool is None:
        return True
    return argument(found.call, found.offload.pool, "executor") in (None, Constant(None))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _inside(link: Link) -> Step:
    """A call inside a package, which is no file of the project."""
    span = Span(Path(link.file), link.line, 1, link.line, 1)
    return Step(span, f"{link.package}: {link.text}", link.package)


def _characters(line: str, column: int) -> int:
    """The 1-based column in characters of a 0-based column in UTF-8 bytes."""
    return column + 1 if line.isascii() else len(line.encode()[:column].decode(errors="ignore")) + 1


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Let Python recurse as deep as the evaluation may, and spare it the search for garbage.

    Facts and values are kept until the end: looking through all of them again and again for what could be
    freed finds nothing.
    """
    limit, collecting = sys.getrecursionlimit(), gc.isenabled()
    sys.setrecursionlimit(max(limit, min(RECURSION_LIMIT, _stack_size() // BYTES_A_CALL)))
    gc.disable()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
        if collecting:
            gc.enable()


def _stack_size() -> int:
    """How large the stack may grow, in bytes: to run out of it is no exception but the end of the process."""
    try:
        import resource
    except ImportError:  # Windows, where the interpreter is linked with a stack of its own size
        return RECURSION_LIMIT * BYTES_A_CALL
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return RECURSION_LIMIT * BYTES_A_CALL if soft == resource.RLIM_INFINITY else soft
