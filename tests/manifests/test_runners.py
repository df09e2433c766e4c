"""What runs containers elsewhere: texts of any kind are read to their end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import YamlMapping
from servelint.manifests.runners import bicep, quadlets
from servelint.project.text.source import decode

from .harness import check, written


def located(name: str, text: str) -> Located:
    return Located.of(decode(Path(name), text.encode()))


@given(st.text(alphabet="ab'{}[]()=:$\\\n ,/*.0", max_size=80))
def test_no_bicep_is_too_odd(text: str) -> None:
    whole = f"resource a 'Microsoft.App/containerApps@1' = {{\n{text}\n}}\nvar b = {text}\n"
    assert all(isinstance(found, YamlMapping) for found in bicep.resources(located("a.bicep", whole)))


@given(st.text(alphabet="aE=[]\\\n\r \"'", max_size=60))
def test_no_unit_is_too_odd(text: str) -> None:
    quadlets.workload(located("a.container", f"[Container]\n{text}"), Path("a.container"), lambda _: None)


@pytest.mark.parametrize("text", ["/*\n" * 20_000, "'" * 20_001, "{" * 90, "[,]\n" * 10_000, "'''" * 9_999])
def test_bicep_that_never_ends_is_read_once(text: str) -> None:
    list(bicep.resources(located("a.bicep", f"var a = {text}\nresource a 'b@1' = {{\n{text}")))


RESOURCE = "resource a 'Microsoft.App/containerApps@1' ="


@pytest.mark.parametrize(
    "text",
    [
        f"{RESOURCE} {{\n" * 20_000,
        f"{RESOURCE}\n" * 20_000 + "{a: 1}",
        "var a = {\n" * 20_000,
        "\\'" * 90_000,
    ],
)
def test_what_begins_in_each_other_is_read_once(text: str) -> None:
    assert len(list(bicep.resources(located("a.bicep", f"{text}\n")))) <= 1


def test_a_unit_whose_last_line_goes_on_is_read_once() -> None:
    text = "[Container]\nImage=x\n" + "A=\\\n" * 100_000 + "A=\\"
    assert quadlets.workload(located("a.container", text), Path("a.container"), lambda _: None) is not None


MADE_OF_THEMSELVES = """
import uvicorn
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    workers: int = Settings().workers


def serve(n):
    serve(n)
    uvicorn.run("a:app", workers=Settings().workers)
    uvicorn.run("a:app", workers=n)


serve(serve(serve(4)))
"""


def test_settings_that_are_made_of_themselves_end(tmp_path: Path) -> None:
    result = check(written(tmp_path, {"a.py": MADE_OF_THEMSELVES}))
    assert not result.problems
