"""Waits for the GPU beside a call, which a fix of the call leaves on the event loop.

torch.cuda.empty_cache()
text = await loop.run_in_executor(pool, pipe, audio)
torch.cuda.synchronize()

So far nothing else was on the GPU then. Now other requests are, and the loop waits for them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

from servelint.code.facts.facts import Position, Site, dotted
from servelint.code.fixes.beside.ways import is_handling, runs_with
from servelint.code.fixes.blocks.regions import Region
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Syntax
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import External, Frame, FunctionReference, plain
from servelint.knowledge.types import Role

# So many of them are looked at for each call.
MAXIMUM_WAITS = 20


class _Wait(NamedTuple):
    node: ast.Call
    position: Position
    text: str


class DeviceWaits:
    """Finds them in one project; `region` tells which block moves with a call."""

    def __init__(
        self, analysis: Analysis, files: Files, region: Callable[[BlockingCall], Region | None]
    ) -> None:
        self.analysis = analysis
        self.files = files
        self.policy = policy.load()
        self._region = region
        self._waits: dict[Frame, tuple[_Wait, ...]] = {}
        self._inside: dict[tuple[str, int], bool] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Where the event loop would wait for the GPU beside the call; empty for nowhere."""
        waits = self._of(call) if call.blocking.role is not Role.REMOTE else ()
        syntax = self.files.syntax(call.caller.module)
        node = syntax.at(call.position, ast.expr) if waits else None
        region = self._region(call) if waits else None
        for wait in waits if node is not None else ():
            moves = region is not None and region.block.holds(wait.position)
            if not moves and node is not None and runs_with(syntax, wait.node, node):
                line, here = wait.position.line, call.caller.facts.name
                return f"line {line} of `{here}` waits for the GPU on the event loop (`{wait.text}`)"
        return ""

    def _of(self, call: BlockingCall) -> tuple[_Wait, ...]:
        if call.frame not in self._waits:
            syntax, found = self.files.syntax(call.caller.module), list[_Wait]()
            for site in self.analysis.evaluator.facts(call.frame).sites:
                node = syntax.at(site.call.position, ast.Call) if self._waits_at(call.frame, site) else None
                if node is not None and not is_handling(syntax, node):
                    found.append(_Wait(node, site.call.position, f"{dotted(site.call.function)}()"))
                if len(found) == MAXIMUM_WAITS:
                    break
            self._waits[call.frame] = tuple(found)
        return self._waits[call.frame]

    def _waits_at(self, frame: Frame, site: Site) -> bool:
        """Whether the call is such a wait, or of a plain function of the project that waits so."""
        if site.use in ("await", "async") or site.is_off_loop:
            return False
        if self.analysis.judge.site(frame, site) is not None:
            return False  # is told as a call that blocks
        return self._is_known(frame, site) or any(map(self._is_inside, self._called(frame, site)))

    def _called(self, frame: Frame, site: Site) -> Iterator[FunctionReference]:
        for value, certain in plain(self.analysis.evaluator.calls.callees(frame, site.call)):
            if certain and isinstance(value, FunctionReference):
                yield value

    def _is_known(self, frame: Frame, site: Site) -> bool:
        evaluator, function = self.analysis.evaluator, site.call.function
        if not evaluator.module(frame.module).may_call(function, self.policy.waits_for_device.last_names()):
            return False
        return any(
            isinstance(value, External) and self.policy.waits_for_device.find(value.name) is not None
            for value, _ in plain(evaluator.calls.callees(frame, site.call))
        )

    def _is_inside(self, function: FunctionReference) -> bool:
        """Whether the function waits for the GPU wherever there is one."""
        key = (function.module, function.function)
        if key not in self._inside:
            module = self.analysis.evaluator.module(function.module)
            facts, frame = module.function(function.function), self.analysis.evaluator.frame(module, key[1])
            syntax = self.files.syntax(module)
            nodes = (
                syntax.at(site.call.position, ast.Call)
                for site in facts.sites
                if not facts.is_async and not facts.is_generator and self._is_known(frame, site)
            )
            self._inside[key] = any(node is not None and self._is_usual(syntax, node) for node in nodes)
        return self._inside[key]

    def _is_usual(self, syntax: Syntax, node: ast.Call) -> bool:
        """Whether the call is made on the usual way through its function, where there is a GPU."""
        if is_handling(syntax, node):
            return False
        for outer, _ in syntax.ancestors(node):
            match outer:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    return True
                case ast.Lambda() | ast.match_case():
                    return False
                case ast.If(test=test) | ast.IfExp(test=test) if not self._asks_for_device(test):
                    return False
        return False

    def _asks_for_device(self, test: ast.expr) -> bool:
        named = (n for n in ast.walk(test) if isinstance(n, ast.Name | ast.Attribute | ast.Constant))
        texts = (
            n.id if isinstance(n, ast.Name) else n.attr if isinstance(n, ast.Attribute) else str(n.value)
            for n in named
        )
        return any(word in self.policy.device_words for text in texts for word in text.lower().split("_"))
