"""Every page of the site: those of the repository at their paths, and those made of data and code.

What a page links to comes along: another page, the README of a folder, a picture or a data file. So a page of
the manual has the same links on a code host and on the site.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from website import tables

ROOT = Path(__file__).parents[1]
HOME = "README.md"
_LINK = re.compile(r"(\]\()([^)\s#]*)(#[^)\s]*)?(?=\))")
# A line that begins with one would end the paragraph; comments are for those who write the page.
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


def navigation() -> list[Any]:
    """The menu, its generated parts filled in."""
    return list(_filled(settings()["nav"]))


def settings() -> dict[str, Any]:
    """`mkdocs.yml` as it stands."""
    read: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "mkdocs.yml").read_text("utf-8"))
    return read


def _filled(entries: Iterable[Any]) -> Iterator[Any]:
    for entry in entries:
        if entry == "rules":
            yield from (f"rules/{path.name}" for path in sorted((ROOT / "rules").glob("SRV*.md")))
        elif isinstance(entry, dict):
            ((title, below),) = entry.items()
            yield {title: list(_filled(below)) if isinstance(below, list) else below}
        else:
            yield entry


def listed(entries: Iterable[Any]) -> Iterator[str]:
    """The pages that a menu names."""
    for entry in entries:
        below = next(iter(entry.values())) if isinstance(entry, dict) else entry
        if isinstance(below, list):
            yield from listed(below)
        else:
            yield below


def assembled() -> dict[str, bytes]:
    """Every file of the site by its path: the pages of the menu and what they link to."""
    made = tables.pages()
    found: dict[str, bytes] = {}
    waiting = list(listed(navigation()))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name in made:
            text = made[name]
        elif name.endswith(".md"):
            text = (ROOT / name).read_text("utf-8")
        else:
            found[name] = (ROOT / name).read_bytes()
            continue
        text, links = relinked(name, text, made)
        found[name] = text.encode()
        waiting += links
    return found


def relinked(name: str, text: str, made: Mapping[str, str]) -> tuple[str, list[str]]:
    """A page without comments, its links to folders led to their READMEs, and the files that it links to."""
    links: list[str] = []
    folder = posixpath.dirname(name)

    def link(found: re.Match[str]) -> str:
        before, target, anchor = found[1], found[2], found[3] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if path not in made and (ROOT / path).is_dir():
            path = posixpath.join(path, "README.md")
        if path not in made and not (ROOT / path).is_file():
            raise FileNotFoundError(f"{name}: {target} leads nowhere")
        links.append(path)
        return f"{before}{posixpath.relpath(path, folder or '.')}{anchor}"

    parts = _FENCE.split(text)
    parts[::2] = [_LINK.sub(link, _COMMENT.sub("", part)) for part in parts[::2]]
    return "".join(parts), links


def write(folder: Path) -> None:
    """Write every file of the site below the folder."""
    for name, content in assembled().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
