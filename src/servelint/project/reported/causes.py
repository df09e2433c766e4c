"""One cause, one finding: what is made once for all who ask is told once, with all who ask in its trace.

Only what is shown is joined. Baselines, suppressions and fixes go by the single places: a place that is in
the baseline must not speak for one that is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from servelint.finding import Finding, Step


def joined(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings in their order, those with one cause as the one that speaks for all.

    Its trace goes on with the places of the others.
    """
    spoken = _spoken_for(findings)
    kept = (spoken.get(id(finding), (finding, finding)) for finding in findings)
    return tuple(whole for finding, (chosen, whole) in zip(findings, kept, strict=True) if chosen is finding)


def speakers(findings: Sequence[Finding]) -> list[Finding]:
    """For each finding the one under which it is told: itself, or the one that speaks for its cause."""
    spoken = _spoken_for(findings)
    return [spoken[id(finding)][0] if id(finding) in spoken else finding for finding in findings]


def _spoken_for(findings: Sequence[Finding]) -> dict[int, tuple[Finding, Finding]]:
    """The findings with a cause, by their `id`: the one that speaks for all with it, and how it does."""
    causes: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.cause:
            causes.setdefault((finding.code, finding.cause), []).append(finding)
    told = ((together, _told(together)) for together in causes.values())
    return {id(finding): speaker for together, speaker in told for finding in together}


def _told(together: list[Finding]) -> tuple[Finding, Finding]:
    """Which of the findings with one cause speaks for all, and how.

    That is the worst, of equal ones the one that was seen to take longest, or else the first.
    """
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
