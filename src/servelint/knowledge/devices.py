"""What libraries leave on a device."""

from __future__ import annotations

from typing import NamedTuple


class DeviceResults(NamedTuple):
    """What a library's inference gives where that holds tensors that stay on the device.

    `calls` are the methods that give it, `methods` those of what they give that read the tensors, and
    `attributes` what of it is no tensor.
    """

    calls: frozenset[str]
    methods: frozenset[str]
    attributes: frozenset[str]
    source: str
