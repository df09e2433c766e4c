"""What two threads must not use at once, wherever below the moved call it is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
from functools import lru_cache

import nltk
import openai
import supabase
from fastapi import FastAPI
from nltk.corpus import stopwords
from nltk.stem import PorterStemmer, WordNetLemmatizer
from postgrest import SyncPostgrestClient
from supabase import create_client

app = FastAPI()
client = openai.OpenAI()
base = create_client("url", "key")
rows = SyncPostgrestClient("http://127.0.0.1")


@lru_cache
def annotated() -> supabase.Client:
    return create_client("url", "key")


@lru_cache
def plain():
    return create_client("url", "key")


def context(name: str) -> str:
    {context}


def chat(text: str) -> str:
    known = context(text)
    return client.chat.completions.create(model="m", messages=[known, text])


@app.post("/")
async def answer(text: str):
    return chat(text)
"""


@pytest.mark.parametrize(
    ("context", "called"),
    [
        ('return annotated().table("t").select("*").execute()', "supabase.Client.table"),
        ('found = plain()\n    return found.storage.from_("t").list()', "supabase.create_client"),
        ('return base.table("t").select("*").execute()', "supabase.create_client.table"),
        ('return rows.from_("t").select("*").execute()', "postgrest.SyncPostgrestClient.from_"),
        ('nltk.download("punkt")\n    return name', "nltk.download"),
        ('return stopwords.words("english")', "nltk.corpus.stopwords.words"),
        ("lemmas = WordNetLemmatizer()\n    return lemmas.lemmatize(name)", "nltk.stem.WordNetLemmatizer"),
        ('own = create_client("url", "key")\n    return own.table("t").select("*").execute()', ""),
        ("return PorterStemmer().stem(name)", ""),
    ],
)
def test_several_threads_must_not(tmp_path: Path, context: str, called: str) -> None:
    (tmp_path / "main.py").write_text(SERVICE.format(context=context))
    found = check([], Config(root=tmp_path, select=("SRV1",))).findings
    fix = next(each.fix for each in found if each.function == "answer")
    assert fix is not None
    where = "plain" if called == "supabase.create_client" else "context"
    expected = f"`{where}` calls `{called}`, which two threads must not do at once" if called else ""
    assert fix.reason == expected
    assert (fix.applicability is Applicability.SAFE) is (not called)
