"""A model that waits while a file is there, so that tests decide how long a prediction or a load takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

# A test that forgets to open the gate ends all the same.
_PATIENCE_SECONDS = 60.0


class Gate:
    """A file `hold` that keeps calls waiting, and a file `held` that tells that one does."""

    def __init__(self, folder: Path) -> None:
        self.hold = folder / "hold"
        self.held = folder / "held"

    def shut(self) -> None:
        self.held.unlink(missing_ok=True)
        self.hold.touch()

    def open(self) -> None:
        self.hold.unlink(missing_ok=True)

    def wait_until_held(self) -> None:
        self._until(self.held.exists)

    def pass_through(self) -> None:
        if self.hold.exists():
            self.held.touch()
            self._until(lambda: not self.hold.exists())

    @staticmethod
    def _until(condition: Any) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the gate was neither reached nor opened")
            time.sleep(0.01)


class GatedModel:
    """Wraps a fitted pipeline; predictions and unpickling pass through the gate."""

    def __init__(self, model: Any, gate: Gate) -> None:
        self.model = model
        self.gate = gate

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.gate.pass_through()

    def predict(self, frame: Any) -> Any:
        self.gate.pass_through()
        return self.model.predict(frame)

    def predict_proba(self, frame: Any) -> Any:
        self.gate.pass_through()
        return self.model.predict_proba(frame)
