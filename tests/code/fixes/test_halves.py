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


FUNCTION = """\
import joblib
import spacy
from fastapi import FastAPI

app = FastAPI()
nlp = spacy.load("en")
model = joblib.load("m.joblib")
seen = []


def noted(text):
    seen.append(text)
    return nlp(text)


@app.post("/answer")
async def answer(text: str):
    {first}
    return {second}


@app.post("/other")
async def other(text: str):
    return {third}
"""


def reasons(folder: Path, first: str, second: str, third: str = "0") -> dict[str, str]:
    """Why the fixes are unsafe, by function and call."""
    (folder / "main.py").write_text(FUNCTION.format(first=first, second=second, third=third))
    found = check([], Config(root=folder, select=("SRV1",))).findings
    assert all(finding.fix is not None for finding in found)
    return {f"{f.function} {f.identity[1]}": f.fix.reason for f in found if f.fix is not None}


def test_what_stays_in_the_same_function(tmp_path: Path) -> None:
    found = reasons(
        tmp_path, "one = noted(text)\n    two = text.upper()\n    two += '.'\n    two += '!'", "nlp(two)"
    )
    assert found == {
        "answer noted()": "`noted` writes `seen`, which requests share",
        "answer nlp()": "line 18 of `answer` stays on the event loop (`noted()`)",
    }


def test_what_stays_for_what_stays_elsewhere(tmp_path: Path) -> None:
    """`model.predict()` stays for `noted()`, and so does what may use the model at the same time."""
    found = reasons(
        tmp_path,
        "scores = model.predict([[1]])\n    text = str(scores)\n    text += '.'\n    text += '!'",
        "noted(text)",
        "model.predict([[2]])",
    )
    assert found == {
        "answer model.predict()": "line 22 of `answer` stays on the event loop (`noted()`)",
        "answer noted()": "`noted` writes `seen`, which requests share",
        "other model.predict()": (
            "`model.predict()` in `answer` stays on the event loop, and two threads may not be allowed to call "
            "joblib at once"
        ),
    }


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        # all of the function moves; what stays is elsewhere, and threads may share that
        ("scores = model.predict([[1]])", "nlp(text), scores", "0"),
        ("one = nlp(text)", "one", "noted(text)"),
    ],
)
def test_where_nothing_of_the_function_stays(tmp_path: Path, first: str, second: str, third: str) -> None:
    found = reasons(tmp_path, first, second, third)
    assert {reason for name, reason in found.items() if name.startswith("answer")} == {""}


LAZY = """\
import joblib
import spacy
from fastapi import FastAPI

app = FastAPI()
nlp = spacy.load("en")
models = {{}}


def get_model(name):
    if name not in models:
        models[name] = joblib.load(name)
    return models[name]


@app.delete("/models")
async def forget():
    models.clear()


@app.on_event("startup")
async def start():
    {start}


@app.post("/answer")
async def answer(name: str, text: str):
    model = get_model(name)
    a = 1
    b = 2
    c = 3
    return model, nlp(text)
"""


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("print()", "line 28 of `answer` stays on the event loop (`get_model()`)"),
        ("get_model('usual')", ""),
    ],
)
def test_a_load_at_the_first_use(tmp_path: Path, start: str, reason: str) -> None:
    (tmp_path / "main.py").write_text(LAZY.format(start=start))
    found = check([], Config(root=tmp_path, select=("SRV1",))).findings
    fixes = {finding.identity[1]: finding.fix for finding in found}
    assert fixes["get_model()"] is not None
    assert fixes["get_model()"].applicability is Applicability.UNSAFE
    assert fixes["nlp()"] is not None
    assert fixes["nlp()"].reason == reason


STORE = """\
import chromadb
from fastapi import FastAPI

app = FastAPI()
client = chromadb.{client}
notes = client.get_or_create_collection("notes")
seen = []


@app.post("/ask")
async def ask(text: str):
    return notes.query(query_texts=[text])


@app.post("/tell")
async def tell(text: str):
    seen.append(text)
    notes.add(ids=[text], documents=[text])
    seen.append(text)
"""


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (
            "PersistentClient()",
            "`notes.add()` in `tell` stays on the event loop, and two threads may not be allowed to call Chroma at once",
        ),
        ("HttpClient()", ""),
    ],
)
def test_a_store_that_embeds_and_one_that_asks(tmp_path: Path, client: str, reason: str) -> None:
    (tmp_path / "main.py").write_text(STORE.format(client=client))
    found = check([], Config(root=tmp_path, select=("SRV1",))).findings
    (fix,) = [finding.fix for finding in found if finding.function == "ask"]
    assert fix is not None
    assert fix.reason == reason


RAG = """\
import spacy


class Rag:
    def __init__(self):
        self.nlp = spacy.load("en")

    def answer(self, text):
        return self.nlp(text)


rag = Rag()
"""
ASKED = """\
import asyncio

from fastapi import APIRouter
{rag}

router = APIRouter()
asked = []


@router.post("/answer")
async def {name}(text: str):
    {before}
    result = {call}
    {after}
    return result
"""
PUT = "asked.append(text)"


def two_endpoints(folder: Path, call: str, *, other: str = "rag.answer(text)", put: str = PUT) -> str:
    """Why the fix of one endpoint is unsafe while another one, of another file, calls `other`."""
    (folder / "rag.py").write_text(RAG)
    imported = "from rag import rag"
    (folder / "first.py").write_text(
        ASKED.format(rag=imported, name="answer", call=call, before="", after="print()")
    )
    (folder / "second.py").write_text(
        ASKED.format(rag=imported, name="chat", call=other, before=put, after=put)
    )
    (folder / "main.py").write_text(
        "from fastapi import FastAPI\n\nimport first\nimport second\n\napp = FastAPI()\n"
        "app.include_router(first.router)\napp.include_router(second.router)\n"
    )
    found = check([], Config(root=folder, select=("SRV1",))).findings
    (fix,) = [finding.fix for finding in found if finding.function == "answer"]
    assert fix is not None
    return fix.reason


def test_one_of_two_calls_of_a_function_stays(tmp_path: Path) -> None:
    assert two_endpoints(tmp_path, "rag.answer(text)") == (
        "`rag.answer()` stays on the event loop in `chat`, line 13 of second.py: "
        "it would run there and in a thread"
    )


@pytest.mark.parametrize(
    ("call", "other", "put"),
    [
        ("rag.answer(text)", "rag.answer(text)", "print()"),  # both move
        ("rag.answer(text)", "text.upper()", PUT),
        ("rag.answer(text)", "await asyncio.to_thread(rag.answer, text)", PUT),
    ],
)
def test_where_no_call_of_the_function_stays(tmp_path: Path, call: str, other: str, put: str) -> None:
    assert two_endpoints(tmp_path, call, other=other, put=put) == ""


MODEL = """\
import spacy
from fastapi import FastAPI

app = FastAPI()
nlp = spacy.load("en")
asked = []


@app.post("/answer")
async def answer(text: str):
    return nlp(text)


@app.post("/chat")
async def chat(text: str):
    asked.append(text)
    found = nlp(text)
    asked.append(text)
    return found
"""


def test_calls_of_a_model_that_threads_may_share_are_no_halves(tmp_path: Path) -> None:
    assert fix_of_answer(tmp_path, MODEL)[1] == ""
