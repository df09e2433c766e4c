"""A model that notes where it is called: in which thread, with which request id, in which gradient mode."""

from __future__ import annotations

import contextvars
import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gated import GatedModel


@dataclass(frozen=True)
class Observation:
    """One call: its method, the context variable `request_id`, the gradient mode, and the thread."""

    method: str
    request: str
    gradients: bool
    on_loop: bool


@dataclass(frozen=True)
class Notebook:
    """A file with the observations of one service."""

    path: Path

    def write(self, observation: Observation) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(observation)) + "\n")

    def take(self) -> list[Observation]:
        """What was noted since the last time."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        self.path.unlink(missing_ok=True)
        return [Observation(**json.loads(line)) for line in lines]


class WatchedModel(GatedModel):
    """A gated model that keeps a notebook."""

    def __init__(self, model: Any, gate: Any, notebook: Notebook) -> None:
        super().__init__(model, gate)
        self.notebook = notebook

    def predict(self, X: Any) -> Any:  # noqa: N803  as scikit-learn calls it
        self._note("predict")
        return super().predict(X)

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        self._note("predict_proba")
        return super().predict_proba(X)

    def _note(self, method: str) -> None:
        import torch  # the stand-in, which only the services can import

        variables = {variable.name: value for variable, value in contextvars.copy_context().items()}
        on_loop = threading.current_thread() is threading.main_thread()
        self.notebook.write(
            Observation(method, variables.get("request_id", ""), torch.is_grad_enabled(), on_loop)
        )
