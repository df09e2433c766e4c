"""A fix that leaves long work of the same function on the event loop is unsafe, whatever that work is."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import asyncio
import json
import subprocess
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import cv2
import fitz
import matplotlib.pyplot as plt
import openpyxl
import pandas as pd
import pdfplumber
import pypdf
import requests
from fastapi import FastAPI
from lightgbm import Booster
from PIL import Image

app = FastAPI()
trees = Booster(model_file="a.txt")
pool = ThreadPoolExecutor()


def fetched(url):
    return requests.get(url).text


def fetched_if_new(url, known):
    if url not in known:
        known[url] = requests.get(url).text
    return known[url]


def fetched_below(url):
    return length(fetched(url))


def far_below(url):
    return fetched_below(url)


def frames(path):
    video, found = cv2.VideoCapture(path), []
    while True:
        ok, frame = video.read()
        if not ok:
            return found
        found.append(frame)


def back(url):
    return there(url)


def there(url):
    return back(url)


def length(text):
    return len(text)


@app.post("/p")
async def predict(row: list, url: str, known: dict):
"""
CALL = "scores = trees.predict(row)"
END = "return scores.tolist()"


def judged(folder: Path, *lines: str) -> tuple[Applicability, str]:
    (folder / "main.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    (finding,) = check([], Config(root=folder, select=("SRV101",))).findings
    assert finding.fix is not None
    return finding.fix.applicability, finding.fix.reason


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('subprocess.run(["ffmpeg", url])', "subprocess.run()"),
        ("time.sleep(2)", "time.sleep()"),
        ("page = requests.get(url)", "requests.get()"),
        ("table = pd.read_csv(url)", "pd.read_csv()"),
        ("pages = list(pool.map(length, row))", "pool.map()"),
        ("page = fetched(url)", "fetched()"),
        ("page = requests.get(url) if url else None", "requests.get()"),
        ("page = fetched_below(url)", "fetched_below()"),
        ("page = far_below(url)", "far_below()"),
        ("row = frames(url)", "frames()"),
        ("row = [page.get_pixmap(dpi=200) for page in fitz.open(url)]", "page.get_pixmap()"),
        ("row = pdfplumber.open(url).pages[0].extract_text()", "pdfplumber.open().pages[0].extract_text()"),
        ("row = [page.extract_text() for page in pypdf.PdfReader(url).pages]", "page.extract_text()"),
        ("row = [Image.open(path) for path in row]", "Image.open()"),
        ("plt.figure().savefig(url)", "plt.figure().savefig()"),
        ("book = openpyxl.load_workbook(url)", "openpyxl.load_workbook()"),
        ("zipfile.ZipFile(url).extractall()", "zipfile.ZipFile().extractall()"),
        ("corpus = json.load(open('data/corpus.json'))", "json.load()"),
    ],
)
def test_long_work_stays_before_or_after_the_call(tmp_path: Path, line: str, text: str) -> None:
    for lines, number in (((line, CALL, END), 1), ((CALL, line, END), 2)):
        applicability, reason = judged(tmp_path, *lines)
        at = HEAD.count("\n") + number
        assert applicability is Applicability.UNSAFE
        assert reason == f"line {at} of `predict` stays on the event loop (`{text}`)"


CLIENTS = """\
import smtplib

from elasticsearch import Elasticsearch
from pinecone import Pinecone
from pymongo import MongoClient
from upstash_redis import Redis

redis = Redis(url="https://cache.example")
index = Pinecone(api_key="k").Index("texts")
texts = Elasticsearch()
mongo = MongoClient()


def mail(text):
    with smtplib.SMTP("mail.example") as server:
        server.send_message(text)


"""


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("mail(url)", "mail()"),
        ("redis.get(url)", "redis.get()"),
        ("index.delete(ids=[url])", "index.delete()"),
        ("index.describe_index_stats()", "index.describe_index_stats()"),
        ("texts.update_by_query(index=url)", "texts.update_by_query()"),
    ],
)
def test_mail_and_clients_of_services_stay(tmp_path: Path, line: str, text: str) -> None:
    (tmp_path / "clients.py").write_text(CLIENTS)
    names = "from clients import index, mail, redis, texts"
    reason = judged(tmp_path, names, CALL, line, END)[1]
    assert reason.endswith(f"of `predict` stays on the event loop (`{text}`)")


@pytest.mark.parametrize("line", ["mongo.shop.scores.insert_one({})", "index.namespace(url)"])
def test_databases_and_what_asks_nobody_may_stay(tmp_path: Path, line: str) -> None:
    (tmp_path / "clients.py").write_text(CLIENTS)
    assert judged(tmp_path, "from clients import index, mongo", CALL, line, END)[0] is Applicability.SAFE


def test_frames_of_a_video_are_read_in_a_loop(tmp_path: Path) -> None:
    lines = ("video = cv2.VideoCapture(url)", "while row:", "    row.append(video.read())", CALL, END)
    assert judged(tmp_path, *lines)[1].endswith("stays on the event loop (`video.read()`)")
    lines = ("video = cv2.VideoCapture(url)", "row.append(video.read())", CALL, END)
    assert judged(tmp_path, *lines)[0] is Applicability.SAFE


def test_a_file_of_data_is_parsed_where_a_with_opens_it(tmp_path: Path) -> None:
    for name, unsafe in (("embeddings.json", True), ("labels_index.json", False)):
        lines = (f"with open('{name}') as file:", "    found = json.loads(file.read())", CALL, END)
        assert (judged(tmp_path, *lines)[0] is Applicability.UNSAFE) is unsafe


@pytest.mark.parametrize(
    "lines",
    [
        (CALL, END),
        ("page = await asyncio.to_thread(requests.get, url)", CALL, END),
        ("if url:", "    return requests.get(url).text", CALL, END),
        ("if url:", "    scores = requests.get(url)", "else:", f"    {CALL}", END),
        ("if url:", f"    {CALL}", "elif row:", "    scores = requests.get(url)", END),
        ("if url:", "    scores = requests.get(url)", "elif row:", f"    {CALL}", END),
        ("match url:", "    case 'a':", f"        {CALL}", "    case _:", "        time.sleep(1)", END),
        ("try:", f"    {CALL}", "except ValueError:", "    time.sleep(1)", "    raise", END),
        ("page = fetched_if_new(url, known)", CALL, END),
        ("row = back(url)", CALL, END),
        ("image = Image.open(url)", CALL, END),
        ("image = cv2.imread(url)", "text = fitz.open(url)[0].get_text()", CALL, END),
        ("for path in row:", "    image = cv2.imread(path)", "    scores = trees.predict(image)", END),
        ("for path in cv2.imread(url):", "    row.append(path)", CALL, END),
        ("settings = json.load(open('config.json'))", CALL, END),
        ("names = json.load(open('class_indices.json'))", "index = json.load(url.index)", CALL, END),
        ("def later():", "    return requests.get(url)", CALL, END),
    ],
)
def test_what_does_not_stay_there(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert judged(tmp_path, *lines) == (Applicability.SAFE, "")


COROUTINES = """

async def page(url, known):
    if url.startswith("http"):
        return requests.get(url).text
    return await cached(url, known)


async def cached(url, known):
    if url not in known:
        known[url] = requests.get(url).text
    return known[url]


async def outer(url, known):
    return await page(url, known)


async def retried(url):
    try:
        return len(url)
    except ValueError:
        time.sleep(1)


async def forest(row):
    return trees.predict(row)


class Counter:
    seen = 0

    async def scored(self, row):
        self.seen += 1
        scores = trees.predict(row)
        self.seen -= 1
        return scores


counter = Counter()
"""


def judged_with_coroutines(folder: Path, *lines: str) -> dict[str, tuple[Applicability, str]]:
    """What is said of the fix in each function."""
    head = HEAD.replace("\n\n@app", f"{COROUTINES}\n\n@app")
    (folder / "main.py").write_text(head + "".join(f"    {line}\n" for line in lines))
    found = check([], Config(root=folder, select=("SRV101",))).findings
    return {f.function: (f.fix.applicability, f.fix.reason) for f in found if f.fix is not None}


@pytest.mark.parametrize("line", ["text = await page(url, known)", "text = await outer(url, known)"])
def test_long_work_of_a_coroutine_that_is_awaited_stays(tmp_path: Path, line: str) -> None:
    for lines in ((line, CALL, END), (CALL, line, END)):
        applicability, reason = judged_with_coroutines(tmp_path, *lines)["predict"]
        assert applicability is Applicability.UNSAFE
        assert reason.endswith("of `predict` stays on the event loop (`requests.get()` in `page`)")


@pytest.mark.parametrize(
    "line",
    [
        "text = await cached(url, known)",  # it is there already, mostly
        "text = await retried(url)",
        "task = asyncio.create_task(page(url, known))",
    ],
)
def test_what_an_awaited_coroutine_hardly_ever_does(tmp_path: Path, line: str) -> None:
    assert judged_with_coroutines(tmp_path, line, CALL, END)["predict"] == (Applicability.SAFE, "")


def test_a_finding_in_a_coroutine_that_is_awaited_stays_without_a_safe_fix(tmp_path: Path) -> None:
    found = judged_with_coroutines(tmp_path, "more = await counter.scored(row)", CALL, END)
    assert found["Counter.scored"][0] is Applicability.UNSAFE
    assert found["predict"][1].endswith(
        "of `predict` stays on the event loop (`trees.predict()` in `Counter.scored`)"
    )


def test_a_finding_in_a_coroutine_that_is_awaited_moves_with_its_own_fix(tmp_path: Path) -> None:
    found = judged_with_coroutines(tmp_path, "more = await forest(row)", CALL, END)
    assert found["forest"] == found["predict"] == (Applicability.SAFE, "")


def test_coroutines_that_await_one_another_are_looked_into_three_deep(tmp_path: Path) -> None:
    def judged_at(number: int) -> str:
        bodies = [f"await step{(one + 1) % 50}(row)" for one in range(50)]
        bodies[number] += "\n    time.sleep(1)"
        chain = "".join(f"async def step{one}(row):\n    {body}\n\n\n" for one, body in enumerate(bodies))
        head = HEAD.replace("@app", f"{chain}@app")
        (tmp_path / "main.py").write_text(f"{head}    await step0(row)\n    {CALL}\n    {END}\n")
        (finding,) = check([], Config(root=tmp_path, select=("SRV101",))).findings
        assert finding.fix is not None
        return finding.fix.reason

    assert judged_at(2).endswith("(`time.sleep()` in `step2`)")
    assert judged_at(3) == ""


def test_ffmpeg_is_waited_for_at_the_end_of_a_chain(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import ffmpeg\nimport whisper\nfrom fastapi import FastAPI\n\n"
        'app = FastAPI()\nmodel = whisper.load_model("base")\n\n\n'
        "def decoded(data):\n"
        '    out, _ = (ffmpeg.input("pipe:").output("pipe:").run_async(pipe_stdin=True)).communicate(data)\n'
        "    return out\n\n\n"
        '@app.post("/t")\nasync def text(data: bytes):\n'
        "    wave = decoded(data)\n    return model.transcribe(wave)\n"
    )
    found = check([], Config(root=tmp_path, select=("SRV101",))).findings
    assert [f.message.partition(" on ")[0] for f in found] == [
        "`decoded()` runs ffmpeg-python preprocessing",
        "`model.transcribe()` runs openai-whisper inference",
    ]
    assert found[0].fix is not None
    assert found[0].fix.applicability is Applicability.SAFE
    assert [f.fix and f.fix.edits for f in found] == [found[0].fix.edits] * 2
