"""Users with patience: each asks for a prediction once a second, or as soon as the last answer allows.

`python -m benchmarks.incident.users --url http://127.0.0.1:8080 --users 50 --seconds 45 --patience 10
--customers customers.json --log requests.log`

A user who has waited for `patience` gives up, hangs up and asks again; whether the service still works on
what was given up is its own affair. The log has a line a request: when it ended, how many milliseconds it
took, and the status of the answer, `gave-up`, or the name of what went wrong with the connection.

This is a closed loop: nobody asks twice at once, so there are never more requests under way than users.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

GAVE_UP = "gave-up"
_PACE_SECONDS = 1.0


async def ask(session: ClientSession, url: str, customer: dict[str, Any]) -> str:
    """What came of one request."""
    try:
        async with session.post(url, json=customer) as answer:
            await answer.read()
            return str(answer.status)
    except TimeoutError:
        return GAVE_UP
    except ClientError as error:
        return type(error).__name__


async def user(
    session: ClientSession,
    url: str,
    customers: Iterator[dict[str, Any]],
    begin: float,
    end: float,
    log: TextIO,
) -> None:
    """One user from `begin` to `end`, both by the clock of the loop. The last answer is waited for."""
    clock = asyncio.get_running_loop().time
    due = begin
    while (due := max(due, clock())) < end:
        await asyncio.sleep(due - clock())
        started = time.perf_counter()
        came = await ask(session, url, next(customers))
        milliseconds = (time.perf_counter() - started) * 1000
        log.write(f"{time.time():.3f} {milliseconds:.1f} {came}\n")
        due += _PACE_SECONDS


async def crowd(
    url: str, users: int, seconds: float, patience: float, customers: list[dict[str, Any]], log: TextIO
) -> None:
    """So many users for so long; they come one after the other within the first second."""
    now = asyncio.get_running_loop().time()
    each = itertools.cycle(customers)
    # The patience is for everything: connecting, sending, waiting, reading.
    timeout = ClientTimeout(total=patience)
    async with ClientSession(connector=TCPConnector(limit=0), timeout=timeout) as session:
        begins = (now + number / users * _PACE_SECONDS for number in range(users))
        await asyncio.gather(*(user(session, url, each, begin, now + seconds, log) for begin in begins))


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.incident.users")
    parser.add_argument("--url", required=True)
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--patience", type=float, required=True)
    parser.add_argument("--customers", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    chosen = parser.parse_args()
    customers = json.loads(chosen.customers.read_text(encoding="utf-8"))
    with chosen.log.open("w", encoding="utf-8") as log:
        asyncio.run(
            crowd(
                f"{chosen.url}/predict",
                chosen.users,
                chosen.seconds,
                chosen.patience,
                customers,
                log,
            )
        )


if __name__ == "__main__":
    main()
