"""Some users of a model are not moved safely while others stay on the loop, unless threads may share it."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
{imports}

app = FastAPI()
{made}


@app.post("/answer")
async def answer(text: str):
    return {answer}


@app.post("/stream")
async def stream(text: str):
    async def parts():
        {parts}

    return StreamingResponse(parts())
"""
LLAMA = "from llama_cpp import Llama"
LLM = 'llm = Llama("a.gguf")'
OTHER = '\nsmall = Llama("b.gguf")'
STREAM = "for part in llm(text, stream=True):\n            yield part"
STAYS = "stays on the event loop, and two threads must not call llama-cpp-python at once"


def service(imports: str = LLAMA, made: str = LLM, answer: str = "llm(text)", parts: str = STREAM) -> str:
    return SERVICE.format(imports=imports, made=made, answer=answer, parts=parts)


def fix_of_answer(folder: Path, text: str) -> tuple[Applicability, str]:
    (folder / "main.py").write_text(text)
    found = [f for f in check([], Config(root=folder, select=("SRV101",))).findings if f.function == "answer"]
    (finding,) = found
    assert finding.fix is not None
    return finding.fix.applicability, finding.fix.reason


@pytest.mark.parametrize(
    "text",
    [
        service(),
        service(parts=f"own = llm\n        {STREAM.replace('llm(', 'own(')}"),
        # two names of one model
        service(made=f"{LLM}\nother = llm", answer="other(text)"),
        service(
            made=f"{LLM}\n\n\nclass Held:\n    def __init__(self, own):\n        self.own = own\n\n\n"
            "held = Held(llm)",
            answer="held.own(text)",
        ),
        service(made=f"{LLM}\nother = Llama(draft=llm)", answer="other(text)"),
        service(made="registry = {}", answer='registry["a"](text)').replace(
            "registry = {}", f"{LLM}\nregistry = {{'a': llm}}"
        ),
    ],
)
def test_a_model_that_a_generator_draws_from(tmp_path: Path, text: str) -> None:
    applicability, reason = fix_of_answer(tmp_path, text)
    assert applicability is Applicability.UNSAFE
    assert STAYS in reason


@pytest.mark.parametrize(
    "text",
    [
        # another model, one of its own, one that threads may share
        service(made=LLM + OTHER, answer="small(text)"),
        service(
            made=f"{LLM}\n\n\nclass Held:\n    def __init__(self):\n        self.own = Llama('b.gguf')\n\n\n"
            "held = Held()",
            answer="held.own(text)",
        ),
        service(
            parts='own = Llama("c.gguf")\n        for part in own(text, stream=True):\n            yield part'
        ),
        service(
            imports="import spacy",
            made='llm = spacy.load("en")',
            parts="for part in llm.pipe([text]):\n            yield part",
        ),
        # all of it moves
        service(parts="yield llm(text)"),
        service(parts="yield text"),
    ],
)
def test_where_all_move_or_may_share(tmp_path: Path, text: str) -> None:
    assert fix_of_answer(tmp_path, text) == (Applicability.SAFE, "")


CLASSES = """\
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from llama_cpp import Llama

app = FastAPI()


class {first}:
    def __init__(self, model=None):
        self.model = {made}

    def answer(self, text):
        return self.model(text)


class {second}:
    def __init__(self, model=None):
        self.model = {other}

    def stream(self, text):
        for part in self.model(text, stream=True):
            yield part


answering = {first}()
streaming = Streaming()
{also}

@app.post("/answer")
async def answer(text: str):
    return answering.answer(text)


@app.post("/stream")
async def stream(text: str):
    async def parts():
        for part in streaming.stream(text):
            yield part

    return StreamingResponse(parts())
"""


def classes(
    made: str = 'Llama("a.gguf")',
    other: str = 'Llama("b.gguf")',
    also: str = "",
    first: str = "Answering",
    second: str = "Streaming",
) -> str:
    return CLASSES.format(made=made, other=other, also=also, first=first, second=second)


def test_an_attribute_of_another_class_is_another_model(tmp_path: Path) -> None:
    assert fix_of_answer(tmp_path, classes()) == (Applicability.SAFE, "")


@pytest.mark.parametrize(
    "text",
    [
        classes(second="Streaming(Answering)"),
        classes(also="\nanswering.model = streaming.model\n"),
        classes(
            made="model",
            other="model",
            also="llm = Llama('a')\nanswering = Answering(llm)\nstreaming = Streaming(llm)\n",
        ),
        classes(made="model or Llama('a')"),
        classes(made="get()").replace(
            "class Answering", "def get():\n    return Llama('a')\n\n\nclass Answering"
        ),
        classes(made="Llama(draft=SHARED)", other="Llama(draft=SHARED)").replace(
            "app = FastAPI()", "app = FastAPI()\nSHARED = Llama('c')"
        ),
    ],
)
def test_attributes_that_may_hold_one_model(tmp_path: Path, text: str) -> None:
    applicability, reason = fix_of_answer(tmp_path, text)
    assert applicability is Applicability.UNSAFE
    assert STAYS in reason
