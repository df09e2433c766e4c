"""Users who ask for one prediction a second, or as soon as the last is answered if that took longer."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from locust import HttpUser, constant_pacing, events, task

_CUSTOMERS = json.loads(Path(os.environ["INCIDENT_CUSTOMERS"]).read_text(encoding="utf-8"))
_LOG = Path(os.environ["INCIDENT_REQUESTS"]).open("w", encoding="utf-8")  # noqa: SIM115 - open for the run


class Teller(HttpUser):
    wait_time = constant_pacing(1)
    _next = 0

    @task
    def predict(self) -> None:
        Teller._next += 1
        self.client.post("/predict", json=_CUSTOMERS[Teller._next % len(_CUSTOMERS)])


@events.request.add_listener
def record(response_time: float, response: Any, exception: BaseException | None, **_: object) -> None:
    """One line a request: when it ended, milliseconds it took, and what came back."""
    status = getattr(response, "status_code", 0) or type(exception).__name__
    _LOG.write(f"{time.time():.3f} {response_time:.1f} {status}\n")


@events.quitting.add_listener
def close(**_: object) -> None:
    _LOG.close()
