"""The fixed service gives the answers of the unfixed one, and its event loop stays free."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from gated import Gate

from .serving import serve

ONE_CUSTOMER = ["/predict", "/explain", "/challenger", "/value"]
MANY_CUSTOMERS = ["/predict/batch", "/campaign"]
LOADS = ["/admin/reload-challenger"]

Customers = list[dict[str, Any]]


@pytest.mark.parametrize("path", ["/predict", "/challenger", "/value", "/what-if?age=70&is_active=false"])
def test_a_hundred_customers_get_the_same_answers(
    unfixed_url: str, fixed_url: str, customers: Customers, path: str
) -> None:
    with httpx.Client() as client:
        for customer in customers:
            before = client.post(unfixed_url + path, json=customer, timeout=30).raise_for_status()
            after = client.post(fixed_url + path, json=customer, timeout=30).raise_for_status()
            assert after.json() == before.json()


@pytest.mark.parametrize("path", [*MANY_CUSTOMERS, "/portfolio/drift"])
def test_a_list_of_customers_gets_the_same_answer(
    unfixed_url: str, fixed_url: str, customers: Customers, path: str
) -> None:
    before = httpx.post(unfixed_url + path, json=customers, timeout=30).raise_for_status()
    after = httpx.post(fixed_url + path, json=customers, timeout=30).raise_for_status()
    assert after.json() == before.json()


def test_the_same_explanations(unfixed_url: str, fixed_url: str, customers: Customers) -> None:
    for customer in customers[:5]:
        before = httpx.post(unfixed_url + "/explain", json=customer, timeout=30).raise_for_status()
        after = httpx.post(fixed_url + "/explain", json=customer, timeout=30).raise_for_status()
        assert after.json() == before.json()


def test_a_rejected_request_is_rejected_alike(unfixed_url: str, fixed_url: str, customers: Customers) -> None:
    nobody = customers[0] | {"age": -1}
    before = httpx.post(unfixed_url + "/predict", json=nobody, timeout=30)
    after = httpx.post(fixed_url + "/predict", json=nobody, timeout=30)
    assert (before.status_code, before.json()) == (after.status_code, after.json())
    assert after.status_code == 422


def post_in_thread(pool: ThreadPoolExecutor, url: str, path: str, customers: Customers) -> Any:
    body = customers if path in MANY_CUSTOMERS else customers[0]
    return pool.submit(httpx.post, url + path, json=body, timeout=60)


@pytest.mark.parametrize("path", ["/predict", "/admin/reload-challenger"])
def test_unfixed_health_waits_for_a_slow_call(
    example: Path, gated_model: Path, gate: Gate, customers: Customers, path: str
) -> None:
    with serve(example, gated_model) as url, ThreadPoolExecutor(2) as pool:
        gate.shut()
        slow = post_in_thread(pool, url, path, customers)
        gate.wait_until_held()
        health = pool.submit(httpx.get, url + "/health", timeout=60)
        # However long this is, the loop cannot answer before the gate opens.
        assert not health_done_within(health, seconds=0.5)
        gate.open()
        assert slow.result().is_success
        assert health.result().is_success


def health_done_within(health: Any, seconds: float) -> bool:
    try:
        health.result(timeout=seconds)
    except TimeoutError:
        return False
    return True


def test_fixed_health_answers_during_every_slow_call(
    fixed: Path, gated_model: Path, gate: Gate, customers: Customers
) -> None:
    with serve(fixed, gated_model) as url, ThreadPoolExecutor(1) as pool:
        for path in [*ONE_CUSTOMER, *MANY_CUSTOMERS, *LOADS]:
            gate.shut()
            slow = post_in_thread(pool, url, path, customers)
            gate.wait_until_held()
            assert httpx.get(url + "/health", timeout=30).is_success, path
            assert not slow.done(), path
            gate.open()
            assert slow.result().is_success, path
