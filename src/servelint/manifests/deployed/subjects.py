"""What findings about manifests are about, for whoever plans their fixes."""

from __future__ import annotations

from typing import NamedTuple

from servelint.manifests.documents.text import Place
from servelint.manifests.forms.resources import Autoscaler, Metric
from servelint.manifests.shell.commandline import WorkerCount
from servelint.serving import Application


class ManyWorkers(NamedTuple):
    """A server with several workers; `readers` is how many templates or containers read the number (SRV201).

    `assumed` says that only a variable named after the server tells that it starts; `unsaid` is the variable
    that would say the number, where the image chooses it. `wsgi` says that the workers run no event loop.
    """

    workers: WorkerCount
    application: Application | None
    readers: int
    assumed: bool = False
    unsaid: str = ""
    wsgi: bool = False


class MemoryMetric(NamedTuple):
    """A metric of an autoscaler (SRV202)."""

    autoscaler: Autoscaler
    metric: Metric


class MemoryValue(NamedTuple):
    """The value that turns a chart's memory metric on; `readers` is how many templates read it (SRV202).

    `asked` says that a condition asks for it; not so (False), the metric is one of
    several that a template prints, or the template prints it whatever the value is (None).
    """

    autoscaler: Autoscaler
    metric: Metric
    value: Place
    readers: int
    asked: bool | None
