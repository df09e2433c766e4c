"""Source distributions that are learned: read in memory, and never unpacked, built or run."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import packages_of_tests as packages
import pytest
import yaml
from conftest import Project, Servelint

from servelint.code.installed import sdist

SETUP = "import pathlib\npathlib.Path('ran').write_text('')\nraise SystemExit('never run')\n"
NET = """\
    import torch

    class Net(torch.nn.Module):
        def forward(self, x):
            return x

    def infer(x):
        return Net()(x)
    """
LAYOUTS = {
    "told": {
        "source/acme_net/__init__.py": NET,
        "acme_net.egg-info/top_level.txt": "acme_net\n",
        "acme_net.egg-info/requires.txt": "numpy>=1\n\n[extra]\npytest\n",
    },
    "src": {"src/acme_net/__init__.py": NET, "helper/__init__.py": NET},
    "flat": {"acme_net/__init__.py": NET, "examples/__init__.py": NET, "notes/a.py": NET},
    "module": {"acme_net.py": NET, "conftest.py": NET},
    "apart": {"acme_net_src/acme_net/__init__.py": NET, "helper/__init__.py": NET},
    "deep": {"parts/core/acme_net/__init__.py": NET, "run.py": SETUP, "docs/acme_net/__init__.py": NET},
}


@pytest.mark.parametrize("zipped", [False, True], ids=["tar", "zip"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_it_installs_is_learned(
    project: Project, servelint: Servelint, tmp_path: Path, layout: str, zipped: bool
) -> None:
    beside = {"setup.py": SETUP, "tests/acme_net/__init__.py": NET, "docs/conf.py": SETUP}
    path = packages.sdist(tmp_path, "acme-net", "3.1", {**beside, **LAYOUTS[layout]}, zipped=zipped)
    done = servelint("learn", str(path))
    assert (done.status, done.out) == (
        0,
        "servelint-libraries/acme-net.yaml: 1 functions, 1 classes of acme-net 3.1\n",
    )
    data = yaml.safe_load(project.read("servelint-libraries/acme-net.yaml"))
    assert data["modules"] == ["acme_net"]
    assert data["source"] == "sdist acme-net==3.1"
    assert data["functions"]["acme_net.infer"]["role"] == "inference"
    assert not (project.root / "ran").exists()


def test_the_nearest_package_is_it_where_none_is_called_like_the_distribution(tmp_path: Path) -> None:
    files = {"lib_src/net/__init__.py": NET, "lib_src/net/inner/__init__.py": NET, "tests/a/__init__.py": NET}
    found = sdist.read(str(packages.sdist(tmp_path, "acme-net", "3.1", files)))
    assert list(found.files) == ["net/__init__.py", "net/inner/__init__.py"]


@pytest.mark.parametrize("folder", ["./a-1/", "././a-1/", "./", ""])
def test_however_its_entries_are_called(tmp_path: Path, folder: str) -> None:
    packed = io.BytesIO()
    texts = {"PKG-INFO": b"Name: a\nVersion: 1\n", "a/__init__.py": b"1\n", "no-name/b/__init__.py": b"2\n"}
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in texts.items():
            archive.addfile(_entry(f"{folder}{name}", len(text)), io.BytesIO(text))
    path = tmp_path / "a-1.tar.gz"
    path.write_bytes(gzip.compress(packed.getvalue()))
    assert sdist.read(str(path)).files == {"a/__init__.py": b"1\n"}


def test_what_it_needs_is_read(tmp_path: Path) -> None:
    found = sdist.read(str(packages.sdist(tmp_path, "acme-net", "3.1", LAYOUTS["told"])))
    assert found.requires == {"torch", "numpy"}


def _tar(path: Path, *entries: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"x" * max(entry.size, 0)) if entry.isreg() else None)
    path.write_bytes(gzip.compress(packed.getvalue()))
    return packed.getvalue()


def _entry(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, leads: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.linkname = size, kind, leads
    return entry


def _nothing(path: Path) -> None:
    path.write_bytes(b"no archive")


def _cut(path: Path) -> None:
    _tar(path, _entry("a-1/a.py", 100_000))
    path.write_bytes(path.read_bytes()[:80])


def _backwards(path: Path) -> None:
    """An entry whose size is negative, as a number of base 256: it leads back to itself."""
    packed = bytearray(_tar(path, _entry("a-1/a.py")))
    packed[124:136] = (-1024).to_bytes(12, "big", signed=True)
    packed[148:156] = b"%06o\0 " % (256 + sum(packed[:148]) + sum(packed[156:512]))
    path.write_bytes(gzip.compress(bytes(packed)))


def _long_header(path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        size = 17 * 2**20
        archive.addfile(_entry("@LongLink", size, tarfile.GNUTYPE_LONGNAME), io.BytesIO(b"x" * size))
    path.write_bytes(gzip.compress(packed.getvalue(), 1))


def _bomb(path: Path) -> None:
    with gzip.open(path, "wb", 1) as packed:
        head = _entry("a-1/weights.bin", 513 * 2**20).tobuf()
        packed.write(head)
        for _ in range(513):
            packed.write(bytes(2**20))
        packed.write(bytes(1024))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_nothing, "Not a gzipped file"),
        (_cut, "ended before"),
        (_backwards, "an entry has no size"),
        (_long_header, "a header is too long"),
        (_bomb, "more than 512 MiB"),
    ],
)
def test_a_hostile_archive_is_refused_at_once(
    servelint: Servelint, tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    path = tmp_path / "a-1.tar.gz"
    spoil(path)
    done = servelint("learn", str(path))
    assert done.status == 2
    assert "is no source distribution" in done.err
    assert why in done.err


def test_links_and_paths_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("SECRET = 1\n")
    packed = io.BytesIO()
    about = b"Name: a\nVersion: 1\n"
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(_entry("a-1/PKG-INFO", len(about)), io.BytesIO(about))
        archive.addfile(_entry("a-1/a/__init__.py", 2), io.BytesIO(b"1\n"))
        archive.addfile(_entry("a-1/a/link.py", 0, tarfile.SYMTYPE, str(tmp_path / "secret.py")))
        archive.addfile(_entry("a-1/a/hard.py", 0, tarfile.LNKTYPE, "../secret.py"))
        archive.addfile(_entry("a-1/a/pipe.py", 0, tarfile.FIFOTYPE))
        archive.addfile(_entry("a-1/a/../../../out.py", 2), io.BytesIO(b"1\n"))
        archive.addfile(_entry("/a-1/a/root.py", 2), io.BytesIO(b"1\n"))
    path = tmp_path / "a-1.tar.gz"
    path.write_bytes(gzip.compress(packed.getvalue()))
    assert sdist.read(str(path)).files == {"a/__init__.py": b"1\n"}
    assert not (tmp_path.parent / "out.py").exists()


def test_what_is_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a/__init__.py": "x = 1\n", "a/large.py": "#" * 5_000}
    monkeypatch.setattr(sdist, "LARGEST_FILE", 1_000)
    for zipped in (False, True):
        path = packages.sdist(tmp_path, "a", "1", files, zipped=zipped)
        assert sdist.read(str(path)).files == {"a/__init__.py": b"x = 1\n", "a/large.py": None}
    monkeypatch.setattr(sdist, "_MOST_KEPT", 10)
    with pytest.raises(sdist.SdistError, match="of source"):
        sdist.read(str(path))
    monkeypatch.setattr(sdist, "_MOST_ENTRIES", 1)
    with pytest.raises(sdist.SdistError, match="more than 1 files"):
        sdist.read(str(path))


def test_an_archive_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a-1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a-1/a.py", "x = 1\n")
    with pytest.raises(sdist.SdistError, match="PKG-INFO"):
        sdist.read(str(path))
