"""What asyncio's debug mode measured: read from a log, put on findings, and told where it fits nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import jsonschema
import pytest
from conftest import Project, Servelint
from hypothesis import example, given
from hypothesis import strategies as st

from servelint import check, lint
from servelint.stalls.log import LONGEST, Stall, parsed
from servelint.stalls.match import with_stalls

SCHEMA = json.loads((Path(lint.__file__).parent / "schemas" / "report.schema.json").read_text())
TASK = (
    "Executing <Task pending name='Task-7' coro=<{name}() running at {path}:{line}> wait_for=<Future pending "
    "cb=[Task.task_wakeup()] created at /usr/lib/python3.11/asyncio/base_events.py:427> "
    "cb=[_run_until_complete_cb() at /usr/lib/python3.11/asyncio/base_events.py:180] "
    "created at /usr/lib/python3.11/asyncio/runners.py:100> took {seconds:.3f} seconds"
)
BLOCKING = "async def predict(m):\n    m.predict(1)\n"


def task(name: str = "predict", path: str = "/srv/app/main.py", line: int = 2, seconds: float = 0.812) -> str:
    return TASK.format(name=name, path=path, line=line, seconds=seconds)


@pytest.mark.parametrize(
    ("line", "stall"),
    [
        (task("Service.predict"), Stall("Service.predict", "/srv/app/main.py", 2, 0.812)),
        (
            (
                "Executing <Task finished name='Task-4' coro=<main.<locals>.boom() done, defined at /p.py:29> "
                "exception=ValueError('x') created at /usr/lib/python3.11/asyncio/tasks.py:374> took 0.111 seconds"
            ),
            Stall("main.<locals>.boom", "/p.py", 29, 0.111),
        ),
        (  # the name of a task and the result of a coroutine are anybody's words
            (
                'Executing <Task finished name="it\'s> coro=<evil() running at /a:3>" coro=<own() done, defined at '
                "C:\\srv\\own.py:32> result=' took 3.000 seconds' created at /tasks.py:374> took 0.110 seconds"
            ),
            Stall("own", "C:\\srv\\own.py", 32, 0.110),
        ),
        (
            (
                "Executing <Task cancelling name='a' coro=<outer() running at /p.py:24> wait_for=<Task pending name='x' "
                "coro=<inner() running at /p.py:9> cb=[Task.task_wakeup()] created at /t.py:374>> took 0.151 seconds"
            ),
            Stall("outer", "/p.py", 24, 0.151),
        ),
        (
            (
                "Executing <Task pending name='Task-2' coro=<<async_generator_athrow without __name__>()> "
                "created at /t.py:374> took 0.100 seconds"
            ),
            Stall("<async_generator_athrow without __name__>", "", 0, 0.1),
        ),
        (
            "Executing <Handle cb('a at b') at /p.py:12 created at /p.py:20> took 0.110 seconds",
            Stall("cb", "/p.py", 12, 0.110),
        ),
        (
            "Executing <Handle main.<locals>.<lambda>() at /p.py:22 created at /p.py:22> took 1.110 seconds",
            Stall("main.<locals>.<lambda>", "/p.py", 22, 1.110),
        ),
        (
            (
                "Executing <TimerHandle when=40632.594229653005 cb(1) at /p.py:12 created at /p.py:23> took 0.1 seconds "
                "took 12345.110 seconds"
            ),
            Stall("cb", "/p.py", 12, 12345.110),
        ),
        (
            (
                "Executing <Handle _SelectorSocketTransport._read_ready() created at /a/selector_events.py:264> "
                "took 0.200 seconds"
            ),
            Stall("_SelectorSocketTransport._read_ready", "", 0, 0.2),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "prefix", "json", "docker", "json in docker"])
def test_every_form_that_asyncio_writes_is_read(line: str, stall: Stall, kind: str) -> None:
    logged = {
        "plain": line,
        "prefix": f"2026-11-27 09:12:11,625 [{{pid 7}}] WARNING asyncio: {line}\r",
        "json": json.dumps({"level": "warning", "extra": [1, {"message": line}]}),
        # Docker's writer escapes what HTML would take for markup.
        "docker": json.dumps({"log": f"{line}\n", "stream": "stderr"}).replace("<", "\\u003c"),
        "json in docker": f"2026-11-27T09:12Z {json.dumps({'log': json.dumps({'msg': line})})}",
    }[kind]
    log = parsed(f"first\n{logged}\nlast".encode())
    assert (log.stalls, log.broken, log.lines) == ((stall,), (), 3)


NAMES = st.from_regex(r"[A-Za-z_]\w{0,9}(\.(<locals>\.)?[A-Za-z_]\w{0,9}){0,3}", fullmatch=True)
PATHS = st.from_regex(r"(/[\w .<-]{1,9}){1,4}\.py", fullmatch=True).filter(lambda path: "\n" not in path)
NOISE = st.text(max_size=30).filter(lambda text: "Executing" not in text)


@given(
    stalls=st.lists(st.tuples(NAMES, PATHS, st.integers(1, 9999), st.integers(0, 10**6)), max_size=5),
    noise=NOISE,
    structured=st.booleans(),
)
def test_what_is_written_is_read(
    stalls: list[tuple[str, str, int, int]], noise: str, structured: bool
) -> None:
    lines, wanted = [noise], []
    for name, path, line, millis in stalls:
        logged = task(name, path, line, millis / 1000)
        lines += [json.dumps({"noise": noise, "event": logged}) if structured else f"w: {logged}", noise]
        wanted.append(Stall(name, path, line, millis / 1000))
    assert parsed("\n".join(lines).encode("utf-8", "replace")).stalls == tuple(wanted)


@given(st.binary(max_size=300), st.text(max_size=300))
@example(b"Executing <", "Executing <Task pending name='")
def test_nothing_that_a_log_holds_breaks_the_reader(junk: bytes, text: str) -> None:
    for content in (
        junk,
        text.encode("utf-8", "replace"),
        f"Executing <{text} took 0.100 seconds".encode("utf-8", "replace"),
    ):
        for stall in parsed(content).stalls:
            assert stall.seconds >= 0


@pytest.mark.parametrize(
    "content",
    [
        b"Executing <" * 2_000_000,
        (b"Executing <Task pending name='" + b"\\'" * 20_000 + b"\n") * 400,
        (b"Executing <Task pending name='a' coro=<" + b"x() running at " * 4_000 + b"\n") * 300,
        (b"{" * 60_000 + b"Executing <\n") * 300,
        (b'{"a":' * 10_000 + b'"Executing <\n') * 300,
        b"x\n" * 10_000_000,
        b"Executing <Handle " + b" at a:1 created at" * 1_000_000 + b" took 0.100 seconds",
    ],
    ids=["no end", "quotes", "places", "braces", "deep", "many lines", "long"],
)
def test_a_hostile_log_costs_what_it_is_long(content: bytes) -> None:
    start = time.process_time()
    parsed(content)
    assert time.process_time() - start < 20 * len(content) / 20_000_000 + 5


def test_a_line_that_is_too_long_is_left_out() -> None:
    log = parsed(f"{task('a' * LONGEST)}\n{task()}\n".encode())
    assert [stall.function for stall in log.stalls] == ["predict"]


pytestmark = pytest.mark.usefixtures("toy_engine")


def measured(servelint: Servelint, *arguments: str) -> tuple[dict[str, object], list[dict[str, object]]]:
    """What was measured of each finding, by place, and the stalls that have none."""
    result = servelint("check", "--stalls", "s.log", "--output-format", "json", *arguments)
    document = json.loads(result.out)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return {
        f"{item['path']}:{item['line']}": item.get("measured") for item in document["findings"]
    }, document["stalls"]


def test_the_coroutine_has_what_was_measured(project: Project, servelint: Servelint) -> None:
    log = "\n".join(task(seconds=seconds, line=line) for seconds, line in ((0.3, 1), (0.5, 2), (1.2, 9)))
    project.write({"app/main.py": BLOCKING, "s.log": f"started\n{log}\n"})
    assert measured(servelint) == ({"app/main.py:2": {"stalls": 3, "median": 0.5, "longest": 1.2}}, [])
    out = servelint("check", "--stalls", "s.log").out
    assert "  = took: measured: 3 stalls, median 0.50 s, longest 1.20 s\n" in out
    assert "no finding" not in out
    page = servelint("check", "--stalls", "s.log", "--output-format", "html").out
    assert page.count("measured: 3 stalls, median 0.50 s, longest 1.20 s") == 2
    assert "Every stall in the log belongs to a finding." in page
    assert "measured" not in servelint("check", "--output-format", "json").out


def test_several_logs_are_one_measurement(project: Project, servelint: Servelint) -> None:
    project.write({"app/main.py": BLOCKING, "s.log": task(seconds=0.2), "t.log": task(seconds=0.4)})
    found, _ = measured(servelint, "--stalls", "t.log")
    assert found == {"app/main.py:2": {"stalls": 2, "median": 0.3, "longest": 0.4}}


def test_the_longest_end_of_a_path_counts(project: Project, servelint: Servelint) -> None:
    project.write({"a/app/main.py": BLOCKING, "b/app/main.py": BLOCKING, "main.py": BLOCKING})
    project.write({"s.log": task(path="/code/b/app/main.py")})
    found, others = measured(servelint)
    assert {place for place, what in found.items() if what} == {"b/app/main.py:2"}
    assert others == []
    project.write({"s.log": task(path="/code/app/main.py")})
    found, (other,) = measured(servelint)
    assert set(found.values()) == {None}
    assert other["fits"] == ["a/app/main.py", "b/app/main.py"]


def test_each_path_of_a_log_costs_its_parts(tmp_path: Path) -> None:
    """A log may name any number of paths, and a project may call any number of files alike."""
    for number in range(300):
        (tmp_path / f"p{number}").mkdir()
        (tmp_path / f"p{number}/__init__.py").touch()
    report = check([tmp_path])
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call"

    stalls = [Stall("predict", f"/srv/x{number}/__init__.py", 1, 0.5) for number in range(300)]
    sys.setprofile(count)
    try:
        report = with_stalls(report, stalls)
    finally:
        sys.setprofile(None)
    assert len(report.stalls or ()) == 300
    assert calls < 300 * 100  # each with each would be 90,000


def test_what_is_installed_is_known_by_its_whole_path(project: Project, servelint: Servelint) -> None:
    project.write({"src/acme/main.py": BLOCKING})
    project.write({"s.log": task(path="/usr/lib/python3.12/site-packages/uvicorn/main.py")})
    assert measured(servelint)[0] == {"src/acme/main.py:2": None}
    project.write({"s.log": task(path="/usr/lib/python3.12/site-packages/acme/main.py")})
    assert measured(servelint)[0] != {"src/acme/main.py:2": None}


def test_functions_of_one_name_are_told_apart_by_their_lines(project: Project, servelint: Servelint) -> None:
    twice = f"{BLOCKING}\n\n@route\n{BLOCKING}"
    project.write({"app/main.py": twice, "s.log": task(line=5)})
    assert measured(servelint)[0] == {
        "app/main.py:2": None,
        "app/main.py:7": {"stalls": 1, "median": 0.812, "longest": 0.812},
    }


def test_what_has_no_finding_is_listed_with_its_place(project: Project, servelint: Servelint) -> None:
    lines = [task("other"), task("run_asgi", "/x/site-packages/uvicorn/h11.py", 403, 2.0)]
    project.write({"app/main.py": BLOCKING, "s.log": "\n".join(lines)})
    found, others = measured(servelint)
    assert found == {"app/main.py:2": None}
    assert [(item["function"], item["path"], item["line"]) for item in others] == [
        ("run_asgi", "/x/site-packages/uvicorn/h11.py", 403),
        ("other", "/srv/app/main.py", 2),
    ]
    assert servelint("check", "--stalls", "s.log").out.endswith(
        "Measured, with no finding:\n  run_asgi /x/site-packages/uvicorn/h11.py:403: 1 stall, 2.00 s\n"
        "  other /srv/app/main.py:2: 1 stall, 0.81 s\n"
    )
    page = servelint("check", "--stalls", "s.log", "--output-format", "html").out
    assert "/x/site-packages/uvicorn/h11.py:403" in page
    assert "Stalls with no finding<" in page


def test_rules_that_are_left_out_are_said_to_be(project: Project, servelint: Servelint) -> None:
    project.write({"app/main.py": BLOCKING, "s.log": task()})
    chosen = ("check", "--select", "SRV2", "--stalls", "s.log")
    assert "Measured, with no finding of the selected rules:\n  predict /srv" in servelint(*chosen).out
    assert "no finding of the selected rules<" in servelint(*chosen, "--output-format", "html").out


def test_a_finding_that_is_not_shown_is_one(project: Project, servelint: Servelint) -> None:
    project.write({"app/main.py": BLOCKING, "s.log": task(), "other.py": ""})
    assert measured(servelint, "other.py")[1] == []
    servelint("baseline")
    assert measured(servelint) == ({}, [])
    project.write({"app/main.py": BLOCKING.replace("(1)", "(1)  # servelint: ignore[SRV101] quick")})
    assert measured(servelint) == ({}, [])


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "</script><script>", "\x1b[31m", "::error::x", "ab\u202ec"]
)
def test_names_in_a_log_are_text(name: str, project: Project, servelint: Servelint) -> None:
    project.write({"app/main.py": BLOCKING, "s.log": task(name, f"/{name}.py").encode()})
    page = servelint("check", "--stalls", "s.log", "--output-format", "html").out
    assert "<img" not in page
    assert page.count("<script") == 1
    out = servelint("check", "--stalls", "s.log").out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert not any(line.lstrip().startswith("::") for line in out.splitlines() if "main.py" not in line)


def test_what_is_no_log_is_told(project: Project, servelint: Servelint) -> None:
    project.write({"app/main.py": BLOCKING, "binary": b"one\ntwo\n\0\xff", "other.log": "one\ntwo\n"})
    project.write({"cut.log": f"{task()}\nExecuting <Task pending name='Task-7' coro=<predi\n"})
    result = servelint("check", "--stalls", "binary")
    assert (result.status, result.out) == (2, "")
    assert result.err == "servelint: binary:3: is not a log: it holds bytes that are no text\n"
    project.write({"emptied.log": b"\0" * 5000 + f"{task()}\n".encode()})
    assert "measured: 1 stall, 0.81 s" in servelint("check", "--stalls", "emptied.log").out
    result = servelint("check", "--stalls", "other.log")
    assert result.status == 1
    assert "other.log: none of 2 lines is one of asyncio's debug mode" in result.err
    result = servelint("check", "--stalls", "cut.log")
    assert "cut.log:2: begins as a line of asyncio's debug mode and is not one, left out" in result.err
    assert "measured: 1 stall, 0.81 s" in result.out
    assert servelint("check", "--stalls", "none.log").status == 2


PROGRAM = """\
import asyncio
import logging
import time


class Model:
    def predict(self, rows):
        time.sleep(0.15)


async def predict(m):
    m.predict(1)
    await asyncio.sleep(0)


async def main():
    await asyncio.gather(predict(Model()), predict(Model()))


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(main())
"""


def test_a_program_that_ran_in_debug_mode(project: Project, servelint: Servelint) -> None:
    project.write({"app/main.py": PROGRAM})
    ran = subprocess.run(
        [sys.executable, "app/main.py"],
        cwd=project.root,
        env={"PYTHONASYNCIODEBUG": "1"},
        check=True,
        capture_output=True,
    )
    project.write({"s.log": ran.stderr})
    found, others = measured(servelint)
    ((place, seen),) = ((place, what) for place, what in found.items() if what)
    assert place == "app/main.py:12"
    assert isinstance(seen, dict)
    assert seen["stalls"] == 2
    assert 0.15 <= seen["median"] <= seen["longest"] < 5
    assert others == []


NESTED = """\
async def predict(m):
    m.predict(1)


async def score(m):
    await asyncio.sleep(0)
    helper(m)
    await asyncio.sleep(0)


def helper(m):
    m.predict(1)


async def main():
    with stalls_logged():
        await asyncio.sleep(0.05)
        await asyncio.gather(asyncio.wait_for(predict(Model()), 9), score(Model()))
"""


def test_the_recorder_of_the_manual_names_the_coroutine_that_holds_the_loop(
    project: Project, servelint: Servelint
) -> None:
    manual = (Path(__file__).parents[1] / "docs" / "stalls.md").read_text()
    recorder = manual.partition("```python\n")[2].partition("```")[0]
    head, _, foot = PROGRAM.partition("async def predict")
    program = f"{head}from stalls import stalls_logged\n\n\n{NESTED}\n\nif{foot.partition('if')[2]}"
    project.write({"app/stalls.py": recorder, "app/main.py": program.replace("0.15", "0.3")})
    command = [sys.executable, "app/main.py"]
    ran = subprocess.run(command, cwd=project.root, check=True, capture_output=True, env={})
    project.write({"s.log": ran.stderr})
    found, others = measured(servelint)
    seen = {place: what for place, what in found.items() if what}
    lines = program.splitlines()
    assert {lines[int(place.rpartition(":")[2]) - 1].strip() for place in seen} == {
        "m.predict(1)",
        "helper(m)",
    }
    for what in seen.values():
        assert isinstance(what, dict)
        assert what["stalls"] == 1
        assert 0.1 <= what["longest"] < 5
    assert others == []
