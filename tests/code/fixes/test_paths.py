"""Files that all requests name the same must not be written by one request before another has read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.lint import check
from servelint.project.config import Config, FixConfig

SERVICE = """\
import os
import shutil
import tempfile
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

import cv2
import soundfile as sf
import spacy
import torch
from fastapi import FastAPI

UPLOAD = "upload.txt"
folder = "uploads"
app = FastAPI()
nlp = spacy.load("en")


def answered(text):
    {below}
    return nlp(text)


@app.post("{address}")
async def answer(text: str, file{upload}):
    {before}
    found = {call}
    {after}
    return found
"""


def reason(
    folder: Path,
    before: str = "pass",
    call: str = "nlp(text)",
    after: str = "pass",
    below: str = "pass",
    offload: str = "auto",
    address: str = "/answer",
    upload: str = "",
) -> str:
    text = SERVICE.format(before=before, call=call, after=after, below=below, address=address, upload=upload)
    (folder / "main.py").write_text(text)
    config = Config(root=folder, select=("SRV101",), fix=FixConfig(offload=offload))
    (finding,) = check([], config).findings
    assert finding.fix is not None
    return finding.fix.reason


READ = "nlp(open('upload.txt').read())"


@pytest.mark.parametrize(
    ("before", "call", "after"),
    [
        ("with open('upload.txt', 'w') as out:\n        out.write(text)", READ, "pass"),
        ("with open('upload.txt', 'w') as out:\n        out.write(await file.read())", READ, "pass"),
        ("Path('upload.txt').write_text(text)", READ, "pass"),
        ("place = 'upload.txt'\n    shutil.copy(text, place)", "nlp(place)", "pass"),
        ("cv2.imwrite('upload.txt', text)", "nlp(text)", "os.remove('upload.txt')"),
        ("cv2.imwrite(f'upload.txt', text)", "nlp('upload.txt')", "pass"),
    ],
)
def test_what_is_written_for_the_call(tmp_path: Path, before: str, call: str, after: str) -> None:
    expected = "`upload.txt` is written for the call: another request may write it before it is read"
    assert reason(tmp_path, before, call, after) == expected


@pytest.mark.parametrize(
    ("before", "call", "after"),
    [
        # a name for each request, or read only, or for a place that is only made once
        ("Path(f'{text}.txt').write_text(text)", "nlp(text)", "os.remove(f'{text}.txt')"),
        ("place = text + '.txt'\n    Path(place).write_text(text)", "nlp(place)", "pass"),
        ("words = open('upload.txt').read()", READ, "pass"),
        ("os.makedirs('uploads/all', exist_ok=True)", "nlp('uploads/all')", "pass"),
        ("with open('upload.txt', 'a') as out:\n        out.write(text)", READ, "pass"),
        # written after the call, or another file
        ("pass", "nlp(text)", "Path('upload.txt').write_text(text)"),
        ("Path('other.txt').write_text(text)", READ, "pass"),
        # what could come between before
        ("Path('upload.txt').write_text(text)\n    await file.read()", READ, "pass"),
        # no file
        ("file.save(text, 'PNG')", "nlp('PNG')", "pass"),
        ("file.copy('upload.txt')", READ, "pass"),
    ],
)
def test_what_no_other_request_writes(tmp_path: Path, before: str, call: str, after: str) -> None:
    assert reason(tmp_path, before, call, after) == ""


def test_what_many_threads_write(tmp_path: Path) -> None:
    below, call = "os.mkdir('faces')", "answered(text)"
    expected = "`answered` writes `faces`, and two threads may both do that"
    assert reason(tmp_path, call=call, below=below, offload="to-thread") == expected
    # one after the other in a pool of one thread, or each another one
    assert reason(tmp_path, call=call, below=below) == ""
    assert reason(tmp_path, call=call, below="os.mkdir(text)", offload="to-thread") == ""
    assert reason(tmp_path, call=call, below="os.mkdir(UPLOAD)", offload="to-thread") != ""


@pytest.mark.parametrize(
    ("before", "call"),
    [
        ("place = os.path.join(folder, 'a.txt')\n    cv2.imwrite(place, text)", "nlp(place)"),
        ("place = f'{UPLOAD}/a.txt'\n    cv2.imwrite(place, text)", "nlp(place)"),
        ("place = f'uploads/{file.filename}'\n    cv2.imwrite(place, text)", "nlp(place)"),
        ("place = Path(__file__).parent / 'a.txt'\n    place.write_text(text)", "nlp(place)"),
        ("place = os.path.join(tempfile.gettempdir(), 'a.wav')\n    sf.write(place, text)", "nlp(place)"),
        ("torch.save(text, 'a.pt')", "nlp('a.pt')"),
    ],
)
def test_names_that_two_requests_may_have(tmp_path: Path, before: str, call: str) -> None:
    assert "is written for the call" in reason(tmp_path, before, call)


@pytest.mark.parametrize(
    ("before", "call", "after"),
    [
        ("place = Path(text)\n    known = place.exists()", "nlp(text)", "place.write_text(str(found))"),
        ("known = os.path.exists(text)", "nlp(text)", "cv2.imwrite(text, found)"),
        (
            "known = os.path.isfile(text)",
            "nlp(text)",
            "with open(text, 'w') as out:\n        out.write(found)",
        ),
        ("known = os.path.isdir(text)", "nlp(text)", "os.makedirs(text)"),
    ],
)
def test_what_is_looked_for_and_then_written(tmp_path: Path, before: str, call: str, after: str) -> None:
    assert "is looked for before the call and written then" in reason(tmp_path, before, call, after)


@pytest.mark.parametrize(
    ("before", "call", "after"),
    [
        # with others between before, too; after the call; something else; or a name of its own
        ("known = os.path.exists(text)\n    await file.read()", "nlp(text)", "cv2.imwrite(text, found)"),
        ("pass", "nlp(text)", "if os.path.exists(text):\n        os.remove(text)"),
        ("known = os.path.exists(text)", "nlp(text)", "cv2.imwrite(file, found)"),
        ("place = uuid.uuid4().hex\n    known = os.path.exists(place)", "nlp(place)", "os.remove(place)"),
        ("known = os.path.exists(text)", "nlp(text)", "os.makedirs(text, exist_ok=True)"),
        ("known = os.path.exists(text)", "nlp(text)", "shutil.copy2(text, file)"),
    ],
)
def test_what_nobody_else_writes_in_between(tmp_path: Path, before: str, call: str, after: str) -> None:
    assert reason(tmp_path, before, call, after) == ""


def test_what_the_call_writes_and_is_read_then(tmp_path: Path) -> None:
    call, after = "nlp(text, file_path='a.txt')", "found = open('a.txt').read()"
    expected = "`a.txt` is written by the call: another request may write it before it is used"
    assert reason(tmp_path, call=call, after=after) == expected
    assert reason(tmp_path, call=call, after=f"await file.read()\n    {after}") == ""
    assert reason(tmp_path, call="nlp(text, name='a.txt')", after=after) == ""


def test_what_many_threads_look_for(tmp_path: Path) -> None:
    below = "if not os.path.exists(text):\n        os.makedirs(text)"
    expected = "`answered` looks for `text` and writes it, and two threads may both do that"
    assert reason(tmp_path, call="answered(text)", below=below, offload="to-thread") == expected
    assert reason(tmp_path, call="answered(text)", below=below) == ""


def test_what_a_function_writes_for_the_call(tmp_path: Path) -> None:
    below = "pass\n\n\ndef kept(text):\n    {}\n    return 'upload.txt'\n\n\ndef other(text):\n    pass"
    fixed, own = below.format("cv2.imwrite('upload.txt', text)"), below.format("cv2.imwrite(text, text)")
    expected = "`kept` writes `upload.txt`: another request may do so before the call is made"
    assert reason(tmp_path, "place = kept(text)", "nlp(place)", below=fixed) == expected
    assert reason(tmp_path, "place = kept(text)\n    await file.read()", "nlp(place)", below=fixed) == ""
    assert reason(tmp_path, "place = kept(text)", "nlp(place)", below=own) == ""
    assert reason(tmp_path, call="nlp(text)", after="kept(text)", below=fixed) == ""


STAMPED = "place = f'/tmp/clip_{int(time.time())}{ext}'\n    cv2.imwrite(place, text)"
BY_TIME = "is named by the time: another request may have the same name meanwhile"


@pytest.mark.parametrize(
    "before",
    [
        STAMPED,
        STAMPED.replace("int(time.time())", "time.strftime('%Y%m%d')"),
        STAMPED.replace("{ext}", ".{file.format}"),
        STAMPED.replace("int(time.time())", "datetime.now().strftime('%H%M%S')"),
        "stamp = datetime.now(timezone.utc).isoformat()\n    " + STAMPED.replace("int(time.time())", "stamp"),
    ],
)
def test_files_that_are_named_by_the_second(tmp_path: Path, before: str) -> None:
    before = f"ext = Path(file.filename).suffix\n    {before}"
    assert reason(tmp_path, before, "nlp(place)").endswith("another request may write it before it is read")


@pytest.mark.parametrize(
    "name", ["f'{uuid.uuid4()}_{int(time.time())}.wav'", "f'{text}_{int(time.time())}.wav'"]
)
def test_files_with_more_than_the_time_in_their_name(tmp_path: Path, name: str) -> None:
    assert reason(tmp_path, f"place = {name}\n    cv2.imwrite(place, text)", "nlp(place)") == ""
    exact = "place = datetime.now().strftime('%H%M%S%f') + '.wav'\n    cv2.imwrite(place, text)"
    assert reason(tmp_path, exact, "nlp(place)") == ""


def test_a_name_by_the_second_that_is_given_to_the_call(tmp_path: Path) -> None:
    before = "place = f'spoken_{round(time.time())}.wav'"
    assert BY_TIME in reason(tmp_path, before, "nlp(place)")
    assert reason(tmp_path, f"{before}\n    await file.read()", "nlp(place)") == ""
    assert reason(tmp_path, before.replace(".wav", ""), "nlp(place)") == ""


def test_a_name_by_the_second_that_a_function_makes(tmp_path: Path) -> None:
    below = (
        "pass\n\n\ndef options(text):\n    stamp = datetime.now().strftime('%Y%m%dT%H%M%S')\n"
        "    name = f'found_{stamp}.pkl'\n    return {'to': os.path.join('found', name)}\n\n\n"
        "def other(text):\n    pass"
    )
    assert BY_TIME in reason(tmp_path, "given = options(text)", "nlp(given)", below=below)
    assert reason(tmp_path, "given = options(text)", "nlp(text)", below=below) == ""
    own = below.replace("found_{stamp}", "{uuid.uuid4()}_{stamp}")
    assert reason(tmp_path, "given = options(text)", "nlp(given)", below=own) == ""


@pytest.mark.parametrize(
    "address", ["/answers/{text}", "/files/{text:path}", "/answers/<text>", "/<str:text>"]
)
def test_files_that_are_named_by_the_address(tmp_path: Path, address: str) -> None:
    before, call = "place = Path('answers') / f'{text}.txt'\n    place.write_text('a')", "nlp(place)"
    assert "is written for the call" in reason(tmp_path, before, call, address=address)
    before, call, after = "place = f'{text}.pdf'", "nlp(text, output_path=place)", "open(place)"
    assert "is written by the call" in reason(tmp_path, before, call, after, address=address)


@pytest.mark.parametrize(
    ("before", "address"),
    [
        ("place = Path(f'{text}.txt')\n    place.write_text('a')", "/answers"),
        ("place = Path(f'{text}.txt')\n    place.write_text('a')", "/answers/{other}"),
        ("text = str(uuid.uuid4())\n    place = Path(f'{text}.txt')\n    place.write_text('a')", "/{text}"),
        ("place = Path(f'{text}-{uuid.uuid4()}.txt')\n    place.write_text('a')", "/answers/{text}"),
    ],
)
def test_files_that_the_address_does_not_name(tmp_path: Path, before: str, address: str) -> None:
    assert reason(tmp_path, before, "nlp(place)", address=address) == ""


@pytest.mark.parametrize("upload", [": UploadFile", "=File(...)", ": list[fastapi.UploadFile]"])
def test_the_folder_of_all_uploads(tmp_path: Path, upload: str) -> None:
    before, expected = "place = '/srv/shop/pictures'", "`/srv/shop/pictures` is the folder of all requests"
    assert expected in reason(tmp_path, before, "nlp(place)", upload=upload)
    assert expected in reason(tmp_path, call="nlp(text, where='/srv/shop/pictures')", upload=upload)


@pytest.mark.parametrize(
    ("place", "upload"),
    [
        ("'/srv/shop/pictures'", ": str"),
        ("'/srv/shop/small.pt'", ": UploadFile"),
        ("'/srv/models/small'", ": UploadFile"),
        ("'shop/small-model'", ": UploadFile"),
        ("f'/srv/shop/{uuid.uuid4()}'", ": UploadFile"),
    ],
)
def test_no_folder_of_all_uploads(tmp_path: Path, place: str, upload: str) -> None:
    assert reason(tmp_path, f"place = {place}", "nlp(place)", upload=upload) == ""
