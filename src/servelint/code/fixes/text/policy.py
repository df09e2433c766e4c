"""What moving a call to a thread may disturb, as data: `rules/fixes.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from servelint.knowledge.compiled import table
from servelint.knowledge.tables import Table
from servelint.knowledge.types import NameIndex, name_index


@dataclass(frozen=True, slots=True)
class Policy:
    """The lists of `rules/fixes.yaml`; each index answers for qualified names."""

    context_modules: frozenset[str]
    context_setters: frozenset[str]
    context_free: frozenset[str]
    context_handlers: frozenset[str]
    thread_bound: NameIndex[str]
    thread_bound_names: frozenset[str]
    needs_loop: NameIndex[str]
    runs_own_loop: NameIndex[str]
    kept_properties: frozenset[str]
    sets_for_process: NameIndex[str]
    sets_for_context: NameIndex[str]
    tells_threads: NameIndex[str]
    not_for_threads: NameIndex[str]
    thread_local_contexts: NameIndex[str]
    thread_settings: NameIndex[str]
    locks: NameIndex[str]
    bounds: NameIndex[str]
    counted: NameIndex[str]
    bound_words: frozenset[str]
    lock_words: frozenset[str]
    small_models: frozenset[str]
    long_work: frozenset[str]
    long_work_verbs: frozenset[str]
    long_work_objects: frozenset[str]
    neutral_contexts: NameIndex[str]
    state_requests: NameIndex[str]
    state_applications: NameIndex[str]
    routers: NameIndex[str]
    includes: frozenset[str]
    test_clients: frozenset[str]
    test_transports: frozenset[str]
    lifespan_runners: frozenset[str]
    thread_pools: NameIndex[str]
    other_pools: frozenset[str]
    model_pools: frozenset[str]
    plain_roles: frozenset[str]
    stops_iteration: frozenset[str]
    never_empty: frozenset[str]
    device_libraries: frozenset[str]
    reads_device: frozenset[str]
    reads_device_in: frozenset[str]
    copied_to_workers: frozenset[str]
    made_in_workers: NameIndex[str]
    waits: NameIndex[str]
    remote: NameIndex[str]
    looks_up: frozenset[str]
    puts: frozenset[str]
    adds: frozenset[str]
    client_words: frozenset[str]
    locks_rows: frozenset[str]
    changes_rows: frozenset[str]
    asks_session: frozenset[str]
    given_to_session: frozenset[str]
    makes_sessions: frozenset[str]
    commits: frozenset[str]
    ends_transactions: frozenset[str]
    begins_transactions: frozenset[str]
    long_calls: NameIndex[str]
    long_of_clients: frozenset[str]
    long_in_loops: NameIndex[str]
    waits_for_device: NameIndex[str]
    device_words: frozenset[str]
    of_one_thread: NameIndex[str]
    of_one_thread_words: frozenset[str]
    changes_alone: NameIndex[str]
    long_together: NameIndex[str]
    long_readers: NameIndex[str]
    data_words: frozenset[str]
    begins_more: frozenset[str]
    table_words: frozenset[str]
    waiting_methods: frozenset[str]
    waiting_alone: frozenset[str]
    time_limits: frozenset[str]
    kept_folders: frozenset[str]
    kept_files: tuple[str, ...]


@cache
def load() -> Policy:
    """The policy; raises `KnowledgeError` for data that does not fit."""
    file = table("fixes.yaml")
    policy = Policy(
        context_modules=frozenset(file.names("context-modules")),
        context_setters=frozenset(file.names("context-setters")),
        context_free=frozenset(file.names("context-free")),
        context_handlers=frozenset(file.names("context-handlers")),
        thread_bound=_index(file, "thread-bound"),
        thread_bound_names=frozenset(file.names("thread-bound-names")),
        needs_loop=_index(file, "needs-loop"),
        runs_own_loop=_index(file, "runs-own-loop"),
        kept_properties=frozenset(file.names("kept-properties")),
        sets_for_process=_index(file, "sets-for-process"),
        tells_threads=_index(file, "tells-threads"),
        not_for_threads=_index(file, "not-for-threads"),
        sets_for_context=_index(file, "sets-for-context"),
        thread_local_contexts=_index(file, "thread-local-contexts"),
        thread_settings=_index(file, "thread-settings"),
        locks=_index(file, "locks"),
        bounds=_index(file, "bounds"),
        counted=_index(file, "counted"),
        bound_words=frozenset(file.names("bound-words")),
        lock_words=frozenset(file.names("lock-words")),
        small_models=frozenset(file.names("small-models")),
        long_work=frozenset(file.names("long-work")),
        long_work_verbs=frozenset(file.names("long-work-verbs")),
        long_work_objects=frozenset(file.names("long-work-objects")),
        neutral_contexts=_index(file, "neutral-contexts"),
        state_requests=_index(file, "state-requests"),
        state_applications=_index(file, "state-applications"),
        routers=_index(file, "routers"),
        includes=frozenset(file.names("includes")),
        test_clients=frozenset(file.names("test-clients")),
        test_transports=frozenset(file.names("test-transports")),
        lifespan_runners=frozenset(file.names("lifespan-runners")),
        thread_pools=_index(file, "thread-pools"),
        other_pools=frozenset(file.names("other-pools")),
        model_pools=frozenset(file.names("model-pools")),
        plain_roles=frozenset(file.names("plain-roles")),
        stops_iteration=frozenset(file.names("stops-iteration")),
        never_empty=frozenset(file.names("never-empty")),
        device_libraries=frozenset(file.names("device-libraries")),
        reads_device=frozenset(file.names("reads-device")),
        reads_device_in=frozenset(file.names("reads-device-in")),
        copied_to_workers=frozenset(file.names("copied-to-workers")),
        made_in_workers=_index(file, "made-in-workers"),
        waits=_index(file, "waits"),
        remote=_index(file, "remote"),
        looks_up=frozenset(file.names("looks-up")),
        puts=frozenset(file.names("puts")),
        adds=frozenset(file.names("adds")),
        client_words=frozenset(file.names("client-words")),
        locks_rows=frozenset(file.names("locks-rows")),
        changes_rows=frozenset(file.names("changes-rows")),
        asks_session=frozenset(file.names("asks-session")),
        given_to_session=frozenset(file.names("given-to-session")),
        makes_sessions=frozenset(file.names("makes-sessions")),
        commits=frozenset(file.names("commits")),
        ends_transactions=frozenset(file.names("ends-transactions")),
        begins_transactions=frozenset(file.names("begins-transactions")),
        long_calls=_index(file, "long-calls"),
        long_of_clients=frozenset(file.names("long-of-clients")),
        long_in_loops=_index(file, "long-in-loops"),
        waits_for_device=_index(file, "waits-for-device"),
        device_words=frozenset(file.names("device-words")),
        of_one_thread=_index(file, "of-one-thread"),
        of_one_thread_words=frozenset(file.names("of-one-thread-words")),
        changes_alone=_index(file, "changes-alone"),
        long_together=_index(file, "long-together"),
        long_readers=_index(file, "long-readers"),
        begins_more=frozenset(file.names("begins-more")),
        data_words=frozenset(file.names("data-words")),
        table_words=frozenset(file.names("table-words")),
        waiting_methods=frozenset(file.names("waiting-methods")),
        waiting_alone=frozenset(file.names("waiting-alone")),
        time_limits=frozenset(file.names("time-limits")),
        kept_folders=frozenset(file.names("kept-folders")),
        kept_files=file.names("kept-files"),
    )
    file.done()
    return policy


def _index(file: Table, key: str) -> NameIndex[str]:
    return name_index(file.names(key))
