"""The language server: findings while typing, fixes and suppressions as code actions, rule pages on hover.

The project is checked as `servelint check` does it, with what is in the editor's buffers in place of what is
on disk; the rest comes from the cache. Checks run on a thread of their own, one at a time, and only after
the typing has paused.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

from servelint import annotate
from servelint.escape import visible
from servelint.finding import Applicability, Edit, Finding, Severity, Span
from servelint.knowledge.pages import about, advice_for, name_of
from servelint.lint import Report
from servelint.messages import Inbox, Outbox, file_of
from servelint.project.cache import Cache
from servelint.project.config import ConfigError
from servelint.project.listing import files
from servelint.project.reported.baseline import BaselineError
from servelint.project.reported.selection import UNREADABLE
from servelint.project.reported.suppress import UNUSED, statement_start
from servelint.project.text.source import Source, SourceError, decode, decode_leniently, encode_buffer
from servelint.run import prepare
from servelint.version import __version__

PAUSE_SECONDS = 0.25
REASON = "reason"
_LONGEST_LINE = 500
_SEVERITIES = {
    Severity.ERROR: lsp.DiagnosticSeverity.Error,
    Severity.WARNING: lsp.DiagnosticSeverity.Warning,
    Severity.INFO: lsp.DiagnosticSeverity.Information,
}


_log = logging.getLogger(__name__)


class Document(NamedTuple):
    """An open file as the editor names and numbers it."""

    uri: str
    text: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known about one open file: its report, and the version of the buffer that was checked."""

    report: Report
    findings: tuple[Finding, ...]
    version: int | None


@dataclass(slots=True)
class Session:
    """The state of one connection."""

    server: LanguageServer
    worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="servelint")
    )
    caches: dict[Path, Cache] = field(default_factory=dict)
    checked: dict[Path, Checked] = field(default_factory=dict)
    asked: int = 0

    def documents(self) -> dict[Path, Document]:
        """Every open document that is a file."""
        return {
            path: Document(document.uri, document.source, document.version)
            for document in self.server.workspace.text_documents.values()
            if (path := file_of(document.uri)) is not None
        }

    async def check_soon(self) -> None:
        """Check once the typing has paused; a later request replaces an earlier one."""
        self.asked += 1
        request = self.asked
        await asyncio.sleep(PAUSE_SECONDS)
        if request == self.asked:
            await self.check()

    async def check(self) -> None:
        """Check every project that has an open file, and publish what was found in those files."""
        documents = self.documents()
        overlay = {path: encode_buffer(path, document.text) for path, document in documents.items()}
        loop = asyncio.get_running_loop()
        reports, failures = await loop.run_in_executor(self.worker, reports_of, overlay, self.caches)
        for failure in failures:
            told = f"servelint: {visible(failure)}"
            self.server.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Error, told))
        self.checked = {
            path: Checked(
                report,
                tuple(finding for finding in report.findings if finding.span.path == path),
                documents[path].version,
            )
            for path, report in reports.items()
        }
        for path, state in self.checked.items():
            self.publish(documents[path].uri, state)

    def publish(self, uri: str, state: Checked) -> None:
        """Send the diagnostics of one file."""
        writer = Writer(self.encoding)
        try:
            diagnostics = [writer.diagnostic(finding, state.report) for finding in state.findings]
        except OSError as error:  # a file of a trace has gone in the meantime
            _log.warning("no diagnostics for %s: %s", uri, error)
            return
        self.server.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(uri, diagnostics, state.version)
        )

    def forget(self, uri: str) -> None:
        """Take back the diagnostics of a document that was closed."""
        path = file_of(uri)
        if path is not None:
            self.checked.pop(path, None)
        self.server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))

    @property
    def encoding(self) -> str:
        """How the client counts characters."""
        encoding = self.server.workspace.position_encoding
        return encoding.value if isinstance(encoding, lsp.PositionEncodingKind) else encoding or "utf-16"

    def findings_at(self, uri: str, lines: lsp.Range) -> Iterator[tuple[Finding, Checked]]:
        """The findings that touch a range of lines of an unchanged buffer."""
        path = file_of(uri)
        state = self.checked.get(path) if path is not None else None
        if state is None or self.server.workspace.get_text_document(uri).version != state.version:
            return
        for finding in state.findings:
            if finding.span.line <= lines.end.line + 1 and lines.start.line + 1 <= finding.span.end_line:
                yield finding, state


def reports_of(
    overlay: dict[Path, bytes], caches: dict[Path, Cache]
) -> tuple[dict[Path, Report], tuple[str, ...]]:
    """A report for each open file, one check a project, and what kept projects from being checked.

    `caches` holds what the checks before have worked out, by project; it is added to.
    """
    projects: dict[Path, list[Path]] = defaultdict(list)
    reports: dict[Path, Report] = {}
    failures: dict[str, None] = {}
    for path in overlay:
        try:
            projects[files.project_root(path.parent)[0]].append(path)
        except (ConfigError, OSError) as error:
            failures[str(error)] = None
    for root, paths in projects.items():
        try:
            reports |= dict.fromkeys(paths, _check(paths, overlay, caches))
        except (ConfigError, BaselineError) as error:
            failures[str(error)] = None
        except Exception as error:
            # The other projects of the editor must not be left without diagnostics.
            _log.exception("the check of %s crashed", root)
            failures[f"the check of {root} crashed: {type(error).__name__}: {error}"] = None
    return reports, tuple(failures)


def _check(paths: Sequence[Path], overlay: dict[Path, bytes], caches: dict[Path, Cache]) -> Report:
    run = prepare(paths, overlay=overlay).with_baseline()
    cache = caches.setdefault(run.config.root, Cache(run.config.root))
    cache.facts.forget_unused()
    cache.scans.forget_unused()
    return run._replace(cache=cache).check()


@dataclass(frozen=True, slots=True)
class Writer:
    """Turns findings into what the protocol has; `encoding` is how the client counts characters."""

    encoding: str

    def diagnostic(self, finding: Finding, report: Report) -> lsp.Diagnostic:
        """The diagnostic of a finding, its trace as related information."""
        url = about(finding.code).url
        related = [
            lsp.DiagnosticRelatedInformation(
                lsp.Location(_uri(step.span.path), self.range(step.span, report)), visible(step.message)
            )
            for step in finding.own_trace
            if step.span != finding.span
        ]
        message, advice = visible(finding.message), visible(advice_for(finding))
        return lsp.Diagnostic(
            range=self.range(finding.span, report),
            message=f"{message}\n{advice}" if advice else message,
            severity=_SEVERITIES[finding.severity],
            code=finding.code,
            code_description=lsp.CodeDescription(url) if url else None,
            source="servelint",
            related_information=related or None,
        )

    def range(self, span: Span, report: Report) -> lsp.Range:
        """The range of a span, in the client's units."""
        source = decode_leniently(span.path, report.tree.read(span.path))
        return lsp.Range(
            self._position(source, span.line, span.column),
            self._position(source, span.end_line, span.end_column),
        )

    def edit(self, edits: Sequence[Edit], report: Report) -> lsp.WorkspaceEdit:
        """Edits, grouped by file; files that do not exist yet are made first."""
        changes: dict[Path, list[lsp.TextEdit]] = defaultdict(list)
        made: list[lsp.CreateFile] = []
        for edit in edits:
            try:
                place = self.range(edit.span, report)
            except FileNotFoundError:
                made.append(lsp.CreateFile(_uri(edit.span.path)))
                place = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0))
            changes[edit.span.path].append(lsp.TextEdit(place, edit.content))
        if not made:
            return lsp.WorkspaceEdit(changes={_uri(path): found for path, found in changes.items()})
        documents = [
            lsp.TextDocumentEdit(lsp.OptionalVersionedTextDocumentIdentifier(_uri(path)), list(found))
            for path, found in changes.items()
        ]
        return lsp.WorkspaceEdit(document_changes=[*made, *documents])

    def _position(self, source: Source, line: int, column: int) -> lsp.Position:
        before = source.line(line)[: column - 1]
        match self.encoding:
            case "utf-8":
                units = len(before.encode())
            case "utf-32":
                units = len(before)
            case _:
                units = len(before.encode("utf-16-le", "surrogatepass")) // 2
        return lsp.Position(line - 1, units)


def actions(
    finding: Finding, state: Checked, writer: Writer, diagnostics: list[lsp.Diagnostic]
) -> Iterator[lsp.CodeAction]:
    """What can be done about a finding: its fix, and a suppression."""
    same_rule = [item for item in diagnostics if item.code == finding.code]
    if finding.fix is not None:
        safe = finding.fix.applicability is Applicability.SAFE
        caveat = "" if safe else f" (unsafe: {finding.fix.reason or 'may change behaviour'})"
        yield lsp.CodeAction(
            title=visible(f"servelint: {finding.fix.title}{caveat}"),
            kind=lsp.CodeActionKind.QuickFix,
            diagnostics=same_rule,
            is_preferred=safe,
            edit=writer.edit(finding.fix.edits, state.report),
        )
    if finding.code in (UNREADABLE, UNUSED):
        return
    try:
        source = decode(finding.span.path, state.report.tree.read(finding.span.path))
    except SourceError:
        return
    line = statement_start(source, finding.span.line)
    yield lsp.CodeAction(
        title=f"servelint: suppress {finding.code} {name_of(finding.code)} here",
        kind=lsp.CodeActionKind.QuickFix,
        diagnostics=same_rule,
        edit=writer.edit([annotate.comment(source, line, [finding.code], REASON)], state.report),
    )


def _uri(path: Path) -> str:
    return path.as_uri()


class _Protocol(LanguageServerProtocol):
    """Answers a request whose parameters cannot be read, where pygls lets the client wait for ever."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        """The message as an object; raises `JsonRpcException`."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if isinstance(data.get("id"), int | str) and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise


def create() -> LanguageServer:
    """The server, ready to be started."""
    server = LanguageServer("servelint", __version__, protocol_cls=_Protocol)
    session = Session(server)

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    async def opened(_: lsp.DidOpenTextDocumentParams) -> None:
        await session.check_soon()

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(_: lsp.DidChangeTextDocumentParams) -> None:
        await session.check_soon()

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    async def saved(_: lsp.DidSaveTextDocumentParams) -> None:
        await session.check_soon()

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(parameters: lsp.DidCloseTextDocumentParams) -> None:
        session.forget(parameters.text_document.uri)

    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix])
    )
    def act(parameters: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        writer = Writer(session.encoding)
        return [
            action
            for finding, state in session.findings_at(parameters.text_document.uri, parameters.range)
            for action in actions(finding, state, writer, list(parameters.context.diagnostics))
        ]

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def explain(parameters: lsp.HoverParams) -> lsp.Hover | None:
        here = lsp.Range(parameters.position, parameters.position)
        writer = Writer(session.encoding)
        for finding, state in session.findings_at(parameters.text_document.uri, here):
            extent = writer.range(finding.span, state.report)
            if extent.start <= parameters.position <= extent.end:
                text = lsp.MarkupContent(lsp.MarkupKind.Markdown, about(finding.code).text)
                return lsp.Hover(text, extent)
        return None

    return server


class _Lines(logging.Formatter):
    """A line for each thing that went wrong, whatever a client had a part in it."""

    def format(self, record: logging.LogRecord) -> str:
        """The first line of the message, and what was raised."""
        error = record.exc_info[1] if record.exc_info else None
        reason = f": {type(error).__name__}: {error}" if error is not None else ""
        first = f"{record.getMessage()}{reason}".partition("\n")[0]
        return f"servelint: {visible(first[:_LONGEST_LINE])}"


def serve() -> None:
    """Answer on standard input and output until the client leaves or the process is interrupted."""
    # At once: pygls would wait for a thread that waits for the next message.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not os.environ.get("SERVELINT_DEBUG"):
        handler = logging.StreamHandler()
        handler.setFormatter(_Lines())
        logging.basicConfig(handlers=[handler])
    inbox, outbox = Inbox(sys.stdin.buffer, _log.warning), Outbox(sys.stdout.buffer)
    create().start_io(inbox, outbox)  # type: ignore[arg-type] # it asks for no more than their methods
