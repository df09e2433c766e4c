"""Fixes are written for the Python that the service states: what that has not is not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.lint import check
from servelint.project.config import Config, FixConfig

SERVICE = """\
import spacy
from fastapi import FastAPI

app = FastAPI()
nlp = spacy.load("en")


@app.post("/p")
async def predict(text: str):
    return nlp(text)


@app.post("/q")
async def load(name: str):
    return str(spacy.load(name).meta)
"""
SETUP = "from setuptools import setup\n\nsetup(name='s', python_requires='>=3.6')\n"


def fixed(folder: Path, text: str = SERVICE, **options: str) -> str:
    (folder / "service").mkdir(exist_ok=True)
    (folder / "service" / "main.py").write_text(text)
    config = Config(root=folder, select=("SRV101", "SRV102"), fix=FixConfig(**options))
    outcome = edits.apply(check([], config), unsafe=True)
    assert not outcome.rejected
    return outcome.after[folder / "service" / "main.py"].decode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Dockerfile", "FROM python:3.6-slim\n"),
        (
            "Dockerfile",
            "FROM --platform=linux/amd64 registry.example/python:3.6 AS base\nRUN pip install x\n",
        ),
        ("Dockerfile", "ARG VERSION=3.6\nFROM python:${VERSION}\n"),
        ("Dockerfile", "FROM python:3.12 AS build\nFROM python:3.6\nCOPY --from=build /x /x\n"),
        (
            "Dockerfile",
            "FROM nvidia/cuda:10.1-runtime-ubuntu18.04\nRUN apt-get install -y python3 python3-pip\n",
        ),
        ("Dockerfile", "FROM continuumio/miniconda3\nRUN conda install python=3.6\n"),
        ("docker/Dockerfile", "FROM tiangolo/uvicorn-gunicorn-fastapi:python3.6\n"),
        (".python-version", "3.6.9\n"),
        ("runtime.txt", "python-3.6.9\n"),
        ("Pipfile", '[requires]\npython_version = "3.6"\n'),
        ("environment.yml", "dependencies:\n  - python=3.6.9\n"),
        ("setup.py", SETUP),
        ("setup.cfg", "[options]\npython_requires = >=3.6,<4\n"),
        ("setup.cfg", "[metadata]\nclassifiers =\n    Programming Language :: Python :: 3.6\n"),
        ("pyproject.toml", '[project]\nname = "s"\nrequires-python = "<4,>=3.6"\n'),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.6"\n'),
    ],
)
def test_an_old_python_gets_what_it_has(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    after = "".join(fixed(tmp_path).split())
    assert "awaitasyncio.get_event_loop().run_in_executor(_inference_executor,nlp,text" in after
    assert "awaitasyncio.get_event_loop().run_in_executor(None,spacy.load,name" in after
    assert "running_loop" not in after
    assert "to_thread" not in after
    assert "contextvars" not in after


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Dockerfile", "FROM python:3.9\n"),
        ("Dockerfile", "FROM python:3.6 AS build\nFROM python:3.11-slim\n"),
        ("Dockerfile", "FROM nvidia/cuda:12.1-runtime-ubuntu22.04\nRUN apt-get install -y python3\n"),
        (
            "Dockerfile",
            "FROM nvidia/cuda:10.1-runtime-ubuntu18.04\nRUN apt-get install -y python3.10 python3-pip\n",
        ),
        ("Dockerfile", "FROM python:latest\n"),
        ("pyproject.toml", '[project]\nname = "s"\nrequires-python = ">=3.10,!=3.6.1"\n'),
        ("pyproject.toml", '[project]\nname = "s"\nversion = "3.6"\n'),
        ("requirements.txt", "numpy>=1.3\n"),
    ],
)
def test_any_other_gets_what_all_get(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    after = fixed(tmp_path)
    assert "asyncio.get_running_loop()" in after
    assert "asyncio.to_thread" in after


def test_between_the_two(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.8\n")
    after = fixed(tmp_path, f"import structlog\n{SERVICE}")
    assert "get_running_loop().run_in_executor(" in after
    assert "to_thread" not in after
    assert after.count("contextvars.copy_context().run") == 2


def test_an_image_counts_before_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11\n")
    (tmp_path / "setup.py").write_text(SETUP)
    assert "asyncio.to_thread" in fixed(tmp_path)


def test_what_the_code_uses_is_there(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(SETUP)
    text = SERVICE.replace("import spacy\n", "import asyncio\n\nimport spacy\n", 1)
    after = fixed(tmp_path, text + "\n\nasync def wait():\n    await asyncio.to_thread(print)\n")
    assert "asyncio.get_running_loop()" in after


def test_the_image_of_another_service_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "Dockerfile").write_text("FROM python:3.6\n")
    (tmp_path / "other" / "main.py").write_text("import os\n")
    assert "asyncio.to_thread" in fixed(tmp_path)


def test_an_image_that_does_not_say_is_the_one(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.6\n")
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "Dockerfile").write_text("FROM tensors/serving:24.05\n")
    assert "asyncio.to_thread" in fixed(tmp_path)
    (tmp_path / "setup.py").write_text(SETUP)
    assert "asyncio.to_thread" not in fixed(tmp_path)


def test_one_coroutine_for_many_calls_is_written_for_new_pythons(tmp_path: Path) -> None:
    assert "function, /, *args" in fixed(tmp_path, offload="dispatcher")
    (tmp_path / "Dockerfile").write_text("FROM python:3.8\n")
    assert "function, /" not in fixed(tmp_path, offload="dispatcher")


def test_the_pool_is_shut_down_as_the_python_can(tmp_path: Path) -> None:
    lifespan = "\n\n@asynccontextmanager\nasync def lifespan(app):\n    yield\n\n\napp = FastAPI(lifespan=lifespan)\n"
    text = "from contextlib import asynccontextmanager\n\n" + SERVICE.replace("\napp = FastAPI()\n", lifespan)
    assert "shutdown(wait=False, cancel_futures=True)" in fixed(tmp_path, text)
    (tmp_path / "Dockerfile").write_text("FROM python:3.8\n")
    assert "shutdown(wait=False)" in fixed(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pyproject.toml", f'[project]\nname = "s"\nrequires-python = ">=3.{"9" * 5000}"\n'),
        ("pyproject.toml", f'[project]\nname = "s"\nrequires-python = "{" " * 100_000}"\n'),
        (".python-version", f"3.{'9' * 5000}\n"),
        ("Dockerfile", f"FROM python:3.{'9' * 5000}\n"),
        ("Dockerfile", "\n" * 100_000 + "FROM python:3.12\n"),
    ],
)
def test_what_no_python_is_called_costs_no_fix(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert "asyncio.to_thread(" in fixed(tmp_path)
