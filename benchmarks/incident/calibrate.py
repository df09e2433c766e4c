"""What one pod can do on this machine, so that the load can be stated in multiples of it."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """`latency` is the median of one prediction at a time in milliseconds; `rate` is predictions a second."""

    latency: float
    rate: float


def _post_for(port: int, body: str, seconds: float) -> list[float]:
    """Milliseconds of each of the predictions that one client gets, one after the other, in so long."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    latencies = []
    deadline = time.perf_counter() + seconds
    while (started := time.perf_counter()) < deadline:
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the service answered {answer.status} during calibration")
        latencies.append((time.perf_counter() - started) * 1000)
    connection.close()
    return latencies


def calibrate(port: int, customer: dict[str, object], seconds: float) -> Capacity:
    """Measure for twice so many seconds: first one client, then four at once."""
    body = json.dumps(customer)
    alone = _post_for(port, body, seconds)
    with ThreadPoolExecutor(4) as clients:
        together = [clients.submit(_post_for, port, body, seconds) for _ in range(4)]
        answered = sum(len(client.result()) for client in together)
    return Capacity(statistics.median(alone), answered / seconds)
