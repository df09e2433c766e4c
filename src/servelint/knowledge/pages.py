"""The rule pages of `rules/`: what a rule is called, why it matters and what to do instead.

A page is Markdown of a fixed form (`rules/README.md`); it is shown by `servelint rule`, under every
finding, in SARIF and on hover. This module is the only one that knows the form.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from servelint.finding import Finding
from servelint.store import rules_dir


class PageError(ValueError):
    """A rule page does not have the form that `rules/README.md` documents."""


class Page(NamedTuple):
    """One rule's page.

    `why` is the sentence under the title, `instead` the one that says what to do, both on one line;
    `sections` maps each heading to the Markdown below it; `text` is the whole page. `url` is the first
    reference, empty if the page gives none.
    """

    code: str
    name: str
    why: str
    instead: str
    sections: dict[str, str]
    text: str

    @property
    def url(self) -> str:
        """The first link under References."""
        link = re.search(r"https?://[^\s)>\]]+", self.sections.get("References", ""))
        return link[0] if link else ""


@cache
def codes() -> tuple[str, ...]:
    """Every rule code, sorted."""
    return tuple(sorted(path.stem for path in rules_dir().glob("SRV[0-9][0-9][0-9].md")))


@cache
def page(code: str) -> Page:
    """The page of one rule; raises `KeyError` for an unknown code and `PageError` for a malformed page."""
    if code not in codes():
        raise KeyError(code)
    return parse(code, (rules_dir() / f"{code}.md").read_text("utf-8"))


def parse(code: str, text: str) -> Page:
    """Read a page's Markdown. Comments in it are for those who write the page."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    head, *parts = re.split(r"^## +(.+?) *$", text, flags=re.MULTILINE)
    title = re.match(rf"# {code} ([a-z][a-z0-9-]*)\n", head)
    if title is None:
        raise PageError(f"{code}.md must begin with `# {code} rule-name`")
    paragraphs = [
        " ".join(block.split()) for block in re.split(r"\n\s*\n", head[title.end() :]) if block.strip()
    ]
    instead = next((block for block in paragraphs if block.startswith("**Instead:**")), "")
    if not instead or paragraphs[0] == instead:
        raise PageError(f"{code}.md needs a sentence that says why and one that begins with `**Instead:**`")
    return Page(
        code=code,
        name=title[1],
        why=paragraphs[0],
        instead=instead.removeprefix("**Instead:**").strip(),
        sections={name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)},
        text=text,
    )


def about(code: str) -> Page:
    """The page of one rule; for a rule without one, an empty page that is named by the code."""
    return page(code) if code in codes() else Page(code, code, "", "", {}, "")


def name_of(code: str) -> str:
    """The rule's name; the code itself when it has no page."""
    return about(code).name


def advice_for(finding: Finding) -> str:
    """What to do about a finding: its own advice, else its rule's."""
    return finding.advice or about(finding.code).instead


def resolve(text: str) -> str:
    """The code that a person means by `text`: a code in any case, or a rule's name.

    Raises `ValueError` with the nearest code and name in its message.
    """
    if text.upper() in codes():
        return text.upper()
    for code in codes():
        if page(code).name == text.lower():
            return code
    raise ValueError(f"unknown rule `{text}`{_suggestion(text)}")


def check_prefix(text: str) -> str:
    """`text`, if it is a rule code or the beginning of one (`SRV1`), or the code of the rule so named.

    Raises `ValueError` with a suggestion when no rule fits.
    """
    upper = text.upper()
    if upper and any(code.startswith(upper) for code in codes()):
        return upper
    return resolve(text)


def _suggestion(text: str) -> str:
    import difflib

    names = {page(code).name: code for code in codes()}
    digits = text.upper().translate(str.maketrans("OIL", "011"))  # as they are mistaken for one another
    near = difflib.get_close_matches(digits, codes(), n=1, cutoff=0.7)
    if not near:
        near = [names[name] for name in difflib.get_close_matches(text.lower(), names, n=1, cutoff=0.5)]
    return (
        f"; did you mean {near[0]} {page(near[0]).name}?" if near else f"; the rules are {', '.join(codes())}"
    )
