"""The pods and the autoscalers that are compared."""

from __future__ import annotations

from .autoscaler import Autoscaler
from .simulate import Day, Pod, simulate

CPU, MEMORY = {"cpu": 0.7}, {"memory": 0.8}
POLICIES = {"CPU 70 %": CPU, "memory 80 %": MEMORY, "both": CPU | MEMORY}

PODS = {
    "model fills 95 % of the request": Pod(resident=970, each=0.2, cpu_each=0.014),
    "model fills 83 % of the request": Pod(resident=850, each=0.2, cpu_each=0.014),
    "model fills 60 % of the request": Pod(resident=615, each=0.2, cpu_each=0.014),
    "batches grow the heap, which stays": Pod(resident=500, each=6.0, cpu_each=0.014, keeps=True),
    "no model: memory follows the requests": Pod(resident=120, each=18.0, cpu_each=0.005),
}


def days(pod: Pod) -> dict[str, Day]:
    """A day for each policy."""
    return {name: simulate(pod, Autoscaler(targets, 2, 12)) for name, targets in POLICIES.items()}
