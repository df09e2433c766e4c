"""Many hostile projects, each in a process that may hang or die."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from benchmarks.robustness.inputs import project
from benchmarks.robustness.oracles import fault

MEMORY = 2 * 1024**3  # bytes of a process
INPUTS = 200  # before a process is replaced


class Failure(NamedTuple):
    """A project, by its number, and what went wrong with it."""

    number: int
    what: str


def failures(first: int, seconds: float, limit: float, counts: Counter[str]) -> Iterator[Failure]:
    """What goes wrong with projects from the number `first` on, for so many seconds.

    A project has `limit` seconds. `counts` is told how many were tried.
    """
    end, number = time.monotonic() + seconds, first
    worker = _Worker()
    while time.monotonic() < end:
        what = worker.answer(number, limit)
        counts["projects"] += 1
        if what:
            yield Failure(number, what)
        number += 1
    worker.stop()


def keep(failure: Failure, folder: Path) -> Path:
    """Write the project of a failure below `folder`, and return where."""
    place = folder / str(failure.number)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in project(failure.number).items():
        (place / name).write_bytes(content)
    return place


class _Worker:
    """A process that judges one project after the other, replaced where it hangs, dies or has done enough."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.ours, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=_judge, args=(theirs,), daemon=True
        )
        self.process.start()
        theirs.close()
        self.done = 0
        self.ours.send(None)  # to be imported is no part of the first project's time
        self.ours.recv()

    def answer(self, number: int, limit: float) -> str:
        """What goes wrong with one project; empty if nothing does."""
        if self.done >= INPUTS:
            self.stop()
            self._start()
        self.done += 1
        self.ours.send(number)
        try:
            if self.ours.poll(limit):
                answer: str = self.ours.recv()
                return answer
            what = f"no answer in {limit:g} s"
        except EOFError:
            self.process.join(5)
            what = f"the process ended with {self.process.exitcode}"
        self.stop()
        self._start()
        return what

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.ours.close()


def _judge(connection: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    while True:
        number = connection.recv()
        connection.send("" if number is None else fault(project(number)))
