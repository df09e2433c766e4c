"""Whatever the code is: no crash, and the same answer in whatever order the files come."""

from __future__ import annotations

from random import Random
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from listed import ROOT, Listing

from servelint.code import analyze, rules
from servelint.code.facts.extract import extract
from servelint.code.judge.analysis import Analysis
from servelint.project.config import Config
from servelint.project.listing.files import Tree

NAMES = ("model", "predict", "load", "x", "self", "A", "B", "pool")
LINES = (
    "{0} = {1}.{2}({3})",
    "{0} = {1}({2}, {0}={3})",
    "async def {0}({1}, {2}=None):\n    return await {3}.{1}({2})",
    "def {0}(*{1}, **{2}):\n    yield {3}({1}, *{2})",
    "class {0}({1}):\n    def {2}(self):\n        self.{3} = {1}()\n        return self.{2}()",
    "from {0} import {1} as {2}, {3}",
    "import {0}.{1} as {2}, joblib",
    "{0} = [{1}[{2}] for {1} in {3}({0})]",
    "{0} = lambda {1}={2}: {3}.run_in_executor(None, {1}({0}))",
    "{0} = {1} = joblib.load({2}) or {3}",
    "with {0}() as {1}, {2}:\n    {3} = {1}.submit({0}).result()",
    "@{0}({1})\nasync def {2}({3}):\n    for {1} in {3}.{0}({1}): model.predict({1})",
)
line = st.builds(str.format, st.sampled_from(LINES), *[st.sampled_from(NAMES)] * 4)
module = st.lists(line, max_size=8).map("\n".join)


def listing(contents: dict[str, str], order: list[str]) -> Tree:
    return cast("Tree", Listing({name: text.encode() for name, text in contents.items()}, order))


@given(st.text())
def test_facts_of_any_text(text: str) -> None:
    try:
        extract(text.encode("utf-8", "surrogatepass"))
    except (SyntaxError, ValueError, RecursionError):
        return


@settings(max_examples=60)
@given(st.lists(module, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_any_project_in_any_order(modules: list[str], random: Random) -> None:
    contents = {f"{name}.py": text for name, text in zip(NAMES, modules, strict=False)}
    order = sorted(contents)
    shuffled = order[:]
    random.shuffle(shuffled)
    first = analyze(listing(contents, order), Config(ROOT))
    second = analyze(listing(contents, shuffled), Config(ROOT))
    assert set(first.findings) == set(second.findings)


@settings(max_examples=60)
@given(st.lists(module, min_size=1, max_size=3))
def test_what_is_not_parsed_would_not_have_mattered(modules: list[str]) -> None:
    contents = {f"{name}.py": text for name, text in zip(NAMES, modules, strict=False)}
    found = [
        set(
            rules.findings(Analysis(listing(contents, sorted(contents)), Config(ROOT), everything=everything))
        )
        for everything in (False, True)
    ]
    assert found[0] == found[1]
