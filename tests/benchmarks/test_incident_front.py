"""The front of the load harness against pods that do what pods do, and users who have had enough."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, web

from benchmarks.incident import front, users
from benchmarks.incident.front import Front, Limits
from benchmarks.incident.load import Answers
from benchmarks.incident.pod import ask, free_port, wait_until_listening

QUICK = Limits(connect=5, read=0.2)
Handler = Callable[[web.Request], Awaitable[web.Response]]


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """The file that says the pod is ready."""
    path = tmp_path / "ready"
    path.touch()
    return path


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[int]:
    """The application on a port of its own, as both the front and the pods here are served."""
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def pod(handler: Handler) -> AsyncIterator[int]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    async with serving(application) as port:
        yield port


@asynccontextmanager
async def dropping() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A pod that is killed whenever a request has come: the connection ends without an answer."""
    asked: list[bytes] = []

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with await asyncio.start_server(drop, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked


@asynccontextmanager
async def before(pod_port: int, ready: Path, limits: Limits = QUICK) -> AsyncIterator[ClientSession]:
    """A client of the front before this pod."""
    async with (
        serving(Front(pod_port, ready, limits).application()) as port,
        ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def status_of(client: ClientSession) -> int:
    async with client.post("/predict", json={"age": 40}) as answer:
        await answer.read()
        return answer.status


def test_the_limits_are_those_of_ingress_nginx() -> None:
    assert Limits() == Limits(connect=5, read=60, tries=3, keepalive=60)


def test_what_is_asked_and_answered_passes(ready: Path) -> None:
    seen: list[tuple[str, str, bytes, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append((request.method, request.raw_path, body, request.headers.get("X-Tenant")))
        return web.json_response({"detail": "age"}, status=422, headers={"X-Served-By": "pod"})

    async def test() -> None:
        async with pod(handler) as port, before(port, ready) as client:
            asked = client.post("/predict?a=%20b", json={"age": 40}, headers={"X-Tenant": "t"})
            async with asked as answer:
                assert answer.status == 422
                assert await answer.json() == {"detail": "age"}
                assert answer.headers["X-Served-By"] == "pod"

    run(test())
    assert seen == [("POST", "/predict?a=%20b", b'{"age": 40}', "t")]


def test_without_a_ready_endpoint_it_answers_503_and_asks_nobody(ready: Path) -> None:
    asked = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    async def test() -> None:
        async with pod(handler) as port, before(port, ready) as client:
            ready.unlink()
            assert await status_of(client) == 503
            assert asked == []
            ready.touch()
            assert await status_of(client) == 200
            assert asked == ["/predict"]

    run(test())


class Counting:
    """Says that the pod is ready, and counts how often it was asked: once a try."""

    def __init__(self, last: int = 99) -> None:
        self.asked = 0
        self.last = last

    def exists(self) -> bool:
        self.asked += 1
        return self.asked <= self.last


def test_a_refused_connection_is_tried_three_times_and_is_502() -> None:
    counting = Counting()

    async def test() -> None:
        async with before(free_port(), counting) as client:  # type: ignore[arg-type]
            assert await status_of(client) == 502

    run(test())
    assert counting.asked == 3


def test_a_pod_that_is_taken_out_between_two_tries_is_503() -> None:
    async def test() -> None:
        async with before(free_port(), Counting(last=1)) as client:  # type: ignore[arg-type]
            assert await status_of(client) == 503

    run(test())


def test_a_dropped_connection_is_502_and_what_was_sent_is_not_sent_again(ready: Path) -> None:
    async def test() -> None:
        async with dropping() as (port, asked), before(port, ready) as client:
            assert await status_of(client) == 502
            assert len(asked) == 1

    run(test())


def test_a_pod_that_does_not_answer_in_time_is_504_and_is_asked_once(ready: Path) -> None:
    asked = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        await asyncio.sleep(30)
        return web.Response()

    async def test() -> None:
        async with pod(handler) as port, before(port, ready) as client:
            assert await status_of(client) == 504

    run(test())
    assert asked == ["/predict"]


def test_who_hangs_up_is_hung_up_on(ready: Path) -> None:
    async def test() -> None:
        hung_up = asyncio.Event()

        async def handler(_: web.Request) -> web.Response:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                hung_up.set()
                raise
            return web.Response()

        async with pod(handler) as port, before(port, ready, Limits()) as client:
            with pytest.raises(TimeoutError):
                async with client.post("/predict", timeout=ClientTimeout(total=0.2)):
                    pass
            await hung_up.wait()

    run(test())


def test_it_runs_as_a_program(ready: Path) -> None:
    port, nobody = free_port(), free_port()
    command = [sys.executable, "-m", "benchmarks.incident.front", "--port", str(port)]
    started = subprocess.Popen(
        [*command, "--pod-port", str(nobody), "--ready", str(ready)], cwd=Path(front.__file__).parents[2]
    )
    try:
        wait_until_listening(port)
        assert ask(port, "/health", timeout=10) is None
    finally:
        started.terminate()
        started.wait()


def in_pod(handler: Handler, test: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    async def both() -> None:
        async with pod(handler) as port:
            await test(port)

    run(both())


async def crowd(tmp_path: Path, port: int, count: int, seconds: float, patience: float) -> Answers:
    path = tmp_path / "requests.log"
    with path.open("w", encoding="utf-8") as log:
        url = f"http://127.0.0.1:{port}/predict"
        await users.crowd(url, count, seconds, patience, [{"age": 40}, {"age": 50}], log)
    return Answers.read(path, seconds)


def test_a_user_gives_up_hangs_up_and_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_PACE_SECONDS", 0.01)
    hung_up = []

    async def handler(request: web.Request) -> web.Response:
        try:
            await asyncio.sleep(30)
        finally:
            hung_up.append(request.path)
        return web.Response()

    async def test(port: int) -> None:
        answers = await crowd(tmp_path, port, 1, seconds=0.5, patience=0.2)
        assert 2 <= answers.requests <= 3
        assert answers.gave_up == answers.failed == 1.0
        assert len(hung_up) >= answers.requests - 1
        assert sum(answers.timeline["gave_up"]) == answers.requests

    in_pod(handler, test)


def test_a_user_asks_once_a_second_and_never_twice_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "_PACE_SECONDS", 0.1)
    at_once, most, ages = 0, 0, []

    async def handler(request: web.Request) -> web.Response:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        ages.append((await request.json())["age"])
        await asyncio.sleep(0.02)
        at_once -= 1
        return web.Response()

    async def test(port: int) -> None:
        answers = await crowd(tmp_path, port, 2, seconds=0.5, patience=10)
        assert 4 <= answers.requests <= 10
        assert answers.failed == 0
        assert most <= 2
        assert set(ages) == {40, 50}

    in_pod(handler, test)


def test_a_dropped_connection_is_a_failure_by_its_name(tmp_path: Path) -> None:
    async def test() -> None:
        async with dropping() as (port, _):
            answers = await crowd(tmp_path, port, 1, seconds=0.1, patience=10)
        assert answers.failed == 1.0
        assert answers.gave_up == 0.0
        (name,) = answers.failures
        assert name in {each.__name__ for each in _subclasses(ClientError)}

    run(test())


def _subclasses(of: type) -> set[type]:
    return {of}.union(*(_subclasses(each) for each in of.__subclasses__()))


BLOCKED = """
import time

from fastapi import FastAPI

app = FastAPI()
begun = 0


@app.post("/predict")
async def predict() -> int:
    global begun
    begun += 1
    time.sleep(0.1)
    return begun


@app.get("/begun")
async def count() -> int:
    return begun
"""


def test_what_users_gave_up_on_still_occupies_the_service(tmp_path: Path) -> None:
    (tmp_path / "blocked.py").write_text(BLOCKED, encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "blocked:app", "--port", str(port), "--log-level", "error"]
    service = subprocess.Popen(command, cwd=tmp_path)
    try:
        wait_until_listening(port)

        async def test() -> None:
            answers = await crowd(tmp_path, port, 15, seconds=1, patience=0.4)
            begun = int(await asyncio.to_thread(ask, port, "/begun", 20) or 0)
            assert answers.gave_up > 0
            assert begun > len(answers.latencies)

        run(test())
    finally:
        service.terminate()
        service.wait()
