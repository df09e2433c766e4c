"""What a thread uses of a library must not be changed by other code meanwhile, where the library says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.lint import check
from servelint.project.config import Config, FixConfig

SERVICE = """\
import asyncio
import threading

import faiss
import hnswlib
import joblib
from fastapi import FastAPI

app = FastAPI()
guard = asyncio.Lock()


class Base:
    def __init__(self):
        self.index = None
        self.lock = threading.Lock()

    def save(self):
{save}


class Store(Base):
    def __init__(self):
        super().__init__()
        self.index = {made}
        self.other = faiss.IndexFlatIP(8)

    def put(self, vectors):
{put}


class Others:
    def __init__(self):
        self.index = faiss.IndexFlatIP(8)

    def put(self, vectors):
        self.index.add(vectors)


stores = {{"a": Store(), "b": Store()}}
others = Others()


@app.post("/save")
async def save(name: str):
    store = stores[name]
{saved}


{served}
    store = stores[name]
{lines}
"""
FAISS = "faiss.IndexFlatIP(8)"
HNSW = 'hnswlib.Index(space="ip", dim=8)'
SAVE = '        faiss.write_index(faiss.index_gpu_to_cpu(self.index), "a.index")'
SEARCH = "        return self.index.search([1], 5)"
QUERY = "        return self.index.knn_query([1], 5)"
PUT = "        self.index.add(vectors)"
SAVED = "    return store.save()"
SERVED = '@app.post("/put")\nasync def put(name: str):'
LINES = "    store.put([name])"


def reason(
    folder: Path,
    save: str = SAVE,
    put: str = PUT,
    *,
    made: str = FAISS,
    saved: str = SAVED,
    served: str = SERVED,
    lines: str = LINES,
    workers: int | None = None,
    offload: str = "auto",
) -> str:
    text = SERVICE.format(save=save, put=put, made=made, saved=saved, served=served, lines=lines)
    (folder / "main.py").write_text(text)
    config = Config(root=folder, select=("SRV1",), fix=FixConfig(max_workers=workers, offload=offload))
    (fix,) = (f.fix for f in check([], config).findings if f.function == "save")
    assert fix is not None
    return fix.reason


def told(change: str, use: str = "self.index", writer: str = "put") -> str:
    return f"the thread uses `{use}`, and `{writer}` may change it meanwhile (`{change}()`)"


@pytest.mark.parametrize(
    ("save", "put", "made", "method"),
    [
        (SAVE, PUT, FAISS, "add"),
        (SEARCH, PUT, FAISS, "add"),
        (SEARCH, "        self.index.reset()", FAISS, "reset"),
        (SEARCH, "        self.index.train(vectors)", FAISS, "train"),
        (SEARCH, "        return self.index.remove_ids(vectors)", FAISS, "remove_ids"),
        (SEARCH, "        self.index.merge_from(self.other, 0)", 'faiss.read_index("a")', "merge_from"),
        (QUERY, "        self.index.add_items(vectors)", HNSW, "add_items"),
    ],
)
def test_what_the_thread_uses_and_others_change(
    tmp_path: Path, save: str, put: str, made: str, method: str
) -> None:
    assert reason(tmp_path, save, put, made=made) == told(f"self.index.{method}")


DIRECT = "    return store.index.search([1], 5)"
RESET = "    store.index.reset()"


def test_what_the_call_itself_uses(tmp_path: Path) -> None:
    expected = told("store.index.reset", "store.index")
    assert reason(tmp_path, saved=DIRECT, lines=RESET) == expected
    block = "    found = store.index.search([1], 5)\n    scores = found[0]\n    return scores.tolist()"
    assert reason(tmp_path, saved=block, lines=RESET) == expected
    held = "    index = store.index\n    return index.search([1], 5)"
    assert reason(tmp_path, saved=held, lines=RESET) == expected
    assert reason(tmp_path, saved=held.replace("= store.index", "= stores['b'].other"), lines=RESET) == ""


def test_one_pool_of_one_thread_keeps_both_apart(tmp_path: Path) -> None:
    added = "    store.index.add([name])"
    assert reason(tmp_path, saved=DIRECT, lines=added) == ""
    assert reason(tmp_path, saved=DIRECT, lines=added, workers=4) == told("store.index.add", "store.index")
    # what saves is in another pool, and one of two changes stays on the loop
    assert reason(tmp_path, lines=added) == told("store.index.add")
    assert "meanwhile" in reason(tmp_path, saved=DIRECT, lines=added + "\n" + RESET)


@pytest.mark.parametrize(
    ("save", "put", "served", "lines"),
    [
        # at start-up, or in threads, as it was before
        (SAVE, PUT, '@app.on_event("startup")\nasync def put(name: str = "a"):', LINES),
        (SAVE, PUT, SERVED.replace("async ", ""), LINES),
        (SAVE, PUT, "def put(name: str):", "    raise NotImplementedError"),
        # where there was none, or before others can have it
        (SAVE, PUT, SERVED, "    if store.index is None:\n    " + LINES),
        (SAVE, "        made = faiss.IndexFlatIP(8)\n        made.add(vectors)", SERVED, LINES),
        # another object
        (SAVE, "        self.other.add(vectors)", SERVED, LINES),
        (SAVE, PUT, SERVED, "    others.put([name])"),
        # what changes nothing
        (SAVE, "        self.index.search(vectors, 5)", SERVED, LINES),
        (SAVE, "        return self.index.ntotal", SERVED, LINES),
        # only one of its numbers is read
        (
            '        assert self.index is not None\n        print(self.index.ntotal)\n        joblib.load("a")',
            PUT,
            SERVED,
            LINES,
        ),
    ],
)
def test_what_nobody_changes(tmp_path: Path, save: str, put: str, served: str, lines: str) -> None:
    assert reason(tmp_path, save, put, served=served, lines=lines) == ""


def test_an_object_of_which_nothing_is_known(tmp_path: Path) -> None:
    made, put = 'joblib.load("a")', "        self.index.reset()"
    assert reason(tmp_path, "        return self.index.predict([1])", put, made=made) == ""


def test_one_lock_around_both(tmp_path: Path) -> None:
    def both(put: str, save: str) -> str:
        return f"{put}\n\n    def save(self):\n{save}"

    def locked(body: str) -> str:
        return f"        with self.lock:\n    {body}"

    assert reason(tmp_path, put=both(locked(PUT), locked(SAVE))) == ""
    assert reason(tmp_path, put=both(locked(PUT), SAVE)) == told("self.index.add")
    assert reason(tmp_path, put=both(PUT, locked(SAVE))) == told("self.index.add")


def test_one_lock_of_the_loop_around_both(tmp_path: Path) -> None:
    saved = f"    async with guard:\n    {SAVED}"
    assert reason(tmp_path, saved=saved, lines=f"    async with guard:\n    {RESET}") == ""
    assert reason(tmp_path, saved=saved, lines=RESET) == told("store.index.reset")


def test_what_the_framework_runs_in_its_threads(tmp_path: Path) -> None:
    added = "    store.index.add([name])"
    assert reason(tmp_path, saved=DIRECT, lines=added, offload="def") == told(
        "store.index.add", "store.index"
    )
    # what awaits goes to the pool, and what changes it becomes a plain function
    awaits = f"    await asyncio.sleep(0)\n{DIRECT}"
    assert reason(tmp_path, saved=awaits, lines=added) == ""
    assert reason(tmp_path, saved=awaits, lines=added, offload="def") == told(
        "store.index.add", "store.index"
    )
