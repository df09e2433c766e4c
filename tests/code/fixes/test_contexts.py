"""The context variables of the caller: copied to the thread unless it is known that nothing below reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import joblib
import numpy as np
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")


"""
ENDPOINT = '@app.post("/p")\nasync def predict(row: list):\n    return {}\n'
COPY = "contextvars.copy_context().run"


def fixed(folder: Path, call: str, head: str = HEAD, helper: str = "") -> str:
    """The file after its fixes."""
    (folder / "main.py").write_text(head + (f"{helper}\n\n\n" if helper else "") + ENDPOINT.format(call))
    outcome = edits.apply(check([], Config(root=folder, select=("SRV101", "SRV110"))), unsafe=True)
    assert not outcome.rejected
    return outcome.after[folder / "main.py"].decode()


@pytest.mark.parametrize(
    ("call", "helper"),
    [
        ("model.predict(row)", ""),
        ("score(row)", "def score(row):\n    return model.predict(np.asarray(row))"),
        ("score(row)", "def score(row):\n    return sorted(model.predict(row).tolist())"),
        (
            "score(row)",
            "def inner(row):\n    return model.predict(row)\n\n\ndef score(row):\n    return inner(row)",
        ),
    ],
)
def test_what_reads_no_context_gets_none(tmp_path: Path, call: str, helper: str) -> None:
    assert COPY not in fixed(tmp_path, call, helper=helper)


@pytest.mark.parametrize(
    ("head", "call", "helper"),
    [
        # A library of which nothing is known is called below, or may own the object that is called.
        ("import acme\n", "score(row)", "def score(row):\n    return acme.tidy(model.predict(row))"),
        ("import acme\n", "score(row)", "def score(row):\n    return model.predict(row).tolist()"),
        # Handlers of logging are any library's.
        (
            "import logging\n\nimport acme\n",
            "score(row)",
            "def score(row):\n    logging.info(row)\n    return model.predict(row)",
        ),
        # A model of PyTorch: settings of its compiler stand in context variables.
        ("import torch\n\nnet = torch.load('m.pt')\n", "net(row)", ""),
        # Quart keeps the request there.
        (
            "from quart import request\n",
            "score(row)",
            "def score(row):\n    return model.predict([row, request.args])",
        ),
        # What the service sets for its process stands there too.
        ("import numpy\n\nnumpy.seterr(all='raise')\n", "model.predict(row)", ""),
    ],
)
def test_what_may_read_the_context_gets_a_copy(tmp_path: Path, head: str, call: str, helper: str) -> None:
    assert COPY in fixed(tmp_path, call, head + HEAD, helper)


def test_a_library_that_is_not_called_does_not_matter(tmp_path: Path) -> None:
    assert COPY not in fixed(tmp_path, "model.predict(row)", f"import acme\nimport logging\n{HEAD}")


def test_the_whole_service_counts(tmp_path: Path) -> None:
    """A filter of logging in another file reads the context, and that file is loaded with this one."""
    (tmp_path / "serve.py").write_text("import contextvars\n\nimport main\n")
    assert COPY in fixed(tmp_path, "model.predict(row)")
