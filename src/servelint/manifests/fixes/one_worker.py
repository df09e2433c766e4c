"""SRV201: start one worker.

The number becomes 1 instead of being deleted: without it a base, a default or `WEB_CONCURRENCY` would win.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from servelint.finding import Applicability, Fix, Span
from servelint.manifests.deployed.subjects import ManyWorkers
from servelint.manifests.documents.text import Place
from servelint.manifests.shell.commandline import WorkerCount
from servelint.serving import Application

_TITLE = "Start one worker"
# What stands before a word of a command in a program: an option that is written out, so many characters away.
_FURTHEST = 200
_BEFORE_WORD = re.compile(r"""["']-[-\w]++["']\s*+,\s*+\Z""")
_COMMENT = re.compile(
    r"(?:^|\s)#.*\b(?:workers?|process(?:es)?|timeouts?|concurren\w+|parallel\w*)\b", re.IGNORECASE
)
# Blocks of Terraform; what the default of a variable and a local say has readers elsewhere.
_BLOCK = re.compile(r"^(?:resource|module|data|output|provider|terraform|(variable|locals))\b", re.MULTILINE)
_UNKNOWN_IMAGE = "what the image does with the number is not known"
_WSGI = (
    "a WSGI worker serves one request a thread: one needs several threads, and a model that they may share"
)
_BLOCKING = "the application still blocks its event loop: one blocked worker serves nobody, four serve three"
_NO_MODEL = "no model is found in the application: several workers may be what such a service wants"


def one_worker(subject: ManyWorkers, repaired: Collection[Span]) -> tuple[Fix | None, str]:
    """The fix, or None and why there is none. `repaired` are the blocking calls that this run repairs.

    One worker is right once nothing blocks its event loop, so the fix waits for those repairs, and is
    unsafe where they leave something.
    """
    if subject.unsaid:
        return None, f"the image chooses the number: set {subject.unsaid} to 1"
    if subject.wsgi:
        return None, _WSGI
    fix, reason = _planned(subject.workers, subject.readers, _left_blocked(subject.application, repaired))
    if fix is not None and subject.assumed:
        return fix._replace(applicability=Applicability.UNSAFE, reason=fix.reason or _UNKNOWN_IMAGE), reason
    if fix is not None and subject.application is not None and not subject.application.runs_model:
        fix = fix._replace(applicability=Applicability.UNSAFE, reason=fix.reason or _NO_MODEL)
    waits = fix is not None and subject.application is not None and subject.application.is_blocked()
    return (fix._replace(waits=fix.applicability is Applicability.SAFE) if fix and waits else fix), reason


def _left_blocked(application: Application | None, repaired: Collection[Span]) -> bool:
    return application is not None and application.is_blocked(repaired)


def _planned(workers: WorkerCount, readers: int, blocking: bool) -> tuple[Fix | None, str]:
    place = workers.text.place
    if workers.outdone:
        return None, f"the server puts its own number behind this one: say {workers.outdone} 1"
    if place.verbatim and place.written == str(workers.number):
        shared = "other templates or containers read the value too" if readers > 1 else ""
        if _is_named(place):
            shared = "a variable may be given another value, and may have other readers"
        if workers.shared:
            shared = "the program reads the number elsewhere, too"
        if _has_other_readers(workers, place):
            shared = "the variable has other readers"
        return _fix(place, _BLOCKING if blocking else shared), ""
    definition = place.definition.place if place.definition is not None else None
    if definition is not None and definition.verbatim and definition.written == str(workers.number):
        reason = "" if _readers(definition) == 1 else "the variable has other readers"
        reason = _BLOCKING if blocking else reason
        return _fix(definition, reason), ""
    if place.written.startswith("{{") or "\n" in place.written:
        return None, "the number is computed by a template: set it where the template reads it"
    if place.written.startswith("$") or place.source.path.suffix == ".py":
        return _fix(place, "the number is computed, perhaps on purpose"), ""
    return None, "the number is computed: set it to 1 where that is done"


def _is_named(place: Place) -> bool:
    """Whether a text is what a variable or a local of Terraform stands for, or a parameter of Bicep."""
    suffix, text = place.source.path.suffix, place.source.text
    if suffix == ".bicep":
        line = text[text.rfind("\n", 0, place.start) + 1 : place.start].split()
        return bool(line) and line[0] in ("param", "var")
    if suffix not in (".tf", ".tofu"):
        return False
    blocks = list(_BLOCK.finditer(place.source.text, 0, place.start))
    return bool(blocks) and blocks[-1][1] is not None


def _fix(place: Place, reason: str) -> Fix:
    applicability = Applicability.UNSAFE if reason else Applicability.SAFE
    line = _line_of_comment(place)
    title = f"{_TITLE}; reword the comment about it in line {line}" if line else _TITLE
    number = '"1"' if _is_word(place) else "1"
    return Fix(applicability, title, (place.edit(number),), reason, replaces=(place.span,))


def _is_word(place: Place) -> bool:
    """Whether a program computes a word of a command there, which has to be a text.

    `["--workers", number]`
    """
    if place.verbatim or place.source.path.suffix != ".py":
        return False
    near = max(place.start - _FURTHEST, 0)
    return _BEFORE_WORD.search(place.source.text, near, place.start) is not None


def _line_of_comment(place: Place) -> int:
    """The line of a comment that speaks of the number: beside it, or above it or its command; 0 if none."""
    source, line = place.source, place.span.line
    for near in (line, line - 1):  # in a list the option has a line of its own
        if near and _COMMENT.search(source.line(near)):
            return near
    for above in range(line - 1, 0, -1):
        text = source.line(above)
        is_comment = text.lstrip().startswith("#")
        if is_comment and _COMMENT.search(text):
            return above
        if not is_comment and not text.rstrip().endswith("\\"):
            break
    return 0


def _has_other_readers(workers: WorkerCount, place: Place) -> bool:
    """Whether a Dockerfile that sets a variable to the number reads it for something else, too."""
    if "ockerfile" not in place.source.path.name and "ontainerfile" not in place.source.path.name:
        return False
    found = re.search(r"([A-Za-z_]\w*)=[\"']?$", place.source.text[: place.start])
    if found is None:
        return False
    reads = re.findall(rf"\$\{{?{found.group(1)}\b", place.source.text)
    return len(reads) > (found.group(1) != workers.variable)


def _readers(definition: Place) -> int:
    """How many times the script reads the variable that is set here."""
    before = definition.source.text[: definition.start]
    found = re.search(r"([A-Za-z_]\w*)=[\"']?(?:\$\{\1:?-)?$", before)
    if found is None:
        return 2
    name = found.group(1)
    reads = re.findall(rf"\$\{{?{name}\b", definition.source.text)
    own = before.endswith("-")  # `X=${X:-4}` reads itself
    return len(reads) - own
