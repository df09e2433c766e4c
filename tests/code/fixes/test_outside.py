"""A new `await` must not come between a question to a database or a cache and what is added for the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability, Fix
from servelint.lint import check
from servelint.project.config import Config

CACHE = """\
import redis

client = redis.Redis()


def get_score(key):
    found = client.get(key)
    return float(found) if found else None


def set_score(key, score):
    client.setex(key, 60, score)
"""
SERVICE = """\
import asyncio
import pymongo
import redis
from cache import get_score, set_score
from fastapi import Depends, FastAPI
from lightgbm import Booster
from sqlalchemy.orm import Session

from tables import Score, User, get_db

app = FastAPI()
trees = Booster(model_file="a.txt")
store = redis.Redis()
mongo = pymongo.MongoClient()


@app.post("/p")
async def predict(row: list, key: str, db: Session = Depends(get_db)):
"""
CALL = "scores = trees.predict(row)"
END = "return scores.tolist()"
FOUND = ("if found:", "    return found")
ROW = "db.query(Score).filter(Score.key == key).first()"


def _fix(root: Path, *lines: str) -> Fix:
    (root / "cache.py").write_text(CACHE)
    (root / "main.py").write_text(SERVICE + "".join(f"    {line}\n" for line in (*lines, END)))
    (finding,) = check([], Config(root=root, select=("SRV101",))).findings
    assert finding.fix is not None
    return finding.fix


@pytest.mark.parametrize(
    ("lines", "asked", "added"),
    [
        (
            (f"found = {ROW}", *FOUND, CALL, "db.add(Score(key))", "db.commit()"),
            "db.query().filter().first",
            "db.add",
        ),
        (
            (f"found = {ROW}", "if found is None:", f"    {CALL}", "    row = Score(key)", "    db.add(row)"),
            "db.query().filter().first",
            "db.add",
        ),
        (
            ("found = get_score(key)", *FOUND, CALL, "db.add(Score(key))", "set_score(key, 1)"),
            "get_score",
            "db.add",
        ),
        (
            (
                "if row:",
                "    found = get_score(key)",
                "    if found:",
                "        return found",
                CALL,
                "set_score(key, 1)",
                "store.publish('scores', key)",
            ),
            "get_score",
            "store.publish",
        ),
        (
            (
                "found = mongo.shop.scores.find_one({'key': key})",
                *FOUND,
                CALL,
                "mongo.shop.scores.insert_one({'key': key})",
            ),
            "mongo.shop.scores.find_one",
            "mongo.shop.scores.insert_one",
        ),
        (
            ("if int(store.get(key)) >= 10:", "    raise ValueError", CALL, "store.incr(key)"),
            "store.get",
            "store.incr",
        ),
        (
            ("found = db.execute('SELECT * FROM t').first()", *FOUND, CALL, "db.execute('INSERT INTO t')"),
            "db.execute",
            "db.execute",
        ),
    ],
)
def test_what_is_asked_before_and_added_after(
    tmp_path: Path, lines: tuple[str, ...], asked: str, added: str
) -> None:
    fix = _fix(tmp_path, *lines)
    assert fix.applicability is Applicability.UNSAFE
    assert fix.reason == (
        f"`{asked}()` is asked before the call and `{added}()` adds something after it: "
        "another request may come between and do both too"
    )


@pytest.mark.parametrize(
    "lines",
    [
        # a cache of the result: both put the same
        ("found = get_score(key)", *FOUND, CALL, "set_score(key, 1)"),
        ("found = store.get(key)", *FOUND, CALL, "store.set(key, 1)"),
        # nothing is added that was asked for: the function goes on where something is found
        (f"found = {ROW}", "if not found:", "    raise ValueError", CALL, "db.add(Score(key))"),
        # another table
        ("found = db.query(User).first()", *FOUND, CALL, "db.add(Score(key))"),
        # nothing is asked
        (CALL, "db.add(Score(key))"),
        # others could come between before
        (f"found = {ROW}", *FOUND, "await asyncio.sleep(0)", CALL, "db.add(Score(key))"),
        # what is added is no client's
        ("seen = set()", f"found = {ROW}", *FOUND, CALL, "seen.add(key)"),
    ],
)
def test_what_two_requests_may_do(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert _fix(tmp_path, *lines).applicability is Applicability.SAFE
