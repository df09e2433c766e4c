"""A day of traffic through pods of which one kind of memory is assumed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .autoscaler import SYNC_SECONDS, Autoscaler

DAY_SECONDS = 24 * 3600
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Pod:
    """What a pod uses. Memory is in MiB, processor time in seconds.

    `resident` is there without a request: interpreter, libraries, model. `each` comes with every request a
    second that this pod serves, and goes when the rate goes, unless `keeps` says that the process holds on
    to the most it ever had.
    """

    resident: float
    each: float
    cpu_each: float
    keeps: bool = False
    memory_request: float = 1024
    cpu_request: float = 1.0

    @property
    def capacity(self) -> float:
        """Requests a second that one pod can serve."""
        return self.cpu_request / self.cpu_each

    def cpu(self, rate: float) -> float:
        """Utilisation at so many requests a second; the limit is the request."""
        return min(1.0, rate * self.cpu_each / self.cpu_request)

    def memory(self, rate: float) -> float:
        """Utilisation at so many requests a second."""
        return (self.resident + self.each * min(rate, self.capacity)) / self.memory_request


@dataclass(frozen=True, slots=True)
class Day:
    """What a day came to.

    `replicas` has one entry for every 15 seconds; `overloaded_minutes` is how long more was asked than the
    pods could serve; `most_memory` is the highest utilisation of a pod's request.
    """

    replicas: list[int]
    overloaded_minutes: float
    most_memory: float

    @property
    def pod_hours(self) -> float:
        """Replicas times hours: what is paid for."""
        return sum(self.replicas) * SYNC_SECONDS / HOUR


def office_hours(second: int) -> float:
    """Requests a second: 40 at night, 400 at eleven and at four, 280 at lunch."""
    hour = second / HOUR

    def peak(at: float, width: float) -> float:
        return math.exp(-(((hour - at) / width) ** 2))

    return 40 + 360 * min(1.0, peak(11, 2.2) + peak(16, 2.2))


def simulate(pod: Pod, autoscaler: Autoscaler, traffic: Callable[[int], float] = office_hours) -> Day:
    """Let the autoscaler look every 15 seconds for a day, starting with the fewest replicas."""
    replicas, overloaded, most = autoscaler.minimum, 0, 0.0
    history = []
    for second in range(0, DAY_SECONDS, SYNC_SECONDS):
        rate = traffic(second) / replicas
        overloaded += rate > pod.capacity
        memory = pod.memory(rate)
        most = max(most, memory)
        utilisation = {"cpu": pod.cpu(rate), "memory": most if pod.keeps else memory}
        history.append(replicas)
        replicas = autoscaler.next_replicas(second, replicas, utilisation)
    return Day(history, overloaded * SYNC_SECONDS / 60, most)
