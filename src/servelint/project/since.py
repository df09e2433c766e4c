"""Findings that a change touched or caused, the change being what differs from a revision.

*Touched*: the finding, or a step of its trace, stands on a changed line. *Caused*: the project as it was at
that revision did not have it, wherever it stands: a new helper can make an untouched endpoint block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from servelint.finding import Finding
from servelint.project import baseline, git
from servelint.project.config import Config
from servelint.project.files import Kind, Tree, kind_of
from servelint.project.globs import compile_patterns


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
    changed = git.changed_lines(tree.root, commit)
    untracked = git.untracked_files(tree.root)
    before = tree_at(commit, config)
    known = baseline.entries(analyse(before), tree.root, before.read)
    caused = {id(finding) for finding in baseline.compare(findings, known, tree.root, tree.read).new}
    return tuple(
        finding for finding in findings if id(finding) in caused or _touched(finding, changed, untracked)
    )


def _touched(finding: Finding, changed: Mapping[Path, tuple[range, ...]], untracked: frozenset[Path]) -> bool:
    for span in (finding.span, *(step.span for step in finding.trace)):
        if span.path in untracked:
            return True
        lines = range(span.line, span.end_line + 1)
        if any(part.start < lines.stop and lines.start < part.stop for part in changed.get(span.path, ())):
            return True
    return False


def tree_at(commit: str, config: Config) -> Tree:
    """The project's files as they were at `commit`, read from git, not from disk."""
    patterns = compile_patterns((*config.exclude, *config.extend_exclude))

    def wanted(name: str) -> bool:
        return kind_of(name.rpartition("/")[2]) is not None and not patterns.covers(name)

    contents = git.files_at(config.root, commit, wanted)
    return Tree(
        root=config.root,
        python=tuple(sorted(path for path in contents if kind_of(path.name) is Kind.PYTHON)),
        manifests=tuple(sorted(path for path in contents if kind_of(path.name) is Kind.MANIFEST)),
        overlay=contents,
    )
