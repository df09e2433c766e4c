"""Projects of any size, of the shapes whose cost must grow as their size does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .projects import Project

_HEAD = """\
import torch
from fastapi import FastAPI

app = FastAPI()
model = torch.nn.Linear(1, 1)
"""
_ENDPOINT = "\n\n@app.post('/{name}')\nasync def {name}(x):\n{body}    return x\n"


@dataclass(frozen=True, slots=True)
class Shape:
    """`make(n)` is the project; `size` is where the search for a measurable n begins."""

    make: Callable[[int], Project]
    size: int
    command: str = "check"


def _code(text: str) -> Project:
    return {"app.py": text.encode()}


def _endpoint(body: str) -> str:
    return _HEAD + _ENDPOINT.format(name="predict", body=body)


def calls(n: int) -> Project:
    return _code(_endpoint("    x = model(x)\n" * n))


def functions(n: int) -> Project:
    return _code(_HEAD + "".join(_ENDPOINT.format(name=f"p{k}", body="    x = model(x)\n") for k in range(n)))


def elif_chain(n: int) -> Project:
    ways = "".join(f"    elif x == {k}:\n        x = model(x)\n" for k in range(n))
    return _code(_endpoint(f"    if x == -1:\n        x = 1\n{ways}"))


def elif_plain(n: int) -> Project:
    ways = "".join(f"    elif x == {k}:\n        x = {k}\n" for k in range(n))
    return _code(_endpoint(f"    if x == -1:\n        x = 1\n{ways}    x = model(x)\n"))


def concatenation(n: int) -> Project:
    text = "".join(f"    text = text + 'a{k}'\n" for k in range(n))
    return _code(_endpoint(f"    text = ''\n{text}    x = model(text)\n"))


def sum_of_strings(n: int) -> Project:
    """In brackets of a hundred: one sum nests as deeply as it has parts."""
    rows = "".join(
        f"text{k} = " + " + ".join(f"'a{part}'" for part in range(100)) + "\n" for k in range(n // 100 + 1)
    )
    return _code(_HEAD + rows + _ENDPOINT.format(name="predict", body="    x = model(x)\n"))


def modules(n: int) -> Project:
    """A chain of modules, each of which calls the next."""
    links = {
        f"m{k}.py": f"from m{k + 1} import f as g\n\n\ndef f(x):\n    return g(x)\n".encode()
        for k in range(n)
    }
    last = "import torch\n\nmodel = torch.nn.Linear(1, 1)\n\n\ndef f(x):\n    return model(x)\n"
    text = "from fastapi import FastAPI\n\nfrom m0 import f\n\napp = FastAPI()\n"
    return {
        **links,
        f"m{n}.py": last.encode(),
        "app.py": (text + _ENDPOINT.format(name="predict", body="    x = f(x)\n")).encode(),
    }


def deployments(n: int) -> Project:
    """Documents of one file, each with something to be fixed."""
    text = "".join(
        f"""\
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api{k}
spec:
  template:
    spec:
      containers:
        - name: api
          image: api
          command: [uvicorn, "app:app", --workers, "4"]
"""
        for k in range(n)
    )
    return {"deployments.yaml": text.encode()}


def documents(n: int) -> Project:
    """Documents of one file, in which there is nothing to be found."""
    text = "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c{k}\ndata:\n  a: '{k}'\n"
        for k in range(n)
    )
    return {"maps.yaml": text.encode()} | deployments(1)


def compose_chain(n: int) -> Project:
    """Services of one file, each of which extends the one before."""
    text = "services:\n  s0:\n    image: api\n    command: uvicorn app:app --workers 4\n"
    text += "".join(f"  s{k}:\n    extends:\n      service: s{k - 1}\n" for k in range(1, n))
    return {"compose.yaml": text.encode()}


def gitignore(n: int) -> Project:
    """Patterns, and as many files again that they are tried on."""
    patterns = "".join(f"/build{k}/**/*.o\nout_{k}_*\n" for k in range(n))
    files = {f"data/part{k % 7}/notes{k}.py": b"x = 1\n" for k in range(100)}
    return {".gitignore": patterns.encode(), **files, **calls(1)}


SHAPES: dict[str, Shape] = {
    "calls in one function": Shape(calls, 200),
    "calls in one function, fix": Shape(calls, 50, "fix"),
    "functions with findings": Shape(functions, 100),
    "functions with findings, fix": Shape(functions, 50, "fix"),
    "elif chain": Shape(elif_chain, 50),
    "elif chain without findings": Shape(elif_plain, 100),
    "string that grows": Shape(concatenation, 200),
    "sums of strings": Shape(sum_of_strings, 2000),
    "chain of modules": Shape(modules, 5),
    "Deployments in one file": Shape(deployments, 100),
    "Deployments in one file, fix": Shape(deployments, 100, "fix"),
    "documents in one file": Shape(documents, 200),
    "compose extends chain": Shape(compose_chain, 12),
    "patterns in .gitignore": Shape(gitignore, 500),
}
