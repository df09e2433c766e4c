"""Blocks that move into a nested function: what it gets, what it gives back, and what cannot be moved."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import asyncio
import threading

import torch
from fastapi import FastAPI
from faster_whisper import WhisperModel

app = FastAPI()
model = torch.load("model.pt")
whisper = WhisperModel("small")
lock = threading.Lock()


"""
START = '@app.post("/p")\nasync def predict(row: list):\n'
RUN = "await asyncio.get_running_loop().run_in_executor("


def found(folder: Path, *lines: str) -> list[Finding]:
    text = HEAD + START + "".join(f"    {line}\n" for line in lines)
    (folder / "pyproject.toml").write_text("[tool.ruff]\nline-length = 180\n")
    (folder / "main.py").write_text(text)
    return list(check([], Config(root=folder, select=("SRV101", "SRV102"))).findings)


def fixed(folder: Path, *lines: str) -> list[str]:
    """The handler's body after all fixes, which leave nothing."""
    found(folder, *lines)
    settings = Config(root=folder, select=("SRV101", "SRV102"))
    outcome = edits.apply(check([], settings), unsafe=True)
    assert not outcome.rejected
    assert not outcome.report.findings
    text = outcome.after[folder / "main.py"].decode()
    return [line.removeprefix("    ") for line in text.partition(START)[2].splitlines()]


MOVES = {
    "return": (
        """
        with torch.no_grad():
            return model(row)
        """,
        """
        def run_inference():
            with torch.no_grad():
                return model(row)

        return AWAIT run_inference)
        """,
    ),
    "result": (
        """
        with torch.no_grad():
            out = model(row)
            best = out.max()
        return best
        """,
        """
        def run_inference():
            with torch.no_grad():
                out = model(row)
                best = out.max()
            return best

        best = AWAIT run_inference)
        return best
        """,
    ),
    "nonlocal": (
        """
        count = 1
        with lock:
            count += model(row)
        return count
        """,
        """
        count = 1

        def run_inference():
            nonlocal count
            with lock:
                count += model(row)

        AWAIT run_inference)
        return count
        """,
    ),
    "global": (
        """
        global seen
        with lock:
            seen = model(row)
        """,
        """
        global seen

        def run_inference():
            global seen
            with lock:
                seen = model(row)

        AWAIT run_inference)
        """,
    ),
    "loop": (
        """
        for part in row:
            with torch.no_grad():
                print(model(part))
        """,
        """
        for part in row:

            def run_inference(part):
                with torch.no_grad():
                    print(model(part))

            AWAIT run_inference, part)
        """,
    ),
    "loop that goes on with a variable": (
        """
        total = 0
        for part in row:
            with lock:
                total += model(part)
        return total
        """,
        """
        total = 0
        for part in row:

            def run_inference(total, part):
                with lock:
                    total += model(part)
                return total

            total = AWAIT run_inference, total, part)
        return total
        """,
    ),
    "formatted string": (
        "return f'{model(row)}'\n",
        "return AWAIT lambda: f'{model(row)}')\n",
    ),
    "generator expression": (
        "out = list(model(r) for r in row), 1\nreturn out\n",
        "out = AWAIT lambda: (list(model(r) for r in row), 1))\nreturn out\n",
    ),
    "lazy": (
        """
        segments, info = whisper.transcribe(row)
        text = ""
        for segment in segments:
            text += segment.text
        return text, info
        """,
        """
        def run_inference():
            segments, info = whisper.transcribe(row)
            text = ""
            for segment in segments:
                text += segment.text
            return info, text

        info, text = AWAIT run_inference)
        return text, info
        """,
    ),
    "several calls": (
        """
        first = model(row)
        scaled = first / 2
        return model(scaled)
        """,
        """
        def run_inference():
            first = model(row)
            scaled = first / 2
            return model(scaled)

        return AWAIT run_inference)
        """,
    ),
    "text of several lines": (
        """
        with torch.no_grad():
            text = '''
        kept
            '''
            return model(text)
        """,
        """
        def run_inference():
            with torch.no_grad():
                text = '''
        kept
            '''
                return model(text)

        return AWAIT run_inference)
        """,
    ),
}


def lines(text: str) -> list[str]:
    return [line.removeprefix("        ") for line in text.strip("\n").rstrip().splitlines()]


@pytest.mark.parametrize("name", MOVES)
def test_the_block_moves(tmp_path: Path, name: str) -> None:
    before, after = MOVES[name]
    # PyTorch may read the context; faster-whisper, in the case of the lazy result, does not.
    copied = "" if name == "lazy" else "contextvars.copy_context().run, "
    bound = re.sub(r"AWAIT (run_inference, .*)", r"AWAIT functools.partial(\1)", after) if copied else after
    wanted = bound.replace("AWAIT ", f"{RUN}_inference_executor, {copied}")
    assert fixed(tmp_path, *lines(before)) == lines(wanted)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (("with lock:", "    out = model(row)", "    await asyncio.sleep(0)"), "it awaits"),
        (("with lock:", "    yield model(row)"), "it yields"),
        (("for part in row:", "    with lock:", "        model(part)", "        break"), "`break`"),
        (("with lock:", "    if model(row):", "        return 1", "row.append(1)"), "goes on on another"),
        (("with lock:", "    if model(row):", "        out = 1", "return out"), "not set on every way"),
        (("with lock, suppress(OSError):", "    out = model(row)", "return out"), "not set on every way"),
        (("with lock, suppress(OSError):", "    return model(row)", "return 1"), "goes on on another"),
        (("with lock:", "    model(row)", "    del row"), "deletes a variable"),
        (("with lock:", "    print(locals(), model(row))"), "uses `locals()`"),
        (("with lock:", "    model(next(row))"), "StopIteration"),
        (
            ("try:", "    with lock:", "        model(next(row))", "except Exception:", "    pass"),
            "StopIteration",
        ),
        (
            (
                "try:",
                "    pass",
                "except ValueError:",
                "    with lock:",
                "        model(row)",
                "        raise",
            ),
            "being handled around it",
        ),
        (
            (
                "try:",
                "    with lock:",
                "        a = 1",
                "        model(row)",
                "except OSError:",
                "    print(a)",
            ),
            "where an exception in it is handled",
        ),
        (
            ("for part in row:", "    with lock:", "        model(part, last)", "    last = part"),
            "`last` may not be set yet",
        ),
        (("with lock: model(row); row = 1",), ""),
    ],
)
def test_what_ties_a_block_to_its_function(tmp_path: Path, body: tuple[str, ...], why: str) -> None:
    for finding in found(tmp_path, *body):
        if why:
            assert finding.fix is None
            assert why in finding.unfixable


def test_a_block_that_writes_what_requests_share_is_unsafe(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "global seen", "with lock:", "    seen = model(row)")
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    assert "the block writes `seen`" in finding.fix.reason


def test_calls_that_can_be_awaited_safely_one_by_one_are_not_moved_unsafely(tmp_path: Path) -> None:
    text = ("first = model(row)", "app.state.first = first", "return model(first)")
    body = fixed(tmp_path, *text)
    assert "app.state.first = first" in body
    assert sum("run_in_executor" in line for line in body) == 2


@pytest.mark.parametrize("opening", ["try:", "with contextlib.suppress(ValueError):"])
def test_what_was_set_before_an_exception_is_kept(tmp_path: Path, opening: str) -> None:
    block = ("    with lock:", "        best = model(row)", "        return model(best)")
    handler = ("except ValueError:", "    pass") if opening == "try:" else ()
    body = fixed(tmp_path, "best = 0", opening, *block, *handler, "return best")
    assert "        nonlocal best" in body


def test_far_apart_calls_are_awaited_one_by_one(tmp_path: Path) -> None:
    text = ("first = model(row)", "a = 1", "b = 2", "c = 3", "return model(first, a, b, c)")
    assert sum("run_in_executor" in line for line in fixed(tmp_path, *text)) == 2


def test_calls_with_more_than_a_simple_statement_between_are_awaited_one_by_one(tmp_path: Path) -> None:
    text = ("first = model(row)", "if not row:", "    raise ValueError(row)", "return model(first)")
    assert sum("run_in_executor" in line for line in fixed(tmp_path, *text)) == 2


def test_two_blocks_of_one_function_have_names_of_their_own(tmp_path: Path) -> None:
    text = ("with lock:", "    first = model(row)", "await asyncio.sleep(0)", "with lock:")
    body = fixed(tmp_path, *text, "    return model(first)")
    assert [line for line in body if line.startswith("def ")] == [
        "def run_inference():",
        "def run_inference_2():",
    ]


def test_two_blocks_that_set_one_variable_do_not_both_move(tmp_path: Path) -> None:
    text = ("with lock:", "    if row:", "        best = model(row)", "await asyncio.sleep(0)", "with lock:")
    found(tmp_path, *text, "    best = best or model(row)", "return best")
    outcome = edits.apply(check([], Config(root=tmp_path, select=("SRV101",))), unsafe=True)
    (left,) = outcome.report.findings
    assert "is set in a nested function too" in left.unfixable
    compile(outcome.after[tmp_path / "main.py"], "main.py", "exec")


def test_a_load_that_is_given_what_another_gives(tmp_path: Path) -> None:
    """One thread does both; a load that gives inference its model does not go to its pool."""
    lines = fixed(tmp_path, "net = torch.nn.Linear(1, 1)", "net.load_state_dict(torch.load(row[0]))")
    assert lines[-1] == "await asyncio.to_thread(lambda: net.load_state_dict(torch.load(row[0])))"
    lines = fixed(tmp_path, "return model(torch.load(row[0]))")
    assert "await asyncio.to_thread(torch.load, row[0])" in "".join(lines)


def test_what_a_block_gives_back_is_broken_where_it_is_too_long(tmp_path: Path) -> None:
    names = [f"part_of_the_answer_{letter}" for letter in "abcdefghi"]
    text = (
        "with torch.no_grad():",
        *(f"    {name} = model(row)" for name in names),
        f"return {' + '.join(names)}",
    )
    body = fixed(tmp_path, *text)
    first = body.index("    return (")
    assert body[first : first + 11] == ["    return (", *(f"        {name}," for name in names), "    )"]
