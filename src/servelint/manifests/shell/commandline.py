"""What a command line starts: which server, how many workers, which application.

Words are located texts, so every answer can be pointed at. A word that cannot be known holds `UNKNOWN`, a
number that depends on the machine's cores starts with `PER_CORE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from servelint.knowledge.servers import Asgi, Server, servers
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located

UNKNOWN = "\ue000"
PER_CORE = "\ue001"
ASSUMED_CORES = 4

_MAX_LAUNCHERS = 30
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_REFERENCE = re.compile(r"[A-Za-z_./][\w./-]*:[A-Za-z_][\w.]*(\(.*\))?$")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")
_SCRIPT = re.compile(r"\.(sh|bash)$")

Words = tuple[Located, ...]


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """A number of workers and the text that says it; `variable` is the environment variable it came by.

    `unless` are variables that would say another number, in the program that has this one for its default.
    `names` are what a program calls it on its way, `shared` that it does something else with it.
    `outdone` is the option of which the server puts a number of its own behind this one.
    """

    number: int
    per_core: bool
    text: Located
    variable: str = ""
    unless: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    shared: bool = False
    outdone: str = ""

    @property
    def shown(self) -> str:
        """The number in words, as a report has it."""
        return "one or more per core" if self.per_core else str(self.number)


@dataclass(frozen=True, slots=True)
class ServerStart:
    """A server's command line, taken apart.

    `configuration` are the files it names; `worker_class` is empty where the command line has none.
    """

    server: Server
    words: Words
    workers: WorkerCount | None
    application: str
    worker_class: str
    configuration: tuple[str, ...]
    application_folder: str = ""
    environment_workers: WorkerCount | None = None

    def runs_loop(self, configured_class: str = "") -> bool:
        """Whether the workers run an event loop; `configured_class` is what a configuration file says."""
        if self.server.asgi is None:
            return True
        return self.server.asgi.runs_loop(self.worker_class or configured_class)


@dataclass(frozen=True, slots=True)
class ShellCode:
    """A piece of shell code given on a command line, with its positional parameters."""

    code: Located
    parameters: Words = ()


@dataclass(frozen=True, slots=True)
class ScriptStart:
    """A script that is run: shell, or Python where `python`."""

    path: Located
    parameters: Words
    python: bool = False


Started = ServerStart | ShellCode | ScriptStart


def started(words: Sequence[Located], environment: Environment, depth: int = 0) -> Started | None:
    """What a command line starts, behind whatever launches it; None if it is nothing of ours."""
    if depth > _MAX_LAUNCHERS:
        return None
    known = servers()
    remaining = tuple(words)
    assigned: dict[str, Located | None] = {}
    position = 0
    for word in remaining:
        if word.text and not _ASSIGNMENT.match(word.text):
            break
        position += 1
        name = word.text.partition("=")[0]
        assigned[name] = word.slice(len(name) + 1, len(word))
    remaining = remaining[position:]
    if not remaining:
        return None
    if assigned:
        environment = Environment({**environment.values, **assigned}, environment.open_ended)
    command = PurePosixPath(remaining[0].text.strip()).name
    for server in known.by_command(command):
        start = _server(server, remaining[1:], environment)
        if start:
            return start
    launcher = known.launchers.get(command)
    if launcher:
        return None if launcher.development else started(_launched(remaining), environment, depth + 1)
    if known.shell.runs(command):
        return _shell(remaining[1:], known.shell.code)
    if known.python.runs(command):
        return _python(remaining[1:], environment, depth)
    if command in ("-m", "-u"):
        # No program is called so: the image begins with an interpreter, and these are its options.
        return _python(remaining, environment, depth)
    return _script(remaining)


def behind(words: Words) -> Words:
    """A command line without the variables it is given and without what launches it."""
    for _ in range(_MAX_LAUNCHERS):
        while words and _ASSIGNMENT.match(words[0].text):
            words = words[1:]
        name = PurePosixPath(words[0].text.strip()).name if words else ""
        launcher = servers().launchers.get(name)
        if launcher is None or launcher.development:
            break
        words = _launched(words)
    return words


def _launched(words: Words) -> Words:
    """The command that a launcher is given."""
    launcher = servers().launchers[PurePosixPath(words[0].text.strip()).name]
    rest = words[1:]
    if launcher.until:
        texts = [word.text for word in rest]
        return rest[texts.index(launcher.until) + 1 :] if launcher.until in texts else ()
    rest = _skip_options(rest, launcher.values)
    if launcher.subcommand:
        if rest and rest[0].text == launcher.subcommand.rstrip("?"):
            rest = _skip_options(rest[1:], launcher.values)
        elif not launcher.subcommand.endswith("?"):
            return ()
    return rest[launcher.operands :]


def _skip_options(words: Words, values: tuple[str, ...]) -> Words:
    position = 0
    while position < len(words) and words[position].text.startswith("-"):
        if words[position].text == "--":
            return words[position + 1 :]
        position += 2 if words[position].text in values else 1
    return words[position:]


def _shell(words: Words, code: str) -> Started | None:
    """`sh -c code`, `sh -ec code`, `sh script`, `busybox sh ...`."""
    position = 0
    while position < len(words):
        text = words[position].text
        position += 1
        if text[:1] in ("-", "+"):
            if not text.startswith("--") and text.endswith(code[-1]):
                return ShellCode(words[position], words[position + 1 :]) if position < len(words) else None
            position += text in ("-o", "+o", "-O")
        elif not servers().shell.runs(text):
            return ScriptStart(words[position - 1], words[position:])
    return None


def _python(words: Words, environment: Environment, depth: int) -> Started | None:
    """`python -m module`, `python script.py`; code given on the command line is not read."""
    interpreter = servers().python
    position = 0
    while position < len(words) and words[position].text.startswith("-"):
        text = words[position].text
        position += 1
        if text.startswith("--") or text == "-":
            continue
        if text.endswith(interpreter.module[-1]) and position < len(words):
            return _module(words[position:], environment, depth)
        if text.endswith(interpreter.code[-1]):
            return None
        position += text in interpreter.values
    if position >= len(words):
        return None
    name = PurePosixPath(words[position].text).name
    if any(servers().by_command(name)):
        return started(words[position:], environment, depth + 1)
    return ScriptStart(words[position], words[position + 1 :], python=True)


def _module(words: Words, environment: Environment, depth: int) -> Started | None:
    for server in servers().by_module(words[0].text):
        start = _server(server, words[1:], environment)
        if start:
            return start
    if words[0].text in servers().launchers:
        return started(words, environment, depth + 1)
    if _MODULE.match(words[0].text):
        return ScriptStart(words[0], words[1:], python=True)
    return None


def _script(words: Words) -> Started | None:
    path = words[0].text.strip()
    if _SCRIPT.search(path) or path.startswith(("/", "./", "../")):
        return ScriptStart(words[0], words[1:])
    # An executable found through PATH may be a script that the image copied there.
    return ScriptStart(words[0], words[1:]) if re.fullmatch(r"[\w.-]+(?::[\w.-]+)?", path) else None


def _server(server: Server, words: Words, environment: Environment) -> ServerStart | None:
    if server.subcommand:
        names = server.subcommand.split()
        texts = [word.text for word in words]
        # Options of the command itself stand before: `litestar --app web:app run`.
        start = texts.index(names[0]) if names[0] in texts and texts[0].startswith("-") else 0
        if texts[start : start + len(names)] != names:
            return None
        words = (*words[:start], *words[start + len(names) :])
    extra = _argument_variable(server, environment)
    every = (*extra, *words)
    handed = _handed_on(server, every)
    if server.handed:
        every = _without(every, server.handed)
    if handed is not None and _workers(server, every, environment) is None:
        return replace(_bare(server, words), workers=handed)
    if any(word.text in server.single_process for word in every) or _serves_otherwise(
        server, every, environment
    ):
        return replace(_bare(server, words), workers=None)
    workers = _workers(server, every, environment)
    return replace(
        _bare(server, words),
        workers=workers,
        worker_class=_worker_class(server.asgi, every) if server.asgi else "",
        configuration=_configuration(server, every, environment),
        environment_workers=from_environment(server, environment),
    )


def _worker_class(asgi: Asgi, words: Words) -> str:
    """The class of workers that the words name, after its option or in one word with it."""
    said = last_option(words, asgi.options).text
    for word in () if said else words:
        for option in asgi.options:
            rest = word.text.removeprefix(option)
            if not option.startswith("--") and rest != word.text and asgi.runs_loop(rest):
                said = rest
    return said


def _bare(server: Server, words: Words) -> ServerStart:
    folder = last_option(words, ("--app-dir", "--chdir", "--working-dir", "--pythonpath")).text
    return ServerStart(server, words, None, _application(server, words), "", (), folder)


def _application(server: Server, words: Words) -> str:
    for word in words:
        if _REFERENCE.match(word.text) and not word.text.startswith("-"):
            return word.text
    operands = [word.text for word in words if not word.text.startswith("-")]
    paths = [text for text in operands if text.endswith(".py")]
    if server.subcommand:
        return paths[0] if paths else ""
    modules = [text for text in operands if "." in text and _MODULE.match(text)]
    return modules[0] if modules else ""


def _argument_variable(server: Server, environment: Environment) -> Words:
    value = environment.get(server.arguments) if server.arguments else None
    return tuple(split(value)) if value else ()


def _serves_otherwise(server: Server, words: Words, environment: Environment) -> bool:
    rule = server.not_asgi
    if rule is None:
        return False
    chosen = last_option(words, rule.options).text
    for name in rule.environment:
        value = environment.get(name)
        chosen = chosen or (value.text if value else "")
    return (chosen or rule.default) in rule.values


def _workers(server: Server, words: Words, environment: Environment) -> WorkerCount | None:
    for word in words:
        if word.text in server.all_cores:
            return WorkerCount(ASSUMED_CORES, True, word)
    value = last_option(words, server.workers.options)
    if value.runs:
        return count(value)
    return None if server.configuration.options else from_environment(server, environment)


def from_environment(server: Server, environment: Environment) -> WorkerCount | None:
    """The number of workers that a variable of the server says."""
    for name in (*server.workers.environment, *server.workers.shared):
        if environment.unset(name):
            continue
        value = environment.get(name)
        found = count(value) if value else None
        return replace(found, variable=name) if found else None
    return None


def _handed_on(server: Server, words: Words) -> WorkerCount | None:
    """The number in the command line that is handed on to another server."""
    handed = tuple(split(last_option(words, server.handed)))
    found = count(last_option(handed, server.workers.options))
    return replace(found, outdone=server.workers.options[0]) if found is not None else None


def _without(words: Words, options: tuple[str, ...]) -> Words:
    """The words but for the values that stand behind these options."""
    values = {position + 1 for position, word in enumerate(words) if word.text in options}
    return tuple(word for position, word in enumerate(words) if position not in values)


def _configuration(server: Server, words: Words, environment: Environment) -> tuple[str, ...]:
    named = last_option(words, server.configuration.options).text
    for name in server.configuration.environment:
        value = environment.get(name)
        named = named or (value.text if value is not None else "")
    for prefix in server.configuration.prefixes:
        named = named.removeprefix(prefix)
    return (named,) if named else ()


def last_option(words: Words, options: tuple[str, ...]) -> Located:
    """The value of the last of these options: `--workers 4`, `--workers=4`, `-w 4`, `-w4`."""
    found = Located("")
    for position, word in enumerate(words):
        text = word.text
        for option in options:
            if text == option and position + 1 < len(words):
                found = words[position + 1]
            elif text.startswith(option + "=") and option.startswith("--"):
                found = word.slice(len(option) + 1, len(text))
            elif not option.startswith("--") and re.fullmatch(rf"{option}=?[\d{PER_CORE}].*", text):
                found = word.slice(len(text) - len(text[len(option) :].lstrip("=")), len(text))
            elif text.startswith(option + " ") and option.startswith("-"):
                # One list item that holds option and value: the server would refuse it, the meaning is plain.
                found = word.slice(len(option) + 1, len(text)).strip()
    return found


def count(text: Located) -> WorkerCount | None:
    """The worker count that a text says, or None where it says no number."""
    digits = text.text.strip().strip("\"'")
    per_core = digits.startswith(PER_CORE)
    digits = digits.removeprefix(PER_CORE)
    if not re.fullmatch(r"\d{1,4}", digits):
        return None
    stripped = text.strip()
    start = stripped.text.find(digits)
    return WorkerCount(int(digits), per_core, stripped.slice(start, start + len(digits)))


def split(text: Located) -> Iterator[Located]:
    """Words of a text by white space and quotes, as `shlex` does, for places where no shell is at work."""
    for found in re.finditer(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*+"|'[^']*+')++""", text.text):
        word = text.slice(*found.span())
        yield _unquoted(word)


def _unquoted(word: Located) -> Located:
    if not re.search(r"""["'\\]""", word.text):
        return word
    parts: list[Located] = []
    for found in re.finditer(r"""\\(.)|"((?:[^"\\]|\\.)*+)"|'([^']*+)'|[^"'\\]++""", word.text):
        group = next((index for index in (1, 2, 3) if found.group(index) is not None), 0)
        parts.append(word.slice(*found.span(group)))
    return Located.join(parts)
