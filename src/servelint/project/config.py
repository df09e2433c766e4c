"""The configuration: `[tool.servelint]` in `pyproject.toml`, or `servelint.toml`.

The file nearest to the checked path upward is the one that counts; files are not merged. Every option has
a default, so a project without configuration is checked too. What does not fit is a `ConfigError` that
names the file, the line where it can be found, and the nearest key that would have been right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from servelint.finding import Confidence, Severity
from servelint.project import disk
from servelint.project.text.source import split_lines

FILE_NAMES = ("servelint.toml", "pyproject.toml")
_LONGEST_MESSAGE = 1_000  # characters
AUTO, DISPATCHER, PLAIN_DEF = "auto", "dispatcher", "def"
OFFLOAD_FORMS = (AUTO, "run-in-executor", DISPATCHER, "to-thread", "run-in-threadpool", "anyio", PLAIN_DEF)
PROJECT_OFFLOAD = "project:"
MAX_FILE_SIZE = 2 * 1024 * 1024  # bytes: the syntax tree of a larger one takes more than a gigabyte
OUTPUT_FOLDERS = ("build", "dist")
DEFAULT_EXCLUDE = (
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".servelint_cache",
    ".ipynb_checkpoints",
    ".eggs",
    "__pycache__",
    "__pypackages__",
    "site-packages",
    "node_modules",
    *OUTPUT_FOLDERS,
)


_TABLE = re.compile(r"\s*+\[([^\[\]]++)\]\s*+(#.*)?$")
_ASSIGNMENT = re.compile(r"\s*+([\w\"'.*/-]++(?:\s*+\.\s*+[\w\"'*/-]++)*+)\s*+=")


class ConfigError(ValueError):
    """The configuration cannot be used. `path` is empty for the command line; `line` is 0 where unknown."""

    def __init__(self, message: str, path: Path | None = None, line: int = 0) -> None:
        # What is quoted from the file may be as long as the file.
        message = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}..."
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line

    def __str__(self) -> str:
        if self.path is None:
            return self.message
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


class FixConfig(NamedTuple):
    """How `servelint fix` writes the offload.

    `max_workers` sizes a new thread pool (None: worked out from the container, else the default);
    `offload` is one of `OFFLOAD_FORMS` or `project:<dotted name>` for the project's own dispatcher.
    """

    max_workers: int | None = None
    offload: str = "auto"


@dataclass(frozen=True, slots=True)
class Config:
    """Every option, with its default.

    `select`, `ignore` and `extend_select` are rule codes or their prefixes; where several fit a code the
    longest wins. `exclude` and `extend_exclude` are patterns as in `.gitignore`, relative to `root`, and
    so are the keys of `per_file_ignores`. `blocking_calls`, `offloads`, `loop_bound` and `startup` are
    patterns of qualified names that add to the catalogue, `libraries` patterns for files that do.
    `environment` is the folder whose packages are read: relative to `root`, empty for none. `source` is the
    file that was read, if any; `provenance` maps an option, as it is spelled in that file, to where its value
    came from, and has no entry for defaults.
    """

    root: Path
    select: tuple[str, ...] = ("SRV",)
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    extend_exclude: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    severity: Mapping[str, Severity] = field(default_factory=dict)
    fail_on: Severity = Severity.WARNING
    min_confidence: Confidence = Confidence.MEDIUM
    blocking_calls: tuple[str, ...] = ()
    offloads: tuple[str, ...] = ()
    loop_bound: tuple[str, ...] = ()
    startup: tuple[str, ...] = ()
    report_unused: bool = False
    max_file_size: int = MAX_FILE_SIZE
    baseline: str = ".servelint-baseline.json"
    libraries: tuple[str, ...] = ()
    environment: str = ""
    fix: FixConfig = field(default_factory=FixConfig)
    source: Path | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    def selects(self, code: str) -> bool:
        """Whether the rule `code` is switched on; the longest fitting prefix decides, `ignore` wins a tie."""
        chosen = _longest_prefix(code, (*self.select, *self.extend_select))
        return chosen > _longest_prefix(code, self.ignore)

    def severity_of(self, code: str, default: Severity) -> Severity:
        """The severity configured for `code` or its longest configured prefix, else `default`."""
        fitting = [prefix for prefix in self.severity if code.startswith(prefix)]
        return self.severity[max(fitting, key=len)] if fitting else default

    def override(self, origin: str, **values: object) -> Config:
        """A copy with every value that is not None replaced, its provenance being `origin`."""
        given = {name: value for name, value in values.items() if value is not None}
        provenance = dict(self.provenance) | {spelling(name): origin for name in given}
        return replace(self, **given, provenance=provenance)  # type: ignore[arg-type]


def spelling(name: str) -> str:
    """How the field `name` is spelled in a configuration file and on the command line."""
    return name.replace("_", "-")


def _longest_prefix(code: str, prefixes: Iterable[str]) -> int:
    return max((len(prefix) for prefix in prefixes if code.startswith(prefix)), default=0)


def find(start: Path) -> Path | None:
    """The configuration file nearest to the folder `start` upward, or None.

    A `pyproject.toml` counts only with a `[tool.servelint]` table. Raises `ConfigError` for a file that
    cannot be read as TOML.
    """
    for folder in (start, *start.parents):
        for name in FILE_NAMES:
            path = folder / name
            if path.is_file() and _table(path) is not None:
                return path
    return None


def load(path: Path) -> Config:
    """Read one configuration file; raises `ConfigError` for anything in it that is not understood."""
    table = _table(path)
    if table is None:
        raise ConfigError("has no [tool.servelint] table", path)
    return _Reader(path).config(table)


def _content(path: Path) -> bytes:
    try:
        return disk.read(path)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path) from error


def _table(path: Path) -> Mapping[str, Any] | None:
    """The settings in `path`: the whole of `servelint.toml`, one table of `pyproject.toml`."""
    data = _content(path)
    whole = path.name != "pyproject.toml"
    if not whole and b"servelint" not in data:
        return None
    import tomllib

    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8", path) from error
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+)", str(error))
        line = int(place[1]) if place else max(len(data.splitlines()), 1)  # else: at end of document
        message = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError(f"is not valid TOML: {message}", path, line) from error
    except RecursionError as error:
        raise ConfigError("is nested too deeply", path) from error
    except ValueError as error:  # a number with more digits than Python reads, which tomllib lets through
        raise ConfigError(f"is not valid TOML: {error}", path) from error
    if whole:
        return document
    tool = document.get("tool", {})
    table = tool.get("servelint") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError("[tool.servelint] must be a table", path)
    return table


class _Reader:
    """Turns one TOML table into a `Config`, knowing where its keys stand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = split_lines(_content(path).decode("utf-8-sig"))
        self.header = ("tool", "servelint") if path.name == "pyproject.toml" else ()

    def config(self, table: Mapping[str, Any]) -> Config:
        values = self.values(table, _READERS, ())
        fix = self.values(table["fix"], _FIX_READERS, ("fix",)) if "fix" in table else {}
        provenance = {key: self.place(key) for key in table if key != "fix"}
        provenance |= {f"fix.{spelling(name)}": self.place("fix", spelling(name)) for name in fix}
        known = {name: value for name, value in values.items() if name != "fix"}
        return Config(
            root=self.path.parent, **known, fix=FixConfig(**fix), source=self.path, provenance=provenance
        )

    def values(
        self, table: object, readers: Mapping[str, Callable[[Any], object]], prefix: tuple[str, ...]
    ) -> dict[str, Any]:
        if not isinstance(table, dict):
            raise self.error(f"`{'.'.join(prefix)}` must be a table", *prefix)
        values: dict[str, Any] = {}
        for key, value in table.items():
            reader = readers.get(key)
            if reader is None:
                raise self.error(_unknown_key((*prefix, key), readers), *prefix, key)
            try:
                values[key.replace("-", "_")] = reader(value)
            except ValueError as error:
                raise self.error(f"`{'.'.join((*prefix, key))}` {error}", *prefix, key) from error
        return values

    def error(self, message: str, *keys: str) -> ConfigError:
        return ConfigError(message, self.path, self.line(keys))

    def place(self, *keys: str) -> str:
        line = self.line(keys)
        return f"{self.path}:{line}" if line else str(self.path)

    def line(self, keys: tuple[str, ...]) -> int:
        """The line on which a key is set, 0 where it cannot be told from the text alone.

        tomllib keeps no positions, so this reads headers and `key =` at line starts, which is how people
        and formatters write them.
        """
        wanted = ".".join((*self.header, *keys))
        table = ""
        for number, text in enumerate(self.lines, start=1):
            if header := _TABLE.match(text):
                table = _dotted(header[1])
            elif assignment := _ASSIGNMENT.match(text):
                name = ".".join(filter(None, (table, _dotted(assignment[1]))))
                if name == wanted or name.startswith(f"{wanted}."):
                    return number
                continue
            else:
                continue
            if table == wanted or table.startswith(f"{wanted}."):
                return number
        return 0


def _dotted(text: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in text.split("."))


def _unknown_key(keys: tuple[str, ...], readers: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(keys[-1].replace("_", "-"), list(readers), n=1, cutoff=0.5)
    hint = f"; did you mean `{'.'.join((*keys[:-1], near[0]))}`?" if near else ""
    return f"unknown key `{'.'.join(keys)}`{hint}"


class _UnfitError(ValueError):
    """A value that an option does not take; the message continues the option's name."""


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _UnfitError("must be a list of strings")
    return tuple(value)


def _names(value: object) -> tuple[str, ...]:
    """Patterns for qualified names."""
    found = _strings(value)
    if any(character in item for item in found for character in "{}*"):
        from servelint.knowledge.types import unfit

        for item in found:
            if reason := unfit(item):
                raise _UnfitError(f"has a pattern that {reason}: `{item[:60]}`")
    return found


def _globs(value: object) -> tuple[str, ...]:
    from servelint.project.globs import PatternLimitError, compile_patterns

    patterns = _strings(value)
    try:
        compile_patterns(patterns)
    except PatternLimitError as error:
        raise _UnfitError(f"cannot be used: {error}") from error
    return patterns


def codes(value: object) -> tuple[str, ...]:
    """Rule codes or prefixes from a list of strings; raises `ValueError` for one that fits no rule."""
    from servelint.knowledge.pages import check_prefix

    return tuple(check_prefix(item) for item in _strings(value))


def _table_of(value: object, read: Callable[[object], Any]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _UnfitError("must be a table")
    return {str(key): read(item) for key, item in value.items()}


def _per_file_ignores(value: object) -> dict[str, tuple[str, ...]]:
    table = _table_of(value, codes)
    _globs(list(table))
    return table


def _severities(value: object) -> dict[str, Severity]:
    return {codes([key])[0]: item for key, item in _table_of(value, _severity).items()}


def _severity(value: object) -> Severity:
    if not isinstance(value, str) or value not in list(Severity):
        raise _UnfitError(f"must be one of {', '.join(Severity)}")
    return Severity(value)


def _confidence(value: object) -> Confidence:
    if not isinstance(value, str) or value not in list(Confidence):
        raise _UnfitError(f"must be one of {', '.join(Confidence)}")
    return Confidence(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _UnfitError("must be true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise _UnfitError("must be a string that is not empty, without null characters")
    return value


def _positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _UnfitError("must be a whole number of at least 1")
    return value


def _offload_form(value: object) -> str:
    form = _text(value)
    if form in OFFLOAD_FORMS or re.fullmatch(re.escape(PROJECT_OFFLOAD) + r"\w+(\.\w+)*", form):
        return form
    raise _UnfitError(f"must be one of {', '.join(OFFLOAD_FORMS)}, {PROJECT_OFFLOAD}<dotted name>")


_READERS: Mapping[str, Callable[[Any], object]] = {
    "select": codes,
    "ignore": codes,
    "extend-select": codes,
    "exclude": _globs,
    "extend-exclude": _globs,
    "per-file-ignores": _per_file_ignores,
    "severity": _severities,
    "fail-on": _severity,
    "min-confidence": _confidence,
    "blocking-calls": _names,
    "offloads": _names,
    "loop-bound": _names,
    "startup": _names,
    "report-unused": _flag,
    "max-file-size": _positive,
    "baseline": _text,
    "libraries": _strings,
    "environment": _text,
    "fix": lambda value: value,  # read by _FIX_READERS
}
_FIX_READERS: Mapping[str, Callable[[Any], object]] = {
    "max-workers": _positive,
    "offload": _offload_form,
}


def option_names() -> tuple[str, ...]:
    """Every option as it is spelled in a file, those under `fix` with their prefix."""
    nested = tuple(f"fix.{spelling(name)}" for name in FixConfig._fields)
    return tuple(key for key in _READERS if key != "fix") + nested
