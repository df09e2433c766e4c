"""Where the pool is made: one for a service, where all of its calls can reach it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

MODEL = 'import joblib\n\nmodel = joblib.load("model.joblib")\n'
ROUTES = """\
from fastapi import APIRouter

from {model} import model

router = APIRouter()


@router.post("/{name}")
async def {name}(row: int):
    return model.predict(row)
"""
MAIN = """\
from fastapi import FastAPI

from {routes}.scores import router as scores
from {routes}.ranks import router as ranks

app = FastAPI()
app.include_router(scores)
app.include_router(ranks)
"""
POOL = """\
\"\"\"The thread pool in which the service runs its models.\"\"\"

from concurrent.futures import ThreadPoolExecutor

inference_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
"""


def service(folder: Path, package: str, *, relative: bool) -> None:
    """Two routers in a package `routes`, of a service whose `main.py` stands in `folder/package`."""
    root = folder / package
    (root / "routes").mkdir(parents=True)
    prefix = "." if relative else package.replace("/", ".")
    dot = "" if relative or not prefix else "."
    (root / "model.py").write_text(MODEL)
    (root / "main.py").write_text(MAIN.format(routes=f"{prefix}{dot}routes"))
    for name in ("scores", "ranks"):
        above = f"{prefix}." if relative else f"{prefix}{dot}"
        (root / "routes" / f"{name}.py").write_text(ROUTES.format(model=f"{above}model", name=name))
    if package:
        (root / "__init__.py").touch()
        (root / "routes" / "__init__.py").touch()


def fixed(folder: Path) -> dict[str, str]:
    """The changed files after all fixes, which change nothing when run again."""
    settings = Config(root=folder, select=("SRV101", "SRV102"))
    outcome = edits.apply(check([], settings), unsafe=True)
    assert not outcome.rejected
    list(edits.write(outcome))
    assert not edits.apply(check([], settings), unsafe=True).after
    return {path.relative_to(folder).as_posix(): text.decode() for path, text in outcome.after.items()}


@pytest.mark.parametrize(
    ("package", "relative", "spelled"),
    [
        ("", False, "routes.inference_executor"),
        ("app", False, "app.routes.inference_executor"),
        ("app", True, ".inference_executor"),
    ],
)
def test_one_pool_for_two_files(tmp_path: Path, package: str, relative: bool, spelled: str) -> None:
    service(tmp_path, package, relative=relative)
    after = fixed(tmp_path)
    base = f"{package}/" if package else ""
    assert after.pop(f"{base}routes/inference_executor.py") == POOL
    assert set(after) == {f"{base}routes/scores.py", f"{base}routes/ranks.py"}
    for text in after.values():
        assert f"from {spelled} import inference_executor\n" in text
        assert "await asyncio.get_running_loop().run_in_executor(" in text
        assert "inference_executor, model.predict, row" in text
    (tmp_path / "joblib.py").write_text("def load(path):\n    return None\n")
    start = "main" if not package else f"{package}.main"
    subprocess.run([sys.executable, "-c", f"import {start}"], cwd=tmp_path, check=True, timeout=60)


def test_an_import_with_as_many_dots_shows_that_they_work(tmp_path: Path) -> None:
    service(tmp_path, "app", relative=True)
    (tmp_path / "app" / "__init__.py").unlink()
    (tmp_path / "app" / "more").mkdir()
    (tmp_path / "app" / "routes" / "ranks.py").rename(tmp_path / "app" / "more" / "ranks.py")
    main = tmp_path / "app" / "main.py"
    main.write_text(main.read_text().replace(".routes.ranks", ".more.ranks"))
    after = fixed(tmp_path)
    assert set(after) == {"app/inference_executor.py", "app/routes/scores.py", "app/more/ranks.py"}
    # In the block of the relative import that the file has.
    assert "from ..inference_executor import inference_executor\nfrom ..model" in after["app/more/ranks.py"]


def test_a_call_that_comes_later_uses_the_pool_of_the_others(tmp_path: Path) -> None:
    service(tmp_path, "app", relative=False)
    fixed(tmp_path)
    (tmp_path / "app" / "late.py").write_text(ROUTES.format(model="app.model", name="late"))
    main = tmp_path / "app" / "main.py"
    main.write_text("from app.late import router as late\n" + main.read_text())
    after = fixed(tmp_path)
    assert list(after) == ["app/late.py"]
    assert "from app.routes.inference_executor import inference_executor\n" in after["app/late.py"]


def test_only_one_file_with_a_safe_fix_has_a_pool_of_its_own(tmp_path: Path) -> None:
    service(tmp_path, "app", relative=False)
    ranks = tmp_path / "app" / "routes" / "ranks.py"
    other = ranks.read_text().replace("from app.model import model", "from lightgbm import Booster")
    other = other.replace("router =", 'seen = 0\ntrees = Booster(model_file="a.txt")\nrouter =')
    asked = "    global seen\n    before = seen\n    rank = trees.predict(row)\n    seen = before + 1\n    return rank"
    ranks.write_text(other.replace("    return model.predict(row)", asked))
    settings = Config(root=tmp_path, select=("SRV101",))
    safe = edits.apply(check([], settings), unsafe=False).after
    (only,) = safe
    assert only.name == "scores.py"
    assert b"\n_inference_executor = ThreadPoolExecutor(" in safe[only]
    every = edits.apply(check([], settings), unsafe=True).after
    assert {path.name for path in every} == {"inference_executor.py", "scores.py", "ranks.py"}


def test_two_services_have_a_pool_each(tmp_path: Path) -> None:
    for name in ("one", "two"):
        service(tmp_path / name, "app", relative=False)
    after = fixed(tmp_path)
    assert {path for path in after if path.endswith("inference_executor.py")} == {
        "one/app/routes/inference_executor.py",
        "two/app/routes/inference_executor.py",
    }


def test_a_handler_that_cannot_reach_the_state_takes_all_out_of_it(tmp_path: Path) -> None:
    service(tmp_path, "app", relative=False)
    (tmp_path / "app" / "routes" / "ranks.py").unlink()
    (tmp_path / "app" / "main.py").write_text(
        "from contextlib import asynccontextmanager\n\nfrom fastapi import FastAPI\n\n"
        "from app.model import model\nfrom app.routes.scores import router\n\n\n"
        "@asynccontextmanager\nasync def lifespan(app):\n    yield\n\n\n"
        "app = FastAPI(lifespan=lifespan)\napp.include_router(router)\n\n\n"
        '@app.post("/own")\nasync def own(row: list):\n    return model.predict(row)\n'
    )
    after = fixed(tmp_path)
    assert set(after) == {"app/main.py", "app/routes/scores.py", "app/inference_executor.py"}
    assert "app.state" not in after["app/main.py"]


def test_a_pool_that_would_import_its_user_is_not_used(tmp_path: Path) -> None:
    service(tmp_path, "app", relative=False)
    main = tmp_path / "app" / "main.py"
    main.write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        + main.read_text().replace("app = FastAPI", "executor = ThreadPoolExecutor(1)\napp = FastAPI")
    )
    assert "app/routes/inference_executor.py" in fixed(tmp_path)


RAY = """\
import joblib
from fastapi import FastAPI
from ray import serve

app = FastAPI()


@serve.deployment(num_replicas=2)
@serve.ingress(app)
class Scores:
    def __init__(self, path):
        self.model = joblib.load(path)

    @app.post("/p")
    async def predict(self, row: list):
        return self.model.predict(row)
"""


def test_a_deployment_that_is_made_in_its_worker_has_the_pool(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(RAY)
    report = check([], Config(root=tmp_path, select=("SRV101",)))
    (finding,) = report.findings
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE
    outcome = edits.apply(report, unsafe=False)
    assert not outcome.report.findings
    text = outcome.after[tmp_path / "main.py"].decode()
    made = 'self._inference_executor = ThreadPoolExecutor(\n            max_workers=1, thread_name_prefix="inference"\n        )\n'
    assert f"        self.model = joblib.load(path)\n        {made}\n    @app.post" in text
    assert "run_in_executor(\n            self._inference_executor, self.model.predict, row\n" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@serve.deployment(num_replicas=2)\n", ""),
        (
            "        self.model = joblib",
            "        if not path:\n            return\n        self.model = joblib",
        ),
        (
            "    def __init__(self, path):\n        self.model = joblib.load(path)",
            "    model = joblib.load('m')",
        ),
    ],
)
def test_elsewhere_a_pool_may_be_copied(tmp_path: Path, old: str, new: str) -> None:
    assert old in RAY
    (tmp_path / "main.py").write_text(RAY.replace(old, new))
    (finding,) = check([], Config(root=tmp_path, select=("SRV101",))).findings
    assert finding.fix is not None
    assert "copies the code to its workers" in finding.fix.reason


WARMED = """\
import logging
from contextlib import asynccontextmanager

import joblib
from fastapi import FastAPI

logger = logging.getLogger(__name__)
model = joblib.load("model.joblib")


@asynccontextmanager
async def lifespan(app: FastAPI):
    \"\"\"Start and stop.\"\"\"
    logger.info("starts")
    # The first answer takes long.
    await warm_up()
    {}


app = FastAPI(lifespan=lifespan)


async def warm_up():
    await predict([1])


@app.post("/p")
async def predict(row: list):
    return model.predict(row)
"""


@pytest.mark.parametrize(
    "serving", ["yield", "try:\n        yield\n    finally:\n        logger.info('stops')"]
)
def test_start_up_that_predicts_finds_the_pool(tmp_path: Path, serving: str) -> None:
    (tmp_path / "main.py").write_text(WARMED.format(serving))
    after = fixed(tmp_path)["main.py"]
    assert (
        '    logger.info("starts")\n'
        "    app.state.inference_executor = ThreadPoolExecutor(\n"
        '        max_workers=1, thread_name_prefix="inference"\n'
        "    )\n"
        "    # The first answer takes long.\n"
        "    await warm_up()\n"
    ) in after
    assert after.index("yield") < after.index("app.state.inference_executor.shutdown(")


def test_a_blank_line_stands_between_the_pool_and_a_function_of_the_lifespan(tmp_path: Path) -> None:
    text = WARMED.format("yield").replace(
        "    await warm_up()\n", "    async def warm_up():\n        await predict([1])\n", 1
    )
    (tmp_path / "main.py").write_text(text)
    after = fixed(tmp_path)["main.py"]
    assert "    )\n\n    # The first answer takes long.\n    async def warm_up():\n" in after


def test_a_pool_is_made_where_no_other_statement_shares_the_line(tmp_path: Path) -> None:
    text = WARMED.format("yield").replace('("starts")\n', '("starts"); await warm_up()\n')
    (tmp_path / "main.py").write_text(text)
    after = fixed(tmp_path)["main.py"]
    assert after.index("inference_executor = ") < after.index('("starts"); await warm_up()')


def test_a_file_that_is_imported_both_ways_has_its_own_pool(tmp_path: Path) -> None:
    service(tmp_path, "app", relative=True)
    for name in ("scores", "ranks"):
        path = tmp_path / "app" / "routes" / f"{name}.py"
        path.write_text(path.read_text().replace("..model", ".model"))
    (tmp_path / "app" / "model.py").rename(tmp_path / "app" / "routes" / "model.py")
    scores = tmp_path / "app" / "routes" / "scores.py"
    both = "try:\n    from .model import model\nexcept ImportError:\n    from model import model\n"
    scores.write_text(scores.read_text().replace("from .model import model\n", both))
    after = fixed(tmp_path)
    assert set(after) == {"app/routes/scores.py", "app/routes/ranks.py"}
    assert "_inference_executor = ThreadPoolExecutor(" in after["app/routes/scores.py"]


def test_files_that_are_imported_both_ways_have_their_own_pools(tmp_path: Path) -> None:
    service(tmp_path, "app", relative=True)
    main = tmp_path / "app" / "main.py"
    for name in ("scores", "ranks"):
        (tmp_path / "app" / "routes" / f"{name}.py").rename(tmp_path / "app" / f"{name}.py")
        path = tmp_path / "app" / f"{name}.py"
        path.write_text(path.read_text().replace("..model", ".model"))
    lines = "".join(f"    from {{0}}{name} import router as {name}\n" for name in ("scores", "ranks"))
    main.write_text(
        "from fastapi import FastAPI\n\n"
        f"try:\n{lines.format('.')}except ImportError:\n{lines.format('')}\n"
        "app = FastAPI()\napp.include_router(scores)\napp.include_router(ranks)\n"
    )
    report = check([], Config(root=tmp_path, select=("SRV101",)))
    # Two pools of one thread each may use the model at once.
    assert {f.fix.applicability for f in report.findings if f.fix} == {Applicability.UNSAFE}
    after = fixed(tmp_path)
    assert set(after) == {"app/scores.py", "app/ranks.py"}


HOW = {
    "bare": ("TestClient", "client = TestClient(app)\n"),
    "kept": (
        "TestClient",
        "client = TestClient(app)\n\n\ndef test():\n    with client:\n        client.get('/')\n",
    ),
    "entered": ("TestClient", "def test():\n    with TestClient(app) as client:\n        client.get('/')\n"),
    "stacked": ("TestClient", "def test(stack):\n    stack.enter_context(TestClient(app)).get('/')\n"),
    "transport": ("ASGITransport", "transport = ASGITransport(app=app)\n"),
    "old": ("AsyncClient", "client = AsyncClient(app=app, base_url='http://t')\n"),
    "elsewhere": ("AsyncClient", "client = AsyncClient(base_url='http://t')\n"),
    "managed": (
        "ASGITransport",
        "async def test():\n    async with LifespanManager(app):\n        ASGITransport(app=app)\n",
    ),
}


@pytest.mark.parametrize(("way", "missing"), [*((one, one in ("bare", "transport", "old")) for one in HOW)])
def test_tests_that_run_no_lifespan_find_the_pool(tmp_path: Path, way: str, missing: bool) -> None:
    library, text = HOW[way]
    (tmp_path / "main.py").write_text(WARMED.format("yield"))
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(
        f"from x import {library}\nfrom main import app\n\n{text}"
    )
    after = fixed(tmp_path)["main.py"]
    assert ("\n_inference_executor = ThreadPoolExecutor(" in after) is missing
    assert ("app.state.inference_executor" in after) is not missing


@pytest.mark.parametrize("imported", ["app.routes", "app.other"])
def test_tests_that_put_an_endpoint_into_another_application_find_the_pool(
    tmp_path: Path, imported: str
) -> None:
    package = tmp_path / "app"
    package.mkdir()
    (tmp_path / "tests").mkdir()
    routes = ROUTES.format(model="app.model", name="p").replace("row: int", "request: Request")
    text = WARMED.format("yield").replace("    await warm_up()\n", "")
    main = text[: text.index("\n\nasync def warm_up")].replace('model = joblib.load("model.joblib")\n', "")
    for name, content in {
        "__init__": "",
        "model": MODEL,
        "other": "router = None\n",
        "routes": routes.replace("APIRouter", "APIRouter, Request", 1).replace(
            "predict(row)", "predict([1])"
        ),
        "main": f"from app.routes import router\n{main}app.include_router(router)\n",
    }.items():
        (package / f"{name}.py").write_text(content)
    (tmp_path / "tests" / "test_p.py").write_text(
        f"from {imported} import router\n\n\ndef test():\n    with TestClient(FastAPI()):\n        pass\n"
    )
    after = fixed(tmp_path)
    assert ("request.app.state.inference_executor" in after["app/routes.py"]) is (imported == "app.other")
