"""The lines of a log in which asyncio says that a step of the event loop took long.

In debug mode `BaseEventLoop._run_once` logs `Executing %s took %.3f seconds` for a step that takes
`slow_callback_duration` or longer. For a task `%s` is `base_tasks._task_repr_info`: state, name, coroutine
(`coroutines._format_coroutine`), and more; for a handle it is `events.Handle._repr_info`
(https://github.com/python/cpython/tree/main/Lib/asyncio). Python 3.10 to 3.13 write them alike.

A log is written by strangers: a file has a limit, a line has one, and the name of a task is stepped over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from servelint.project import disk

LONGEST = 65_536  # bytes of a line that is read
_BEGINS = "Executing <"
_TOOK = re.compile(r" took (\d{1,9}\.\d{3}) seconds")
_NAMED = re.compile(r"<\S{1,200} \w{1,20} name=(?=['\"])")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_CORO = " coro=<"
_RUNS = re.compile(r"\(\) (?:running at|done, defined at) ")
_ENDS = re.compile(r":(\d{1,9})>")
_HANDLE = re.compile(r"<\w{0,40}Handle (?:cancelled )?(?:when=\S{1,40} )?(?:cancelled )?")
_PLACE = re.compile(r":(\d{1,9})$")
_NESTED = 4  # a message may be a string in a string of JSON


class LogError(Exception):
    """The file cannot be read as a log; the message names it."""


class Stall(NamedTuple):
    """A step that held the event loop: the coroutine or callback, and the place in the words of the log.

    `path` is empty and `line` 0 where the log has no place, as for a callback that is written in C.
    """

    function: str
    path: str
    line: int
    seconds: float


class Log(NamedTuple):
    """What one file says. `broken` are the lines that begin as one of asyncio's and do not end so."""

    stalls: tuple[Stall, ...]
    broken: tuple[int, ...]
    lines: int


def read(path: Path) -> Log:
    """The stalls in a log; raises `LogError`."""
    try:
        content = disk.read(path, disk.LARGE, "a log")
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}") from error
    log = parsed(content)
    zero = content.find(b"\0")
    if zero >= 0 and not log.stalls:  # a log that was emptied while it was written to begins with some
        line = content.count(b"\n", 0, zero) + 1
        raise LogError(f"{path}:{line}: is not a log: it holds bytes that are no text")
    return log


def parsed(content: bytes) -> Log:
    """The stalls in the content of a log."""
    stalls: list[Stall] = []
    broken: list[int] = []
    for number, line in _lines(content):
        message = None if len(line) > LONGEST else _message(line.decode("utf-8", "surrogateescape"))
        if message is None:
            continue
        stall = _stall(message)
        if stall is None:
            broken.append(number)
        else:
            stalls.append(stall)
    return Log(tuple(stalls), tuple(broken), content.count(b"\n") + (not content.endswith(b"\n")))


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that may be meant, with their numbers."""
    number, counted, at = 1, 0, content.find(b"Executing ")
    while at >= 0:
        start = content.rfind(b"\n", counted, at) + 1 or counted
        end = content.find(b"\n", at)
        end = len(content) if end < 0 else end
        number += content.count(b"\n", counted, start)
        counted = start
        yield number, content[start : min(end, start + LONGEST + 1)]
        at = content.find(b"Executing ", end)


def _message(line: str) -> str | None:
    """From `Executing <` on, in plain text or in a string of JSON; None for any other line."""
    for _ in range(_NESTED):
        brace = line.find("{")
        if 0 <= brace < line.find("Executing "):
            inner = _text_in(line[brace:])
            if inner is not None:
                line = inner
                continue
        break
    at = line.find(_BEGINS)
    return None if at < 0 else line[at:]


def _text_in(text: str) -> str | None:
    """The string of a JSON object that holds the message, however deep."""
    import json

    try:
        values = [json.JSONDecoder().raw_decode(text)[0]]
    except (ValueError, RecursionError):
        return None
    while values:
        value = values.pop()
        if isinstance(value, str) and "Executing " in value:
            return value
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
    return None


def _stall(message: str) -> Stall | None:
    took = None
    for took in _TOOK.finditer(message):  # noqa: B007 - the last one is asyncio's, others are quoted
        pass
    if took is None:
        return None
    who = message[len("Executing ") : took.start()]
    seconds = float(took[1])
    named = _NAMED.match(who)
    if named is not None:
        return _task(who[named.end() :], seconds)
    handle = _HANDLE.match(who)
    return None if handle is None else _callback(who[handle.end() :].rstrip(">"), seconds)


def _task(rest: str, seconds: float) -> Stall | None:
    """A task, from its name on; what stands in the name is nobody's coroutine."""
    name = _QUOTED.match(rest)
    if name is None or not rest.startswith(_CORO, name.end()):
        return None
    coroutine = rest[name.end() + len(_CORO) :]
    runs = _RUNS.search(coroutine)
    ends = _ENDS.search(coroutine, runs.end()) if runs is not None else None
    if runs is None or ends is None:  # written in C: it has a name and no place
        return Stall(coroutine.partition("(")[0], "", 0, seconds)
    return Stall(coroutine[: runs.start()], coroutine[runs.end() : ends.start()], int(ends[1]), seconds)


def _callback(rest: str, seconds: float) -> Stall:
    """A callback: its name and arguments, where it is defined, and where it was called for."""
    defined, _, _ = rest.rpartition(" created at ")
    described, at, place = (defined or rest).rpartition(" at ")
    line = _PLACE.search(place) if at else None
    function = (described if line else defined or rest).partition("(")[0]
    if line is None:
        return Stall(function, "", 0, seconds)
    return Stall(function, place[: line.start()], int(line[1]), seconds)
