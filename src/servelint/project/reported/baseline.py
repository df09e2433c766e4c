"""The baseline: the findings a project starts with, so that only new ones are reported.

A finding is recognised by its fingerprint, which knows nothing of lines, file names or formatting. Equal
fingerprints are counted: a second copy of an old finding is new.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from servelint.escape import json_text, unicode_text
from servelint.finding import Finding
from servelint.project import disk
from servelint.project.text.source import Source, decode_leniently

VERSION = 1


class BaselineError(ValueError):
    """The baseline file cannot be used; the message names the file."""


class Entry(NamedTuple):
    """One finding of a baseline. `path` is relative to the project's root, with `/`."""

    fingerprint: str
    code: str
    path: str
    message: str


class Comparison(NamedTuple):
    """Findings set against a baseline: `stale` are its entries that no longer match anything."""

    new: tuple[Finding, ...]
    known: tuple[Finding, ...]
    stale: tuple[Entry, ...]


def plain_fingerprints(findings: Iterable[Finding], read: Callable[[Path], bytes]) -> list[str]:
    """Sixteen hexadecimal digits a finding, that name it across moved lines, renamed files and reformatting.

    Findings may have equal ones. `read` gives the content of a file, for those without an identity of their
    own; each file is read once.
    """
    import hashlib

    sources: dict[Path, Source | None] = {}
    found: list[str] = []
    for finding in findings:
        path = finding.span.path
        if not finding.identity and path not in sources:
            sources[path] = _source(path, read)
        parts = (finding.code, *(finding.identity or _identity(finding, sources[path])))
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        found.append(hashlib.sha256(text).hexdigest()[:16])
    return found


def _source(path: Path, read: Callable[[Path], bytes]) -> Source | None:
    try:
        return decode_leniently(path, read(path))
    except OSError:
        return None


def _identity(finding: Finding, source: Source | None) -> tuple[str, ...]:
    if source is None:
        return (finding.function, finding.library, finding.message)
    text = source.slice(finding.span) or source.line(finding.span.line)
    return (finding.function, finding.library, re.sub(r"\s+|,(?=\s*[)\]}])", "", text))


def fingerprints(findings: Iterable[Finding], read: Callable[[Path], bytes]) -> tuple[str, ...]:
    """A fingerprint for each finding, in order; the second of several equal ones ends in `-2`, and so on."""
    seen: Counter[str] = Counter()
    unique: list[str] = []
    for plain in plain_fingerprints(findings, read):
        seen[plain] += 1
        unique.append(plain if seen[plain] == 1 else f"{plain}-{seen[plain]}")
    return tuple(unique)


def entries(findings: Iterable[Finding], root: Path, read: Callable[[Path], bytes]) -> tuple[Entry, ...]:
    """What a baseline keeps of `findings`, sorted."""
    kept = list(findings)
    made = (
        Entry(mark, item.code, _relative(item.span.path, root), item.message)
        for item, mark in zip(kept, plain_fingerprints(kept, read), strict=True)
    )
    return tuple(sorted(made, key=lambda entry: (entry.path, entry.code, entry.fingerprint, entry.message)))


def _relative(path: Path, root: Path) -> str:
    # As it comes back from the file, which holds no name that is not text.
    return unicode_text(Path(os.path.relpath(path, root)).as_posix())


def compare(
    findings: Sequence[Finding], known: Sequence[Entry], root: Path, read: Callable[[Path], bytes]
) -> Comparison:
    """Split `findings` in new and known ones.

    An entry is used up by one finding, of the same file if there is one, so that of several copies the
    added one is called new.
    """
    waiting: dict[str, list[Entry]] = defaultdict(list)
    for entry in known:
        waiting[entry.fingerprint].append(entry)
    prints = plain_fingerprints(findings, read)
    matched: set[int] = set()
    for same_file in (True, False):
        for index, finding in enumerate(findings):
            candidates = waiting.get(prints[index], [])
            path = _relative(finding.span.path, root)
            chosen = next((entry for entry in candidates if entry.path == path or not same_file), None)
            if chosen is not None and index not in matched:
                candidates.remove(chosen)
                matched.add(index)
    stale = [entry for left in waiting.values() for entry in left]
    return Comparison(
        new=tuple(finding for index, finding in enumerate(findings) if index not in matched),
        known=tuple(finding for index, finding in enumerate(findings) if index in matched),
        stale=tuple(sorted(stale, key=lambda entry: (entry.path, entry.code, entry.fingerprint))),
    )


def load(path: Path) -> tuple[Entry, ...]:
    """Read a baseline file; raises `BaselineError` if it is damaged or from a newer servelint."""
    import json

    try:
        return _parse(json.loads(disk.read(path, disk.LARGE)))
    except OSError as error:
        raise BaselineError(f"{path}: cannot be read: {error.strerror}") from error
    except _VersionError as error:
        advice = "upgrade servelint, or write the baseline anew with `servelint baseline`"
        raise BaselineError(f"{path}: {error}; {advice}") from error
    except (RecursionError, MemoryError) as error:
        raise BaselineError(
            f"{path}: is no baseline: it is nested too deeply or too large to be read"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        advice = "restore it, or write it anew with `servelint baseline`"
        raise BaselineError(f"{path}: is damaged ({type(error).__name__}: {error}); {advice}") from error


class _VersionError(ValueError):
    """The baseline has a form that this servelint does not know."""


def _parse(document: Any) -> tuple[Entry, ...]:
    if document["version"] != VERSION:
        raise _VersionError(f"has version {document['version']!r}, this servelint reads version {VERSION}")
    fields = ("fingerprint", "code", "path", "message")
    return tuple(Entry(*(_string(item[name]) for name in fields)) for item in document["findings"])


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def dump(known: Iterable[Entry]) -> str:
    """The text of a baseline file: one finding a line, so that a merge conflict is easy to read."""
    lines = [
        json_text(
            {"fingerprint": item.fingerprint, "code": item.code, "path": item.path, "message": item.message}
        )
        for item in known
    ]
    body = ",\n  ".join(lines)
    return (
        f'{{"version": {VERSION},\n "findings": [\n  {body}\n]}}\n'
        if lines
        else f'{{"version": {VERSION}, "findings": []}}\n'
    )
