"""A front that treats a pod as an ingress controller does, for machines without nginx.

`python -m benchmarks.incident.front --port 8080 --pod-port 8000 --ready FILE`

It routes to the pod while it is ready and answers 503 while it is not, for then the service has no endpoint.
How long it waits and how often it tries are the defaults of ingress-nginx, so that nobody had to choose them:

- connect within 5 s, 60 s between two reads, three tries, for errors and time-outs
  (`proxy-connect-timeout`, `proxy-read-timeout`, `proxy-next-upstream-tries`, `proxy-next-upstream`:
  https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/configmap/);
- a POST that has been sent is not sent again (`retry-non-idempotent` is false there), so it is tried again
  only when the connection was not made; the users here send nothing else, so every method is treated alike;
- connections to the pod are kept for 60 s (`upstream-keepalive-timeout`);
- who hangs up is hung up on: the connection to the pod is closed too
  (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_client_abort).

A dropped or refused connection becomes 502, a time-out 504.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    SocketTimeoutError,
    TCPConnector,
    web,
)

# What belongs to one connection and not to the message (RFC 9110, 7.6.1), and what is written anew.
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_WRITTEN_ANEW = _HOP_BY_HOP | {"content-length", "host"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the front waits for the pod, in seconds, and how often it tries: ingress-nginx's defaults."""

    connect: float = 5
    read: float = 60
    tries: int = 3
    keepalive: float = 60


class Front:
    """Proxies to the pod on `pod_port` of the loopback interface as long as the file `ready` exists."""

    def __init__(self, pod_port: int, ready: Path, limits: Limits = Limits()) -> None:
        self._pod = f"http://127.0.0.1:{pod_port}"
        self._ready = ready
        self._limits = limits
        self._session: ClientSession | None = None

    def application(self) -> web.Application:
        """To be served with `handler_cancellation=True`, or who hangs up goes unnoticed."""
        application = web.Application()
        application.cleanup_ctx.append(self._connected)
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    async def _connected(self, _: web.Application) -> AsyncIterator[None]:
        timeout = ClientTimeout(
            total=None, sock_connect=self._limits.connect, sock_read=self._limits.read, connect=None
        )
        connector = TCPConnector(limit=0, keepalive_timeout=self._limits.keepalive)
        async with ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as self._session:
            yield

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        status = 502
        for _ in range(self._limits.tries):
            if not self._ready.exists():
                return _failure(503)
            try:
                return await self._ask(request, body)
            except ConnectionTimeoutError:
                status = 504
            except ClientConnectorError:
                status = 502
            except SocketTimeoutError:
                return _failure(504)
            except ClientError:
                return _failure(502)
        return _failure(status)

    async def _ask(self, request: web.Request, body: bytes) -> web.Response:
        assert self._session is not None
        asked = self._session.request(
            request.method,
            self._pod + request.raw_path,
            data=body or None,
            headers=_without(request.headers),
            allow_redirects=False,
        )
        async with asked as answer:
            content = await answer.read()
            return web.Response(status=answer.status, body=content, headers=_without(answer.headers))


def _failure(status: int) -> web.Response:
    return web.Response(status=status, text=f"{status}: {HTTPStatus(status).phrase}\n")


def _without(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _WRITTEN_ANEW}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.incident.front")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pod-port", type=int, required=True)
    parser.add_argument("--ready", type=Path, required=True, help="requests pass while this file exists")
    chosen = parser.parse_args()
    application = Front(chosen.pod_port, chosen.ready).application()
    web.run_app(
        application,
        host="127.0.0.1",
        port=chosen.port,
        backlog=4096,
        access_log=None,
        print=None,
        handler_cancellation=True,
        shutdown_timeout=1,
    )


if __name__ == "__main__":
    main()
