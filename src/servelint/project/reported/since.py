"""Findings that a change touched or caused, the change being what differs from a revision.

*Touched*: the finding, or a step of its trace, stands on a changed line. *Caused*: the project as it was at
that revision did not have it, wherever it stands: a new helper can make an untouched endpoint block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from servelint.finding import Finding, Span
from servelint.project.config import Config
from servelint.project.globs import compile_patterns
from servelint.project.listing import git
from servelint.project.listing.files import Tree
from servelint.project.listing.kinds import Kind, kind_of, may_be_read
from servelint.project.reported import baseline


def select(
    findings: Sequence[Finding],
    commit: str,
    tree: Tree,
    config: Config,
    analyse: Callable[[Tree], Sequence[Finding]],
) -> tuple[Finding, ...]:
    """Those of `findings` that the change since `commit` touched or caused.

    `analyse` gives the findings of a project. Raises `git.GitError`.
    """
    then = _contents_at(commit, tree, config)
    before = _tree_of(then, config)
    known = baseline.entries(analyse(before), tree.root, before.read)
    caused = {id(finding) for finding in baseline.compare(findings, known, tree.root, tree.read).new}
    asked = {span.path for finding in findings for span in _places(finding)}
    versions = {path: (then[path], tree.read(path)) for path in sorted(asked & then.keys())}
    changed = git.changed_lines(versions)
    return tuple(
        finding for finding in findings if id(finding) in caused or _touched(finding, changed, then.keys())
    )


def _places(finding: Finding) -> Iterator[Span]:
    yield finding.span
    for step in finding.own_trace:
        yield step.span


def _touched(finding: Finding, changed: Mapping[Path, tuple[range, ...]], old: AbstractSet[Path]) -> bool:
    for span in _places(finding):
        if span.path not in old:
            return True
        lines = range(span.line, span.end_line + 1)
        if any(part.start < lines.stop and lines.start < part.stop for part in changed.get(span.path, ())):
            return True
    return False


def _contents_at(commit: str, tree: Tree, config: Config) -> Mapping[Path, bytes]:
    """What the files of today, and those that are gone, were at `commit`: from git, not from disk."""
    patterns = compile_patterns((*config.exclude, *config.extend_exclude))
    today = {*tree.python, *tree.manifests}

    def wanted(name: str) -> bool:
        if may_be_read(name.rpartition("/")[2]) and config.root / name in today:
            return True
        return kind_of(name.rpartition("/")[2]) is not None and not patterns.covers(name)

    return git.files_at(config.root, commit, wanted, tree.limit)


def _tree_of(contents: Mapping[Path, bytes], config: Config) -> Tree:
    return Tree(
        root=config.root,
        python=tuple(sorted(path for path in contents if kind_of(path.name) is Kind.PYTHON)),
        manifests=tuple(sorted(path for path in contents if kind_of(path.name) is not Kind.PYTHON)),
        overlay=contents,
        limit=config.max_file_size,
    )
