"""Why a call or an iteration is or is not a finding: `servelint check --explain PATH:LINE`.

Nothing is judged here. What blocks is asked of the judge, where a function runs of the loop, what is a
finding of the rules, and what becomes of a finding is told by who runs the check.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf
from typing import NamedTuple

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Constant,
    Element,
    Entered,
    Expression,
    Iteration,
    Mapping,
    Operation,
    Position,
    Read,
    Sequence,
    Site,
    Subscript,
    dotted,
)
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, deep_recursion
from servelint.code.judge.bindings import Bindings
from servelint.code.judge.implicit import implicit
from servelint.code.judge.outcomes import Blocking
from servelint.code.judge.unknown import Unknown, Unknowns
from servelint.code.judge.waits import Wait
from servelint.code.judge.words import Words
from servelint.code.loop.bound import LoopBound
from servelint.code.loop.offloads import Handoff
from servelint.code.values.values import Frame, FunctionReference, plain
from servelint.finding import Finding, Span

# How many calls that nobody knows, and how many callers, are named.
MAXIMUM_NAMED = 5


class Told(NamedTuple):
    """A finding, and the line that says whether it is reported."""

    finding: Finding
    outcome: str


def explain(analysis: Analysis, path: str, line: int, told: SequenceOf[Told]) -> tuple[str, ...]:
    """Lines that tell how each call and iteration on a 1-based line is judged; empty where there is none.

    `told` are all findings of the project.
    """
    module = analysis.project.module(path)
    if module is None:
        return ()
    with deep_recursion():
        return tuple(_Explanation(analysis, module, told).lines(line))


class _Subject(NamedTuple):
    """A call, an iteration, the read of an attribute or an operation in a function's body."""

    function: int
    position: Position
    expression: Expression
    about: Site | Iteration | Read | Operation

    @property
    def site(self) -> Site | None:
        """The call, if it is one."""
        return self.about if isinstance(self.about, Site) else None

    @property
    def endless(self) -> bool:
        """Whether it is done for ever."""
        return self.about.endless

    @property
    def text(self) -> str:
        """What is called, gone through or read."""
        told = dotted(self.expression)
        match self.about:
            case Site():
                return f"{told}()"
            case Iteration():
                return f"going through {told}"
            case Operation():
                return told
        return f"reading {told}"


class _Explanation:
    def __init__(self, analysis: Analysis, module: Module, told: SequenceOf[Told]) -> None:
        self.analysis = analysis
        self.evaluator = analysis.evaluator
        self.judge = analysis.judge
        self.module = module
        self.told = told
        self.words = Words(analysis)
        self.bindings = Bindings(analysis)
        self.unknowns = Unknowns(analysis, self.words)

    def lines(self, line: int) -> Iterator[str]:
        """What is to say of each call and iteration on the line."""
        for subject in self._subjects(line):
            yield from self._subject(subject)

    def _subjects(self, line: int) -> Iterator[_Subject]:
        for index, function in enumerate(self.module.facts.functions):
            for site in function.sites:
                yield from _on(line, _Subject(index, site.call.position, site.call.function, site))
            for iteration in function.iterations:
                # Going through what a call gives is a part of that call.
                if not isinstance(iteration.iterable, Call):
                    yield from _on(line, _Subject(index, iteration.position, iteration.iterable, iteration))
            for read in implicit(function):
                subject = _Subject(index, read.position, read.about, read)
                if (
                    not isinstance(read, Iteration)
                    and any(True for _ in _on(line, subject))
                    and self._runs_code(subject)
                ):
                    yield subject

    def _runs_code(self, subject: _Subject) -> bool:
        """Whether reading the attribute does more than to read it, as far as anybody says."""
        frame = self.evaluator.frame(self.module, subject.function)
        return self._blocking(frame, subject) is not None or bool(self._told_here(subject))

    def _subject(self, subject: _Subject) -> Iterator[str]:
        frame = self.evaluator.frame(self.module, subject.function)
        function = self.module.function(subject.function)
        within = function.qualname if subject.function else "the module"
        yield f"{subject.text} in {within}, line {subject.position.line}"
        yield f"  {self.words.where(self.module, subject.function, endless=subject.endless)}"
        expression = subject.expression
        for part in _parts(expression):
            yield from self._value(frame, part)
        yield from self._judged(frame, subject)

    # -- values ----------------------------------------------------------------------------------

    def _value(self, frame: Frame, expression: Expression) -> Iterator[str]:
        values = self.evaluator.evaluate(frame, expression)
        told = self.words.values(values)
        if told != dotted(expression):
            yield f"  {dotted(expression)}: {told}"
        for assigned in self.bindings.of(frame, expression):
            place = self.words.place(assigned.path, assigned.line)
            yield f"    bound at {place}: {_bound(assigned.value)}"

    # -- verdicts --------------------------------------------------------------------------------

    def _judged(self, frame: Frame, subject: _Subject) -> Iterator[str]:
        blocking = self._blocking(frame, subject)
        here = self._told_here(subject)
        wait = self._wait(frame, subject)
        handoff = self.analysis.handoffs.of(frame, subject.site.call) if subject.site else None
        if blocking is not None:
            yield f"  verdict: {_blocks(blocking)}"
        elif wait is not None and not wait.excuse:
            yield f"  verdict: blocks ({wait.confidence.value} confidence): it waits for another thread"
        elif here:
            yield from (f"  verdict: {item.finding.message}" for item in here)
        elif wait is not None:
            yield f"  verdict: does not block: it waits for another thread, but {wait.excuse}"
        else:
            yield from self._why_not(frame, subject, handoff)
        if handoff is not None:
            yield f"  {self._handed(frame, handoff)}"
        if here:
            yield from (f"  {item.outcome}" for item in here)
        elif blocking is not None or (wait is not None and not wait.excuse):
            yield f"  not reported: {self._excuse(subject, blocking)}"
            yield from self._reported_at(subject)

    def _wait(self, frame: Frame, subject: _Subject) -> Wait | None:
        match subject.about:
            case Site():
                return self.analysis.waits.of(frame, subject.about)
            case Iteration():
                return self.analysis.waits.iteration(frame, subject.about)
        return None

    def _blocking(self, frame: Frame, subject: _Subject) -> Blocking | None:
        match subject.about:
            case Site():
                found = self.judge.site(frame, subject.about)
                if found is None or not self.analysis.is_done(frame, found):
                    return found
                return self.analysis.beside_loads(frame, subject.about) or found
        return self.judge.implicit.of(frame, subject.about)

    def _told_here(self, subject: _Subject) -> list[Told]:
        """The findings that stand exactly there."""
        span = self._span(subject)
        return [item for item in self.told if item.finding.span == span]

    def _span(self, subject: _Subject) -> Span:
        return self.analysis.span(self.module.path, subject.position)

    # -- why what blocks is no finding -----------------------------------------------------------

    def _excuse(self, subject: _Subject, blocking: Blocking | None) -> str:
        """Why what blocks (by a wait, if `blocking` is None) is no finding, in the order of the analysis."""
        path, index = self.module.path, subject.function
        caller = LoopBound(self.module, index, self.analysis.loop)
        if path not in self.analysis.reach.sources:
            return f"{self.words.place(path)} is a test"
        if not index or not caller.serves_in(endless=subject.endless):
            return self.words.unreported(self.module, index)
        if caller not in self.analysis.loop_bound(path):
            return f"no library that blocks is in reach of {self.words.place(path)}"
        if blocking is None:
            return "no rule is about it"
        kept = self.analysis.preloaded(blocking)
        if kept is not None:
            module, number = kept
            place = self.words.place(module.path, module.function(number).position.line)
            name = module.function(number).qualname
            return f"{name} ({place}) loads once, and start-up has called it before the first request"
        lacking = self.analysis.not_lacking(self.evaluator.frame(self.module, index), blocking)
        if lacking is not None:
            module, number = lacking
            place = self.words.place(module.path, module.function(number).position.line)
            name = module.function(number).qualname
            return f"{name} ({place}) has it done only for want of what start-up fills"
        return self._told_elsewhere(caller, blocking)

    def _told_elsewhere(self, caller: LoopBound, blocking: Blocking) -> str:
        """Where the rest of the work is reported that the call only begins."""
        for call in self.analysis.blocking_calls_of(caller):
            if call.blocking.drawn and call.blocking.library == blocking.library:
                return f"it only begins what going through {call.text} does, line {call.position.line}"
        return "no rule is about it"

    def _reported_at(self, subject: _Subject) -> Iterator[str]:
        """The findings whose way to the library leads through the call."""
        span = self._span(subject)
        found = [item for item in self.told if any(step.span == span for step in item.finding.trace)]
        for item in found[:MAXIMUM_NAMED]:
            place = self.words.place(str(item.finding.span.path), item.finding.span.line)
            yield f"    called on the event loop at {place} ({item.finding.function}); {item.outcome}"
        if len(found) > MAXIMUM_NAMED:
            yield f"    and at {len(found) - MAXIMUM_NAMED} more places"
        if not found and not self._is_placed(subject):
            yield "    no finding leads through this call"

    def _is_placed(self, subject: _Subject) -> bool:
        """Whether it is known where the function runs, whoever calls it."""
        return not subject.function or self.words.is_placed(self.module, subject.function)

    # -- why it does not block -------------------------------------------------------------------

    def _why_not(self, frame: Frame, subject: _Subject, handoff: Handoff | None) -> Iterator[str]:
        if subject.site is None:
            yield f"  verdict: {self._why_not_iterating(frame, subject)}"
        elif handoff is not None:
            yield "  verdict: does not block: what it is given runs in another thread or process"
        elif later := self._done_later(frame, subject.site):
            yield f"  verdict: {later}"
        else:
            yield from self._why_not_calling(frame, subject.site)

    def _why_not_calling(self, frame: Frame, site: Site) -> Iterator[str]:
        role = self.judge.names.evidence.role_of(site.call)
        unknown = self.unknowns.behind(frame, site.call)
        if role is not None and not self.analysis.reach.has_models(self.module.path):
            told = f"its name says {role.value}, but no library that runs models is in reach of this file"
            yield f"  verdict: not known to block: {told}"
        elif unknown:
            yield "  verdict: not known to block, and not everything that it may call is known"
            yield from self._named(unknown)
        elif role is not None:
            told = f"its name says {role.value}, but what is called is known, as said above, and is none"
            yield f"  verdict: not known to block: {told}"
        else:
            yield f"  verdict: {self._harmless(frame, site)}"

    def _done_later(self, frame: Frame, site: Site) -> str:
        """Why the call itself is harmless, whatever it calls: it only makes what is run later."""
        if site.use in ("await", "async"):
            return "awaited: the call only gives an awaitable; what a coroutine's body calls is judged in it"
        if self.judge.call(frame, site.call) is None:
            return ""
        if self.judge.call(frame, site.call, site) is None:
            return "does not block: its result is awaited later, so it is the asynchronous one that is called"
        return "does not block here: a response goes through the generator expression later, in a thread"

    def _named(self, unknown: SequenceOf[Unknown]) -> Iterator[str]:
        for item in unknown[:MAXIMUM_NAMED]:
            place = self.words.place(item.path, item.position.line)
            yield f"    not known: {item.callee}, called at {place}: {item.lesson}"
        if len(unknown) > MAXIMUM_NAMED:
            yield f"    and {len(unknown) - MAXIMUM_NAMED} more calls behind it"

    def _harmless(self, frame: Frame, site: Site) -> str:
        for value, _ in plain(self.evaluator.calls.callees(frame, site.call)):
            facts = self.evaluator.facts(value) if isinstance(value, FunctionReference) else None
            if facts is not None and facts.is_generator:
                return "does not block: to call a generator function runs none of its body"
            if facts is not None and facts.is_async:
                return "does not block: to call a coroutine function runs none of its body"
        return "not known to block: nothing that it may call is listed as blocking"

    def _why_not_iterating(self, frame: Frame, subject: _Subject) -> str:
        if not self.evaluator.evaluate(frame, subject.expression):
            return "not known to block: nothing says what is gone through"
        return "does not block: it holds no lazy result whose elements are worked out one by one"

    # -- offloads --------------------------------------------------------------------------------

    def _handed(self, frame: Frame, handoff: Handoff) -> str:
        """What an offload runs elsewhere, and what that does there."""
        given = dotted(handoff.callable)
        inner = self.judge.call(frame, Call(handoff.callable, (), (), handoff.call.position))
        if inner is None:
            return f"hands over {given}, which is not known to block"
        told = f"{inner.library} {inner.role.value}".strip()
        return f"hands over {given}, which does {told} there"


def _blocks(blocking: Blocking) -> str:
    way = " -> ".join(hop.text for hop in blocking.hops)
    return f"blocks ({blocking.role.value}, {blocking.confidence.value} confidence): {way}"


def _bound(value: Expression | None) -> str:
    match value:
        case None:
            return "declared"
        case Constant(constant):
            return repr(constant)
        case Element(iterable):
            return f"an element of {dotted(iterable)}"
        case Entered(entered):
            return f"with {dotted(entered)}"
        case Mapping() | Sequence():
            return "a literal"
    told = dotted(value)
    return "a value that is worked out" if told == "?" else told


def _on(line: int, subject: _Subject) -> Iterator[_Subject]:
    """The subject, if it stands on the line."""
    if subject.position.line <= line <= subject.position.end_line:
        yield subject


def _parts(expression: Expression) -> Iterator[Expression]:
    """The receivers of a callee, innermost first, and the callee itself."""
    match expression:
        case Attribute(value, _) | Subscript(value, _):
            yield from _parts(value)
        case Call(function, _, _, _):
            yield from _parts(function)
    yield expression
