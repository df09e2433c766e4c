"""Applying fixes: in rounds, checked after each, and written in one step a file.

Nothing here decides what is wrong or how to mend it; that is in the findings. What is decided is which
fixes can be applied together, and whether a result may be kept: it must parse, the finding must be gone,
and nothing new may be found. A fix that does not hold up is taken back and reported.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from servelint.finding import Applicability, Edit, Finding, Severity
from servelint.lint import Report, check_tree, left_out
from servelint.project.listing.kinds import Kind, kind_of
from servelint.project.reported import baseline
from servelint.project.reported.selection import UNREADABLE
from servelint.project.text.source import SourceError, decode
from servelint.project.text.splice import Together, splice
from servelint.project.text.writing import LEADS_OUT, leads_out, remove_leftovers, replace_file

# How often fixes that do not hold up are looked for in a run: each time costs a check of the project.
# The more is found, the longer a check takes; as many as `_LEAST_ATTEMPTS` are tried in any case.
_FINDINGS_CHECKED = 20_000
_LEAST_ATTEMPTS = 64
_NOT_TRIED = "it was not tried: too many other fixes did not hold up"
# So many of a file that do the same are tried one by one where none of them holds up.
_ALIKE_TRIED = 5
_ALIKE = "it was not tried: others of the file that do the same did not hold up"

Name: TypeAlias = tuple[object, ...]


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
    chosen = (lambda found: _with_better(propose(found))) if unsafe else propose
    work = _Work(chosen(report), unsafe, tuple(known), chosen)
    count = 0
    while True:
        batch = work.next_batch()
        if batch:
            count += 1
            stage(f"applying fixes, round {count}")
            work.attempt(batch)
        elif not work.try_again():
            return work.outcome()


def _with_better(report: Report) -> Report:
    """The report with the better one of two fixes."""
    return replace(report, findings=tuple(map(_better, report.findings)))


def _better(finding: Finding) -> Finding:
    better = finding.fix.better if finding.fix is not None else None
    return replace(finding, fix=better) if better is not None else finding


class _Named(NamedTuple):
    """A finding and the name that no other one has."""

    name: Name
    finding: Finding


class _Fault(NamedTuple):
    """Why a batch does not hold up, and the keys of the findings that show it, where they are known."""

    reason: str
    keys: frozenset[Name] = frozenset()


class _Names:
    """Names for findings that they keep from round to round, while others go.

    Those that nothing tells apart, such as equal calls on one line, are numbered in the order of the text.
    """

    def __init__(self) -> None:
        self._numbers: dict[Name, list[int]] = {}
        self._next: Counter[Name] = Counter()

    def of(self, report: Report, cured: Collection[Name] = ()) -> tuple[_Named, ...]:
        """The findings of the report with their names; `cured` are those that the last round took away."""
        prints = baseline.plain_fingerprints(report.findings, report.tree.read)
        alike = [(*_key(item), mark) for item, mark in zip(report.findings, prints, strict=True)]
        for name, count in Counter(alike).items():
            left = [number for number in self._numbers.get(name, ()) if (*name, number) not in cured]
            for _ in range(count - len(left)):
                left.append(self._next[name])
                self._next[name] += 1
            self._numbers[name] = left[:count]
        waiting = {name: iter(self._numbers[name]) for name in alike}
        return tuple(
            _Named((*name, next(waiting[name])), finding)
            for name, finding in zip(alike, report.findings, strict=True)
        )


@dataclass(slots=True)
class _Work:
    """The state between rounds: the report of the text as it is now, and what became of each fix.

    A fix may be taken back for what another has not done yet, so all of them are tried once more on the text
    that is left when no other can be applied. A second run finds that very text, and changes nothing.
    """

    report: Report
    unsafe: bool
    known: tuple[baseline.Entry, ...]
    propose: Callable[[Report], Report]
    names: _Names = field(default_factory=_Names)
    findings: tuple[_Named, ...] = ()
    wanted: frozenset[Name] = frozenset()
    counts: Counter[Name] = field(default_factory=Counter)
    applied: list[Finding] = field(default_factory=list)
    rejected: dict[Name, Rejected] = field(default_factory=dict)
    original: dict[Path, bytes | None] = field(default_factory=dict)
    first_seen: dict[Name, Finding] = field(default_factory=dict)
    # Whether the text has changed since a fix was taken back, and how many more batches may fail.
    changed: bool = False
    attempts: int = 0
    # How many of those that do the same to a file did not hold up by themselves.
    alike: Counter[Name] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.findings = self.names.of(self.report)
        self.first_seen = dict(self.findings)
        self.wanted = frozenset(_key(finding) for finding in self.report.findings)
        self.counts = _count(self.report)
        self.attempts = max(_FINDINGS_CHECKED // max(len(self.findings), 1), _LEAST_ATTEMPTS)

    def next_batch(self) -> list[_Named]:
        """Findings whose fixes can be applied now, none in the way of another."""
        batch: list[_Named] = []
        taken = Together()
        for named in self.findings:
            fix = named.finding.fix
            # What waits for others is planned anew, and waits no more, once they have been applied.
            if fix is None or fix.waits:
                continue
            if named.name in self.rejected or _key(named.finding) not in self.wanted:
                continue
            if fix.applicability is Applicability.UNSAFE and not self.unsafe:
                continue
            if taken.take(fix.edits):
                batch.append(named)
        return batch

    def try_again(self) -> bool:
        """Forget which fixes were taken back, if the text has changed since; whether it has."""
        if not (self.changed and self.rejected):
            return False
        self.rejected.clear()
        self.alike.clear()
        self.changed = False
        return True

    def attempt(self, batch: Sequence[_Named]) -> bool:
        """Apply a batch, or as much of it as holds up; whether the text changed."""
        hopeless = {name for name, finding in batch if self.alike[_deed(finding)] >= _ALIKE_TRIED}
        self.rejected |= {name: Rejected(finding, _ALIKE) for name, finding in batch if name in hopeless}
        batch = [named for named in batch if named.name not in hopeless]
        if not batch:
            return False
        if not self.attempts:
            self.rejected |= {name: Rejected(finding, _NOT_TRIED) for name, finding in batch}
            return False
        fault = self._apply([finding for _, finding in batch], {name for name, _ in batch})
        if fault is None:
            return True
        self.attempts -= 1
        if len(batch) == 1:
            self.rejected[batch[0].name] = Rejected(batch[0].finding, fault.reason)
            self.alike[_deed(batch[0].finding)] += 1
            return False
        # Once a part is kept the positions of the other are stale: it waits for the next round.
        return any(self.attempt(part) for part in _parts(batch, fault.keys))

    def _apply(self, batch: Sequence[Finding], names: Collection[Name]) -> _Fault | None:
        """Apply the fixes of all; why they are not, None if they are."""
        try:
            edits = _by_file(batch)
            changed = {path: self._spliced(path, found) for path, found in edits.items()}
            altered = self._altered(batch, changed, edits)
        except SourceError as error:
            altered = str(error)
        if altered:
            return _Fault(altered)
        checked = check_tree(self.report.tree.with_overlay(changed), self.report.config)
        fault = self._fault(batch, checked)
        if fault is None:
            self._keep(names, changed, checked)
        return fault

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

    def _fault(self, batch: Sequence[Finding], checked: Report) -> _Fault | None:
        """Why the result may not be kept; None if it may."""
        now = _count(checked)
        for finding in checked.findings:
            key = _key(finding)
            if now[key] > self.counts[key] and not _is_remark(finding, batch):
                broken = finding.code == UNREADABLE
                caused = f"it would cause {finding.code}: {finding.message}"
                return _Fault(finding.message if broken else caused, frozenset((key,)))
        cured = Counter(_key(finding) for finding in batch)
        left = frozenset(key for key, count in cured.items() if now[key] > self.counts[key] - count)
        return _Fault("the finding would remain", left) if left else None

    def _keep(self, cured: Collection[Name], changed: Mapping[Path, bytes], checked: Report) -> None:
        for path in changed:
            self.original.setdefault(path, self._content(path))
        # Told as they stood when the user last saw the file, not where earlier rounds have moved them.
        self.applied += [self.first_seen.get(name, item) for name, item in self.findings if name in cured]
        now = _count(checked)
        self.wanted |= {key for key in now if now[key] > self.counts[key]}
        self.counts = now
        timed = replace(checked, seconds=self.report.seconds)
        left = replace(left_out(timed, "", self.known), stale=())
        self.report = self.propose(left)
        self.findings = self.names.of(self.report, cured)
        self.changed = True


def _parts(batch: Sequence[_Named], keys: Collection[Name]) -> tuple[Sequence[_Named], Sequence[_Named]]:
    """A batch in two: what nothing speaks against, and what something does; else two halves."""
    suspect = [named for named in batch if _key(named.finding) in keys]
    rest = [named for named in batch if _key(named.finding) not in keys]
    middle = len(batch) // 2
    return (rest, suspect) if suspect and rest else (batch[:middle], batch[middle:])


def _by_file(batch: Sequence[Finding]) -> dict[Path, frozenset[Edit]]:
    """The edits of some fixes; those that several of them need are there once."""
    edits: dict[Path, set[Edit]] = defaultdict(set)
    for finding in batch:
        for edit in finding.fix.edits if finding.fix else ():
            edits[edit.span.path].add(edit)
    return {path: frozenset(found) for path, found in edits.items()}


def _key(finding: Finding) -> Name:
    """What stays the same about a finding when the lines around it move."""
    return (finding.code, finding.span.path, finding.function)


def _deed(finding: Finding) -> Name:
    """What the fix of the finding does, and to which file."""
    return finding.code, finding.span.path, finding.fix.title if finding.fix is not None else ""


def _is_remark(finding: Finding, cured: Sequence[Finding]) -> bool:
    """Whether the finding only informs, now that something worse has been cured."""
    informs = finding.severity is Severity.INFO
    return informs and any(other.severity is not Severity.INFO for other in cured)


def _count(report: Report) -> Counter[Name]:
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
