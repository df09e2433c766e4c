"""A fix that leaves long work of the same function on the event loop is unsafe, whatever that work is."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import asyncio
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import pandas as pd
import requests
from fastapi import FastAPI
from lightgbm import Booster

app = FastAPI()
trees = Booster(model_file="a.txt")
pool = ThreadPoolExecutor()


def fetched(url):
    return requests.get(url).text


def fetched_if_new(url, known):
    if url not in known:
        known[url] = requests.get(url).text
    return known[url]


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
        ("def later():", "    return requests.get(url)", CALL, END),
    ],
)
def test_what_does_not_stay_there(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert judged(tmp_path, *lines) == (Applicability.SAFE, "")
