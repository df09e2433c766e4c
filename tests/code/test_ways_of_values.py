"""However a model gets from where it is made to where it is called: what is not parsed is no loss.

Projects are drawn from ways in which a value is handed on, and are analysed as usual and with all files parsed:
the findings are the same, traces included, and the drawn call is among them. Files that have nothing to do with
it lie beside, some of which have the same names.
"""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listed import ROOT, Listing

from servelint.code import rules
from servelint.code.judge.analysis import Analysis
from servelint.finding import Finding
from servelint.project.config import Config
from servelint.project.listing.files import Tree

MAKER = "import joblib\n\n\ndef make():\n    return joblib.load('m')\n"

# Each way is some files, and the imports and the expression with which an endpoint has the model.
WAYS: dict[str, tuple[dict[str, str], str, str]] = {
    "attribute of an object": (
        {
            "holder.py": "from maker import make\n\n\nclass Holder:\n"
            "    def __init__(self):\n        self.model = make()\n"
        },
        "from holder import Holder\nholder = Holder()",
        "holder.model",
    ),
    "attribute set from outside": (
        {
            "bag.py": "class Bag:\n    pass\n\n\nbag = Bag()\n",
            "fill.py": "from bag import bag\nfrom maker import make\n\nbag.model = make()\n",
        },
        "import fill\nfrom bag import bag",
        "bag.model",
    ),
    "global that another file sets": (
        {
            "state.py": "model = None\n",
            "start.py": "import state\nfrom maker import make\n\n\ndef start():\n    state.model = make()\n",
        },
        "import start\nimport state",
        "state.model",
    ),
    "registry": (
        {
            "registry.py": "from maker import make\n\nMODELS = {'first': make()}\n\n\n"
            "def find(name):\n    return MODELS[name]\n"
        },
        "from registry import find",
        "find('first')",
    ),
    "registry that a decorator fills": (
        {
            "table.py": "TABLE = {}\n\n\ndef register(name):\n    def keep(function):\n"
            "        TABLE[name] = function\n        return function\n    return keep\n",
            "entry.py": "from maker import make\nfrom table import register\n\n\n"
            "@register('one')\ndef one():\n    return make()\n",
        },
        "import entry\nfrom table import TABLE",
        "TABLE['one']()",
    ),
    "closure": (
        {
            "closing.py": "from maker import make\n\n\ndef closing():\n    model = make()\n\n"
            "    def inner():\n        return model\n    return inner\n"
        },
        "from closing import closing\ngive = closing()",
        "give()",
    ),
    "setattr": (
        {
            "box.py": "class Box:\n    pass\n\n\nbox = Box()\n",
            "setting.py": "from box import box\nfrom maker import make\n\nsetattr(box, 'model', make())\n",
        },
        "import setting\nfrom box import box",
        "box.model",
    ),
    "state of the application": (
        {"boot.py": "from maker import make\n\n\ndef boot(app):\n    app.state.model = make()\n"},
        "from boot import boot\nboot(app)",
        "app.state.model",
    ),
    "star import": (
        {"starred.py": "from maker import *\n"},
        "from starred import make as build\nmodel = build()",
        "model",
    ),
    "re-export of a package": (
        {
            "package/__init__.py": "from .inner import shared\n",
            "package/inner.py": "from maker import make\n\nshared = make()\n",
        },
        "from package import shared",
        "shared",
    ),
    "__getattr__ of a module": (
        {"lazy.py": "from maker import make\n\n\ndef __getattr__(name):\n    return make()\n"},
        "import lazy",
        "lazy.model",
    ),
    "__getattr__ of a class": (
        {
            "proxy.py": "from maker import make\n\n\nclass Proxy:\n"
            "    def __getattr__(self, name):\n        return make()\n"
        },
        "from proxy import Proxy\nproxy = Proxy()",
        "proxy.model",
    ),
    "dynamic import": (
        {"plugin.py": "from maker import make\n\nmodel = make()\n"},
        "import importlib\nplugin = importlib.import_module('plugin')",
        "plugin.model",
    ),
    "argument of a callback": (
        {
            "hooks.py": "class Hooks:\n    def __init__(self, make):\n        self.make = make\n\n"
            "    def run(self):\n        return self.make()\n"
        },
        "from hooks import Hooks\nfrom maker import make\nhooks = Hooks(make)",
        "hooks.run()",
    ),
    "base class": (
        {
            "above.py": "class Above:\n    def get(self):\n        raise NotImplementedError\n",
            "below.py": "from above import Above\nfrom maker import make\n\n\n"
            "class Below(Above):\n    def get(self):\n        return make()\n",
        },
        "from above import Above\nfrom below import Below\nabove: Above = Below()",
        "above.get()",
    ),
}
BESIDE = {
    "beside.py": "class Thing:\n    model = None\n\n    def get(self):\n        return self.model\n",
    "other.py": "from beside import Thing\n\nthing = Thing()\nthing.model = 3\n",
    "unrelated/state.py": "model = {}\n",
    "unrelated/use.py": "from unrelated.state import model\n\n\ndef predict(rows):\n    return model.get(rows)\n",
}


def project(ways: list[str]) -> dict[str, str]:
    """An endpoint for each way, in one file a way, and what lies beside them."""
    files = {"maker.py": MAKER, **BESIDE}
    for number, way in enumerate(ways):
        more, imports, expression = WAYS[way]
        files |= more
        files[f"main{number}.py"] = (
            f"import fastapi\n\napp = fastapi.FastAPI()\n{imports}\n\n\n"
            f"@app.get('/')\nasync def endpoint(x: int):\n    return {expression}.predict([[x]])\n"
        )
    return files


def findings(files: dict[str, str], *, everything: bool) -> list[Finding]:
    tree = cast("Tree", Listing({name: text.encode() for name, text in files.items()}))
    return list(rules.findings(Analysis(tree, Config(ROOT), everything=everything)))


@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_goes_one_way(way: str) -> None:
    found = findings(project([way]), everything=False)
    assert found == findings(project([way]), everything=True)
    assert {item.span.path.name for item in found if item.code == "SRV101"} == {"main0.py"}


@settings(max_examples=40)
@given(st.lists(st.sampled_from(sorted(WAYS)), min_size=2, max_size=5, unique=True))
def test_values_that_go_several_ways(ways: list[str]) -> None:
    files = project(ways)
    found = findings(files, everything=False)
    assert found == findings(files, everything=True)
    alone = [findings(project([way]), everything=True) for way in ways]
    for number, expected in enumerate(alone):
        here = [item for item in found if item.span.path.name == f"main{number}.py"]
        assert {item.code for item in expected if item.span.path.name == "main0.py"} <= {
            item.code for item in here
        }
