"""Remote calls whose library has a coroutine for them: with unsafe fixes that is awaited."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.knowledge import compiled
from servelint.knowledge.types import Role
from servelint.lint import check
from servelint.project.config import Config

CLIENT = """\
from fastapi import FastAPI
from openai import OpenAI

app = FastAPI()
client = OpenAI(timeout=20)


@app.post("/summary")
async def summary(text: str) -> str | None:
    answer = client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": text}],
    )
    return answer.choices[0].message.content


@app.post("/vector")
async def vector(text: str) -> list[float]:
    return client.embeddings.create(model="m", input=text).data[0].embedding
"""
AWAITED = """\
from fastapi import FastAPI
from openai import AsyncOpenAI

app = FastAPI()
client = AsyncOpenAI(timeout=20)


@app.post("/summary")
async def summary(text: str) -> str | None:
    answer = await client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": text}],
    )
    return answer.choices[0].message.content


@app.post("/vector")
async def vector(text: str) -> list[float]:
    return (await client.embeddings.create(model="m", input=text)).data[0].embedding
"""
HELPER = """\
import openai
from fastapi import FastAPI

app = FastAPI()


class Writer:
    def __init__(self) -> None:
        self.client = openai.OpenAI()

    async def write(self, text: str) -> object:
        return self.client.completions.create(model="m", prompt=text)


writer = Writer()


@app.post("/write")
async def write(text: str) -> object:
    return await writer.write(text)
"""
SEVERAL = """\
import litellm
from fastapi import FastAPI
from google import genai
from langchain_openai import ChatOpenAI

app = FastAPI()
llm = ChatOpenAI()
gemini = genai.Client()


@app.post("/ask")
async def ask(text: str) -> object:
    return llm.invoke(text).content


@app.post("/answer")
async def answer(text: str) -> object:
    return litellm.completion(model="m", messages=[text])


@app.post("/generate")
async def generate(text: str) -> object:
    return gemini.models.generate_content(model="m", contents=text).text
"""
IMPORTED = """\
from fastapi import FastAPI
from litellm import completion

app = FastAPI()


@app.post("/one")
async def one(text: str) -> object:
    return completion(model="m", messages=[text])


@app.post("/two")
async def two(text: str) -> object:
    return completion(model="n", messages=[text])
"""


def findings(folder: Path, text: str) -> tuple[Finding, ...]:
    (folder / "main.py").write_text(text)
    return check([], Config(root=folder, select=("SRV110",))).findings


def fixed(folder: Path, text: str, *, unsafe: bool = True) -> str:
    findings(folder, text)
    outcome = edits.apply(check([], Config(root=folder, select=("SRV110",))), unsafe=unsafe)
    assert not outcome.rejected
    list(edits.write(outcome))
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F", "."]
    assert not subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60).returncode
    return outcome.after.get(folder / "main.py", text.encode()).decode()


def test_a_client_of_which_all_is_known(tmp_path: Path) -> None:
    assert fixed(tmp_path, CLIENT) == AWAITED


def test_the_safe_fix_is_offered_beside_it(tmp_path: Path) -> None:
    for finding in findings(tmp_path, CLIENT):
        assert finding.fix is not None
        assert finding.fix.applicability is Applicability.SAFE
        assert finding.fix.better is not None
        assert finding.fix.better.applicability is Applicability.UNSAFE
    text = fixed(tmp_path, CLIENT, unsafe=False)
    assert "await run_in_threadpool(" in text
    assert "AsyncOpenAI" not in text


def test_a_client_that_an_object_holds(tmp_path: Path) -> None:
    text = fixed(tmp_path, HELPER)
    assert "        self.client = openai.AsyncOpenAI()\n" in text
    assert '        return await self.client.completions.create(model="m", prompt=text)\n' in text


def test_a_client_of_one_call(tmp_path: Path) -> None:
    local = CLIENT.replace("client = OpenAI(timeout=20)\n", "").replace(
        "    return client.embeddings", "    client = OpenAI()\n    return client.embeddings"
    )
    text = fixed(
        tmp_path, local.replace("    answer = client.", "    client = OpenAI()\n    answer = client.")
    )
    assert text.count("    client = AsyncOpenAI()\n") == 2
    assert "import AsyncOpenAI\n" in text


@pytest.mark.parametrize(
    "more",
    [
        "def plain(text):\n    return client.embeddings.create(model='m', input=text)\n",
        "async def pages():\n    return [model.id for model in client.models.list()]\n",  # `async for`
        "async def parts(text):\n    for part in client.responses.create(input=text, stream=True):\n        print(part)\n",
        "async def given(text):\n    return helper(client, text)\n",
        "async def options(extra):\n    return client.completions.create(**extra)\n",  # it may stream
        "async def raw(text):\n    return client.completions.with_raw_response.create(prompt=text)\n",
        "later = lambda text: client.completions.create(prompt=text)\n",
        "def renew():\n    global client\n    client = OpenAI(timeout=5)\n",
    ],
)
def test_a_client_of_which_something_else_is_asked(tmp_path: Path, more: str) -> None:
    for finding in findings(tmp_path, f"{CLIENT}\n\n{more}"):
        assert finding.fix is None or finding.fix.better is None


@pytest.mark.parametrize(
    "other",
    [
        "from main import client\n\nclient.models.list()\n",
        "import main\n\nmain.client.models.list()\n",
        "from main import *\n\nclient.models.list()\n",
    ],
)
def test_a_client_that_another_file_knows(tmp_path: Path, other: str) -> None:
    (tmp_path / "test_other.py").write_text(other)
    found = findings(tmp_path, CLIENT)
    assert found
    assert all(finding.fix is not None and finding.fix.better is None for finding in found)


def test_a_client_with_connections_of_its_own(tmp_path: Path) -> None:
    given = CLIENT.replace("timeout=20", "http_client=http_client").replace(
        "app = FastAPI()\n", "app = FastAPI()\nhttp_client = build()\n"
    )
    found = findings(tmp_path, given)
    assert found
    assert all(finding.fix is not None and finding.fix.better is None for finding in found)


def test_a_class_that_is_used_for_something_else_too(tmp_path: Path) -> None:
    text = fixed(tmp_path, CLIENT + "\n\nfor_scripts = OpenAI()\n")
    assert "from openai import AsyncOpenAI, OpenAI\n" in text
    assert "client = AsyncOpenAI(timeout=20)\n" in text
    assert "for_scripts = OpenAI()\n" in text


def test_methods_functions_and_attributes(tmp_path: Path) -> None:
    text = fixed(tmp_path, SEVERAL)
    assert "    return (await llm.ainvoke(text)).content\n" in text
    assert '    return await litellm.acompletion(model="m", messages=[text])\n' in text
    assert '    return (await gemini.aio.models.generate_content(model="m", contents=text)).text\n' in text


def test_an_imported_function(tmp_path: Path) -> None:
    text = fixed(tmp_path, IMPORTED)
    assert "from litellm import acompletion\n" in text
    assert text.count("return await acompletion(") == 2


def test_an_imported_function_that_a_plain_one_calls_too(tmp_path: Path) -> None:
    text = fixed(
        tmp_path, f'{IMPORTED}\n\ndef plain(text):\n    return completion(model="m", messages=[text])\n'
    )
    assert "from litellm import acompletion, completion\n" in text
    assert text.count("return await acompletion(") == 2


def test_a_stream_stays_one(tmp_path: Path) -> None:
    for finding in findings(tmp_path, IMPORTED.replace("messages=[text])", "messages=[text], stream=True)")):
        assert finding.fix is None or finding.fix.better is None


def test_the_data_names_coroutines() -> None:
    """What is to be awaited is known as a coroutine, and what it takes the place of as a remote call."""
    catalogue = compiled.catalogue()
    for library in catalogue.libraries.values():
        twins = library.twins
        entries = [e for t in library.types.values() for e in t.methods.values()]
        entries += [entry for pattern in library.functions for entry in [library.functions[pattern]]]
        for name, coroutine in twins.names.items():
            roles = {e.role for e in entries if name in _last_names(e.name)}
            assert Role.REMOTE in roles, (library.name, name)
            assert Role.COROUTINE in {e.role for e in entries if coroutine in _last_names(e.name)}, coroutine
        for old, new in twins.classes.items():
            classes = " ".join(text for known in library.types.values() for text in known.classes)
            assert old in classes, (library.name, old)
            assert new in classes, (library.name, new)


def _last_names(name: str) -> set[str]:
    return {word for word in name.replace("{", ",").replace("}", ",").replace(".", ",").split(",") if word}
