"""Calls of what may be a coroutine function, which a thread would only make a coroutine of."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.lint import check
from servelint.project.config import Config

SERVER = """\
import inspect


class Model:
    {kind} predict(self, rows):
        raise NotImplementedError

    async def answer(self, rows):
        if inspect.iscoroutinefunction(self.predict):
            return await self.predict(rows)
        return self.predict(rows)
"""


@pytest.mark.parametrize(("kind", "fixed"), [("def", True), ("async def", False)])
def test_a_fix_is_offered_where_a_thread_runs_it(tmp_path: Path, kind: str, fixed: bool) -> None:
    package = tmp_path / "kserve"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text(SERVER.format(kind=kind))
    (found,) = check([], Config(root=tmp_path, select=("SRV101",))).findings
    assert (found.fix is not None) is fixed
    assert ("may be a coroutine function" in found.unfixable) is not fixed
