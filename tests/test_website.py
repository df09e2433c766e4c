"""The manual as a site: every page is in it and can be reached, every link leads somewhere, every command runs.

`.ci/run` builds it strictly; what is asked here needs no builder.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import packages_of_tests as packages
import pytest
import yaml
from conftest import Project, Servelint

from servelint.project.config import option_names
from website import pages, picture, tables

ROOT = Path(__file__).parents[1]
# Every page that somebody wrote and the site has; the changelog only names commands.
MANUAL = sorted(
    ROOT / name
    for name in pages.assembled()
    if name.endswith(".md") and (ROOT / name).is_file() and name != "CHANGELOG.md"
)
# It answers only when something speaks to it; and what asks a scheduler elsewhere.
WAITS = {"servelint server", "servelint fleet checkouts/ --scheduler tcp://10.0.0.7:8786"}
ASKS = {"servelint init"}  # it writes when it is told to, on a terminal or by `--yes`
AFTER = {"servelint baseline --prune": "servelint baseline"}


@cache
def site() -> dict[str, str]:
    return {name: text.decode() for name, text in pages.assembled().items() if name.endswith(".md")}


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_every_page_of_the_repository_is_in_the_menu() -> None:
    menu = set(pages.listed(pages.navigation()))
    paths = (path for folder in ("docs", "rules") for path in (ROOT / folder).glob("*.md"))
    written = {path.relative_to(ROOT).as_posix() for path in paths}
    assert written <= menu
    assert set(tables.pages()) <= menu
    assert len(menu) == len(list(pages.listed(pages.navigation())))


def test_every_page_can_be_reached() -> None:
    """By the menu, or by a link of a page that can be."""
    reached, waiting = set[str](), list(pages.listed(pages.navigation()))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            links = pages.relinked(name, site()[name], tables.pages())[1]
            waiting += [link for link in links if link.endswith(".md")]
    assert reached == set(site())


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+?) *$", without_code(text), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def linked(name: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) if target else name


def test_every_link_into_a_page_leads_to_a_heading() -> None:
    faults = [
        f"{name}: {target}#{anchor}"
        for name, text in site().items()
        for target, anchor in re.findall(r"\]\(([^)\s#]*)#([^)\s]*)\)", without_code(text))
        if "://" not in target and anchor not in anchors(site()[linked(name, target)])
    ]
    assert faults == []


def test_pages_have_no_comments() -> None:
    """One at the beginning of a line ends the paragraph, and its numbers stood in paragraphs of their own."""
    assert not [name for name, text in site().items() if "<!--" in re.sub(r"`[^`]*`", "", without_code(text))]


@pytest.mark.parametrize("path", MANUAL, ids=lambda path: path.name)
def test_no_number_tears_a_sentence(path: Path) -> None:
    """On a code host a line that begins with a comment is no part of the paragraph above it."""
    lines = without_code(path.read_text("utf-8")).splitlines()
    torn = [
        line
        for above, line in pairwise(lines)
        if line.lstrip().startswith("<!--") and above.strip() and not above.startswith(("|", "<!--"))
    ]
    assert torn == []


def test_the_picture_of_a_finding_is_what_is_printed() -> None:
    assert picture.FINDING.read_text("utf-8") == picture.finding(), "run `python -m website.picture`"


def test_every_line_of_the_picture_stands_in_its_columns() -> None:
    rows = ElementTree.parse(picture.FINDING).getroot().findall("{http://www.w3.org/2000/svg}text")
    assert len(rows) > 20
    lengths = {len("".join(row.itertext())): float(row.attrib["textLength"]) for row in rows}
    assert max(lengths) <= picture.COLUMNS
    assert len({round(length / columns, 1) for columns, length in lengths.items()}) == 1


def test_a_link_to_nowhere_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match=r"x.md: nope.md leads nowhere"):
        pages.relinked("docs/x.md", "[a](nope.md)", {})


@pytest.mark.parametrize("folder", ["libraries", "frameworks", "servers"])
def test_the_tables_have_all_that_the_data_has(folder: str) -> None:
    page = tables.pages()[f"reference/{folder}.md"]
    kind = {"libraries": "library", "frameworks": "framework", "servers": "server"}[folder]
    for path in (ROOT / "rules" / folder).glob("*.yaml"):
        data = yaml.safe_load(path.read_text("utf-8"))
        name = data.get(kind)
        if name is not None:
            assert f"| {tables.markdown(name)} |" in page
            source = data.get("workers", {}).get("source", data["source"])
            assert tables.source(source) in page


def test_every_key_of_the_configuration_has_its_row() -> None:
    page = tables.pages()["reference/configuration.md"]
    assert not [name for name in option_names() if f"| `{name}` |" not in page]


def commands() -> list[tuple[str, str]]:
    """Every command of servelint that stands in a block of the manual, and the page it stands on."""
    found: dict[str, str] = {}
    for path in MANUAL:
        shown = re.compile(r"^```text\n.*?^```$", re.MULTILINE | re.DOTALL)
        text = shown.sub("", path.read_text("utf-8"))
        blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        indented = re.findall(r"(?:\A|\n\n)((?:    .*\n)+)", without_code(text))
        inline = re.findall(r"`(servelint [a-z][^`]*)`", " ".join(without_code(text).split()))
        for line in "\n".join((*blocks, *indented, *inline)).splitlines():
            for command in re.findall(r"(?:^|&& |- run: |- |bin/)(servelint [a-z][^'&#>]*)", line.strip()):
                if not re.search(
                    r"\b[A-Z]{3,}\b", command.replace("CHECKOUT", "")
                ):  # `FILE:LINE` is no command yet
                    found.setdefault(command.strip(), path.name)
    return sorted((command, page) for command, page in found.items() if command not in WAITS)


@pytest.fixture
def service(project: Project) -> Project:
    """The example as a project of the names that the manual uses."""
    shutil.copytree(ROOT / "examples" / "bankchurn", project.root, dirs_exist_ok=True)
    shutil.copytree(ROOT / "examples" / "bankchurn", project.root / "examples" / "bankchurn")
    endless = "async def a(m):\n    m.predict(1)\n" * 21
    project.write(
        {
            "app/main.py": endless,
            "services/scoring/app.py": endless,
            "CHECKOUT/a.py": "",
            "checkouts/one/a.py": "",
            "repositories.txt": "CHECKOUT\n",
            "results/x": "",
            "service.log": "",
        }
    )
    (project.root / "dist").mkdir()
    packages.wheel(project.root / "dist", "acme-ml", "1.2", packages.ACME)
    packages.sdist(project.root / "dist", "acme_ml", "1.2", packages.ACME)
    packages.install(packages.environment(project.root), "acme-ml", "1.2", packages.ACME)
    project.commit()
    project.git("update-ref", "refs/remotes/origin/main", "HEAD")
    return project


@pytest.mark.parametrize(("command", "page"), commands())
def test_every_command_of_the_manual_runs(
    service: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch, command: str, page: str
) -> None:
    """With what was found or not, but without a complaint about how it is called."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(service.root / "dist"))
    if command in AFTER:
        servelint(*AFTER[command].split()[1:])
    done = servelint(*command.split()[1:], *(("--yes",) if command in ASKS else ()))
    assert done.status in (0, 1), (page, done.err)


def test_the_commands_are_found() -> None:
    assert len(commands()) > 15
    assert {name for _, name in commands()} >= {"README.md", "adopting.md", "ci.md", "quick-start.md"}
    assert {path.parent.name for path in MANUAL} >= {"docs", "rules", "bankchurn", "incident"}


def programs() -> list[tuple[str, str]]:
    """Every command of the manual that runs something else of this repository, and the page it stands on."""
    found: dict[str, str] = {}
    for path in MANUAL:
        text = re.sub(r"\\\n\s*", " ", path.read_text("utf-8"))
        for command in re.findall(r"python3? ((?:-m (?:benchmarks|website)\b|tests/)[^`#\n]*)", text):
            found.setdefault(command.strip(), path.name)
    return sorted(found.items())


@pytest.mark.parametrize(("command", "page"), programs())
def test_every_program_of_the_manual_is_there_and_knows_its_options(command: str, page: str) -> None:
    """They measure for minutes, so it is read that they take what the manual gives them."""
    name, *given = command.removeprefix("-m ").split()
    place = ROOT / (name if name.endswith(".py") else name.replace(".", "/"))
    module = place if place.is_file() else place.with_suffix(".py")
    sources = [module] if module.is_file() else sorted(place.glob("*.py"))
    assert sources, (command, page)
    text = "".join(source.read_text("utf-8") for source in sources)
    for option in given:
        if option.startswith("--"):
            assert f'"{option.partition("=")[0]}"' in text, (command, page)


def test_the_programs_are_found() -> None:
    assert len(programs()) > 15
