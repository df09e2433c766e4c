"""What moving a call to a thread may disturb, as data: `rules/fixes.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from servelint.knowledge import NameIndex, name_index
from servelint.tables import Table, data


@dataclass(frozen=True, slots=True)
class Policy:
    """The lists of `rules/fixes.yaml`; each index answers for qualified names."""

    context_modules: frozenset[str]
    thread_bound: NameIndex[str]
    thread_bound_names: frozenset[str]
    needs_loop: NameIndex[str]
    runs_own_loop: NameIndex[str]
    thread_local_contexts: NameIndex[str]
    locks: NameIndex[str]
    neutral_contexts: NameIndex[str]
    state_requests: NameIndex[str]
    state_applications: NameIndex[str]
    thread_pools: NameIndex[str]
    other_pools: frozenset[str]
    model_pools: frozenset[str]
    plain_roles: frozenset[str]
    stops_iteration: frozenset[str]
    never_empty: frozenset[str]
    copied_to_workers: frozenset[str]


@cache
def load() -> Policy:
    """The policy; raises `KnowledgeError` for data that does not fit."""
    table = data("fixes.yaml")
    policy = Policy(
        context_modules=frozenset(table.names("context-modules")),
        thread_bound=_index(table, "thread-bound"),
        thread_bound_names=frozenset(table.names("thread-bound-names")),
        needs_loop=_index(table, "needs-loop"),
        runs_own_loop=_index(table, "runs-own-loop"),
        thread_local_contexts=_index(table, "thread-local-contexts"),
        locks=_index(table, "locks"),
        neutral_contexts=_index(table, "neutral-contexts"),
        state_requests=_index(table, "state-requests"),
        state_applications=_index(table, "state-applications"),
        thread_pools=_index(table, "thread-pools"),
        other_pools=frozenset(table.names("other-pools")),
        model_pools=frozenset(table.names("model-pools")),
        plain_roles=frozenset(table.names("plain-roles")),
        stops_iteration=frozenset(table.names("stops-iteration")),
        never_empty=frozenset(table.names("never-empty")),
        copied_to_workers=frozenset(table.names("copied-to-workers")),
    )
    table.done()
    return policy


def _index(table: Table, key: str) -> NameIndex[str]:
    return name_index(table.names(key))
