"""The language server, spoken to over standard input and output as an editor does."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Project

from servelint import lint
from servelint.finding import Edit, Span
from servelint.project.config import Config
from servelint.server import Writer

SECONDS = 30
HANDLER = "async def a(m):\n    x = '🐍'; return m.predict(1)\n"


class Client:
    """A JSON-RPC client: requests are answered in order, notifications are kept by method."""

    def __init__(self, folder: Path, *command: str) -> None:
        toy = (sys.executable, str(Path(__file__).parent / "toy_server.py"))
        self.process = subprocess.Popen(
            [*(command or toy), "server", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
        )
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.identity = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        while header := self.process.stdout.readline():
            length = 0
            while header.strip():
                name, _, value = header.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
                header = self.process.stdout.readline()
            self.messages.put(json.loads(self.process.stdout.read(length)))

    def notify(self, method: str, parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def request(self, method: str, parameters: Any = None) -> Any:
        self.identity += 1
        self._send({"id": self.identity, "method": method, "params": parameters})
        while True:
            message = self.messages.get(timeout=SECONDS)
            if message.get("id") == self.identity and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def published(self, uri: str, version: int | None) -> list[dict[str, Any]]:
        """The diagnostics of `uri` at `version`."""
        while True:
            message = self.messages.get(timeout=SECONDS)
            found = message.get("params", {})
            if message.get("method") != "textDocument/publishDiagnostics":
                continue
            if (found["uri"], found.get("version")) == (uri, version):
                diagnostics: list[dict[str, Any]] = found["diagnostics"]
                return diagnostics

    def open(self, uri: str, text: str, version: int = 1) -> None:
        document = {"uri": uri, "languageId": "python", "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, text: str, version: int) -> None:
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})


@pytest.fixture
def client(project: Project) -> Iterator[Client]:
    client = Client(project.root)
    client.request("initialize", {"processId": None, "rootUri": project.root.as_uri(), "capabilities": {}})
    client.notify("initialized", {})
    yield client
    client.request("shutdown")
    client.notify("exit", None)
    assert client.process.wait(timeout=SECONDS) == 0


def test_findings_while_typing(project: Project, client: Client) -> None:
    project.write({"app.py": "# nothing on disk\n", "other.py": HANDLER})
    uri = (project.root / "app.py").as_uri()
    client.open(uri, HANDLER)
    (diagnostic,) = client.published(uri, 1)
    assert diagnostic["code"] == "SRV101"
    assert diagnostic["severity"] == 1
    assert diagnostic["source"] == "servelint"
    # The snake is one character and two UTF-16 units, which is what editors count by default.
    assert diagnostic["range"] == {"start": {"line": 1, "character": 21}, "end": {"line": 1, "character": 33}}
    client.change(uri, HANDLER.replace("async ", ""), 2)
    assert client.published(uri, 2) == []
    client.change(uri, "async def a(:\n", 3)
    assert [item["code"] for item in client.published(uri, 3)] == ["SRV000"]
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert client.published(uri, None) == []


def test_the_trace_leads_through_unsaved_buffers(project: Project, client: Client) -> None:
    project.write({"app.py": "", "service.py": "def score(m):\n    return 1\n"})
    app, service = ((project.root / name).as_uri() for name in ("app.py", "service.py"))
    client.open(app, "async def a(m):\n    return score(m)\n")
    assert client.published(app, 1) == []
    client.open(service, "def score(m):\n    return m.predict(1)\n")
    (diagnostic,) = client.published(app, 1)
    (related,) = diagnostic["relatedInformation"]
    assert related["location"]["uri"] == service
    assert related["location"]["range"]["start"] == {"line": 1, "character": 11}
    assert related["message"] == "predict holds the event loop"


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    (edit,) = edits
    lines = text.splitlines(keepends=True)
    start, end = edit["range"]["start"], edit["range"]["end"]
    assert start["line"] == end["line"]
    line = lines[start["line"]].encode("utf-16-le")
    before, after = line[: 2 * start["character"]], line[2 * end["character"] :]
    lines[start["line"]] = before.decode("utf-16-le") + edit["newText"] + after.decode("utf-16-le")
    return "".join(lines)


def test_code_actions_and_hover(project: Project, client: Client) -> None:
    project.write({"app.py": ""})
    uri = (project.root / "app.py").as_uri()
    client.open(uri, HANDLER)
    (diagnostic,) = client.published(uri, 1)
    where = {
        "textDocument": {"uri": uri},
        "range": diagnostic["range"],
        "context": {"diagnostics": [diagnostic]},
    }
    fix, suppress = client.request("textDocument/codeAction", where)
    assert fix["title"] == "servelint: await the asynchronous method"
    assert fix["isPreferred"] is True
    assert fix["diagnostics"] == [diagnostic]
    assert applied(HANDLER, fix["edit"]["changes"][uri]) == HANDLER.replace("predict", "apredict")
    suppressed = applied(HANDLER, suppress["edit"]["changes"][uri])
    assert suppressed.splitlines()[1] == "    # servelint: ignore[SRV101] reason"
    inside = {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 24}}
    assert client.request("textDocument/hover", inside)["contents"]["value"].startswith("# SRV101 ")
    outside = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 2}}
    assert client.request("textDocument/hover", outside) is None
    client.change(uri, suppressed, 2)
    assert client.published(uri, 2) == []


def test_a_broken_configuration_is_told(project: Project, client: Client) -> None:
    project.write({"app.py": "", "servelint.toml": "selct = []\n"})
    client.open((project.root / "app.py").as_uri(), HANDLER)
    while (message := client.messages.get(timeout=SECONDS)).get("method") != "window/showMessage":
        pass
    assert "unknown key `selct`; did you mean `select`?" in message["params"]["message"]


def test_a_file_that_a_fix_needs_is_made(project: Project) -> None:
    project.write({"app.py": "x = 1\n"})
    app, pool = project.root / "app.py", project.root / "pool.py"
    changes = [Edit(Span(pool, 1, 1, 1, 1), "pool = 1\n"), Edit(Span(app, 1, 1, 1, 2), "y")]
    written = Writer("utf-16").edit(changes, lint.check([], Config(project.root)))
    made, in_pool, in_app = written.document_changes or []
    assert (made.kind, made.uri) == ("create", pool.as_uri())
    assert [(change.text_document.uri, change.edits[0].new_text) for change in (in_pool, in_app)] == [
        (pool.as_uri(), "pool = 1\n"),
        (app.as_uri(), "y"),
    ]
