"""The variables that a container starts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from servelint.manifests.documents.text import Located


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables by name. A value of None is there but cannot be known: a secret, a field of the pod."""

    values: Mapping[str, Located | None] = field(default_factory=dict)
    # Whether there may be more variables than those known: an unreadable file, a ConfigMap from elsewhere.
    open_ended: bool = False

    def get(self, name: str) -> Located | None:
        """The value of a variable where it is known."""
        return self.values.get(name)

    def over(self, base: Environment) -> Environment:
        """These variables, and those of `base` that these do not set."""
        return Environment({**base.values, **self.values}, self.open_ended or base.open_ended)

    def unset(self, name: str) -> bool:
        """Whether the variable is known not to be set."""
        return name not in self.values
