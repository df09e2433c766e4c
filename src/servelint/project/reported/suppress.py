"""Suppressions: comments that say which finding is meant to stay, and why.

    result = model.predict(x)  # servelint: ignore[SRV101] a lookup, takes 20 microseconds
    # servelint: ignore-file[SRV201] runs on one virtual machine

`# noqa: SRV101` is understood in Python, too; a bare `# noqa` was written for another linter and is not.
"""

from __future__ import annotations

import io
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from servelint.finding import Applicability, Confidence, Edit, Finding, Fix, Problem, Severity, Span
from servelint.knowledge.pages import resolve
from servelint.project.listing.files import Tree
from servelint.project.text.source import Source, decode_leniently

UNUSED = "SRV001"
_DIRECTIVE = re.compile(
    r"servelint:\s*(?P<form>[\w-]*)\s*(?P<list>\[(?P<codes>[^\]\n]*)\])?[ \t:,-]*(?P<reason>.*)"
)
_NOQA = re.compile(r"noqa:\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)", re.IGNORECASE)
_LONG = 1_000  # lines: what covers more is a whole file, or nearly one
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*|/\*")


class Suppression(NamedTuple):
    """One directive. `codes` are resolved; `first` to `last` are the lines it covers (all: 1 to the end).

    `comment` is the whole comment, `named` where its list of codes stands, `others` the codes in that list
    that are none of servelint's (`# noqa: E501, SRV101`).
    """

    comment: Span
    named: Span
    codes: tuple[str, ...]
    others: tuple[str, ...]
    reason: str
    first: int
    last: int


class Suppressed(NamedTuple):
    """A finding that is not reported, and the directive that says so."""

    finding: Finding
    suppression: Suppression


class Sorted(NamedTuple):
    """What is left of some findings, what was suppressed, and directives that were not understood."""

    findings: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...]
    malformed: tuple[Problem, ...]


def sort_out(findings: Sequence[Finding], tree: Tree) -> Sorted:
    """Take the suppressed findings out of `findings`.

    A directive counts where the finding stands and at the library call where its trace ends, so that one
    comment at the call speaks for every way to it.
    """
    directives = _Directives(tree)
    kept: list[Finding] = []
    suppressed: list[Suppressed] = []
    for finding in findings:
        places = (finding.span, *(step.span for step in finding.own_trace[-1:]))
        by = next(directives.covering(finding.code, places), None)
        if by is None:
            kept.append(finding)
        else:
            suppressed.append(Suppressed(finding, by))
    return Sorted(tuple(kept), tuple(suppressed), tuple(directives.malformed))


class _Directives:
    """The directives of the files that were asked about."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.known: dict[object, _Lines] = {}
        self.malformed: list[Problem] = []

    def covering(self, code: str, places: Iterable[Span]) -> Iterator[Suppression]:
        """The first directive for each place."""
        for span in places:
            if span.path not in self.known:
                found, malformed = in_file(self.tree, span)
                self.known[span.path] = _Lines(found)
                self.malformed += malformed
            item = self.known[span.path].first(code, span)
            if item is not None:
                yield item


class _Lines:
    """The directives of a file by code and line: the first that covers it counts."""

    def __init__(self, directives: Sequence[Suppression]) -> None:
        self.directives = directives
        # Directives that cover the same lines, as those that stand above one another do, are one.
        ranges: dict[tuple[str, int, int], int] = {}
        for number, item in enumerate(directives):
            for code in item.codes:
                ranges.setdefault((code, item.first, item.last), number)
        self.long = {key: number for key, number in ranges.items() if key[2] - key[1] > _LONG}
        self.lines: dict[tuple[str, int], int] = {}
        for (code, first, last), number in ranges.items():
            for line in range(first, last + 1) if last - first <= _LONG else ():
                self.lines[code, line] = min(number, self.lines.get((code, line), number))

    def first(self, code: str, span: Span) -> Suppression | None:
        lines = (span.line, span.end_line)
        found = [self.lines[code, line] for line in lines if (code, line) in self.lines]
        found += [
            number
            for (of, first, last), number in self.long.items()
            if of == code and any(first <= line <= last for line in lines)
        ]
        return self.directives[min(found)] if found else None


def unused(
    suppressed: Iterable[Suppressed], tree: Tree, judged: Iterable[str]
) -> tuple[tuple[Finding, ...], tuple[Problem, ...]]:
    """Findings about directives that suppress nothing, each with the fix that removes it, and malformed ones.

    Only the codes in `judged`, those of rules that ran, can be unused.
    """
    used: dict[Span, set[str]] = {}
    for item in suppressed:
        used.setdefault(item.suppression.comment, set()).add(item.finding.code)
    findings: list[Finding] = []
    malformed: list[Problem] = []
    judged = frozenset(judged)
    for path in (*tree.python, *tree.manifests):
        if not tree.reports(path):
            continue
        found, wrong = in_file(tree, Span(path, 1, 1, 1, 1))
        malformed += wrong
        source = decode_leniently(path, tree.read(path)) if found else None
        for directive in found:
            busy = used.get(directive.comment, set())
            idle = [code for code in directive.codes if code in judged and code not in busy]
            if idle and source is not None:
                findings.append(_unused(directive, idle, source))
    return tuple(findings), tuple(malformed)


def _unused(item: Suppression, idle: list[str], source: Source) -> Finding:
    kept = [code for code in (*item.others, *item.codes) if code not in idle]
    edit = Edit(item.named, ", ".join(kept)) if kept else Edit(_whole_comment(item.comment, source), "")
    return Finding(
        code=UNUSED,
        span=item.comment,
        message=f"nothing here is suppressed by `{', '.join(idle)}`",
        severity=Severity.WARNING,
        confidence=Confidence.HIGH,
        fix=Fix(Applicability.SAFE, "remove the suppression", (edit,)) if source.faithful else None,
        unfixable=source.unwritable,
        identity=(",".join(idle), source.line(item.comment.line).strip()),
    )


def _whole_comment(comment: Span, source: Source) -> Span:
    """The comment with the blanks before it, or with its line when it stands alone."""
    line = source.line(comment.line)
    before = line[: comment.column - 1]
    if before.strip() or line[comment.end_column - 1 :].strip() or comment.line >= source.line_count:
        return comment._replace(column=len(before.rstrip()) + 1)
    return comment._replace(column=1, end_line=comment.line + 1, end_column=1)


def in_file(tree: Tree, place: Span) -> tuple[tuple[Suppression, ...], tuple[Problem, ...]]:
    """The directives of the file that `place` is in, and those that cannot be understood."""
    try:
        data = tree.read(place.path)
    except OSError:
        return (), ()  # reported as unreadable by who needed it
    if b"servelint:" not in data and b"noqa" not in data:
        return (), ()
    source = decode_leniently(place.path, data)
    python = place.path.suffix == ".py"
    comments = _python_comments(source) if python else None
    if comments is None:
        comments = _line_comments(source)
    found: list[Suppression] = []
    malformed: list[Problem] = []
    for comment in comments:
        if "servelint:" not in comment.text and not (python and "SRV" in comment.text.upper()):
            continue
        try:
            found += _parse(comment, source, python)
        except ValueError as error:
            malformed.append(Problem(place.path, f"suppression: {error}", comment.span.line))
    return tuple(found), tuple(malformed)


class _Comment(NamedTuple):
    """A comment and the lines that a directive in it covers."""

    span: Span
    text: str
    first: int
    last: int


def _parse(comment: _Comment, source: Source, python: bool) -> Iterator[Suppression]:
    if directive := _DIRECTIVE.search(comment.text):
        form, listed = directive["form"], directive["codes"]
        if form not in ("ignore", "ignore-file"):
            raise ValueError(f"`servelint: {form}` is not known; write `servelint: ignore[CODE] reason`")
        if not listed or not listed.strip():
            raise ValueError(f"`servelint: {form}` names no rule; write `servelint: {form}[CODE] reason`")
        codes = tuple(resolve(text.strip()) for text in listed.split(",") if text.strip())
        named = _part(comment, source, *directive.span("codes"))
        reason = directive["reason"].removesuffix("*/").removesuffix("}}").strip(" -")
        first, last = (1, source.line_count) if form == "ignore-file" else (comment.first, comment.last)
        yield Suppression(comment.span, named, codes, (), reason, first, last)
    elif python and (noqa := _NOQA.search(comment.text)):
        listed_codes = [code.upper() for code in re.split(r"[,\s]+", noqa["codes"])]
        ours = tuple(resolve(code) for code in listed_codes if code.startswith("SRV"))
        others = tuple(code for code in listed_codes if not code.startswith("SRV"))
        if ours:
            named = _part(comment, source, *noqa.span("codes"))
            yield Suppression(comment.span, named, ours, others, "", comment.first, comment.last)


def _part(comment: _Comment, source: Source, start: int, end: int) -> Span:
    base = source.offset(comment.span.line, comment.span.column)
    return source.span(base + start, base + end)


def _python_comments(source: Source) -> list[_Comment] | None:
    """The comments of a Python file with the statement each belongs to; None if it cannot be tokenized."""
    import tokenize

    try:
        comments, statements = _tokens(source)
    except (tokenize.TokenError, SyntaxError):
        return None
    alone = {line for line, column, _ in comments if not source.line(line)[: column - 1].strip()}
    return [
        _Comment(
            Span(source.path, line, column, line, column + len(text)),
            text,
            *_statement_lines(line, statements, alone),
        )
        for line, column, text in comments
    ]


def _tokens(source: Source) -> tuple[list[tuple[int, int, str]], list[tuple[int, int]]]:
    """The comments of a Python file (line, column, text) and the first and last lines of its statements.

    Raises `tokenize.TokenError` or `SyntaxError`.
    """
    import tokenize

    comments: list[tuple[int, int, str]] = []
    statements: list[tuple[int, int]] = []
    start = 0
    lines = io.StringIO(source.text, newline=None)  # ends lines as `Source` does
    for token in tokenize.generate_tokens(lines.readline):
        if token.type == tokenize.COMMENT:
            comments.append((token.start[0], token.start[1] + 1, token.string))
        elif token.type == tokenize.NEWLINE:
            statements.append((start, token.start[0]))
            start = 0
        elif not start and token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
            start = token.start[0]
    return comments, statements


def statement_start(source: Source, line: int) -> int:
    """The line above which a comment speaks for `line`: where its statement or continued command begins."""
    import tokenize

    if source.path.suffix == ".py":
        try:
            _, statements = _tokens(source)
        except (tokenize.TokenError, SyntaxError):
            return line
        return next((first for first, last in statements if first <= line <= last), line)
    while line > 1 and source.line(line - 1).rstrip().endswith("\\"):
        line -= 1
    return line


def _statement_lines(line: int, statements: list[tuple[int, int]], alone: set[int]) -> tuple[int, int]:
    """The lines that a comment on `line` speaks for.

    At the beginning or the end of a statement, the statement; inside one, its own line, or the next when
    it stands alone; alone above one, the statement.
    """
    place = bisect_right(statements, (line, sys.maxsize)) - 1  # they follow one another
    around = statements[place] if place >= 0 and line <= statements[place][1] else None
    target = line
    while target in alone:
        target += 1
    if around is not None and line not in alone:
        return around if line in around else (line, line)
    if around is not None:
        return target, target
    place = bisect_left(statements, (target, 0))
    found = statements[place : place + 1]
    return found[0] if found and found[0][0] == target else (line, line)


def _line_comments(source: Source) -> list[_Comment]:
    """The comments of a manifest, a Dockerfile or a script, found line by line."""
    lines = ["", *(source.line(number) for number in range(1, source.line_count + 1))]
    comments: list[_Comment] = []
    blocks = _Blocks(lines)
    for number, text in enumerate(lines):
        if "servelint:" not in text:
            continue
        for start, end in _comments(text):
            span = Span(source.path, number, start + 1, number, end + 1)
            alone = not text[:start].strip(" \t{-")
            covered = blocks.below(number) if alone else (number, number)
            comments.append(_Comment(span, text[start:end], *covered))
    return comments


def _comments(text: str) -> Iterator[tuple[int, int]]:
    """Where comments begin and end in a line: `#` to its end, and `/* */`."""
    position, closes = 0, True
    while found := _COMMENT.search(text, position):
        start, position = found.span()
        if found[0] == "/*":
            close = text.find("*/", position) if closes else -1
            if close < 0:  # and none that comes later is closed either
                closes = False
                continue
            position = close + 2
        yield start, position


class _Blocks:
    """The entries below comments that stand alone, each worked out once."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.known: dict[int, int] = {}
        self.after: dict[int, int] = {}  # the line after a run of comments, for each of them

    def below(self, number: int) -> tuple[int, int]:
        """The lines of an entry: its line, continuations, and what is indented deeper."""
        if number not in self.after:
            first = number + 1
            while first < len(self.lines) and self._is_comment(first):
                first += 1
            self.after.update(dict.fromkeys(range(number, first), first))
        first = self.after[number]
        if first >= len(self.lines):
            return number, number
        if first not in self.known:
            self.known[first] = self._last(first)
        return first, self.known[first]

    def _is_comment(self, number: int) -> bool:
        return self.lines[number].lstrip().startswith(("#", "{{/*", "{{- /*"))

    def _last(self, first: int) -> int:
        lines = self.lines
        depth = _indent(lines[first])
        opens_list = lines[first].rstrip().endswith(":")
        last = first
        while last + 1 < len(lines):
            below = lines[last + 1]
            continues = lines[last].rstrip().endswith("\\")
            item = opens_list and _indent(below) == depth and below.lstrip().startswith("- ")
            if not continues and not item and (not below.strip() or _indent(below) <= depth):
                break
            last += 1
        return last


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
