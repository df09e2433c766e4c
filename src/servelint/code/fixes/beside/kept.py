"""What may be kept as it is on purpose: code below folders that are there for something else than to serve.

`benchmark/` may be synchronous to be measured so, `vendor/` is taken over again, `legacy/` is history.
The words are in `rules/fixes.yaml`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from servelint.code.fixes.beside.routers import Routers
from servelint.code.fixes.text import policy
from servelint.code.judge.analysis import Analysis
from servelint.finding import Applicability, Fix

_BETWEEN_WORDS = re.compile(r"[-. ]")
_IMPORTABLE = re.compile(r"[\w-]*")
# It asks whether it is run as a program, or starts something.
_PROGRAM = re.compile(r"__main__|\.run\(|^#!", re.MULTILINE)


class Kept:
    """Judges the files that fixes of one project change."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.routers = Routers(analysis)
        self._doubts: dict[Path, str] = {}

    def judged(self, fix: Fix) -> Fix:
        """The fix; unsafe where it changes what may be kept as it is, or what nobody serves.

        So is its better form, which goes to the same files.
        """
        if fix.applicability is Applicability.UNSAFE:
            return fix
        paths = dict.fromkeys(edit.span.path for edit in fix.edits)
        reason = next(filter(None, map(self._doubt, paths)), "")
        if not reason:
            return fix
        better = self.judged(fix.better) if fix.better is not None else None
        return fix._replace(applicability=Applicability.UNSAFE, reason=reason, better=better)

    def _doubt(self, path: Path) -> str:
        """Worked out once for a file: its whole text is read for it, and a file may hold a thousand calls."""
        if path not in self._doubts:
            self._doubts[path] = self._work_out(path)
        return self._doubts[path]

    def _work_out(self, path: Path) -> str:
        kept = _reason(path, self.analysis.project.root)
        if kept or self._is_new(path) or self._is_program(path):
            return kept
        if not _IMPORTABLE.fullmatch(path.stem):
            return f"`{path.name}` may be a copy: no import can name it"
        return self.routers.doubt(str(path))

    def _is_new(self, path: Path) -> bool:
        """Whether the fix makes the file, as it may the one with the pool."""
        return self.analysis.project.module(str(path)) is None

    def _is_program(self, path: Path) -> bool:
        """Whether anything in the file says that it is run.

        A server can be told of `my-app` and `01_app` (`uvicorn my-app:app`); nobody tells it of `app (1)`.
        """
        return _PROGRAM.search(self.analysis.source(str(path)).text) is not None


def _reason(path: Path, root: str) -> str:
    """Why the file may be kept as it is; empty where its place does not say so."""
    *folders, file = Path(os.path.relpath(path, root)).parts
    words = policy.load()
    kept = next((f"{name}/" for name in folders if _is_kept(name, words.kept_folders)), "")
    if not kept and Path(file).stem.lower().endswith(words.kept_files):
        kept = file
    return f"`{kept}` may be kept as it is on purpose" if kept else ""


def _is_kept(folder: str, words: frozenset[str]) -> bool:
    name = _BETWEEN_WORDS.sub("_", folder.lower())
    return any(name == word or name.endswith(f"_{word}") for word in words)
