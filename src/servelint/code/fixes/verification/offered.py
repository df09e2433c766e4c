"""Which fixes are offered: those that hold up. All of a file are looked at as one where that is enough."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from servelint.code.fixes.verification.check import fault
from servelint.finding import Edit, Finding, Fix, Span
from servelint.project.text.splice import Together

Read: TypeAlias = Callable[[Path], bytes | None]

# Fixes that are in the way of each other are looked at one after the other; further ones are planned anew,
# and offered, when those have been applied.
MOST = 16
_WAITS = "it is in the way of other fixes: apply those first"
# To find those that do not hold up takes several looks at their files. A file of which most do not would be
# looked at as often as it has fixes, so what is left after so many looks a file is not offered.
LOOKS = 32
_UNTRIED = "too many fixes of its file do not hold up to tell whether this one does"


@dataclass(slots=True)
class _Batch:
    """Findings whose fixes can be applied together, by their numbers."""

    taken: Together = field(default_factory=Together)
    found: dict[int, Fix] = field(default_factory=dict)


def offered(findings: Sequence[Finding], read: Read) -> tuple[Finding, ...]:
    """The findings, without the fixes that do not hold up.

    `read` gives the bytes of a file, None where there is none yet.
    """
    better = {
        n: f.fix.better for n, f in enumerate(findings) if f.fix is not None and f.fix.better is not None
    }
    worse = _all_faults(better, read) if better else {}
    known = [_without_better(finding) if n in worse else finding for n, finding in enumerate(findings)]
    faults = _all_faults({n: f.fix for n, f in enumerate(known) if f.fix is not None}, read)
    return tuple(
        replace(finding, fix=None, unfixable=faults[number]) if number in faults else finding
        for number, finding in enumerate(known)
    )


def _without_better(finding: Finding) -> Finding:
    return replace(finding, fix=finding.fix._replace(better=None)) if finding.fix is not None else finding


def _all_faults(fixes: Mapping[int, Fix], read: Read) -> dict[int, str]:
    """What is wrong with those of the fixes that do not hold up, by their numbers."""
    batches: list[_Batch] = []
    faults: dict[int, str] = {}
    for number, fix in fixes.items():
        batch = next((b for b in batches if b.taken.take(fix.edits)), None)
        if batch is None and len(batches) == MOST:
            faults[number] = _WAITS
            continue
        if batch is None:
            batch = _Batch()
            batch.taken.take(fix.edits)
            batches.append(batch)
        batch.found[number] = fix
    for batch in batches:
        faults |= _Search(read, LOOKS * _files(batch.found)).faults(batch.found)
    return faults


def _files(found: Mapping[int, Fix]) -> int:
    return len({edit.span.path for fix in found.values() for edit in fix.edits})


@dataclass(slots=True)
class _Search:
    """Looks for the fixes that do not hold up, a file at most so many times; `left` counts looks at files."""

    read: Read
    left: int

    def faults(self, found: Mapping[int, Fix]) -> dict[int, str]:
        """What is wrong with those that do not hold up, or were not looked at."""
        if self.left <= 0:
            return dict.fromkeys(found, _UNTRIED)
        self.left -= _files(found)
        reason = fault_of(found.values(), self.read)
        if not reason:
            return {}
        if len(found) == 1:
            return dict.fromkeys(found, reason)
        numbers = sorted(found)
        halves = numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]
        return {n: text for half in halves for n, text in self.faults({n: found[n] for n in half}).items()}


def fault_of(fixes: Iterable[Fix], read: Read) -> str:
    """Why the fixes may not be applied together; empty if they may."""
    edits: dict[Path, set[Edit]] = defaultdict(set)
    replaces: set[Span] = set()
    for fix in fixes:
        replaces.update(fix.replaces)
        for edit in fix.edits:
            edits[edit.span.path].add(edit)
    reasons = (
        fault(path, read(path), found, replaces) for path, found in edits.items() if path.suffix == ".py"
    )
    return next((reason for reason in reasons if reason), "")
