"""What stands, or runs, beside a call: why a fix that is safe by itself may not be."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import NamedTuple

from servelint.code.facts.facts import Site
from servelint.code.fixes.beside.alone import Alone
from servelint.code.fixes.beside.altered import Altered
from servelint.code.fixes.beside.branches import other_branch
from servelint.code.fixes.beside.device import DeviceWaits
from servelint.code.fixes.beside.halves import Halves
from servelint.code.fixes.beside.process import ProcessWide
from servelint.code.fixes.beside.sequences import Sequences
from servelint.code.fixes.beside.settings import ThreadSettings
from servelint.code.fixes.beside.staying import Staying
from servelint.code.fixes.beside.transactions import Transactions
from servelint.code.fixes.blocks.devices import Devices
from servelint.code.fixes.blocks.late import LateReadings
from servelint.code.fixes.blocks.regions import Region
from servelint.code.fixes.doubts.safety import Safety
from servelint.code.fixes.pools.loaded import loaded_already
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import Frame
from servelint.knowledge.types import Role


class Plans(NamedTuple):
    """What the planner tells of a call: the block that moves with it, the calls in it, and what these run.

    `block` is the block that may move with it: where nothing is known yet of the fix.
    `stays` tells whether it has no safe fix, whatever else there is, `becomes_plain` whether its function
    stops to be a coroutine, so that nothing in it stays on the event loop.
    """

    region: Callable[[BlockingCall], Region | None]
    block: Callable[[BlockingCall], Region | None]
    moved_with: Callable[[BlockingCall], tuple[BlockingCall, ...]]
    runs: Callable[[BlockingCall], tuple[Iterable[Site], Iterable[Frame]]]
    stays: Callable[[BlockingCall], bool]
    becomes_plain: Callable[[BlockingCall], bool]


class Surroundings:
    """Judges the fixes of one project."""

    def __init__(self, analysis: Analysis, files: Files, safety: Safety, plans: Plans) -> None:
        self.files = files
        self.plans = plans
        self.halves = Halves(analysis, files, safety.sharing, self._stays_after_all, plans.moved_with)
        self.staying = Staying(analysis, files, plans.region, plans.stays)
        self.late = LateReadings(files, plans.region, Devices(analysis.catalogue.libraries))
        self.device = DeviceWaits(analysis, files, plans.region)
        self.sequences = Sequences(analysis, files, safety.sharing, plans.region)
        self.transactions = Transactions(analysis, files, safety, plans.region)
        self.process = ProcessWide(analysis, safety.reached, self._stays, plans.runs)
        self.altered = Altered(
            analysis, files, safety.meanwhile, plans.block, plans.runs, self._is_not_in_pool
        )
        self.settings = ThreadSettings(analysis)
        self.alone = Alone(analysis)

    def doubt(self, call: BlockingCall) -> str:
        """Why a fix that is safe by itself is not; empty where it is."""
        return self.halves.doubt(call) or self._doubt(call) or self._of_others(call)

    def at_once(self, call: BlockingCall) -> str:
        """Why several threads should not make the call at once, whatever its library allows."""
        return self.process.at_once(call) or self.altered.at_once(call)

    def _stays_after_all(self, call: BlockingCall) -> bool:
        """Whether safe fixes leave the call where it is."""
        return self._stays(call) or bool(self._of_others(call))

    def _of_others(self, call: BlockingCall) -> str:
        """Which other code must not run beside the call, and does not come into the same pool."""
        altered = self.altered.at_once if self.plans.becomes_plain(call) else self.altered.doubt
        return self.process.doubt(call) or altered(call)

    def _is_not_in_pool(self, call: BlockingCall) -> bool:
        """Whether safe fixes leave the call where it is, or hand its function to the framework's threads."""
        return self._stays(call) or self.plans.becomes_plain(call)

    def _stays(self, call: BlockingCall) -> bool:
        """The same, whatever becomes of other calls."""
        return self.plans.stays(call) or bool(self._doubt(call))

    def _doubt(self, call: BlockingCall) -> str:
        """Why a fix that is safe by itself is not, whatever becomes of other calls."""
        return (
            self._left(call)
            or self._elsewhere(call)
            or self.sequences.doubt(call)
            or self.settings.doubt(call)
            or self.alone.doubt(call)
        )

    def _left(self, call: BlockingCall) -> str:
        """What the fix leaves on the event loop that takes long, or would wait there for locked rows."""
        doubt = (
            self.staying.doubt(call)
            or self.late.doubt(call)
            or self.device.doubt(call)
            or self.transactions.doubt(call)
        )
        return "" if doubt and self.plans.becomes_plain(call) else doubt

    def _elsewhere(self, call: BlockingCall) -> str:
        """What the file says elsewhere of such a call: it is made at import, or in another branch."""
        syntax = self.files.syntax(call.caller.module)
        function = function_at(syntax, call.caller.facts.position)
        node = syntax.at(call.position, ast.Call)
        if function is None or node is None:
            return ""
        loads = call.blocking.role is Role.LOAD
        already = loaded_already(syntax, node, function) if loads else ""
        return already or other_branch(syntax, node, function)
