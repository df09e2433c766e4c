"""Which thread pool a moved call runs in: one that the project has, else one that the fix makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Constant,
    Expression,
    Listed,
    Mapping,
    Name,
    Opaque,
    Position,
    Sequence,
    dotted,
)
from servelint.code.fixes.pools.dispatchers import Dispatchers
from servelint.code.fixes.pools.forms import DEFAULT_EXECUTOR
from servelint.code.fixes.pools.lifespan import Lifespans, is_local
from servelint.code.fixes.pools.new_pool import ImportsOf, NewPools, Pool
from servelint.code.fixes.pools.services import Services
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.imports import Imports
from servelint.code.fixes.text.syntax import Function
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall, Place
from servelint.code.judge.outcomes import Blocking
from servelint.code.names import evidence
from servelint.code.values.values import ClassReference, ExternalObject, Frame, Instance, plain

if TYPE_CHECKING:
    from servelint.code.fixes.text.files import Files


class Pools:
    """Finds or makes the pool for blocking calls of one project.

    `takes_pool` tells whether a call is one that a fix moves to a pool.
    """

    def __init__(
        self,
        analysis: Analysis,
        files: Files,
        services: Services,
        takes_pool: Callable[[BlockingCall], bool],
    ) -> None:
        self.analysis = analysis
        self.policy = policy.load()
        self.services = services
        self.lifespans = Lifespans(analysis, files)
        self.new = NewPools(analysis, files, self.lifespans, self.services)
        self.dispatchers = Dispatchers(analysis, files, services)
        self._takes_pool = takes_pool
        self._homeless: dict[str, list[BlockingCall]] = {}
        self._beside: dict[str, list[BlockingCall]] = {}
        self._offloads: dict[str, list[BlockingCall]] = {}
        self._computing: dict[str, list[BlockingCall]] = {}
        self._known: dict[tuple[Frame, Position], Pool | None] = {}
        self._named: dict[str, tuple[Pool, ...]] = {}

    def choose(
        self, call: BlockingCall, function: Function, imports: ImportsOf, *, dispatch: bool = False
    ) -> Pool:
        """The pool for the call; adds what it needs to `imports`. Raises `NameTakenError`.

        With `dispatch` one that is made has a dispatcher.
        """
        existing = self._existing(call) or self._elsewhere(call, function, imports(call.caller.module))
        companions = [*self.companions(call), *self._on_default(call.caller.module.path)]
        return existing or self.new.make(call, function, companions, imports, dispatch=dispatch)

    def dispatched(
        self, call: BlockingCall, function: Function, imports: Imports, *, keywords: bool, context: bool
    ) -> Pool | None:
        """The pool of a dispatcher that the project has; None where it would not do for the call."""
        found = self.dispatchers.of(call.caller.module)
        if found is None or is_local(call, found[0].name):
            return None
        dispatcher, module = found
        unfit = (keywords and not dispatcher.takes_keywords) or (context and not dispatcher.copies_context)
        if unfit or not dispatcher.pool or not self._is_dedicated(dispatcher.pool):
            return None
        spelled = imports.member(module, dispatcher.name, function, prefer_from=True) if module else ""
        workers = self._workers(dispatcher.module, dispatcher.pool)
        return Pool(dispatcher.pool, workers, dispatcher=spelled or dispatcher.name)

    def workers_of(self, call: BlockingCall, texts: Iterable[str]) -> int | None:
        """How many threads the pool has that one of the texts names; None where nothing says."""
        existing = self._existing(call)
        return existing.workers if existing is not None and existing.text in texts else None

    def has(self, call: BlockingCall) -> bool:
        """Whether the file, the object or the application has a pool for the call."""
        return self._existing(call) is not None

    def is_of_threads(self, name: str) -> bool:
        """Whether the class of that name is a pool of threads, which another can stand for."""
        return self.policy.thread_pools.find(name) is not None

    def companions(self, call: BlockingCall) -> list[BlockingCall]:
        """The calls of the same service, this one included, for which there is no pool yet."""
        here = call.caller.module.path
        if here not in self._beside:
            beside = self.analysis.reach.beside(here)
            paths = (path for path in self.analysis.loop.paths if path in beside)
            self._beside[here] = [other for path in paths for other in self._homeless_in(path)]
        return self._beside[here]

    def sharing(self, call: BlockingCall) -> list[BlockingCall]:
        """The calls that would be in one pool with an offload to the default executor, or are in it."""
        here = call.caller.module.path
        if self._existing(call) is None:
            return [*self.companions(call), *self._on_default(here)]
        if here not in self._computing:
            beside, analysis = self.analysis.reach.beside(here), self.analysis
            paths = (path for path in analysis.loop.paths if path in beside)
            places = (one for path in paths for one in analysis.offloads_in(path))
            judged = ((place, analysis.computed(place, found)) for place, found in places)
            self._computing[here] = [offloading_call(place, found) for place, found in judged if found]
        return self._computing[here]

    def _on_default(self, here: str) -> list[BlockingCall]:
        """The offloads of a service to the loop's default executor.

        They want a pool too, if anybody asks for fixes of that: the same one.
        """
        if self.analysis.sets_default_executor or not self.analysis.config.selects(DEFAULT_EXECUTOR):
            return []
        if here not in self._offloads:
            beside = self.analysis.reach.beside(here)
            places = (
                (place, blocking)
                for path in self.analysis.loop.paths
                if path in beside
                for place, _, blocking in self.analysis.on_default_executor(path)
            )
            calls = (offloading_call(place, blocking) for place, blocking in places)
            self._offloads[here] = [call for call in calls if self._existing(call) is None]
        return self._offloads[here]

    def _homeless_in(self, path: str) -> list[BlockingCall]:
        if path not in self._homeless:
            self._homeless[path] = [
                other
                for other in self.analysis.blocking_calls_in(path)
                if self._takes_pool(other) and self._existing(other) is None
            ]
        return self._homeless[path]

    # -- what there is ---------------------------------------------------------------------------

    def _existing(self, call: BlockingCall) -> Pool | None:
        key = (call.frame, call.position)
        if key not in self._known:
            self._known[key] = self._global(call) or self._own(call) or self._shared(call)
        return self._known[key]

    def _global(self, call: BlockingCall) -> Pool | None:
        """A pool that the file has a global name for, its own or an imported one."""
        module = call.caller.module
        if module.path not in self._named:
            self._named[module.path] = tuple(self._pools_named_in(module))
        return next((pool for pool in self._named[module.path] if not is_local(call, pool.text)), None)

    def _pools_named_in(self, module: Module) -> Iterator[Pool]:
        body = module.facts.body
        own = (b.target.id for b in body.bindings if isinstance(b.target, Name) and _may_be_made(b.value))
        imported = (item.local for item in body.imports if item.name)
        for name in dict.fromkeys((*own, *imported)):
            values = plain(self.analysis.evaluator.member(module, name)) if self._is_dedicated(name) else ()
            if any(self._is_pool(value) for value, _ in values):
                yield Pool(name, self._workers(module, name))

    def _own(self, call: BlockingCall) -> Pool | None:
        """A pool that the object whose method this is holds; its class, or one that it inherits from."""
        function = call.caller.facts
        is_static = any(dotted(decorator) == "staticmethod" for decorator in function.decorators)
        if function.owner is None or not function.parameters or is_static:
            return None
        receiver = function.parameters[0].name
        cls = ClassReference(call.caller.module.path, function.owner)
        for base in self.analysis.evaluator.classes.lineage(cls):
            found = list(self._held_by(base)) if isinstance(base, ClassReference) else []
            if found:
                name, made = found[0]
                several = len({text for text, _ in found}) < len(found)
                return Pool(f"{receiver}.{name}", None if several else _constant_workers(made))
        return None

    def _held_by(self, cls: ClassReference) -> Iterator[tuple[str, Expression | None]]:
        """The attributes of a class, and of `self` in its methods, that are pools, and what makes them."""
        module = self.analysis.evaluator.module(cls.module)
        facts = module.facts.classes[cls.number]
        frame = self.analysis.evaluator.frame(module, 0)
        for binding in facts.bindings:
            match binding.target, binding.value:
                case Name(name), Call() as made if self._is_dedicated(name) and self._makes_pool(frame, made):
                    yield name, made
        for method in facts.methods.values():
            frame = self.analysis.evaluator.frame(module, method)
            for binding in module.function(method).bindings:
                match binding.target, binding.value:
                    case Attribute(Name("self"), name), value if self._is_dedicated(name):
                        if _may_be_made(value) and self._makes_pool(frame, value):
                            yield name, value

    def _shared(self, call: BlockingCall) -> Pool | None:
        """A pool on the application's state."""
        for module in self._making_pools():
            for index, function in enumerate(module.facts.functions):
                for binding in function.bindings:
                    match binding.target, binding.value:
                        case Attribute(holder, name), Call() as made if self._is_dedicated(name):
                            if not self.analysis.evaluator.is_state(module, index, holder):
                                continue
                            frame = self.analysis.evaluator.frame(module, index)
                            state = self.lifespans.state(call) if self._makes_pool(frame, made) else ""
                            if state:
                                return Pool(f"{state}.{name}", _constant_workers(made))
        return None

    def _elsewhere(self, call: BlockingCall, function: Function, imports: Imports) -> Pool | None:
        """A global pool for models in another file of the service, imported from there."""
        module = call.caller.module
        found = [
            (home, name, spelled)
            for home, name in self._for_models()
            if home is not module
            and home.path in self.analysis.reach.beside(module.path)
            and module.path not in self.analysis.reach.closure(home.path)
            and (spelled := self.services.spelled(module, home.path))
        ]
        if len(found) != 1:
            return None
        home, name, spelled = found[0]
        text = imports.member(spelled, name, function, prefer_from=True)
        return Pool(text, self._workers(home, name))

    def _for_models(self) -> Iterator[tuple[Module, str]]:
        """The pools with a public global name that says nothing but that models run in it."""
        for module in self._making_pools():
            for binding in module.facts.body.bindings:
                match binding.target, binding.value:
                    case Name(name), Call() if not name.startswith("_"):
                        if set(evidence.split(name)) <= self.policy.model_pools:
                            values = self.analysis.evaluator.member(module, name)
                            if any(self._is_pool(value) for value, _ in plain(values)):
                                yield module, name

    def _making_pools(self) -> Iterator[Module]:
        """The files that name a class of thread pools, one of the project's own among them."""
        project = self.analysis.project
        known = self.policy.thread_pools.last_names()
        own = {
            m.facts.classes[number].name for name in known for m, number in project.families.inheriting(name)
        }
        return project.mentioning(known | own)

    def _is_dedicated(self, name: str) -> bool:
        return not set(evidence.split(name)) & self.policy.other_pools

    def _makes_pool(self, frame: Frame, made: Expression | None) -> bool:
        values = [value for value, _ in plain(self.analysis.evaluator.evaluate(frame, made))]
        others = any(isinstance(v, ExternalObject) and not self._is_pool(v) for v in values)
        return not others and any(map(self._is_pool, values))

    def _is_pool(self, value: object) -> bool:
        match value:
            case ExternalObject(name):
                return self.policy.thread_pools.find(name) is not None
            case Instance(ClassReference() as cls):
                bases = self.analysis.evaluator.classes.lineage(cls)
                return any(self.policy.thread_pools.find(getattr(base, "name", "")) for base in bases)
        return False

    def _workers(self, module: Module, name: str) -> int | None:
        found = [b.binding.value for b in module.bound(0, name)]
        return _constant_workers(found[0]) if len(found) == 1 else None


def offloading_call(place: Place, blocking: Blocking) -> BlockingCall:
    """The place that offloads, as a call that blocks: so are pools chosen and doubts raised."""
    text = f"{dotted(place.site.call.function)}()"
    return BlockingCall(place.caller, place.frame, place.site.call.position, blocking, place.site, text)


def _may_be_made(value: Expression | None) -> bool:
    """Whether it makes an object, or stands for one that is made, or given, elsewhere."""
    return value is not None and not isinstance(value, Opaque | Sequence | Mapping | Listed)


def _constant_workers(made: Expression | None) -> int | None:
    if not isinstance(made, Call):
        return None
    given = dict(made.keywords).get("max_workers") or (made.arguments[0] if made.arguments else None)
    return given.value if isinstance(given, Constant) and isinstance(given.value, int) else None
