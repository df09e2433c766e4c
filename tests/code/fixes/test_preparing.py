"""What only decodes or resamples does not queue behind the models, nor they behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config, FixConfig

SERVICE = """\
import asyncio
from concurrent.futures import ThreadPoolExecutor

import decord
import librosa
import pdf2image
import requests
import soundfile
import torchaudio
import vendored
import whisper
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from onnxruntime import InferenceSession
from pydub import AudioSegment
from transformers import pipeline

{head}
app = FastAPI()


def read(path):
    audio, rate = librosa.load(path, sr=None)
    return librosa.resample(audio, orig_sr=rate, target_sr=16000)


def tidy(text):
    return text.strip()


{functions}


@app.post("/tidy")
async def tidied(text: str):
    return {other}


@app.post("/p")
async def answer(path: str, text: str):
{body}
"""
DECODED = "audio, rate = await asyncio.to_thread(librosa.load, path, sr=16000)"
MODEL = 'asr = pipeline("automatic-speech-recognition")'
BOTH = "audio = read(path)\nif not audio.any():\n    return None\nreturn asr(audio)"


def service(body: str, head: str = "", functions: str = "", other: str = "tidy(text)") -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return SERVICE.format(body=lines, head=head, functions=functions, other=other)


def findings(folder: Path, text: str, *codes: str, fix: FixConfig | None = None) -> tuple[Finding, ...]:
    (folder / "main.py").write_text(text)
    return check([], Config(root=folder, select=codes or ("SRV1",), fix=fix or FixConfig())).findings


def fixed(folder: Path, text: str, *, unsafe: bool = False, fix: FixConfig | None = None) -> str:
    (folder / "main.py").write_text(text)
    config = Config(root=folder, select=("SRV1",), fix=fix or FixConfig())
    outcome = edits.apply(check([], config), unsafe=unsafe)
    assert not outcome.rejected
    list(edits.write(outcome))
    assert not edits.apply(check([], config), unsafe=unsafe).after
    return (folder / "main.py").read_text()


def test_it_needs_no_pool_and_is_no_finding_afterwards(tmp_path: Path) -> None:
    text = fixed(tmp_path, service("audio, rate = librosa.load(path, sr=16000)\nreturn len(audio)"))
    assert DECODED in text
    assert "ThreadPoolExecutor(" not in text
    assert not findings(tmp_path, text)
    assert [path.name for path in tmp_path.glob("*.py")] == ["main.py"]


def test_it_is_told_where_it_goes(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, service("return read(path).tolist()"))
    assert found.fix is not None
    assert found.fix.applicability is Applicability.SAFE
    assert found.fix.title == "Await `read()` with asyncio.to_thread"


def test_a_method_of_a_class_of_the_catalogue_is_known(tmp_path: Path) -> None:
    text = fixed(tmp_path, service("return AudioSegment.from_file(path)"))
    assert "await asyncio.to_thread(AudioSegment.from_file, path)" in text


@pytest.mark.parametrize(
    ("call", "awaited"),
    [
        ("whisper.load_audio(path)", "whisper.load_audio, path"),
        ("torchaudio.load(path)", "torchaudio.load, path"),
        ("pdf2image.convert_from_path(path)", "pdf2image.convert_from_path, path"),
        ("pdf2image.convert_from_bytes(text)", "pdf2image.convert_from_bytes, text"),
    ],
)
def test_functions_that_open_and_close_their_own_file(tmp_path: Path, call: str, awaited: str) -> None:
    text = fixed(tmp_path, service(f"pages = {call}\nreturn len(pages)"))
    assert f"pages = await asyncio.to_thread({awaited})" in text
    assert "ThreadPoolExecutor(" not in text


def test_what_soundfile_reads_beside_them_is_no_matter(tmp_path: Path) -> None:
    functions = (
        "def both(path):\n    soundfile.info(path)\n    return soundfile.read(path), whisper.load_audio(path)"
    )
    text = fixed(tmp_path, service("return len(both(path))", functions=functions))
    assert "await asyncio.to_thread(both, path)" in text


def test_beside_a_model_each_goes_its_way(tmp_path: Path) -> None:
    text = fixed(tmp_path, service(BOTH, MODEL))
    assert "audio = await asyncio.to_thread(read, path)" in text
    assert "functools.partial(asr, audio)" in text
    assert text.count("run_in_executor(") == 1


def test_what_stands_right_beside_the_inference_goes_with_it(tmp_path: Path) -> None:
    """One hop to a thread reads better than two."""
    text = fixed(tmp_path, service("audio = read(path)\nreturn asr(audio)", MODEL))
    assert "    def run_inference():\n        audio = read(path)\n        return asr(audio)\n" in text
    assert "to_thread" not in text


def test_several_of_them_are_one_block(tmp_path: Path) -> None:
    text = fixed(tmp_path, service("one = read(path)\ntwo = read(text)\nreturn one + two"))
    assert "one, two = await asyncio.to_thread(preprocess)" in text


@pytest.mark.parametrize(
    ("body", "functions"),
    [
        # nothing says that two threads may, or it must not be
        ("return decord.VideoReader(path)", ""),
        ("return whisper.log_mel_spectrogram(path)", ""),
        # a model, by its name
        (
            "return words(path)",
            "def words(path):\n    return engine.model.predict(librosa.load(path, sr=8000))",
        ),
        ("return words(path)", "def words(path):\n    librosa.load(path, sr=8000)\n    return reader(path)"),
        # nobody knows what the package does: it may hold a model
        (
            "return words(path)",
            "def words(path):\n    return vendored.embedding(librosa.load(path, sr=8000))",
        ),
    ],
)
def test_what_is_not_known_to_be_that_goes_where_inference_goes(
    tmp_path: Path, body: str, functions: str
) -> None:
    head = "import engine\n\nreader = decord.VideoReader"
    text = fixed(tmp_path, service(body, head, functions), unsafe=True)
    assert "_inference_executor = ThreadPoolExecutor(max_workers=1" in text
    assert "to_thread" not in text


def test_what_is_fetched_first_keeps_nobody_waiting(tmp_path: Path) -> None:
    functions = (
        "def fetched(url):\n    got = requests.get(url)\n    return librosa.load(got.content, sr=8000)"
    )
    (found,) = findings(tmp_path, service("return fetched(text)", functions=functions))
    assert found.fix is not None
    assert found.fix.title == "Await `fetched()` with asyncio.to_thread"


@pytest.mark.parametrize(
    ("other", "after"),
    [
        ("await run_in_threadpool(tidy, text)", "await run_in_threadpool(read, path)"),
        ("await run_in_threadpool(requests.get, text)", "await run_in_threadpool(read, path)"),
        ("await run_in_threadpool(read, text)", "await run_in_threadpool(read, path)"),
        ("await asyncio.to_thread(tidy, text)", "await asyncio.to_thread(read, path)"),
        (
            "await asyncio.get_running_loop().run_in_executor(None, tidy, text)",
            "await asyncio.to_thread(read, path)",
        ),
    ],
)
def test_what_the_file_does_with_other_work(tmp_path: Path, other: str, after: str) -> None:
    assert after in fixed(tmp_path, service(BOTH, MODEL, other=other))


def test_a_pool_of_the_file_for_its_models_is_left_to_them(tmp_path: Path) -> None:
    head = f"{MODEL}\npool = ThreadPoolExecutor(max_workers=1)"
    other = "await asyncio.get_running_loop().run_in_executor(pool, asr, text)"
    text = fixed(tmp_path, service(BOTH, head, other=other))
    assert "await asyncio.to_thread(read, path)" in text
    assert "_inference_executor" not in text


@pytest.mark.parametrize(
    ("form", "after"),
    [
        (
            "run-in-executor",
            "_inference_executor, contextvars.copy_context().run, functools.partial(read, path)",
        ),
        ("dispatcher", "await in_inference_pool(read, path)"),
        ("run-in-threadpool", "await run_in_threadpool(read, path)"),
        ("anyio", "await anyio.to_thread.run_sync(read, path)"),
        ("to-thread", "await asyncio.to_thread(read, path)"),
        ("project:pools.run", "await run(read, path)"),
    ],
)
def test_a_configured_form_wins(tmp_path: Path, form: str, after: str) -> None:
    text = fixed(tmp_path, service("return read(path)"), fix=FixConfig(offload=form))
    assert after in " ".join(text.split())


def test_it_says_nothing_about_where_inference_goes(tmp_path: Path) -> None:
    """What the first run writes does not lead the next one to another place."""
    head = 'net = InferenceSession("a.onnx")'
    text = fixed(
        tmp_path, service("return net.run(None, text)", head, other="await asyncio.to_thread(read, text)")
    )
    assert "_inference_executor, net.run, None, text" in text


def test_it_is_no_reason_to_leave_inference_on_the_default_executor(tmp_path: Path) -> None:
    head, other = 'net = InferenceSession("a.onnx")', "await asyncio.to_thread(read, text)"
    text = service("return await asyncio.to_thread(net.run, None, text)", head, other=other)
    (found,) = findings(tmp_path, text)
    assert found.code == "SRV109"
    assert found.fix is not None
    assert "net.run" in found.message


def test_what_is_not_known_to_be_that_is_told_of_on_the_default_executor(tmp_path: Path) -> None:
    text = service("return await asyncio.to_thread(whisper.log_mel_spectrogram, text)")
    assert [found.code for found in findings(tmp_path, text)] == ["SRV109"]


def test_the_size_of_the_pool_does_not_depend_on_it(tmp_path: Path) -> None:
    """A library that holds the GIL, and a service with a limit of two processors."""
    (tmp_path / "api.yaml").write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\n"
        "spec:\n  template:\n    spec:\n      containers:\n        - name: api\n"
        '          image: r/api:1\n          command: [uvicorn, "main:app"]\n'
        '          resources: {limits: {cpu: "2"}}\n'
    )
    head = 'net = InferenceSession("a.onnx")'
    body = "audio = read(path)\nif not audio.any():\n    return None\nreturn net.run(None, audio)"
    text = fixed(tmp_path, service(body, head))
    assert "ThreadPoolExecutor(max_workers=2" in text
    assert "asyncio.to_thread(read, path)" in text


def test_a_block_is_judged_by_all_that_is_in_it(tmp_path: Path) -> None:
    """What threads may share takes nothing with it that they may not."""
    head = f"{MODEL}\npool = ThreadPoolExecutor(max_workers=4)"
    body = "audio, rate = librosa.load(path, sr=16000)\nreturn asr(audio)"
    text = service(body, head)
    assert fixed(tmp_path, text) == text  # half of it would stay on the event loop
    text = fixed(tmp_path, text, unsafe=True)
    assert DECODED in text
    assert "functools.partial(asr, audio)" in text
