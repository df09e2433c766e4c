"""What is asked of a value on its own, as when a library is learned, needs no place where it is called."""

from __future__ import annotations

from pathlib import Path

from servelint.code.judge.analysis import Analysis
from servelint.code.values.calls import NO_ARGUMENTS
from servelint.code.values.values import ClassReference
from servelint.knowledge.types import Role
from servelint.project.config import Config
from servelint.project.listing import files

RUNNER = """\
import torch


class Runner:
    def __init__(self, model):
        if model is None:
            model = torch.jit.load("m.pt")
        self.model = model
"""


def test_what_a_class_does_for_want_of_an_argument(tmp_path: Path) -> None:
    (tmp_path / "runner.py").write_text(RUNNER)
    config = Config(tmp_path)
    analysis = Analysis(files.collect([tmp_path], config), config, everything=True)
    runner = ClassReference(str(tmp_path / "runner.py"), 0)
    outcome = analysis.judge.outcome(runner, analysis.evaluator.frames("", 0), NO_ARGUMENTS)
    assert outcome.blocking is not None
    assert outcome.blocking.role is Role.LOAD
