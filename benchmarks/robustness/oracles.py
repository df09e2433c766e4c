"""What must hold for any project: looked at from outside, through the command line and its JSON."""

from __future__ import annotations

import ast
import codecs
import difflib
import hashlib
import io
import json
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from servelint import cli
from servelint.escape import unicode_text

from .projects import Project, read

_DEFECT = "a defect of servelint"
_FRAME = re.compile(r'File "[^"]*/servelint/([^"]+)", line (\d+), in (\S+)')
_RAISED = re.compile(r"^(\w[\w.]*(?:Error|Exception|Interrupt|Warning|StopIteration|Exit))\b", re.MULTILINE)
_LINE_END = re.compile(r"\r\n|\n|\r")
_COMPARED = ("check", "--no-cache", "--output-format", "json")


class Failure(TypedDict):
    """What did not hold, and where in servelint (or for which rule); details are for a person."""

    kind: str
    place: str
    detail: str


class Verdict(TypedDict):
    """`named` are the files with findings or problems; `digest` is of all that was printed and written."""

    failures: list[Failure]
    findings: int
    fixed: int
    named: list[str]
    digest: str


def unsettled(failures: list[Failure]) -> Verdict:
    """The verdict over a project of which nothing else is known."""
    return {"failures": failures, "findings": 0, "fixed": 0, "named": [], "digest": ""}


class Ran(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str


def judge(folder: Path, *, unsafe: bool = False, configured: bool = False, fixes: bool = True) -> Verdict:
    """Check the project in a folder, twice, and fix it, twice; the folder is changed."""
    os.chdir(folder)
    before = read(folder)
    isolated = () if configured else ("--isolated",)
    first = run(*_COMPARED, *isolated, ".")
    verdict = unsettled(list(_ended(first, configured)))
    verdict["digest"] = _digest(first.out, {})
    report = _report(first, verdict["failures"])
    if report is None:
        return verdict
    verdict["findings"] = len(report["findings"])
    verdict["named"] = sorted({place["path"] for place in (*report["findings"], *report["errors"])})
    failures = verdict["failures"]
    failures += _told_defects(report, isolated)
    failures += _outside(report, before)
    again = run(*_COMPARED, *isolated, ".")
    if _timeless(again.out) != _timeless(first.out):
        failures.append(_failure("unstable", "check", _difference(first.out, again.out)))
    if fixes and any(_applies(finding, unsafe) for finding in report["findings"]):
        wanted = (*isolated, "--unsafe-fixes") if unsafe else isolated
        failures += _fixed(folder, before, report, wanted, verdict)
    return verdict


def run(*arguments: str) -> Ran:
    """Run a command of servelint in this process."""
    written, errors = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(written, "utf-8", "backslashreplace", newline="")
    stdout, sys.stdout = sys.stdout, out
    try:
        with redirect_stderr(errors):
            status = cli.run(arguments)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        errors.write(traceback.format_exc())
        status = -1
    finally:
        sys.stdout = stdout
    out.flush()
    return Ran(status, written.getvalue().decode("utf-8", "replace"), errors.getvalue())


def _failure(kind: str, place: str, detail: str) -> Failure:
    return {"kind": kind, "place": place, "detail": detail[:2000]}


# -- how a command ends ----------------------------------------------------------------------------


def _ended(ran: Ran, configured: bool) -> Iterator[Failure]:
    """What a command must not end with."""
    if ran.status == -1 or "crashed:" in ran.err:
        yield _failure("crash", _place(ran.err), ran.err)
    elif ran.status not in (0, 1) and not (configured and ran.status == 2):
        yield _failure("failed", ran.err.strip()[-80:], f"exit status {ran.status}: {ran.err}")
    strange = [
        line for line in ran.err.splitlines() if line and not line.startswith(("servelint: ", "Error: "))
    ]
    if strange and ran.status in (0, 1):
        yield _failure("stderr", re.sub(r"\d+", "N", strange[0])[:80], ran.err)


def _report(ran: Ran, failures: list[Failure]) -> dict[str, Any] | None:
    if ran.status not in (0, 1):
        return None
    try:
        report: dict[str, Any] = json.loads(ran.out)
    except ValueError as error:
        failures.append(_failure("json", str(error)[:60], ran.out))
        return None
    return report


def _told_defects(report: Mapping[str, Any], isolated: tuple[str, ...]) -> Iterator[Failure]:
    """Problems and refused fixes that ask for a report; where they come from, a run in detail says."""
    told = [error["message"] for error in report["errors"] if _DEFECT in error["message"]]
    if told:
        yield _failure("defect", _place(_in_detail(isolated), told[0]), "\n".join(told))


def _in_detail(isolated: tuple[str, ...]) -> str:
    os.environ["SERVELINT_DEBUG"] = "1"
    try:
        return run(*_COMPARED, *isolated, ".").err
    finally:
        del os.environ["SERVELINT_DEBUG"]


def _place(text: str, otherwise: str = "") -> str:
    """The exception and the last frame of servelint in a traceback, else what the message says."""
    frames = _FRAME.findall(text)
    raised = _RAISED.findall(text)
    if frames:
        return f"{raised[-1] if raised else '?'} {frames[-1][0]}:{frames[-1][1]} {frames[-1][2]}"
    crashed = re.search(r"crashed: (.*)", text)
    return (crashed[1] if crashed else otherwise or text.strip()[-100:])[:120]


# -- positions -------------------------------------------------------------------------------------


def _outside(report: Mapping[str, Any], before: Project) -> Iterator[Failure]:
    """Positions that are in no file, or end before they begin."""
    lines = {name: _lines(content) for name, content in before.items()}
    for finding in report["findings"]:
        edits = finding["fix"]["edits"] if finding["fix"] else []
        for what, place in (
            ("finding", finding),
            *(("step", step) for step in finding["trace"]),
            *(("edit", edit) for edit in edits),
        ):
            known = lines.get(place["path"])
            if known is None or _inside(place, known):
                continue
            shown = {key: place.get(key) for key in ("path", "line", "column", "end_line", "end_column")}
            yield _failure("position", f"{finding['code']} {what}", f"{shown} {finding['message']}")
    for error in report["errors"]:
        known = lines.get(error["path"])
        if known is not None and not 0 <= error["line"] <= len(known):
            yield _failure("position", "SRV000", str(error))


def _lines(content: bytes) -> list[str] | None:
    """The lines of a file; None where nobody knows which encoding it is in."""
    if b"coding" in content[:400] or content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return None
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        text = content.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    return _LINE_END.split(text)


def _inside(place: Mapping[str, Any], lines: list[str]) -> bool:
    start = (place["line"], place["column"])
    end = (place.get("end_line", start[0]), place.get("end_column", start[1]))
    return start <= end and all(
        1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1 for line, column in (start, end)
    )


# -- fixes -----------------------------------------------------------------------------------------


def _applies(finding: Mapping[str, Any], unsafe: bool) -> bool:
    fix = finding["fix"]
    return fix is not None and (unsafe or fix["applicability"] == "safe")


def _fixed(
    folder: Path, before: Project, report: Mapping[str, Any], wanted: tuple[str, ...], verdict: Verdict
) -> Iterator[Failure]:
    ran = run("fix", "--no-cache", *wanted, ".")
    yield from _ended(ran, configured=False)
    after = read(folder)
    changed = {name for name in after if after[name] != before.get(name)}
    verdict["fixed"] = len(changed)
    verdict["digest"] = _digest(verdict["digest"], after)
    # What another repair makes a finding of, as an offload by a module that it imports, is in no report; nor
    # is the library's own coroutine, which unsafe fixes write where the report shows a thread.
    unsafe = "--unsafe-fixes" in wanted
    grown = _repaired(ran.out) > sum(_applies(finding, unsafe) for finding in report["findings"])
    other = unsafe and any(f["code"] == "SRV110" and _applies(f, unsafe=False) for f in report["findings"])
    for name in before.keys() - after.keys():
        yield _failure("lost file", "fix", name)
    for name in sorted(changed):
        fault = _parse_fault(name, after[name])
        if fault and (name not in before or not _parse_fault(name, before[name])):
            yield _failure("unparsable", f"fix of {_kind(name)}", f"{name}: {fault}")
        if name in before and not grown and not other:
            yield from _elsewhere(name, before[name], after[name], report)
    again = run("fix", "--no-cache", *wanted, ".")
    yield from _ended(again, configured=False)
    for name, content in read(folder).items():
        if content != after.get(name):
            where = ",".join(sorted({finding["code"] for finding in report["findings"] if finding["fix"]}))
            shown = _difference(_shown(after.get(name, b"")), _shown(content))
            yield _failure("second fix", where, f"{name}: {shown}")


def _repaired(out: str) -> int:
    """How many findings `fix` says that it has repaired."""
    found = re.search(r"^Repaired (\d+) findings? in ", out, re.MULTILINE)
    return int(found[1]) if found else 0


def _kind(name: str) -> str:
    return Path(name).suffix or "a file without a suffix"


def _parse_fault(name: str, content: bytes) -> str:
    """Why a parser that is not servelint's refuses the file; empty where it takes it or there is none."""
    if name.endswith(".py"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return repr(error)
    elif name.endswith((".yaml", ".yml")):
        import yaml

        try:
            # The one in Python takes quadratic time for what is nested: minutes for 36 kB of brackets.
            for _ in yaml.parse(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                pass
        except (yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
            return repr(error)
    return ""


# What a fix puts around a load that requests share.
_LOCKING = re.compile(rb"[ \t]*with \w+_lock:\s*$")


def _elsewhere(name: str, before: bytes, after: bytes, report: Mapping[str, Any]) -> Iterator[Failure]:
    """Lines that changed although no edit is on them; the report writes out what is not UTF-8 in a name."""
    told = unicode_text(name)
    edited = {
        number
        for finding in report["findings"]
        for edit in (finding["fix"]["edits"] if finding["fix"] else ())
        if edit["path"] == told
        for number in range(edit["line"], edit["end_line"] + 1)
    }
    old, new = _split(before), _split(after)
    left = {line.rstrip(b"\r\n") for line in new} | set(new)
    # A lock that a later round adds: the reason that was told against the fix has gone with another one.
    locked = {line.strip() for line in new} if set(filter(_LOCKING.match, new)) - set(old) else set()
    for number, whole in enumerate(old, 1):
        # A line feed that is put in behind a carriage return makes one line end of both.
        line = whole.rstrip(b"\r\n") if number + 1 in edited else whole
        if number not in edited and line not in left and line.strip() not in locked:
            yield _failure("elsewhere", f"fix of {_kind(name)}", f"{name}:{number}: {line!r}")
            return


def _split(content: bytes) -> list[bytes]:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", "replace").encode("utf-8", "surrogatepass")
    return re.findall(rb"(?s).*?(?:\r\n|\n|\r)|.+$", content)


# -- comparing -------------------------------------------------------------------------------------


def _timeless(text: str) -> str:
    return re.sub(r'"seconds": [\d.e-]+', "", text)


def _digest(text: str, files: Project) -> str:
    found = hashlib.sha256(_timeless(text).encode("utf-8", "surrogatepass"))
    for name, content in sorted(files.items()):
        found.update(os.fsencode(name) + b"\0" + content + b"\0")
    return found.hexdigest()


def _shown(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def _difference(one: str, other: str) -> str:
    lines = difflib.unified_diff(_timeless(one).splitlines(), _timeless(other).splitlines(), lineterm="", n=0)
    return "\n".join(list(lines)[2:12])
