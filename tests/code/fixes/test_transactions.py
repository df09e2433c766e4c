"""A new `await` must not come while rows are locked that another request may wait for on the event loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability, Fix
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import asyncio
import psycopg2
from fastapi import Depends, FastAPI
from lightgbm import Booster
from sqlalchemy import create_engine, delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tables import Item, get_db, get_later, save

app = FastAPI()
trees = Booster(model_file="a.txt")
lock = asyncio.Lock()
engine = create_engine("postgresql://")


@app.post("/p")
async def predict(row: list, key: str, db: Session = Depends(get_db), later: AsyncSession = Depends(get_later)):
"""
TABLES = """\
from sqlalchemy.orm import sessionmaker

SessionLocal = sessionmaker({})


def save(db, row):
    db.add(row)
    db.commit()
"""
CALL = "scores = trees.predict(row)"
END = "return scores.tolist()"
DELETED = "db.query(Item).filter(Item.key == key).delete()"
COMMIT = "db.commit()"
OPEN = "connection = psycopg2.connect('d')"


def _fix(root: Path, text: str, made: str = "") -> Fix:
    (root / "tables.py").write_text(TABLES.format(made))
    (root / "main.py").write_text(SERVICE + text)
    (finding,) = check([], Config(root=root, select=("SRV101",))).findings
    assert finding.fix is not None
    return finding.fix


def _body(*lines: str) -> str:
    return "".join(f"    {line}\n" for line in (*lines, END))


def _reason(change: str, end: str = "`db.commit()`", function: str = "predict") -> str:
    return (
        f"`{change}` in `{function}` changes rows that are locked until {end}: "
        "another request may wait for them on the event loop"
    )


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((DELETED, CALL, COMMIT), _reason("db.query().filter().delete()")),
        ((DELETED, "db.flush()", CALL, COMMIT), _reason("db.flush()")),
        (("db.execute(delete(Item).where(Item.key == key))", CALL, COMMIT), _reason("db.execute()")),
        (("statement = insert(Item)", "db.execute(statement)", CALL, COMMIT), _reason("db.execute()")),
        (("db.execute(text('DELETE FROM items'))", CALL, COMMIT), _reason("db.execute()")),
        (("db.execute(select(Item).with_for_update())", CALL, COMMIT), _reason("db.execute()")),
        # what the session has been given is written by the next query
        (("db.add(Item(key))", "db.query(Item).count()", CALL, COMMIT), _reason("db.query()")),
        # a cursor of the connection
        (
            (
                OPEN,
                "cursor = connection.cursor()",
                "cursor.execute('UPDATE items SET n = 1')",
                CALL,
                "connection.commit()",
            ),
            _reason("cursor.execute()", "`connection.commit()`"),
        ),
        # in the next round of a loop
        (
            ("for one in row:", f"    {CALL}", "    db.execute(insert(Item))", COMMIT),
            _reason("db.execute()"),
        ),
        # what stands in branches may be passed by
        (
            (
                "if key:",
                f"    {DELETED}",
                "if not row:",
                "    await asyncio.sleep(1)",
                "    db.rollback()",
                "    return []",
                "for one in key:",
                "    await asyncio.sleep(1)",
                CALL,
                COMMIT,
            ),
            _reason("db.query().filter().delete()"),
        ),
    ],
)
def test_rows_are_locked_meanwhile(tmp_path: Path, lines: tuple[str, ...], reason: str) -> None:
    fix = _fix(tmp_path, _body(*lines))
    assert (fix.applicability, fix.reason) == (Applicability.UNSAFE, reason)


@pytest.mark.parametrize(
    "lines",
    [
        # nothing is changed, or not yet
        ("db.query(Item).first()", CALL, COMMIT),
        ("db.execute(select(Item))", CALL, COMMIT),
        ("db.add(Item(key))", CALL, COMMIT),
        (CALL, DELETED, COMMIT),
        ("seen = {}", "seen.update(n=1)", CALL, COMMIT),
        # the change has ended, or never does in this function
        (DELETED, COMMIT, CALL, COMMIT),
        (DELETED, "db.rollback()", CALL, COMMIT),
        (DELETED, "save(db, Item(key))", CALL, COMMIT),
        ("with db.begin():", f"    {DELETED}", CALL, COMMIT),
        ("for one in row:", f"    {CALL}", "    db.execute(insert(Item))", f"    {COMMIT}"),
        (DELETED, CALL),
        # of another session
        (DELETED, CALL, OPEN, "connection.commit()"),
        # the call and what is changed, or committed, are in two branches
        ("if key:", f"    {DELETED}", "else:", f"    {CALL}", COMMIT),
        (DELETED, "if key:", f"    {CALL}", f"    {END}", COMMIT),
        # an asynchronous session
        ("await later.execute(delete(Item))", CALL, "await later.commit()"),
        # others could come between before, or must wait without blocking the loop
        (DELETED, "await asyncio.sleep(0)", CALL, COMMIT),
        (DELETED, CALL, "await asyncio.sleep(0)", COMMIT),
        ("async with lock:", f"    {DELETED}", f"    {CALL}", f"    {COMMIT}"),
    ],
)
def test_no_rows_are_locked_meanwhile(tmp_path: Path, lines: tuple[str, ...]) -> None:
    fix = _fix(tmp_path, _body(*lines))
    assert "changes rows" not in fix.reason
    assert fix.applicability is Applicability.SAFE


def test_a_session_may_wait_with_what_it_is_given(tmp_path: Path) -> None:
    fix = _fix(
        tmp_path, _body("db.add(Item(key))", "db.query(Item).count()", CALL, COMMIT), "autoflush=False"
    )
    assert fix.applicability is Applicability.SAFE


ABOVE = "found = await above(row)"
AROUND = """\
    {first}
    {call}
    {last}
    return found


async def above(row):
    found = []
    for one in row:
        found.append(await described(one))
    return found


async def described(row):
    {own}
    return await scored(row)


async def scored(row):
    scores = trees.predict(row)
    return scores.tolist()
"""


def test_of_who_awaits_the_function_with_the_call(tmp_path: Path) -> None:
    fix = _fix(tmp_path, AROUND.format(call=ABOVE, first=DELETED, last=COMMIT, own="print(row)"))
    assert (fix.applicability, fix.reason) == (Applicability.UNSAFE, _reason("db.query().filter().delete()"))


@pytest.mark.parametrize(
    ("begin", "change"),
    [
        ("with db.begin()", f"    {DELETED}"),
        ("with engine.begin() as connection", "    connection.execute(delete(Item))"),
    ],
)
def test_a_block_commits_at_its_end(tmp_path: Path, begin: str, change: str) -> None:
    lines = f"{begin}:\n    {change}"
    fix = _fix(tmp_path, AROUND.format(first=lines, call=f"    {ABOVE}", last="print(key)", own="print(row)"))
    assert fix.applicability is Applicability.UNSAFE
    assert f"changes rows that are locked until the end of `{begin.partition(' as ')[0]}`" in fix.reason


@pytest.mark.parametrize(
    ("first", "last", "own"),
    [
        (COMMIT, COMMIT, "print(row)"),
        (DELETED, "print(key)", "print(row)"),
        (DELETED, COMMIT, "await asyncio.sleep(0)"),
        (DELETED, COMMIT, "row.db.commit()"),
        (f"{DELETED}; await asyncio.sleep(0)", COMMIT, "print(row)"),
    ],
)
def test_who_awaits_the_function_holds_none(tmp_path: Path, first: str, last: str, own: str) -> None:
    fix = _fix(tmp_path, AROUND.format(call=ABOVE, first=first, last=last, own=own))
    assert fix.applicability is Applicability.SAFE


def test_a_coroutine_that_does_not_wait_lets_nobody_in(tmp_path: Path) -> None:
    written = "await noted(key)"
    text = AROUND.format(call=ABOVE, first=f"{DELETED}; {written}", last=COMMIT, own="print(row)")
    fix = _fix(tmp_path, f"{text}\n\nasync def noted(key):\n    print(key)\n")
    assert fix.reason == _reason("db.query().filter().delete()")
