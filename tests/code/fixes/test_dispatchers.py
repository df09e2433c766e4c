"""One coroutine for all calls of a service: written where several would be long, used where there is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config, FixConfig

HEAD = """\
import torch
from fastapi import FastAPI

{above}app = FastAPI({lifespan})
net = torch.load("net.pt")
"""
WRITTEN = '''\
net = torch.load("net.pt")

_inference_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")


async def in_inference_pool(function, /, *args, **kwargs):
    """Run the function in the inference pool, in the caller's context."""
    return await asyncio.get_running_loop().run_in_executor(
        _inference_executor,
        contextvars.copy_context().run,
        functools.partial(function, *args, **kwargs),
    )


@app.post("/0")
'''
LIFESPAN = """\
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app{annotation}){returns}:
    yield


"""


NOT_SHARED = "from realesrgan import RealESRGANer\n"


def endpoint(number: int, call: str = "net(row, scale=1)", returns: str = "") -> str:
    return f'\n\n@app.post("/{number}")\nasync def predict_{number}(row: list){returns}:\n    return {call}\n'


def service(count: int, above: str = "", lifespan: str = "", call: str = "net(row, scale=1)") -> str:
    endpoints = "".join(endpoint(number, call) for number in range(count))
    return HEAD.format(above=above, lifespan=lifespan) + endpoints


def fixed(folder: Path, offload: str = "auto", *, unsafe: bool = True) -> dict[str, str]:
    """The changed files after all fixes, which leave nothing that they could still change."""
    settings = Config(root=folder, select=("SRV101", "SRV110"), fix=FixConfig(offload=offload))
    outcome = edits.apply(check([], settings), unsafe=unsafe)
    assert not outcome.rejected
    list(edits.write(outcome))
    assert not edits.apply(check([], settings), unsafe=True).after or not unsafe
    return {path.relative_to(folder).as_posix(): text.decode() for path, text in outcome.after.items()}


def is_formatted(folder: Path) -> bool:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--check", "."]
    return not subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60).returncode


@pytest.mark.parametrize(
    ("count", "offload", "wanted"),
    [
        (2, "auto", False),
        (3, "auto", True),
        (1, "dispatcher", True),
        (3, "run-in-executor", False),
    ],
)
def test_several_long_calls_get_one_coroutine(tmp_path: Path, count: int, offload: str, wanted: bool) -> None:
    (tmp_path / "main.py").write_text(service(count))
    text = fixed(tmp_path, offload)["main.py"]
    assert (WRITTEN in text) is wanted
    assert text.count("    return await in_inference_pool(net, row, scale=1)\n") == (count if wanted else 0)
    assert text.count("run_in_executor(") == (1 if wanted else count)
    assert is_formatted(tmp_path)


def test_short_calls_stay_as_they_are(tmp_path: Path) -> None:
    text = service(4, call="net.predict(row)").replace("torch.load", "joblib.load").replace("torch", "joblib")
    (tmp_path / "main.py").write_text(text)
    assert "in_inference_pool" not in fixed(tmp_path)["main.py"]


OF_A_REQUEST = "net(row, scale=1, cursor=cursor)"


def few_safe(safe: int, unsafe: int) -> str:
    return service(safe) + "".join(endpoint(number, OF_A_REQUEST) for number in range(safe, safe + unsafe))


@pytest.mark.parametrize("safe", [1, 2])
def test_one_or_two_safe_fixes_bring_no_coroutine(tmp_path: Path, safe: int) -> None:
    """The other calls, whose fixes are unsafe, do not count for them."""
    (tmp_path / "main.py").write_text(few_safe(safe, 3))
    text = fixed(tmp_path, unsafe=False)["main.py"]
    assert "in_inference_pool" not in text
    assert text.count("run_in_executor(") == safe
    assert is_formatted(tmp_path)


def test_with_unsafe_fixes_all_of_them_get_it(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(few_safe(1, 2))
    text = fixed(tmp_path)["main.py"]
    assert text.count("await in_inference_pool(net") == 3
    assert text.count("run_in_executor(") == 1


def test_three_safe_fixes_bring_it(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(few_safe(3, 1))
    text = fixed(tmp_path, unsafe=False)["main.py"]
    assert text.count("await in_inference_pool(net") == 3
    assert "async def in_inference_pool(" in text


def test_a_dispatcher_is_no_better_fix_to_tell_of(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(few_safe(1, 2))
    found = check([], Config(root=tmp_path, select=("SRV101",))).findings
    (safe,) = [f.fix for f in found if f.fix is not None and f.fix.applicability is Applicability.SAFE]
    assert safe.better is not None
    assert not safe.has_other_meaning


@pytest.mark.parametrize("typed", [False, True])
def test_the_pool_of_a_lifespan(tmp_path: Path, typed: bool) -> None:
    above = LIFESPAN.format(
        annotation=": FastAPI" if typed else "", returns=" -> AsyncIterator[None]" if typed else ""
    )
    if typed:
        above = "from collections.abc import AsyncIterator\n" + above
    text = service(3, above, "lifespan=lifespan")
    text = text.replace("import torch\nfrom fastapi import FastAPI\n\n", "")
    imports, rest = text.split("\n\n\n", 1)
    text = f"{imports}\n\nimport torch\nfrom fastapi import FastAPI\n\n\n{rest}"
    text = text.replace("(row: list):", "(row: list) -> object:") if typed else text
    (tmp_path / "main.py").write_text(text)
    assert is_formatted(tmp_path)
    after = fixed(tmp_path)["main.py"]
    assert "    app.state.inference_executor = ThreadPoolExecutor(\n" in after
    assert "        app.state.inference_executor,\n" in after
    assert ('T = TypeVar("T")\n' in after) is typed
    assert is_formatted(tmp_path)
    if typed:
        (tmp_path / "torch.py").write_text("def load(path: str) -> object: ...\n")
        command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=skip", "main.py"]
        checked = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        lines = [line for line in checked.stdout.splitlines() if "in_inference_pool" in line]
        assert not [line for line in lines if "untyped" in line], checked.stdout


@pytest.mark.parametrize("package", ["", "app"])
def test_several_files_import_it(tmp_path: Path, package: str) -> None:
    """Beside the pool in a module of its own, also where all of them would reach the application's state."""
    root = tmp_path / package
    root.mkdir(exist_ok=True)
    prefix = f"{package}." if package else ""
    if package:
        (root / "__init__.py").touch()
    (root / "nets.py").write_text('import torch\n\nnet = torch.load("net.pt")\n')
    for name in ("one", "two", "three"):
        (root / f"{name}.py").write_text(
            f"from fastapi import APIRouter, Request\n\nfrom {prefix}nets import net\n\nrouter = APIRouter()\n\n\n"
            f'@router.post("/{name}")\nasync def {name}(row: list, request: Request):\n    return net(row, scale=1)\n'
        )
    imported = "".join(f"from {prefix}{name} import router as {name}\n" for name in ("one", "two", "three"))
    used = "".join(f"app.include_router({name})\n" for name in ("one", "two", "three"))
    (root / "main.py").write_text(
        "from contextlib import asynccontextmanager\n\nfrom fastapi import FastAPI\n\n"
        f"{imported}\n\n@asynccontextmanager\nasync def lifespan(app):\n    yield\n\n\n"
        f"app = FastAPI(lifespan=lifespan)\n{used}"
    )
    after = fixed(tmp_path)
    folder = f"{package}/" if package else ""
    own = after.pop(f"{folder}inference_executor.py")
    assert "async def in_inference_pool(function, /, *args, **kwargs):\n" in own
    assert set(after) == {f"{folder}{name}.py" for name in ("one", "two", "three")}
    for text in after.values():
        assert f"from {prefix}inference_executor import in_inference_pool\n" in text
        assert "    return await in_inference_pool(net, row, scale=1)\n" in text
        assert "asyncio" not in text
    assert is_formatted(tmp_path)


def test_a_name_that_is_taken_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(service(3) + "\n\ndef in_inference_pool():\n    pass\n")
    text = fixed(tmp_path)["main.py"]
    assert text.count("run_in_executor(") == 3
    assert text.count("in_inference_pool") == 1


OWN = """\
import asyncio
{imports}from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor({workers})


async def off(function, *args{keywords}):
    return await asyncio.get_running_loop().run_in_executor({pool}, {run})
"""
COPIES = "contextvars.copy_context().run, functools.partial(function, *args{})"


def own(workers: int = 1, pool: str = "pool", *, keywords: bool = True, copies: bool = True) -> str:
    given = ", **kwargs" if keywords else ""
    run = COPIES.format(given) if copies else f"lambda: function(*args{given})"
    imports = "import contextvars\nimport functools\n" if copies else ""
    return OWN.format(imports=imports, workers=workers, pool=pool, keywords=given, run=run)


def test_a_dispatcher_of_the_project_is_used(tmp_path: Path) -> None:
    (tmp_path / "offloads.py").write_text(own())
    (tmp_path / "other.py").write_text("from offloads import off\n")
    (tmp_path / "main.py").write_text("import other\n" + service(1))
    text = fixed(tmp_path)["main.py"]
    assert "from offloads import off\n" in text
    assert "    return await off(net, row, scale=1)\n" in text
    assert "ThreadPoolExecutor" not in text


@pytest.mark.parametrize(
    "helper",
    [
        own(keywords=False),  # the call has keyword arguments
        own(copies=False),  # the context would be lost
        own(pool="None"),  # the loop's default executor
        own().replace("pool", "io_pool"),  # a pool for something else
        own().replace("return await", "await"),  # the result would be lost
        own().replace("async def off(", "async def off(retries, "),  # another first parameter
    ],
)
def test_one_that_would_not_do_is_not(tmp_path: Path, helper: str) -> None:
    (tmp_path / "offloads.py").write_text(helper)
    (tmp_path / "main.py").write_text("import offloads\n" + service(1))
    assert "off(net" not in fixed(tmp_path)["main.py"]


@pytest.mark.parametrize(("workers", "applicability"), [(1, Applicability.SAFE), (4, Applicability.UNSAFE)])
def test_the_threads_of_its_pool_count(tmp_path: Path, workers: int, applicability: Applicability) -> None:
    text = service(1).replace('torch.load("net.pt")', 'pipeline("summarization")')
    (tmp_path / "offloads.py").write_text(own(workers))
    (tmp_path / "main.py").write_text(f"from offloads import off\nfrom transformers import pipeline\n{text}")
    (finding,) = check([], Config(root=tmp_path, select=("SRV101",))).findings
    assert finding.fix is not None
    assert finding.fix.title == "Await `net()` with `off`"
    assert finding.fix.applicability is applicability


def test_a_call_whose_result_a_helper_is_given(tmp_path: Path) -> None:
    """The helper gets the function and its arguments, and the endpoint beside it uses the helper too."""
    (tmp_path / "offloads.py").write_text(own(workers=4))
    given = '\n\n@app.post("/e")\nasync def eager(row: list):\n    return (await off(net(row)))[0]\n'
    (tmp_path / "main.py").write_text(f"from offloads import off\n{service(1)}{given}")
    found = check([], Config(root=tmp_path, select=("SRV101", "SRV103"))).findings
    assert sorted(finding.code for finding in found) == ["SRV101", "SRV103"]
    outcome = edits.apply(check([], Config(root=tmp_path, select=("SRV101", "SRV103"))), unsafe=True)
    text = outcome.after[tmp_path / "main.py"].decode()
    assert "    return (await off(net, row))[0]\n" in text
    assert "    return await off(net, row, scale=1)\n" in text
    assert not outcome.report.findings


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("asyncio.to_thread(net, row, scale=1)", "off(net, row, scale=1)"),
        ("asyncio.get_running_loop().run_in_executor(None, net, row)", "off(net, row)"),
    ],
)
def test_inference_on_the_default_executor(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / "offloads.py").write_text(own())
    (tmp_path / "main.py").write_text(
        f"import asyncio\nimport offloads\n{service(1, call=f'await {before}')}"
    )
    outcome = edits.apply(check([], Config(root=tmp_path, select=("SRV109",))), unsafe=True)
    assert not outcome.rejected
    assert not outcome.report.findings
    text = outcome.after[tmp_path / "main.py"].decode()
    assert f"    return await offloads.{after}\n" in text or f"    return await {after}\n" in text


@pytest.mark.parametrize("count", [2, 3])
def test_inference_on_the_default_executor_beside_other_calls(tmp_path: Path, count: int) -> None:
    offloaded = endpoint(9, "await asyncio.to_thread(net.enhance, row, outscale=2)")
    text = service(count, call="net.enhance(row, outscale=4)") + offloaded
    text = text.replace("import torch\n", "import asyncio\n\n").replace(
        "FastAPI\n", f"FastAPI\n{NOT_SHARED}", 1
    )
    (tmp_path / "main.py").write_text(text.replace('torch.load("net.pt")', "RealESRGANer(scale=4)"))
    report = check([], Config(root=tmp_path, select=("SRV101", "SRV109")))
    outcome = edits.apply(report, unsafe=True)
    assert len(outcome.applied) == len(report.findings) == count + 1
    text = outcome.after[tmp_path / "main.py"].decode()
    assert text.count("_inference_executor = ") == 1
    assert ("return await in_inference_pool(net.enhance, row, outscale=2)" in text) is (count == 3)
    fixes = [(finding.code, finding.fix) for finding in report.findings if finding.fix is not None]
    makers = [{edit for edit in fix.edits if "_inference_executor = " in edit.content} for _, fix in fixes]
    assert len(makers) == count + 1
    assert len(set.union(*makers)) == 1


@pytest.mark.parametrize("helper", [own(copies=False), own(keywords=False)])
def test_the_default_executor_where_the_dispatcher_would_not_do(tmp_path: Path, helper: str) -> None:
    (tmp_path / "offloads.py").write_text(helper)
    call = "await asyncio.to_thread(net, row, scale=1)"
    (tmp_path / "main.py").write_text(f"import asyncio\nimport offloads\n{service(1, call=call)}")
    outcome = edits.apply(check([], Config(root=tmp_path, select=("SRV109",))), unsafe=True)
    text = outcome.after[tmp_path / "main.py"].decode()
    assert "off(net" not in text
    assert "run_in_executor(" in text
