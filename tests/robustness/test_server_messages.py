"""The language server with documents that are no files and clients that do not keep to the protocol."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest
from conftest import Project
from hypothesis import given
from hypothesis import strategies as st
from test_server import HANDLER, SECONDS, Client

from servelint.messages import MOST_BYTES, Inbox, file_of

ROBUST = [
    "untitled:Untitled-1",
    "untitled:/app.py",
    "git:/app.py?%7B%22ref%22%3A%22HEAD%22%7D",
    "vscode-notebook-cell:/app.ipynb#W0",
    "http://example.org/app.py",
    "file:///a%00b.py",
    "file:///" + "x" * 5000 + ".py",
    "file:relative.py",
    "file://server/share/app.py",
    "file://",
    "file:///",
    "file:///dev/zero",
    "file:///tmp",
    "file:///%FF%FE.py",
    "\udcff\ud800:x",
    "file:///\ud800.py",
    "",
    "::::",
    "inmemory://model/1",
]


@pytest.fixture
def client(project: Project) -> Iterator[Client]:
    client = Client(project.root)
    initialise(client, project)
    yield client
    client.process.kill()
    client.process.wait()


def initialise(client: Client, project: Project) -> None:
    client.request("initialize", {"processId": None, "rootUri": project.root.as_uri(), "capabilities": {}})
    client.notify("initialized", {})


def raw(client: Client, data: bytes) -> None:
    assert client.process.stdin is not None
    client.process.stdin.write(data)
    client.process.stdin.flush()


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def works(client: Client, project: Project, version: int = 1) -> None:
    """The server answers and diagnoses."""
    uri = (project.root / "app.py").as_uri()
    client.open(uri, HANDLER, version)
    assert [item["code"] for item in client.published(uri, version)] == ["SRV101"]


@pytest.mark.parametrize("uri", ROBUST)
def test_a_document_that_is_no_file_leaves_the_others_their_diagnostics(
    uri: str, project: Project, client: Client
) -> None:
    project.write({"app.py": ""})
    client.open(uri, HANDLER)
    works(client, project)
    where = {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 24}}
    client.notify("textDocument/hover", where)
    client.change(uri, HANDLER, 2)
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    works(client, project, 3)
    assert client.process.poll() is None


def test_a_name_that_is_not_text(project: Project, client: Client) -> None:
    name = os.fsencode(project.root) + b"/caf\xe9.py"
    uri = f"file://{quote_from_bytes(name)}"
    client.open(uri, HANDLER)
    assert [item["code"] for item in client.published(uri, 1)] == ["SRV101"]


def test_diagnostics_are_for_the_document_as_the_client_names_it(project: Project, client: Client) -> None:
    uri = (project.root / "app.py").as_uri().replace("app.py", "%61pp.py")
    client.open(uri, HANDLER)
    assert [item["code"] for item in client.published(uri, 1)] == ["SRV101"]
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert client.published(uri, None) == []


def test_a_project_that_cannot_be_checked_leaves_the_others_their_diagnostics(
    project: Project, client: Client
) -> None:
    project.write(
        {
            "app.py": "",
            "one/servelint.toml": "nonsense = 1\n",
            "two/servelint.toml": "[[[",
            "three/servelint.toml": "",
            "three/.servelint-baseline.json": "{}",
        }
    )
    for folder in ("one", "two", "three"):
        client.open((project.root / folder / "app.py").as_uri(), HANDLER)
    works(client, project)


@pytest.mark.parametrize(
    "codec", ["rot13", "idna", "undefined", "punycode", "utf-16", "no-such", "unicode_escape"]
)
def test_any_declared_encoding(codec: str, project: Project, client: Client) -> None:
    project.write({"app.py": ""})
    client.open((project.root / "other.py").as_uri(), f"# coding: {codec}\nx = 'ü\udcff'\n")
    works(client, project)


BODIES = [
    b"",
    b"nonsense",
    b"{",
    b"[]",
    b"null",
    b"5",
    b'"x"',
    b"{}",
    b'{"jsonrpc": "2.0"}',
    b'{"jsonrpc": "1.0", "id": 1, "method": "shutdown"}',
    b'{"jsonrpc": 2, "method": []}',
    b'{"jsonrpc": "2.0", "method": "textDocument/didOpen"}',
    b'{"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": []}',
    b'{"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": {"uri": 1}}}',
    (
        b'{"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"textDocument": {"uri": "file:///x", '
        b'"version": 1}, "contentChanges": [{"range": {"start": {"line": -1, "character": 9}}, "text": 5}]}}'
    ),
    (
        b'{"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"textDocument": {"uri": "file:///not-open", '
        b'"version": 1}, "contentChanges": [{"text": "x"}]}}'
    ),
    b'{"jsonrpc": "2.0", "id": 99, "method": "textDocument/hover", "params": {"position": "here"}}',
    b'{"jsonrpc": "2.0", "id": {}, "method": "textDocument/hover", "params": null}',
    b'{"jsonrpc": "2.0", "id": 98, "method": "no/such/method", "params": {}}',
    b'{"jsonrpc": "2.0", "id": 97, "method": "workspace/executeCommand", "params": {"command": "x"}}',
    b'{"jsonrpc": "2.0", "id": 96, "result": null}',
    b'{"jsonrpc": "2.0", "id": null, "error": {"code": "x"}}',
    b'{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 12345}}',
    b'{"jsonrpc": "2.0", "method": "$/cancelRequest"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"jsonrpc": "2.0", "id": ' + b"9" * 10_000 + b"}",
    b"\xff\xfe{}",
    b"\xff" * 100,
]
FRAMES = [
    b"Content-Length: -5\r\n\r\n{}",
    b"Content-Length: many\r\n\r\n{}\r\n",
    b"Content-Length: 0\r\n\r\n",
    b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n\r\n",
    b"Content-Type: text/plain\r\n\r\n{}\r\n",
    b"\r\n\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\0\xff\x1b[31m\n",
    b"x" * 100_000 + b"\n",
    b"content-length : 2\n\n{}",
]


@pytest.mark.parametrize("data", [*map(framed, BODIES), *FRAMES], ids=range(len(BODIES) + len(FRAMES)))
def test_a_malformed_message_does_not_end_the_server(data: bytes, project: Project, client: Client) -> None:
    raw(client, data)
    works(client, project)


@pytest.mark.parametrize("identity", [71, "seventy-two"])
def test_a_request_that_cannot_be_read_is_answered(identity: int | str, client: Client) -> None:
    message = {"jsonrpc": "2.0", "id": identity, "method": "textDocument/hover", "params": {"position": 1}}
    raw(client, framed(json.dumps(message).encode()))
    while (answer := client.messages.get(timeout=SECONDS)).get("id") != identity:
        pass
    assert answer["error"]["code"] in (-32602, -32603)


def test_before_it_is_initialised(project: Project) -> None:
    client = Client(project.root)
    client.open((project.root / "app.py").as_uri(), HANDLER)
    client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///x"}})
    initialise(client, project)
    works(client, project)
    client.process.kill()
    client.process.wait()


def test_a_client_that_leaves_within_a_message(project: Project) -> None:
    for length in (100, 10**9, 10**17):
        client = Client(project.root)
        initialise(client, project)
        raw(client, b"Content-Length: %d\r\n\r\n{" % length)
        assert client.process.stdin is not None
        client.process.stdin.close()
        assert client.process.wait(timeout=SECONDS) == 0


def test_the_memory_for_a_message_is_bounded(project: Project, client: Client) -> None:
    raw(client, b"Content-Length: %d\r\n\r\n" % (200 * 1024 * 1024))
    for _ in range(200):
        raw(client, b" " * 1024 * 1024)
    works(client, project)
    status = Path(f"/proc/{client.process.pid}/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        assert int(peak.split()[1]) < 190 * 1024  # in kB; less than the message alone


def test_an_interruption_ends_the_server(project: Project) -> None:
    for busy in (False, True):
        client = Client(project.root)
        initialise(client, project)
        if busy:
            client.open((project.root / "app.py").as_uri(), HANDLER)
        started = time.monotonic()
        client.process.send_signal(signal.SIGINT)
        client.process.wait(timeout=SECONDS)
        assert time.monotonic() - started < 2


def test_what_is_told_on_standard_error_is_lines(project: Project) -> None:
    script = Path(__file__).parents[1] / "toy_server.py"
    sent = (
        b"".join(map(framed, BODIES[1:])) + b"".join(FRAMES) + framed(b'{"jsonrpc": "2.0", "method": "exit"}')
    )
    done = subprocess.run(
        [sys.executable, script, "server"], input=sent, capture_output=True, timeout=SECONDS
    )
    assert b"Traceback" not in done.stderr
    assert done.stderr
    assert all(line.startswith(b"servelint: ") and len(line) < 1000 for line in done.stderr.splitlines())


NOISE = st.sampled_from(FRAMES) | st.binary(max_size=50) | st.binary(max_size=50).map(framed)


@given(noise=st.lists(NOISE, max_size=5), body=st.binary(min_size=1, max_size=50))
def test_after_any_noise_on_lines_of_its_own_a_message_is_read(noise: list[bytes], body: bytes) -> None:
    # Noise that announces a message takes its length; nobody can tell what follows from what it claims.
    honest = [item for item in noise if b"content-length" not in item.lower() or item == framed(item[20:])]
    stream = b"".join(item + b"\n" for item in honest) + framed(body)
    inbox = Inbox(io.BytesIO(stream), print)
    bodies = []
    while header := inbox.readline():
        assert inbox.readline() == b"\r\n"
        bodies.append(inbox.read(int(header.split()[1])))
    assert bodies
    assert bodies[-1] == body


@given(uri=st.sampled_from(ROBUST) | st.text() | st.text().map("file:///{}".format))
def test_any_uri_is_a_file_or_none(uri: str) -> None:
    path = file_of(uri)
    assert path is None or (path.is_absolute() and not path.is_dir())


def test_a_message_that_is_too_long_is_passed_over() -> None:
    told: list[str] = []
    stream = io.BytesIO(framed(b" " * (MOST_BYTES + 1)) + framed(b"{}"))
    inbox = Inbox(stream, told.append)
    assert (inbox.readline(), inbox.readline(), inbox.read(2)) == (b"Content-Length: 2\r\n", b"\r\n", b"{}")
    assert told == ["a message of 16,777,217 bytes is passed over; the most is 16,777,216"]


@pytest.mark.skipif(os.name != "posix", reason="the shell's redirections are POSIX")
@pytest.mark.parametrize("where", [">&-", ">/dev/full", "| true"])
def test_a_client_that_no_longer_reads(where: str) -> None:
    script = Path(__file__).parents[1] / "toy_server.py"
    command = f"{{ sleep 0.5; printf 'Content-Length: 2\\r\\n\\r\\n{{}}'; }} | {sys.executable} {script} server {where}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=SECONDS)
    assert "Traceback" not in done.stderr
    assert 1 <= done.stderr.count("\n") <= 5
