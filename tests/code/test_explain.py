"""`servelint check --explain PATH:LINE` says how what stands on a line is judged, as the same check does."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from servelint.cli import run
from servelint.explanation import Explanation
from servelint.project.config import Config
from servelint.run import prepare

FIXTURES = Path(__file__).parents[1] / "fixtures" / "code"
SHAPES = sorted(path.name for path in FIXTURES.iterdir())
SERVICE = """\
import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/predict")
async def predict(row: list[float]):
    return model.predict([row])


@app.post("/plain")
def plain(row: list[float]):
    return model.predict([row])
"""
REPORTED = "reported: SRV101 blocking-inference (error, high confidence)"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "service.py"
    path.write_text(SERVICE)
    monkeypatch.chdir(tmp_path)
    return path


def explained(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = run(["check", "--explain", *map(str, arguments)])
    told = capfd.readouterr()
    return status, told.out + told.err


# -- it says what the check does -------------------------------------------------------------------------


def blocks(told: list[str]) -> Iterator[list[str]]:
    """What is told of one call after the other."""
    block: list[str] = []
    for line in told:
        if not line.startswith(" ") and block:
            yield block
            block = []
        block.append(line)
    yield block


@pytest.mark.parametrize("shape", SHAPES)
def test_every_finding_is_told_and_whatever_blocks_is_a_finding_or_says_why_not(
    shape: str, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(FIXTURES / shape, tmp_path / shape))
    ready = prepare([root], settings=Config(root))
    report = ready.check(fixes=False)
    for path in report.tree.python:
        explanation = Explanation(ready, path)
        for number in range(1, len(path.read_text("utf-8").splitlines()) + 1):
            told = list(explanation.lines(number))
            here = {
                f"  reported: {item.code} "
                for item in report.findings
                if item.span.path == path and item.span.line <= number <= item.span.end_line
            }
            assert {line[:18] + " " for line in told if line.startswith("  reported: ")} == here, told
            for block in blocks(told):
                if any(line.startswith("  verdict: blocks") for line in block):
                    outcomes = [line for line in block if re.match(r"  (not )?reported: .", line)]
                    assert outcomes, block
                    assert not any("no rule is about it" in line for line in outcomes), block


# -- what is known of a call -----------------------------------------------------------------------------


def test_a_blocking_call_names_binding_type_and_verdict(
    service: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, text = explained(capfd, f"{service}:10")
    assert status == 0
    assert "predict runs on the event loop while serving (endpoint of FastAPI)" in text
    assert "bound at service.py:5: joblib.load()" in text
    assert "verdict: blocks (inference, high confidence)" in text
    assert REPORTED in text


def test_a_plain_def_says_where_it_runs(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = explained(capfd, f"{service}:15")[1]
    assert "plain is no coroutine and no loop-bound callback: FastAPI runs it in a thread (endpoint)" in text
    assert "not reported: it does not hold the event loop there" in text


CASES = {
    # what is on the line marked `# here`: what is said of it
    "a helper is judged where the loop calls it": (
        """\
        def helper(rows):
            return model.predict(rows)  # here

        @app.post("/batch")
        async def batch(rows: list):
            return helper(rows)
        """,
        [
            "not reported: what blocks in it is reported where the event loop calls it",
            "called on the event loop at app.py:12 (batch); reported: SRV101 blocking-inference",
        ],
    ),
    "start-up": (
        """\
        @app.on_event("startup")
        async def warm():
            model.predict([[0.0]])  # here
        """,
        ["warm runs at start-up or shutdown", "not reported: blocking at start-up or shutdown"],
    ),
    "a module that is imported": (
        "other = joblib.load('other.joblib')  # here\n",
        ["verdict: blocks (load", "not reported: blocking while a module is imported holds up no request"],
    ),
    "what start-up has loaded": (
        """\
        cached = None

        def get():
            global cached
            if cached is None:
                cached = joblib.load("m.joblib")
            return cached

        @app.on_event("startup")
        async def warm():
            get()

        @app.post("/late")
        async def late():
            return str(get())  # here
        """,
        ["not reported: get (app.py:9) loads once, and start-up has called it before the first request"],
    ),
    "a package that nobody knows": (
        """\
        import acme

        @app.post("/score")
        async def score(row: list):
            return acme.engine.score(row)  # here
        """,
        [
            "verdict: not known to block, and not everything that it may call is known",
            "not known: acme.engine.score, called at app.py:11: `acme` is not in servelint's catalogue; ",
            '; if it blocks, name it: `blocking-calls = ["acme.engine.score"]`',
        ],
    ),
    "a package that nobody knows, behind a function": (
        """\
        from acme import Engine

        def within(row):
            return Engine().score(row)

        @app.post("/score")
        async def score(row: list):
            return within(row)  # here
        """,
        ["not known: acme.Engine.score, called at app.py:10:", 'blocking-calls = ["acme.Engine.score"]'],
    ),
    "an object that nobody knows, behind a function": (
        """\
        def within(thing, row):
            return thing.compute(row)

        @app.post("/score")
        async def score(row: list):
            return within(make(), row)  # here
        """,
        [
            "not known: thing.compute(), called at app.py:8: nothing says what `thing` is",
            'name the function that it is called in: `blocking-calls = ["app.within"]`',
        ],
    ),
    "an interface without anybody who fills it": (
        """\
        class Scorer:
            def score(self, row):
                raise NotImplementedError

        @app.post("/score")
        async def score(row: list, scorer: Scorer):
            return scorer.score(row)  # here
        """,
        ["its body is a stub", 'blocking-calls = ["app.Scorer.score"]'],
    ),
    "a wait with a reason": (
        """\
        from concurrent.futures import ThreadPoolExecutor

        @app.post("/stop")
        async def stop():
            pool.shutdown(wait=False)  # here

        pool = ThreadPoolExecutor()
        """,
        ["verdict: does not block: it waits for another thread, but its arguments say that it does not wait"],
    ),
    "a wait in a thread": (
        """\
        from concurrent.futures import ThreadPoolExecutor

        @app.post("/stop")
        def stop():
            pool.shutdown()  # here

        pool = ThreadPoolExecutor()
        """,
        [
            "verdict: blocks (high confidence): it waits",
            "not reported: it does not hold the event loop there",
        ],
    ),
    "going through a generator": (
        """\
        def scores(rows):
            for row in rows:
                yield model.predict([row])

        @app.post("/all")
        async def all_of(rows: list):
            found = scores(rows)
            for score in found:  # here
                print(score)
        """,
        ["going through found in all_of", "verdict: blocks (inference", "  reported: SRV101"],
    ),
    "a coroutine function that is called": (
        """\
        async def later():
            model.predict([[0.0]])

        @app.post("/all")
        async def all_of():
            waiting = later()  # here
            await waiting
        """,
        ["verdict: does not block: to call a coroutine function runs none of its body"],
    ),
    "what is awaited later": (
        """\
        @app.post("/all")
        async def all_of(row: list):
            waiting = model.predict(row)  # here
            return await waiting
        """,
        ["verdict: does not block: its result is awaited later"],
    ),
    "an attribute and who binds it": (
        """\
        class Other:
            def __init__(self):
                self.held = None

        class Engine:
            held = None

            def load(self):
                self.held = joblib.load("m.joblib")

        engine = Engine()

        @app.post("/all")
        async def all_of(rows: list):
            return engine.held.predict(rows)  # here
        """,
        [
            "\n    bound at app.py:12: None\n    bound at app.py:15: joblib.load()\n  engine.held.predict: ",
        ],
    ),
    "what runs elsewhere": (
        """\
        import asyncio

        @app.post("/all")
        async def all_of(rows: list):
            return await asyncio.to_thread(model.predict, rows)  # here
        """,
        [
            "hands over model.predict, which does joblib inference there",
            "  reported: SRV109 default-executor (info",
        ],
    ),
}
HEAD = 'import joblib\nfrom fastapi import FastAPI\napp = FastAPI()\nmodel = joblib.load("m.joblib")\n\n'


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_a_call(case: str, tmp_path: Path) -> None:
    text, said = CASES[case]
    text = HEAD + "\n" + re.sub(r"(?m)^ {8}", "", text)
    path = tmp_path / "app.py"
    path.write_text(text)
    line = next(n for n, line in enumerate(text.splitlines(), 1) if line.endswith("# here"))
    told = "\n".join(Explanation(prepare([tmp_path], settings=Config(tmp_path)), path).lines(line))
    for words in said:
        assert words in told, told


def test_what_it_says_of_the_configuration_helps(tmp_path: Path) -> None:
    """The setting that it names makes a finding of what was not known."""
    path = tmp_path / "app.py"
    for case, (text, _) in CASES.items():
        path.write_text(HEAD + "\n" + re.sub(r"(?m)^ {8}", "", text))
        line = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if line.endswith("# here"))
        told = "\n".join(Explanation(prepare([tmp_path], settings=Config(tmp_path)), path).lines(line))
        for name in re.findall(r'blocking-calls = \["(.+?)"\]', told):
            taught = Config(tmp_path, blocking_calls=(name,))
            again = "\n".join(Explanation(prepare([tmp_path], settings=taught), path).lines(line))
            assert "verdict: blocks" in again, (case, name, again)


# -- what becomes of a finding ---------------------------------------------------------------------------


def test_a_suppressed_finding_names_the_comment(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    service.write_text(
        SERVICE.replace("predict([row])", "predict([row])  # servelint: ignore[SRV101] is small")
    )
    text = explained(capfd, "service.py:10")[1]
    assert (
        "not reported: SRV101 blocking-inference: suppressed by the comment at service.py:10: is small"
        in text
    )


def test_a_finding_of_the_baseline(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["baseline"]) == 0
    capfd.readouterr()
    assert (
        "not reported: SRV101 blocking-inference: it is in the baseline"
        in explained(capfd, "service.py:10")[1]
    )
    assert REPORTED in explained(capfd, "service.py:10", "--no-baseline")[1]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--select", "SRV2"], "its rule is not selected"),
        (["--ignore", "SRV101"], "its rule is not selected"),
    ],
)
def test_a_rule_that_is_not_selected(
    arguments: list[str], why: str, service: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = explained(capfd, "service.py:10", *arguments)[1]
    assert f"not reported: SRV101 blocking-inference: {why}" in text
    assert "verdict: blocks" in text


def test_a_finding_below_the_confidence_asked_for(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    service.write_text(
        SERVICE + "\n\n@app.post('/named')\nasync def named(pipe):\n    return pipe.classifier(1)\n"
    )
    line = len(service.read_text().splitlines())
    assert "  reported: SRV101" in explained(capfd, f"service.py:{line}")[1]
    text = explained(capfd, f"service.py:{line}", "--min-confidence", "high")[1]
    assert "blocking-inference: its confidence, medium, is below `min-confidence`, high" in text


def test_rules_left_out_for_a_file(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (service.parent / "servelint.toml").write_text('[per-file-ignores]\n"*.py" = ["SRV101"]\n')
    text = explained(capfd, "service.py:10")[1]
    assert (
        "not reported: SRV101 blocking-inference: `per-file-ignores` leaves its rule out in this file" in text
    )
    assert REPORTED in explained(capfd, "service.py:10", "--isolated")[1]


def test_the_configuration_is_the_one_that_is_named(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (service.parent / "other.toml").write_text('ignore = ["SRV101"]\n')
    text = explained(capfd, "service.py:10", "--config", "other.toml")[1]
    assert "not reported: SRV101 blocking-inference: its rule is not selected" in text


def test_a_suppression_without_effect(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    service.write_text(SERVICE + "# servelint: ignore[SRV101] nothing is here\nlast = 1\n")
    line = len(SERVICE.splitlines()) + 1
    text = explained(capfd, f"service.py:{line}", "--report-unused")[1]
    assert "  reported: SRV001 unused-suppression" in text


def test_a_finding_that_a_change_did_not_cause(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *named, *arguments], cwd=service.parent, check=True)
    text = explained(capfd, "service.py:10", "--since", "HEAD")[1]
    assert "blocking-inference: the change since HEAD neither touched nor caused it" in text
    assert explained(capfd, "service.py:10", "--since", "nowhere")[0] == 2


def test_a_test_is_no_service(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = service.parent / "tests"
    folder.mkdir()
    shutil.copy(service, folder / "test_service.py")
    assert "not reported: tests/test_service.py is a test" in explained(capfd, "tests/test_service.py:10")[1]


# -- which project it is about ---------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without a repository and a configuration whose endpoint calls what is in another folder."""
    (tmp_path / "engine").mkdir()
    (tmp_path / "api").mkdir()
    (tmp_path / "engine" / "core.py").write_text(
        'import joblib\nmodel = joblib.load("m")\n\n\ndef run(row):\n    return model.predict([row])\n'
    )
    (tmp_path / "api" / "app.py").write_text(
        "from fastapi import FastAPI\nfrom engine.core import run\n\napp = FastAPI()\n\n\n"
        "@app.post('/')\nasync def score(row: list):\n    return run(row)\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("paths", [[], ["."], ["api"], ["api/app.py", "engine"]])
def test_the_project_is_that_of_the_check(
    paths: list[str], engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = run(["check", "--output-format", "concise", *paths])
    found = "api/app.py:9:12: SRV101" in capfd.readouterr().out
    assert status == int(found)
    assert ("  reported: SRV101" in explained(capfd, "api/app.py:9", *paths)[1]) == found


def test_a_file_that_is_not_among_the_paths(engine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (engine / "servelint.toml").write_text("")
    text = explained(capfd, "api/app.py:9", "engine")[1]
    assert (
        "not reported: SRV101 blocking-inference: api/app.py is not among the paths that are checked" in text
    )


def test_an_excluded_file(engine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = explained(capfd, "api/app.py:9", "--extend-exclude", "api")[1]
    assert text == "api/app.py is not checked: api is excluded\n"


def test_a_file_of_another_project(service: Path, engine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without paths it is the file that says which project is meant; with paths they do."""
    other = engine / "other"
    other.mkdir()
    (other / "servelint.toml").write_text("")
    assert run(["check", "--explain", "api/app.py:9", "other"]) == 0
    assert "app.py is not checked: it is not among the files of the project" in capfd.readouterr().out


def test_a_file_outside_of_this_folder(
    service: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert REPORTED in explained(capfd, f"{service}:10")[1]


@pytest.mark.parametrize("spelling", ["{}", "./{}", "../{folder}/{}"])
def test_however_the_path_is_spelled(spelling: str, service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = spelling.format("service.py", folder=service.parent.name)
    assert REPORTED in explained(capfd, f"{path}:10")[1]


def test_a_link_to_a_file_of_the_project(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (service.parent / "linked.py").symlink_to(service)
    assert REPORTED in explained(capfd, "linked.py:10")[1]


@pytest.mark.parametrize("place", ["typed.py:10", "./typed.py:10", "-:10"])
def test_text_from_standard_input(
    place: str, service: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SERVICE.encode())))
    assert REPORTED in explained(capfd, place, "-", "--stdin-filename", "typed.py")[1]


# -- other lines and places ------------------------------------------------------------------------------


def test_a_line_without_a_call(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert explained(capfd, f"{service}:3") == (0, "There is no call on line 3 of service.py.\n")


def test_a_line_that_is_not_there(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert explained(capfd, f"{service}:300") == (0, "There is no line 300 in service.py.\n")


def test_a_file_that_cannot_be_parsed(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    service.write_text(SERVICE + "def broken(:\n")
    assert "service.py is not judged: it is not valid Python" in explained(capfd, "service.py:10")[1]
    assert "reported: SRV000 unreadable-file" in explained(capfd, "service.py:16")[1]


def test_a_finding_in_a_manifest(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (service.parent / "Dockerfile").write_text(
        'FROM python:3.12\nCMD ["uvicorn", "service:app", "--workers", "4"]\n'
    )
    assert "reported: SRV201 multi-worker-container" in explained(capfd, "Dockerfile:2")[1]
    assert "Nothing is found on line 1 of Dockerfile" in explained(capfd, "Dockerfile:1")[1]


@pytest.mark.parametrize("place", ["nothing.py:3", "service.py", "service.py:x", "service.py:0", ":3"])
def test_a_place_that_does_not_exist(place: str, service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, text = explained(capfd, place)
    assert status == 2
    assert "needs an existing file and a line" in text
