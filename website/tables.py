"""Pages that are made of the data in `rules/`, of the schemas and of the command line itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from servelint.cli.commands import group
from servelint.escape import markdown, markdown_code
from servelint.knowledge.pages import codes, page

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "src" / "servelint" / "schemas"
_SLOW = ("inference", "load", "preprocessing", "explanation", "training", "remote", "lazy")


def pages() -> dict[str, str]:
    """The generated pages by their paths."""
    return {
        "reference/rules.md": _rules(),
        "reference/libraries.md": _libraries(),
        "reference/frameworks.md": _frameworks(),
        "reference/servers.md": _servers(),
        "reference/configuration.md": _configuration(),
        "reference/report.md": _report(),
        "reference/commands.md": _commands(),
    }


def _page(title: str, made_of: str, lead: str, *parts: str) -> str:
    note = f"*Made of {made_of}.*"
    return "\n\n".join((f"# {title}", lead, *parts, note)) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def _by_name(folder: str, key: str) -> list[dict[str, Any]]:
    """The files of a folder in the order of what they are about."""
    return sorted(_read(folder), key=lambda item: str(item[key]).lower())


def _read(folder: str) -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "rules" / folder).glob("*.yaml")):
        yield yaml.safe_load(path.read_text("utf-8"))


def source(text: str) -> str:
    """Where a fact comes from: a link, or the wheel or file that was read."""
    return f"<{text}>" if text.startswith("https://") else markdown(text)


def _list(names: Iterable[str]) -> str:
    return ", ".join(markdown_code(name) for name in names)


def _rules() -> str:
    rows = [(f"[{code}](../rules/{code}.md)", page(code).name, markdown(page(code).why)) for code in codes()]
    return _page(
        "All rules",
        "[the pages of the rules](../rules/README.md)",
        "Each page says why, what is found and what is not, what the fix does and when not to follow it.",
        _table(("rule", "name", "what"), rows),
    )


def _roles(library: Mapping[str, Any]) -> Counter[str]:
    """How many calls of a library have which role."""
    entries = list(library.get("functions", {}).values())
    for kind in library.get("types", {}).values():
        entries += [kind.get("construct", "cheap"), *kind.get("methods", {}).values()]
    return Counter(entry.get("role", "") if isinstance(entry, dict) else entry for entry in entries)


def _libraries() -> str:
    rows = []
    for library in _by_name("libraries", "library"):
        roles = _roles(library)
        safe = library["thread-safe"]
        said = f"{safe['verdict']}: {safe['note']}" if safe.get("note") else safe["verdict"]
        rows.append(
            (
                markdown(library["library"]),
                _list(library["modules"]),
                ", ".join(f"{role} {roles[role]}" for role in _SLOW if roles[role]),
                markdown(said),
                markdown(library["gil"]["verdict"]),
                " ".join(
                    dict.fromkeys(
                        source(text) for text in (library["source"], safe.get("source", "")) if text
                    )
                ),
            )
        )
    return _page(
        "Libraries",
        "`rules/libraries/`, [as it is written](../rules/README.md)",
        f"What calls of {len(rows)} libraries do to the thread that makes them: how many entries say that a "
        "call runs inference, loads, explains and so on, whether one object may be used by several threads, "
        "and who releases the GIL ([how that was measured](../docs/pool-sizing.md#by-kind-of-model)).",
        _table(("library", "imported as", "entries by role", "thread-safe", "GIL", "source"), rows),
    )


def _frameworks() -> str:
    rows = [
        (
            markdown(framework["framework"]),
            _list(framework["modules"]),
            "<br>".join(_entry_points(framework.get("entry-points", ()))),
            source(framework["source"]),
        )
        for framework in _by_name("frameworks", "framework")
    ]
    return _page(
        "Frameworks",
        "`rules/frameworks/`, [as it is written](../rules/README.md)",
        "Where a framework runs a plain `def`: on the event loop, where it blocks, or in a thread. A "
        "coroutine always runs on the loop.",
        _table(("framework", "imported as", "a plain `def` runs", "source"), rows),
    )


def _entry_points(points: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    places: dict[str, dict[str, None]] = {}
    for point in points:
        where = (
            f"{point['sync']}, before the first request" if point.get("phase") == "startup" else point["sync"]
        )
        places.setdefault(where, {})[point["role"]] = None
    for where, roles in places.items():
        yield f"{where}: {', '.join(map(markdown, roles))}"


def _servers() -> str:
    rows = [
        (
            markdown(server["server"]),
            _list(server["commands"]),
            _list(server["workers"].get("options", ())),
            _list(server["workers"].get("environment", ())),
            source(server["workers"].get("source", server["source"])),
        )
        for server in _read("servers")
        if "server" in server
    ]
    return _page(
        "Servers",
        "`rules/servers/`, [as it is written](../rules/README.md)",
        "What sets the number of workers of an application server.",
        _table(("server", "started by", "options", "variables", "source"), rows),
    )


def _configuration() -> str:
    return _described(
        "config",
        "Configuration keys",
        "`config.schema.json`, which `servelint config --schema` prints",
        "[Configuration](../docs/configuration.md) says where the file is and how the keys work together.",
    )


def _report() -> str:
    return _described(
        "report",
        "The JSON report",
        "`report.schema.json`, which the package has in `servelint/schemas/`",
        "`--output-format json` is one object; `json-lines` has one of `findings` a line. "
        "[Reports](../docs/ci.md#reports) has all formats.",
    )


def _described(name: str, title: str, made_of: str, lead: str) -> str:
    """The page about the keys that a schema has."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    rows = list(_properties(schema, schema, ""))
    return _page(title, made_of, lead, _table(("key", "type", "default", "meaning"), rows))


def _properties(
    schema: dict[str, Any], whole: dict[str, Any], before: str
) -> Iterator[tuple[str, str, str, str]]:
    """The keys of an object and of the objects in it."""
    for name, written in schema.get("properties", {}).items():
        value = {**_referred(written, whole), **written}
        default = json.dumps(value["default"]) if "default" in value else ""
        words = markdown(value.get("description", ""))
        yield (
            markdown_code(before + name),
            _type(value, whole),
            markdown_code(default) if default else "",
            words,
        )
        items = _referred(value.get("items", {}), whole)
        inside = f"{before}{name}[]." if items.get("properties") else f"{before}{name}."
        yield from _properties(items if items.get("properties") else value, whole, inside)


def _referred(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = whole
    for part in schema.get("$ref", "#").split("/")[1:]:
        found = found[part]
    return found if "$ref" in schema else schema


def _type(value: dict[str, Any], whole: dict[str, Any]) -> str:
    if "enum" in value:
        return _list(map(str, value["enum"]))
    kinds = value.get("type") or [
        _type(_referred(one, whole), whole) for one in value.get("anyOf", value.get("oneOf", ()))
    ]
    words = " or ".join(kinds) if isinstance(kinds, list) else kinds
    return f"{words} of {_type(_referred(value['items'], whole), whole)}" if "items" in value else words


def _commands() -> str:
    whole = click.Context(group, info_name="servelint")
    parts = []
    for name in group.list_commands(whole):
        command = group.get_command(whole, name)
        assert command is not None
        context = click.Context(command, whole, name, terminal_width=100, max_content_width=100)
        parts.append(f"## servelint {name}\n\n```text\n{command.get_help(context)}\n```")
    return _page("Commands", "what `servelint COMMAND --help` says", "What each command takes.", *parts)
