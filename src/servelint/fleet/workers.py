"""Who does the checks: processes on this machine, or the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import import_module
from typing import Any

from servelint.fleet.checkout import Checkout, Outcome, check

_RETRIES = 2


class FleetError(ValueError):
    """The checks cannot be begun."""


def local(checkouts: Sequence[Checkout], workers: int, seconds: float) -> Iterator[Outcome]:
    """Check so many at a time, each in a process; as they end."""
    # A thread only waits for its process.
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        futures = [pool.submit(check, checkout, seconds) for checkout in checkouts]
        yield from (future.result() for future in as_completed(futures))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cluster(checkouts: Sequence[Checkout], address: str, seconds: float) -> Iterator[Outcome]:
    """Check on a Dask cluster whose workers have servelint and the same folders; as they end.

    What a worker had that is lost is done by another. https://distributed.dask.org/en/stable/resilience.html
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise FleetError("--scheduler needs Dask: pip install 'servelint[fleet]'") from error
    try:
        client = distributed.Client(address, timeout=30)
    except (OSError, ValueError) as error:
        raise FleetError(f"{address}: no scheduler answers: {error}") from error
    with client:
        futures = {
            client.submit(check, checkout, seconds, pure=False, retries=_RETRIES): checkout
            for checkout in checkouts
        }
        for future in distributed.as_completed(futures):
            yield _result(future, futures[future])


def _result(future: Any, checkout: Checkout) -> Outcome:
    """What a worker found, or what became of the workers that tried."""
    error = future.exception()
    if error is None:
        outcome: Outcome = future.result()
        return outcome
    line = {"repository": checkout.name, "path": checkout.path, "commit": checkout.commit}
    return Outcome({**line, "status": "failed", "message": f"{type(error).__name__}: {error}"[:300]}, "")
