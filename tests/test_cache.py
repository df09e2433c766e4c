"""The cache: the same findings as without it, whatever happens to its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from conftest import Project, Servelint

from servelint import lint, store
from servelint.code.facts.extract import extract
from servelint.project.cache import Cache, Facts, Scans

SERVICE = """\
import joblib

model = joblib.load("model.joblib")


async def predict(row):
    return model.predict(row)
"""
OLD = 1_600_000_000  # seconds: long before any run


def write(project: Project, name: str, content: str) -> None:
    project.write({name: content})
    os.utime(project.root / name, (OLD, OLD))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once; otherwise those of a test are too new for their result to be kept."""
    monkeypatch.setattr("servelint.project.cache.UNSURE", -60.0)


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The root of each project that has been analysed in full."""
    done: list[Path] = []
    analyse = lint.analyse

    def counted(tree: lint.Tree, config: lint.Config) -> object:
        done.append(tree.root)
        return analyse(tree, config)

    monkeypatch.setattr(lint, "analyse", counted)
    return done


def files(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"*.{kind}"))


def test_a_second_run_works_nothing_out(
    project: Project, servelint: Servelint, analysed: list[Path], settled: None
) -> None:
    write(project, "app.py", SERVICE)
    first = servelint("check")
    assert first.status == 1
    assert "SRV101" in first.out
    assert servelint("check") == first
    assert len(analysed) == 1


def test_what_has_just_been_written_is_not_trusted(
    project: Project, servelint: Servelint, analysed: list[Path]
) -> None:
    project.write({"app.py": SERVICE})
    assert servelint("check") == servelint("check")
    assert len(analysed) == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p: write(p, "app.py", SERVICE.replace("async ", "")), id="content"),
        pytest.param(lambda p: (p.root / "app.py").unlink(), id="removed"),
        pytest.param(lambda p: (p.root / "app.py").rename(p.root / "test_x.txt"), id="renamed"),
        pytest.param(
            lambda p: p.write({"pyproject.toml": '[tool.servelint]\nignore = ["SRV101"]\n'}),
            id="configuration",
        ),
    ],
)
def test_a_change_is_seen(
    project: Project, servelint: Servelint, settled: None, change: Callable[[Project], object]
) -> None:
    write(project, "app.py", SERVICE)
    assert "SRV101" in servelint("check").out
    change(project)
    assert "SRV101" not in servelint("check").out


def test_a_new_file_is_seen(project: Project, servelint: Servelint, settled: None) -> None:
    write(project, "app.py", SERVICE)
    servelint("check")
    write(project, "other.py", SERVICE)
    assert servelint("check").out.count("SRV101 blocking-inference:") == 2


def test_named_files_and_the_whole_project_share_what_is_known(
    project: Project, servelint: Servelint, analysed: list[Path], settled: None
) -> None:
    write(project, "app.py", SERVICE)
    write(project, "other.py", SERVICE)
    assert servelint("check").out.count("SRV101 blocking-inference:") == 2
    assert servelint("check", "other.py").out.count("SRV101 blocking-inference:") == 1
    assert len(analysed) == 1


@pytest.mark.parametrize("damage", ["emptied", "cut", "flipped", "prefixed", "of another version"])
@pytest.mark.parametrize("kind", ["facts", "scans", "results"])
def test_a_damaged_file_is_healed(
    project: Project, servelint: Servelint, cache_folder: Path, settled: None, kind: str, damage: str
) -> None:
    write(project, "app.py", SERVICE)
    expected = servelint("check")
    (file,) = files(cache_folder, kind)
    whole = file.read_bytes()
    broken = {
        "emptied": b"",
        "cut": whole[:-5],
        "flipped": whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:],
        "prefixed": b"x" + whole,
        "of another version": whole.replace(b"servelint cache 2", b"servelint cache 0"),
    }[damage]
    file.write_bytes(broken)
    for other in files(cache_folder, "results"):
        if other != file:
            other.unlink()
    assert servelint("check") == expected
    assert file.read_bytes() == whole


def test_of_a_damaged_file_the_other_entries_are_kept(tmp_path: Path) -> None:
    entries = {b"first": b"one", b"second": b"two", b"third": b"three"}
    store.save(tmp_path / "x.facts", entries)
    assert store.load(tmp_path / "x.facts") == entries
    whole = (tmp_path / "x.facts").read_bytes()
    (tmp_path / "x.facts").write_bytes(whole.replace(b"onetwo", b"onetwx"))
    known = store.load(tmp_path / "x.facts")
    assert known.get(b"second") is None
    assert known == {b"first": b"one", b"third": b"three"}


def test_without_the_cache_nothing_is_kept(
    project: Project, servelint: Servelint, cache_folder: Path, settled: None
) -> None:
    write(project, "app.py", SERVICE)
    assert "SRV101" in servelint("check", "--no-cache").out
    assert "SRV101" in servelint("fix", "--no-cache", "--diff").out + servelint("check", "--no-cache").out
    assert not list(cache_folder.iterdir())


def test_clean_removes_what_is_kept(
    project: Project, servelint: Servelint, cache_folder: Path, settled: None
) -> None:
    write(project, "app.py", SERVICE)
    servelint("check")
    assert len(list(cache_folder.iterdir())) == 3
    (cache_folder / "notes.txt").write_text("not ours")
    result = servelint("clean")
    assert result.status == 0
    assert result.out == f"Removed 3 files from {cache_folder}.\n"
    assert [path.name for path in cache_folder.iterdir()] == ["notes.txt"]
    assert servelint("clean").out.startswith("Removed 0 files")


def test_a_place_that_cannot_be_written_is_done_without(
    project: Project, servelint: Servelint, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "app.py", SERVICE)
    (cache_folder / "file").write_text("")
    monkeypatch.setenv("SERVELINT_CACHE_DIR", str(cache_folder / "file" / "below"))
    result = servelint("check")
    assert result.status == 1
    assert not result.err


def test_facts_are_made_once_for_each_content(tmp_path: Path) -> None:
    made: list[bytes] = []

    def counted(content: bytes) -> object:
        made.append(content)
        return extract(content)

    first = Facts(tmp_path / "x.facts")
    facts = first.of(b"import torch\n", counted)
    assert first.of(b"import torch\n", counted) is facts
    first.save()
    second = Facts(tmp_path / "x.facts")
    assert second.of(b"import torch\n", counted) == facts
    second.of(b"import numpy\n", counted)
    second.save()
    assert made == [b"import torch\n", b"import numpy\n"]
    assert len(Facts(tmp_path / "x.facts")._stored) == 2


def test_what_a_run_did_not_use_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servelint.project.cache.MAXIMUM_SIZE", 1)
    for content in (b"a = 1\n", b"b = 2\n"):
        facts = Facts(tmp_path / "x.facts")
        facts.of(content, extract)
        facts.save()
    assert len(Facts(tmp_path / "x.facts")._stored) == 1


def test_projects_do_not_share_a_cache(tmp_path: Path) -> None:
    assert Cache(tmp_path / "a").facts._path != Cache(tmp_path / "b").facts._path


def test_what_is_read_from_bytes_is_looked_for_once(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def looked(content: bytes) -> tuple[str, ...]:
        seen.append(content)
        return (content.decode(),)

    first = Scans(tmp_path / "x.scans")
    for _ in range(2):
        assert first.of(b"key", b"content", looked) == ("content",)
    first.save()
    second = Scans(tmp_path / "x.scans")
    assert second.of(b"key", b"content", looked) == ("content",)
    assert second.of(b"other", b"new", looked) == ("new",)
    second.save()
    assert seen == [b"content", b"new"]
    assert Scans(tmp_path / "x.scans")._stored.keys() == {b"key", b"other"}


def test_an_editor_does_not_fill_memory_with_what_was_typed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for number in range(5):
        content = b"x = %d\n" % number
        cache.facts.forget_unused()
        cache.scans.forget_unused()
        cache.facts.of(content, extract)
        cache.scans.of(content, content, len)
    assert len(cache.facts._made) == len(cache.scans._made) == 2


def test_a_single_change_is_not_worth_writing_everything_again(tmp_path: Path) -> None:
    def known(contents: Iterable[bytes]) -> tuple[Facts, Scans]:
        facts, scans = Facts(tmp_path / "x.facts"), Scans(tmp_path / "x.scans")
        for content in contents:
            facts.of(content, extract)
            scans.of(content, content, len)
        facts.save()
        scans.save()
        return Facts(tmp_path / "x.facts"), Scans(tmp_path / "x.scans")

    many = [b"x = %d\n" % number for number in range(100)]
    known(many)
    facts, scans = known([*many[1:], b"y = 1\n"])
    assert (len(facts._stored), len(scans._stored)) == (100, 100)
    facts, scans = known([*many[2:], b"y = 1\n", b"y = 2\n"])
    assert (len(facts._stored), len(scans._stored)) == (102, 100)
    assert {b"y = 1\n", b"y = 2\n"} <= scans._stored.keys()
