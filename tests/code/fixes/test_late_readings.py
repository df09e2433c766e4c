"""A result that the event loop reads from a GPU later is waited for there: the fix moves too little."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import torch
from fastapi import FastAPI

app = FastAPI()
model = torch.load("model.pt")


def pooled(outputs, mask):
    return outputs * mask


@app.post("/p")
async def predict(row: list, mask: list):
"""


def judged(folder: Path, *lines: str) -> tuple[Applicability, str]:
    (folder / "main.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    (finding,) = check([], Config(root=folder, select=("SRV101", "SRV102"))).findings
    assert finding.fix is not None
    return finding.fix.applicability, finding.fix.reason


@pytest.mark.parametrize(
    ("lines", "line", "how"),
    [
        (
            ("outputs = model(row)", "vectors = pooled(outputs, mask).cpu().numpy()", "return vectors"),
            2,
            "cpu",
        ),
        (
            (
                "outputs = model(row)",
                "vectors = pooled(outputs, mask)",
                "print(mask)",
                "return vectors.tolist()",
            ),
            4,
            "tolist",
        ),
        (("outputs = model(row)", "for one in pooled(outputs, mask):", "    print(one.item())"), 3, "item"),
        (("outputs = model(row)", "print(mask)", "return [one.item() for one in outputs]"), 3, "item"),
    ],
)
def test_the_loop_would_wait_for_it(tmp_path: Path, lines: tuple[str, ...], line: int, how: str) -> None:
    applicability, reason = judged(tmp_path, *lines)
    assert applicability is Applicability.UNSAFE
    assert reason == (
        f"line {HEAD.count(chr(10)) + line} reads on the event loop (`.{how}()`) what comes of `model()`: "
        "on a GPU that is where it is waited for"
    )


@pytest.mark.parametrize(
    "lines",
    [
        ("outputs = model(row)", "return outputs.tolist()"),
        ("outputs = model.generate(row)", "print(mask)", "return outputs.tolist()"),
        ("outputs = model(row)", "print(mask)", "return torch.tensor(mask).tolist()"),
        ("outputs = model(row)", "print(mask)", "outputs = torch.tensor(mask)", "return outputs.tolist()"),
    ],
)
def test_nothing_is_waited_for(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert judged(tmp_path, *lines) == (Applicability.SAFE, "")


DETECTOR = """\
from fastapi import FastAPI
from ultralytics import YOLO

app = FastAPI()
model = YOLO("model.pt")
LABELS = ["a", "b"]


class Answer:
    def __init__(self, score):
        self.score = score


@app.post("/p")
async def detect(image: bytes):
"""


def of_detector(folder: Path, *lines: str) -> tuple[Applicability, str, str]:
    """Whether the fix is safe, why not, and what it writes."""
    (folder / "main.py").write_text(DETECTOR + "".join(f"    {line}\n" for line in lines))
    (finding,) = check([], Config(root=folder, select=("SRV101", "SRV102"))).findings
    assert finding.fix is not None
    written = "".join(edit.content for edit in finding.fix.edits)
    return finding.fix.applicability, finding.fix.reason, written


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        (("results = model(image)", "print(image)", "return results[0].plot()"), ".plot()"),
        (
            ("results = model(image)", "return [Answer(float(one.conf)) for one in results[0].boxes]"),
            "float()",
        ),
        (("results = model(image)", "for one in results[0].boxes:", "    print(one.cls.item())"), ".item()"),
        (("for result in model(image):", "    print(Answer(result.boxes.xyxy.tolist()))"), ".tolist()"),
    ],
)
def test_results_hold_tensors(tmp_path: Path, lines: tuple[str, ...], how: str) -> None:
    applicability, reason, _ = of_detector(tmp_path, *lines)
    assert applicability is Applicability.UNSAFE
    assert f"reads on the event loop (`{how}`) what comes of `model()`" in reason


@pytest.mark.parametrize(
    "lines",
    [
        ("results = model(image, device='cpu')", "print(image)", "return results[0].plot()"),
        (
            "results = model(image)",
            "print(image)",
            "return len(results[0].boxes), float(results[0].speed['a'])",
        ),
    ],
)
def test_results_that_are_not_read_from_a_device(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert of_detector(tmp_path, *lines)[:2] == (Applicability.SAFE, "")


def test_a_loop_over_the_result_moves_too(tmp_path: Path) -> None:
    applicability, reason, written = of_detector(
        tmp_path,
        "results = model(image)",
        "found = []",
        "for one in results[0].boxes:",
        "    score = one.conf[0].item()",
        "    if score < 0.5:",
        "        continue",
        "    found.append({'score': score, 'label': LABELS[int(one.cls)]})",
        "return {'found': found}",
    )
    assert (applicability, reason) == (Applicability.SAFE, "")
    assert "        return found" in written
