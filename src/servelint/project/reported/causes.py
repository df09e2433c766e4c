"""One cause, one finding: what is made once for all who ask is told once, with all who ask in its trace.

Only what is shown is joined. Baselines, suppressions and fixes go by the single places: a place that is in
the baseline must not speak for one that is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from servelint.finding import Finding, Step


def joined(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings in their order, those with one cause as one: the worst of them, of equal ones that which
    was seen to take longest, or else the first.

    Its trace goes on with the places of the others.
    """
    causes: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.cause:
            causes.setdefault((finding.code, finding.cause), []).append(finding)
    told = {id(finding): _told(together) for together in causes.values() for finding in together}
    kept = (told.get(id(finding), (finding, finding)) for finding in findings)
    return tuple(whole for finding, (chosen, whole) in zip(findings, kept, strict=True) if chosen is finding)


def speaker(finding: Finding, findings: Sequence[Finding]) -> Finding:
    """The one of the findings under which a finding is told: itself, or the one that stands for its cause."""
    if not finding.cause:
        return finding
    return _told([one for one in findings if (one.code, one.cause) == (finding.code, finding.cause)])[0]


def _told(together: list[Finding]) -> tuple[Finding, Finding]:
    """Which of the findings with one cause stands for all, and how."""
    chosen = max(together, key=_weight)
    others = tuple(
        Step(finding.span, f"and from {_where(finding)}") for finding in together if finding is not chosen
    )
    if not others:
        return chosen, chosen
    count = f"{len(others)} other place{'s' if len(others) > 1 else ''}"
    message = f"{chosen.message}, the first time it is asked for, here and in {count}"
    return chosen, replace(chosen, message=message, trace=(*chosen.trace, *others))


def _weight(finding: Finding) -> tuple[int, int, float]:
    seen = finding.measured
    return finding.severity.rank, finding.confidence.rank, seen.longest if seen is not None else 0.0


def _where(finding: Finding) -> str:
    return f"`{finding.function}`" if finding.function else "here"
