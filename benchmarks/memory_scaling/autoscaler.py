"""The HorizontalPodAutoscaler's arithmetic, as the Kubernetes documentation states it.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/

Left out: missing metrics, pods that are not ready yet (a pod serves as soon as it is wanted) and the
rounding of utilisation to whole per cent.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

SYNC_SECONDS = 15


def desired_replicas(current: int, value: float, target: float, tolerance: float = 0.1) -> int:
    """What one metric asks for: ceil(current * value / target), or no change within the tolerance."""
    ratio = value / target
    # The sum is compared with a hair's breadth to spare: 0.88 / 0.8 is 1.1 and a little.
    if abs(ratio - 1) <= tolerance + 1e-9:
        return current
    return math.ceil(current * ratio - 1e-9)


@dataclass(slots=True)
class Autoscaler:
    """One HorizontalPodAutoscaler with default behaviour.

    `targets` maps the name of a metric to the utilisation aimed at (0.7 is 70 % of the request). With
    several metrics the one that asks for the most replicas wins.
    """

    targets: Mapping[str, float]
    minimum: int
    maximum: int
    stabilization_seconds: int = 300
    _recommended: deque[tuple[int, int]] = field(default_factory=deque)  # (second, replicas)

    def next_replicas(self, second: int, current: int, utilisation: Mapping[str, float]) -> int:
        """How many replicas there are after the look at the metrics at this second."""
        wanted = max(
            desired_replicas(current, utilisation[name], self.targets[name]) for name in self.targets
        )
        wanted = min(self.maximum, max(self.minimum, wanted))
        self._recommended.append((second, wanted))
        while self._recommended[0][0] <= second - self.stabilization_seconds:
            self._recommended.popleft()
        if wanted >= current:
            # At most four pods or twice as many in each 15 seconds, whichever is more.
            return min(wanted, max(current + 4, current * 2))
        # Down to the highest of the last five minutes, and never up by it.
        return min(current, max(replicas for _, replicas in self._recommended))
