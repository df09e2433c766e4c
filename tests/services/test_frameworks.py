"""What `servelint fix` writes answers as the service did before, errors included, and frees the event loop."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from .conftest import Pair
from .running import Running

ROWS = [[0.0, 1.0], [5.0, 5.0], [1.0, 1.0]]
NONE_POSITIVE = [[0.0, 0.0], [0.0, 1.0]]
TOO_WIDE = [[1.0, 2.0, 3.0]]
INFERENCES = ("/predict", "/probability", "/first")
FIXED = ("/predict", "/probability", "/reload")


def answer(response: httpx.Response) -> tuple[int, str, str]:
    return response.status_code, response.headers["content-type"], response.text


@pytest.mark.parametrize("path", [*INFERENCES, "/reload"])
def test_the_same_answers(pair: Pair, path: str) -> None:
    for rows in (ROWS, ROWS[:2], ROWS[1:2]):
        before, after = (service.post(path, rows, "r-1") for service in (pair.before, pair.after))
        assert answer(after) == answer(before)
        assert after.is_success


@pytest.mark.parametrize("path", INFERENCES)
def test_a_model_that_raises_is_answered_alike(pair: Pair, path: str) -> None:
    before, after = (service.post(path, TOO_WIDE) for service in (pair.before, pair.after))
    assert answer(after) == answer(before)
    assert after.is_error


def test_a_stop_iteration_is_answered_alike(pair: Pair) -> None:
    before, after = (service.post("/first", NONE_POSITIVE) for service in (pair.before, pair.after))
    assert answer(after) == answer(before)
    assert after.status_code == 500


@pytest.mark.parametrize("path", INFERENCES)
def test_the_model_sees_what_it_saw(pair: Pair, path: str) -> None:
    seen = {}
    for service in (pair.before, pair.after):
        service.notebook.take()
        service.post(path, ROWS, "r-7").raise_for_status()
        seen[service] = [replace(each, on_loop=True) for each in service.notebook.take()]
    assert seen[pair.after] == seen[pair.before]
    assert [each.request for each in seen[pair.after]] == ["r-7"]
    assert [each.gradients for each in seen[pair.after]] == [path != "/probability"]


def test_the_prediction_leaves_the_loop(pair: Pair) -> None:
    on_loop = {}
    for service in (pair.before, pair.after):
        service.notebook.take()
        service.post("/predict", ROWS).raise_for_status()
        on_loop[service] = [each.on_loop for each in service.notebook.take()]
    assert on_loop == {pair.before: [True], pair.after: [False]}


@pytest.mark.parametrize("path", FIXED)
def test_health_answers_during_a_slow_call(pair: Pair, path: str) -> None:
    with ThreadPoolExecutor(1) as client:
        pair.after.gate.shut()
        slow = client.submit(pair.after.post, path, ROWS)
        pair.after.gate.wait_until_held()
        assert pair.after.health().is_success
        assert not slow.done()
        pair.after.gate.open()
        assert slow.result().is_success


def test_a_cancelled_request_leaves_the_service_alive(pair: Pair) -> None:
    pair.after.gate.shut()
    abandon(pair.after, "/predict")
    assert pair.after.health().is_success
    pair.after.gate.open()
    assert answer(pair.after.post("/predict", ROWS)) == answer(pair.before.post("/predict", ROWS))


def abandon(service: Running, path: str) -> None:
    """Send a request and hang up once the model is at work on it."""
    body = json.dumps({"rows": ROWS}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        service.gate.wait_until_held()
