"""Applying fixes: in rounds, checked after each, and written in one step a file.

Nothing here decides what is wrong or how to mend it; that is in the findings. What is decided is which
fixes can be applied together, and whether a result may be kept: it must parse, the finding must be gone,
and nothing new may be found. A fix that does not hold up is taken back and reported.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from servelint.finding import Applicability, Edit, Finding, Severity
from servelint.lint import Report, check_tree, left_out
from servelint.project.listing.kinds import Kind, kind_of
from servelint.project.reported import baseline
from servelint.project.reported.selection import UNREADABLE
from servelint.project.text.source import SourceError, decode
from servelint.project.text.splice import Together, splice
from servelint.project.text.writing import LEADS_OUT, leads_out, remove_leftovers, replace_file


class WriteError(OSError):
    """A file could not be replaced; it is as it was."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A fix that was tried and taken back, and why."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What applying fixes comes to; nothing is written yet.

    `before` and `after` hold the contents of every changed file (`before` is None for one that is new);
    `report` is what is still found in the result.
    """

    before: Mapping[Path, bytes | None]
    after: Mapping[Path, bytes]
    applied: tuple[Finding, ...]
    rejected: tuple[Rejected, ...]
    report: Report


def apply(
    report: Report,
    *,
    unsafe: bool,
    known: Sequence[baseline.Entry] = (),
    propose: Callable[[Report], Report] = lambda report: report,
    stage: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Apply the fixes of `report` in memory; `unsafe` ones too if asked, `known` is its baseline.

    `propose` may put other fixes in the place of those that the findings carry.
    """
    work = _Work(propose(report), unsafe, tuple(known), propose)
    count = 0
    while batch := work.next_batch():
        count += 1
        stage(f"applying fixes, round {count}")
        work.attempt(batch)
    return work.outcome()


@dataclass(slots=True)
class _Work:
    """The state between rounds: the report of the text as it is now, and what became of each fix."""

    report: Report
    unsafe: bool
    known: tuple[baseline.Entry, ...]
    propose: Callable[[Report], Report]
    wanted: frozenset[tuple[object, ...]] = frozenset()
    counts: Counter[tuple[object, ...]] = field(default_factory=Counter)
    applied: list[Finding] = field(default_factory=list)
    rejected: dict[tuple[object, ...], Rejected] = field(default_factory=dict)
    original: dict[Path, bytes | None] = field(default_factory=dict)
    first_seen: dict[tuple[object, ...], Finding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.first_seen = {self._name(finding): finding for finding in reversed(self.report.findings)}
        self.wanted = frozenset(_key(finding) for finding in self.report.findings)
        self.counts = _count(self.report)

    def next_batch(self) -> list[Finding]:
        """Findings whose fixes can be applied now, none in the way of another."""
        batch: list[Finding] = []
        taken = Together()
        for finding in self.report.findings:
            fix = finding.fix
            # What waits for others is planned anew, and waits no more, once they have been applied.
            if fix is None or fix.waits:
                continue
            if _key(finding) not in self.wanted or self._name(finding) in self.rejected:
                continue
            if fix.applicability is Applicability.UNSAFE and not self.unsafe:
                continue
            if taken.take(fix.edits):
                batch.append(finding)
        return batch

    def attempt(self, batch: list[Finding]) -> bool:
        """Apply a batch, or as much of it as holds up; whether the text changed."""
        try:
            edits = _by_file(batch)
            changed = {path: self._spliced(path, found) for path, found in edits.items()}
            checked = check_tree(self.report.tree.with_overlay(changed), self.report.config)
            fault = self._altered(batch, changed, edits) or self._fault(batch, checked)
        except SourceError as error:
            fault = str(error)
        if not fault:
            self._keep(batch, changed, checked)
            return True
        if len(batch) == 1:
            self.rejected[self._name(batch[0])] = Rejected(batch[0], fault)
            return False
        middle = len(batch) // 2
        # Once a half is kept the positions of the other are stale: it waits for the next round.
        return self.attempt(batch[:middle]) or self.attempt(batch[middle:])

    def outcome(self) -> Outcome:
        changed = {
            path: self.report.tree.read(path)
            for path, content in self.original.items()
            if content != self.report.tree.read(path)
        }
        return Outcome(
            before={path: self.original[path] for path in changed},
            after=changed,
            applied=tuple(self.applied),
            rejected=tuple(self.rejected.values()),
            report=self.report,
        )

    def _name(self, finding: Finding) -> tuple[object, ...]:
        return (*_key(finding), baseline.fingerprint(finding, self.report.tree.read))

    def _spliced(self, path: Path, edits: frozenset[Edit]) -> bytes:
        return splice(decode(path, self._content(path) or b""), edits)

    def _altered(
        self,
        batch: Sequence[Finding],
        changed: Mapping[Path, bytes],
        edits: Mapping[Path, frozenset[Edit]],
    ) -> str:
        """What would change apart from what is meant to be changed; empty if nothing."""
        kinds = {kind_of(path.name) for path in changed}
        if Kind.PYTHON in kinds:
            from servelint.code.fixes.verification.offered import fault_of

            fault = fault_of([finding.fix for finding in batch if finding.fix], self._content)
            if fault:
                return fault
        if kinds == {Kind.PYTHON}:
            return ""
        from servelint.manifests import verify

        for path, content in changed.items():
            before = self._content(path)
            if before is not None and kind_of(path.name) is not Kind.PYTHON:
                fault = verify(before, content, path, tuple(edits[path]))
                if fault:
                    return fault
        return ""

    def _content(self, path: Path) -> bytes | None:
        try:
            return self.report.tree.read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error

    def _fault(self, batch: list[Finding], checked: Report) -> str:
        """Why the result may not be kept; empty if it may."""
        now = _count(checked)
        for finding in checked.findings:
            if now[_key(finding)] > self.counts[_key(finding)] and not _is_remark(finding, batch):
                broken = finding.code == UNREADABLE
                return finding.message if broken else f"it would cause {finding.code}: {finding.message}"
        for key, cured in Counter(_key(finding) for finding in batch).items():
            if now[key] > self.counts[key] - cured:
                return "the finding would remain"
        return ""

    def _keep(self, batch: list[Finding], changed: Mapping[Path, bytes], checked: Report) -> None:
        for path in changed:
            self.original.setdefault(path, self._content(path))
        # Told as they stood when the user last saw the file, not where earlier rounds have moved them.
        self.applied += [self.first_seen.get(self._name(finding), finding) for finding in batch]
        now = _count(checked)
        self.wanted |= {key for key in now if now[key] > self.counts[key]}
        self.counts = now
        timed = replace(checked, seconds=self.report.seconds)
        left = replace(left_out(timed, "", self.known), stale=())
        self.report = self.propose(left)


def _by_file(batch: list[Finding]) -> dict[Path, frozenset[Edit]]:
    """The edits of some fixes; those that several of them need are there once."""
    edits: dict[Path, set[Edit]] = defaultdict(set)
    for finding in batch:
        for edit in finding.fix.edits if finding.fix else ():
            edits[edit.span.path].add(edit)
    return {path: frozenset(found) for path, found in edits.items()}


def _key(finding: Finding) -> tuple[object, ...]:
    """What stays the same about a finding when the lines around it move."""
    return (finding.code, finding.span.path, finding.function)


def _is_remark(finding: Finding, cured: Sequence[Finding]) -> bool:
    """Whether the finding only informs, now that something worse has been cured."""
    informs = finding.severity is Severity.INFO
    return informs and any(other.severity is not Severity.INFO for other in cured)


def _count(report: Report) -> Counter[tuple[object, ...]]:
    return Counter(_key(finding) for finding in report.accountable)


def write(outcome: Outcome) -> Iterator[Path]:
    """Write the changed files, one atomic step each, and yield each path when it is done.

    Raises `WriteError` for the first that cannot be written. What a run that was killed left behind in the
    project's folders is removed first.
    """
    tree = outcome.report.tree
    for folder in sorted({path.parent for path in (*tree.python, *tree.manifests)}):
        remove_leftovers(folder)
    for path, content in sorted(outcome.after.items()):
        _replace(path, outcome.before[path], content, tree.root)
        yield path


def _replace(path: Path, expected: bytes | None, content: bytes, root: Path) -> None:
    target = path.resolve()
    try:
        current = target.read_bytes() if target.exists() else None
        if current == expected and not leads_out(path, root):
            replace_file(target, content)
            return
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror}") from error
    if leads_out(path, root):
        raise WriteError(f"{path}: {LEADS_OUT}; left alone")
    if current != content:  # else it has been written by another of its names
        raise WriteError(f"{path}: was changed by someone else meanwhile; left alone")


def patch(outcome: Outcome, folder: Path) -> bytes:
    """The changes as a patch that `git apply` takes in `folder`.

    It takes no path that leads out of there: with a change elsewhere, the patch is for the project's root.
    """
    inside = all(path.is_relative_to(folder) for path in outcome.after)
    base = folder if inside else outcome.report.tree.root
    return b"".join(
        _file_patch(os.path.relpath(path, base), outcome.before[path], content)
        for path, content in sorted(outcome.after.items())
    )


def _file_patch(name: str, before: bytes | None, after: bytes) -> bytes:
    from servelint.unified import unified

    slashed = name.replace(os.sep, "/")
    old = b"/dev/null" if before is None else _patch_name(f"a/{slashed}")
    new = _patch_name(f"b/{slashed}")
    header = (
        []
        if before is not None
        else [b"diff --git " + _patch_name(f"a/{slashed}") + b" " + new + b"\nnew file mode 100644\n"]
    )
    lines = unified(_lines(before or b""), _lines(after), old, new)
    ended = (line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines)
    return b"".join((*header, *ended))


def _lines(content: bytes) -> list[bytes]:
    """Lines as git has them: ended by a line feed alone."""
    return re.findall(rb"[^\n]*\n|[^\n]+", content)


def _patch_name(name: str) -> bytes:
    if any(character in '"\\\n\t' for character in name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return os.fsencode(f'"{escaped}"')
    return os.fsencode(name)
