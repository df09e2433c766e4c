"""Regular expressions that come out of the files themselves, in RE2's syntax as Go's `regexp` has it.

Templates and patches bring patterns along, and Python's own engine takes exponential time for some. This one
follows all ways through a pattern at once (Thompson's construction, with the groups of the preferred way, as
Pike has it), so that time is the length of the pattern times that of the text; that product is bounded, too.
What is not read raises `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_MAX_PROGRAM = 2_000
_MAX_STEPS = 1_000_000
_MAX_NESTING = 50
_REPEAT = re.compile(r"\{([0-9]{1,4})(,([0-9]{1,4})?)?\}")
_GROUP = re.compile(r"\(\?(?:(:)|P?<[A-Za-z_]\w*>|([imsU]+)(:|\)))")
_CLASS = re.compile(r"\[(\^?+)(\]?+(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*+)\]", re.DOTALL)
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r"\t ",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}


class Match(NamedTuple):
    """Where a pattern fits: the whole and its groups; (-1, -1) for a group that took no part."""

    spans: tuple[tuple[int, int], ...]

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.spans[0][0]

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.spans[0][1]


class _Step(NamedTuple):
    """One instruction: `char` takes a character, `split` prefers `to` to `other`, `save` notes a position."""

    kind: str
    to: int = 0
    other: int = 0
    char: re.Pattern[str] | None = None


def search(pattern: str, text: str) -> Match | None:
    """The leftmost place where a pattern fits, None for nowhere; raises `ValueError`."""
    return next(finditer(pattern, text), None)


def finditer(pattern: str, text: str) -> Iterator[Match]:
    """All places, from left to right, that do not overlap; raises `ValueError`."""
    machine = _Machine(_program(pattern), text)
    position = 0
    while position <= len(text):
        found = machine.search(position)
        if found is None:
            return
        yield found
        position = found.end + (found.end == found.start)


class _Machine:
    """A program at work on a text; `steps` are counted over all searches."""

    def __init__(self, program: tuple[_Step, ...], text: str) -> None:
        self.program = program
        self.text = text
        self.steps = 0

    def search(self, start: int) -> Match | None:
        found: tuple[int, ...] | None = None
        threads: list[tuple[int, tuple[int, ...]]] = []
        for position in range(start, len(self.text) + 1):
            seen: set[int] = set()
            following: list[tuple[int, tuple[int, ...]]] = []
            for place, saved in threads:
                self.follow(place, saved, position, seen, following)
            if found is None:
                self.follow(0, (), position, seen, following)
            threads = []
            for place, saved in following:
                step = self.program[place]
                if step.kind == "match":
                    found = saved
                    break
                if position < len(self.text) and step.char and step.char.match(self.text, position):
                    threads.append((place + 1, saved))
            if not threads and found is not None:
                break
        return None if found is None else Match(_spans(found))

    def follow(
        self,
        place: int,
        saved: tuple[int, ...],
        position: int,
        seen: set[int],
        out: list[tuple[int, tuple[int, ...]]],
    ) -> None:
        """Everything that is reached without a character, the preferred first."""
        waiting = [(place, saved)]
        while waiting:
            place, saved = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            self.steps += 1
            if self.steps > _MAX_STEPS:
                raise ValueError("takes too long")
            step = self.program[place]
            if step.kind in ("char", "match"):
                out.append((place, saved))
            elif step.kind == "split":
                waiting += ((step.other, saved), (step.to, saved))
            elif step.kind == "save":
                waiting.append((place + 1, (*saved, step.to, position)))
            elif self.holds(step.kind, position):
                waiting.append((place + 1, saved))

    def holds(self, kind: str, position: int) -> bool:
        before, after = self.text[max(position - 1, 0) : position], self.text[position : position + 1]
        match kind:
            case "start":
                return not before
            case "end":
                return not after
            case "line":
                return before in ("", "\n")
            case "line-end":
                return after in ("", "\n")
            case _:
                inside = [
                    bool(char) and char.isascii() and (char.isalnum() or char == "_")
                    for char in (before, after)
                ]
                return (inside[0] is not inside[1]) is (kind == "boundary")


def _spans(saved: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    places = dict(zip(saved[::2], saved[1::2], strict=True))
    count = max(places) // 2 + 1
    return tuple((places.get(2 * group, -1), places.get(2 * group + 1, -1)) for group in range(count))


@lru_cache(maxsize=256)
def _program(pattern: str) -> tuple[_Step, ...]:
    compiler = _Compiler(pattern)
    body = compiler.alternatives(0)
    if compiler.position < len(pattern):
        raise ValueError("unexpected )")
    return (_Step("save", 0), *_placed(body, 1), _Step("save", 1), _Step("match"))


def _placed(steps: list[_Step], shift: int) -> list[_Step]:
    """Steps whose jumps count from where they stand, moved to `shift`."""
    return [
        step._replace(to=step.to + place, other=step.other + place) if step.kind == "split" else step
        for place, step in enumerate(steps, shift)
    ]


class _Compiler:
    """Recursive descent; the jumps of a split are relative to it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.position = 0
        self.groups = 0
        self.flags = ""

    def peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def take(self) -> str:
        self.position += 1
        return self.pattern[self.position - 1 : self.position]

    def alternatives(self, depth: int) -> list[_Step]:
        if depth > _MAX_NESTING:
            raise ValueError("nested too deeply")
        found = [self.sequence(depth)]
        while self.peek() == "|":
            self.position += 1
            found.append(self.sequence(depth))
        steps = found.pop()
        while found:
            steps = _either(found.pop(), steps)
        return steps

    def sequence(self, depth: int) -> list[_Step]:
        steps: list[_Step] = []
        while self.peek() not in ("", "|", ")"):
            steps += self.repeated(self.atom(depth))
            _bound(steps)
        return steps

    def repeated(self, atom: list[_Step]) -> list[_Step]:
        symbol = self.peek()
        counted = _REPEAT.match(self.pattern, self.position) if symbol == "{" else None
        if symbol not in ("*", "+", "?") and counted is None:
            return atom
        self.position += len(counted[0]) if counted else 1
        lazy = self.peek() == "?"
        self.position += lazy
        lazy = lazy is not ("U" in self.flags)
        if self.peek() in ("*", "+", "?") and self.peek():
            raise ValueError("multiple repeat")
        least, most = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}.get(symbol, (0, 0))
        if counted:
            least = int(counted[1])
            most = least if counted[2] is None else int(counted[3]) if counted[3] else -1
        if max(least, most) * len(atom) > _MAX_PROGRAM or 0 <= most < least:
            raise ValueError("too many repetitions")
        if most < 0:
            return _bound([*atom * least, *_any_number(atom, lazy=lazy)])
        optional: list[_Step] = []
        for _ in range(most - least):
            optional = _bound(_option([*atom, *optional], lazy=lazy))
        return _bound([*atom * least, *optional])

    def atom(self, depth: int) -> list[_Step]:
        symbol = self.peek()
        if symbol == "(":
            return self.group(depth)
        if symbol == "[":
            return self.character_class()
        self.position += 1
        match symbol:
            case "\\":
                return self.escape(self.take())
            case ".":
                return self.char(r"(?s:.)" if "s" in self.flags else ".")
            case "^":
                return [_Step("line" if "m" in self.flags else "start")]
            case "$":
                return [_Step("line-end" if "m" in self.flags else "end")]
            case "*" | "+" | "?":
                raise ValueError("nothing to repeat")
            case _:
                return self.char(re.escape(symbol))

    def group(self, depth: int) -> list[_Step]:
        if not self.pattern.startswith("(?", self.position):
            self.position += 1
            return self.capture(depth)
        found = _GROUP.match(self.pattern, self.position)
        if found is None:
            raise ValueError("a group that RE2 does not have")
        self.position = found.end()
        if not found[1] and not found[2]:
            return self.capture(depth)
        flags = self.flags
        self.flags += found[2] or ""
        if found[3] == ")":
            return []  # for the rest of the group around it
        return self.closed(self.alternatives(depth + 1), flags)

    def capture(self, depth: int) -> list[_Step]:
        self.groups += 1
        number = 2 * self.groups
        body = self.closed(self.alternatives(depth + 1), self.flags)
        return [_Step("save", number), *body, _Step("save", number + 1)]

    def closed(self, body: list[_Step], flags: str) -> list[_Step]:
        if self.take() != ")":
            raise ValueError("missing )")
        self.flags = flags
        return body

    def character_class(self) -> list[_Step]:
        found = _CLASS.match(self.pattern, self.position)
        if found is None:
            raise ValueError("missing ]")
        self.position = found.end()
        members = re.sub(r"\[:(\^?[a-z]+):\]|\\(.)|(.)", _member, found[2], flags=re.DOTALL)
        return self.char(f"[{found[1]}{members}]")

    def escape(self, letter: str) -> list[_Step]:
        if letter in "dDwWsS" and letter:
            return self.char(f"\\{letter}")
        if letter in _CONTROL:
            return self.char(re.escape(_CONTROL[letter]))
        kinds = {"b": "boundary", "B": "inside", "A": "start", "z": "end"}
        if letter in kinds:
            return [_Step(kinds[letter])]
        if not letter or letter.isalnum():
            raise ValueError(f"unknown escape \\{letter}")
        return self.char(re.escape(letter))

    def char(self, form: str) -> list[_Step]:
        flags = re.ASCII | (re.IGNORECASE if "i" in self.flags else 0)
        try:
            return [_Step("char", char=re.compile(form, flags))]
        except re.error as error:
            raise ValueError(str(error)) from None


def _member(found: re.Match[str]) -> str:
    """One member of a character class as Python writes it."""
    if found[1]:
        if found[1] not in _POSIX:
            raise ValueError(f"unknown class {found[1]}")
        return _POSIX[found[1]]
    if found[2]:
        if found[2].isalnum() and found[2] not in "dDwWsSntrfvax":
            raise ValueError(f"unknown escape \\{found[2]}")
        return found[0]
    return f"\\{found[3]}" if found[3] in "[&~|" else found[3]


def _bound(steps: list[_Step]) -> list[_Step]:
    if len(steps) > _MAX_PROGRAM:
        raise ValueError("too long")
    return steps


def _split(preferred: int, other: int, *, lazy: bool = False) -> _Step:
    return _Step("split", other, preferred) if lazy else _Step("split", preferred, other)


def _jump(to: int) -> _Step:
    return _Step("split", to, to)


def _either(one: list[_Step], other: list[_Step]) -> list[_Step]:
    return _bound([_split(1, len(one) + 2), *one, _jump(len(other) + 1), *other])


def _option(body: list[_Step], *, lazy: bool) -> list[_Step]:
    return [_split(1, len(body) + 1, lazy=lazy), *body]


def _any_number(body: list[_Step], *, lazy: bool) -> list[_Step]:
    return [_split(1, len(body) + 2, lazy=lazy), *body, _jump(-len(body) - 1)]
