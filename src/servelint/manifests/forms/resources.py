"""What manifests describe: workloads with containers, autoscalers, ConfigMaps. Every value has its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence

AZURE_APP = "App"  # the kind that container apps of Azure are read as: a platform with autoscalers and probes


class Setting(StrEnum):
    """Where a container is described, which decides how much several workers cost there."""

    KUBERNETES = "kubernetes"
    IMAGE = "image"  # a Dockerfile, or what its command runs
    COMPOSE = "compose"
    PLATFORM = (
        "platform"  # Render, Fly.io, Railway, App Engine, Heroku: one container, scaled by the platform
    )
    PROCESS = "process"  # Procfile, supervisord, systemd: one host


@dataclass(frozen=True, slots=True)
class Probe:
    """A liveness probe over HTTP; times in seconds.

    The kubelet sends the next one a period after the last, or at once where that took longer
    (`pkg/kubelet/prober/worker.go`). Up to a period passes before the first that the loop does not answer.
    """

    path: str
    port: str
    period: int
    timeout: int
    failures: int
    place: Place

    @property
    def allowance(self) -> str:
        """What it takes to fail, as messages say it: `3 x 10 s + 1 s`, periods and the last timeout."""
        longer, shorter = max(self.period, self.timeout), min(self.period, self.timeout)
        return f"{self.failures} x {longer} s + {shorter} s"

    @property
    def budget(self) -> int:
        """Seconds after which a loop that stays blocked has the container restarted, at the latest."""
        return max(self.period, self.timeout) * self.failures + min(self.period, self.timeout)


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """One container of a workload, or one service of a compose file.

    `command` and `arguments` are None where the manifest leaves them to the image.
    """

    name: str
    image: Located | None
    command: tuple[Located, ...] | None
    arguments: tuple[Located, ...] | None
    environment: Environment
    place: Place
    folder: str = ""
    environment_from: tuple[str, ...] = ()
    environment_keys: tuple[tuple[str, str, str], ...] = ()  # variable, ConfigMap, key
    cpu_request: Scalar | None = None
    cpu_limit: Scalar | None = None
    cpu_of_pod: Scalar | None = None  # what the pod as a whole requests, or its limit
    liveness: Probe | None = None
    ports: tuple[str, ...] = ()
    init: bool = False
    script: Located | None = None
    mounts: tuple[tuple[Path, str], ...] = ()  # files and folders of the project, and where they are inside

    def texts(self) -> Iterator[Located]:
        """Everything that the container is started with: its variables and its command."""
        yield from (value for value in self.environment.values.values() if value is not None)
        yield from (*(self.command or ()), *(self.arguments or ()))
        if self.script is not None:
            yield self.script

    @property
    def cpus(self) -> float | None:
        """How many CPUs the container may use (`500m`, `2`, `1.5`); None where no limit is stated."""
        limit = self.cpu_limit
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", limit.value.strip()) if limit is not None else None
        return None if found is None else float(found.group(1)) / (1000 if found.group(2) else 1)


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """Something that runs containers; `folder` is where its commands start, if not beside its file."""

    kind: str
    name: str
    path: Path
    containers: tuple[Container, ...]
    setting: Setting = Setting.KUBERNETES
    namespace: str = ""
    batch: bool = False
    folder: Path | None = None

    def config_maps(self) -> Iterator[str]:
        """The names of the ConfigMaps that its containers take variables from."""
        for container in self.containers:
            yield from container.environment_from
            yield from (name for _, name, _ in container.environment_keys)

    @property
    def title(self) -> str:
        """How messages call it: `deployment churn-api`."""
        kind = "service" if self.setting is Setting.COMPOSE else self.kind
        return f"{kind[:1].lower()}{kind[1:]} {self.name}".strip()


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One thing an autoscaler looks at. `resource` is empty for anything but cpu and memory."""

    resource: str
    token: Place
    item: Node | None
    container: str = ""
    target: Scalar | None = None
    utilization: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Autoscaler:
    """Something that sets the number of replicas of a workload.

    `containers` are the names of those that it scales, where the workload has others of their own scale.
    `assumed` says that only the names of values tell that there is one: the chart is not in the project.
    """

    kind: str
    name: str
    path: Path
    target_kind: str
    target_name: str
    metrics: tuple[Metric, ...]
    items: YamlSequence | None = None
    namespace: str = ""
    containers: tuple[str, ...] = ()
    assumed: bool = False

    @property
    def title(self) -> str:
        """How messages call it: `HorizontalPodAutoscaler churn-api`."""
        return f"{self.kind} {self.name}".strip()


@dataclass(slots=True, eq=False)
class Resources:
    """Everything that one set of documents describes."""

    workloads: list[Workload] = field(default_factory=list)
    autoscalers: list[Autoscaler] = field(default_factory=list)
    config_maps: dict[str, YamlMapping] = field(default_factory=dict)
    default_requests: bool = False  # a LimitRange gives containers a CPU request

    def extend(self, other: Resources) -> None:
        """Add what another set of documents describes."""
        self.workloads.extend(other.workloads)
        self.autoscalers.extend(other.autoscalers)
        self.config_maps.update(other.config_maps)
        self.default_requests = self.default_requests or other.default_requests
