"""What git knows of a project's past: what a revision is, the files it had, and which lines differ.

Here is the only place where git is executed, and it is given no power: it sees neither the configuration of
the repository nor that of the user or the machine (`borrowed`), no work tree, no attributes and no filters;
it may not use the network, and it has so much time and may say so much.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from servelint.project import disk
from servelint.project.listing import borrowed, repository

TIME_LIMIT = 60.0  # seconds for one question
OUTPUT_LIMIT = 512 * 1024 * 1024  # bytes of an answer
_WITHOUT_POWER = (
    "--no-pager",
    "--no-optional-locks",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", f"core.attributesFile={os.devnull}"),
    *("-c", "safe.bareRepository=explicit"),
    *("-c", "protocol.allow=never"),
)


class GitError(RuntimeError):
    """git is not there, or could not answer; the message says why."""


class _FailedError(GitError):
    """git ended with an error."""


class _Git(NamedTuple):
    """git, in a directory of its own that borrows the objects of a repository."""

    executable: str
    folder: Path
    objects: str

    def ask(self, *arguments: str, stdin: bytes = b"", fine: Sequence[int] = (0,)) -> bytes:
        """What `git ARGUMENTS` prints; raises `GitError` for an exit status that is not `fine`."""
        asked, complaints = self.folder / "stdin", self.folder / "stderr"
        asked.write_bytes(stdin)
        with asked.open("rb") as source, complaints.open("wb") as sink:
            status, answer = _answer(self._command(arguments), self.folder, self._environment(), source, sink)
        if status not in fine:
            lines = complaints.read_text("utf-8", "replace").strip().splitlines()
            raise _FailedError(lines[0] if lines else f"git {arguments[0]} failed with status {status}")
        return answer

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [self.executable, *_WITHOUT_POWER, *arguments]

    def _environment(self) -> dict[str, str]:
        """Nothing that git is told from outside, such as by a hook that runs servelint."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        nothing = str(self.folder / "nothing")
        return kept | {
            "GIT_DIR": str(self.folder),
            "GIT_OBJECT_DIRECTORY": self.objects,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": nothing,
            "GIT_CONFIG_GLOBAL": nothing,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "LC_ALL": "C",
        }


def _answer(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], source: IO[bytes], sink: IO[bytes]
) -> tuple[int, bytes]:
    """The exit status and output of a command, which is ended if it takes too long or says too much."""
    import subprocess
    import threading

    try:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=folder, env=environment, stdin=source, stdout=subprocess.PIPE, stderr=sink
        )
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from error
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(TIME_LIMIT, end)
    timer.start()
    parts: list[bytes] = []
    size = 0
    with process:
        assert process.stdout is not None
        while part := process.stdout.read(disk.SMALL):
            parts.append(part)
            size += len(part)
            if size > OUTPUT_LIMIT:
                process.kill()
                break
    timer.cancel()
    if late.is_set():
        raise GitError(f"git took more than {TIME_LIMIT:.0f} seconds; without `--since` it is not asked")
    if size > OUTPUT_LIMIT:
        raise GitError(f"git says more than {OUTPUT_LIMIT:,} bytes; without `--since` it is not asked")
    return process.returncode, b"".join(parts)


@contextmanager
def _git(tree: repository.WorkTree | None = None, revision: str = "") -> Iterator[_Git]:
    import tempfile

    executable = _executable()
    with tempfile.TemporaryDirectory(prefix="servelint-") as name:
        folder = Path(name).resolve()
        objects = str(folder / "objects")
        if tree is not None:
            borrowed.fill(folder, tree, revision)
            objects = os.path.abspath(f"{tree.common}/objects")  # noqa: PTH100
        yield _Git(executable, folder, objects)


def _executable() -> str:
    """Where git is: never the folder that the command is run in, whatever the search path says."""
    import shutil

    folders = [folder for folder in os.get_exec_path() if os.path.isabs(folder)]  # noqa: PTH117
    found = shutil.which("git", path=os.pathsep.join(folders)) if folders else None
    if found is None or str(Path(found).parent) not in map(os.path.normpath, folders):
        raise GitError("git cannot be run: it is not installed")
    return found


def _work_tree(folder: Path) -> repository.WorkTree:
    tree = repository.work_tree(folder)
    if tree is None:
        raise GitError(f"not a git repository: {folder}")
    return tree


def resolve(folder: Path, revision: str) -> str:
    """The commit that `revision` names; raises `GitError` when there is none."""
    tree = _work_tree(folder)
    if "\0" in revision:
        raise GitError("there is no such revision")
    with _git(tree, revision) as git:
        named = f"{revision}^{{commit}}"
        try:
            return git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", named).decode().strip()
        except _FailedError as error:
            reftable = os.path.isdir(f"{tree.common}/reftable")  # noqa: PTH112
            hint = ": its names are in reftables, so give the hash of the commit" if reftable else ""
            raise GitError(f"there is no revision `{revision}`{hint}") from error


def files_at(folder: Path, commit: str, wanted: Callable[[str], bool], limit: int) -> Mapping[Path, bytes]:
    """The regular files of at most `limit` bytes below `folder` at `commit`, by absolute path.

    Only those whose path relative to `folder` is `wanted`.
    """
    tree = _work_tree(folder)
    inside = folder.relative_to(tree.root).as_posix()
    prefix = "" if inside == "." else f"{inside}/"
    with _git(tree, commit) as git:
        listing = os.fsdecode(git.ask("ls-tree", "-rz", commit, *([prefix] if prefix else [])))
        blobs: dict[Path, bytes] = {}
        for entry in filter(None, listing.split("\0")):
            mode, kind, rest = entry.split(" ", 2)
            identity, _, path = rest.partition("\t")
            name = path.removeprefix(prefix)
            if kind == "blob" and mode != "120000" and wanted(name) and ".." not in name.split("/"):
                blobs[folder / name] = identity.encode()
        contents = _contents(git, dict.fromkeys(blobs.values()), limit)
    return {path: contents[identity] for path, identity in blobs.items() if identity in contents}


def _contents(git: _Git, identities: Iterable[bytes], limit: int) -> dict[bytes, bytes]:
    """The contents of objects that are not too large."""
    asked = b"".join(b"%s\n" % identity for identity in identities)
    small: list[bytes] = []
    for line in git.ask("cat-file", "--batch-check", stdin=asked).splitlines():
        identity, _, rest = line.partition(b" ")
        if rest == b"missing":
            raise GitError(
                f"object {identity.decode()} is not here, as in a partial clone; "
                "`git fetch --refetch --no-filter` brings all of them"
            )
        if int(rest.split()[1]) <= limit:
            small.append(identity)
    answer = git.ask("cat-file", "--batch", stdin=b"".join(b"%s\n" % identity for identity in small))
    contents: dict[bytes, bytes] = {}
    position = 0
    for identity in small:
        end = answer.index(b"\n", position)
        size = int(answer[position:end].rsplit(b" ", 1)[1])
        contents[identity] = answer[end + 1 : end + 1 + size]
        position = end + 1 + size + 1
    return contents


def changed_lines(versions: Mapping[Path, tuple[bytes, bytes]]) -> Mapping[Path, tuple[range, ...]]:
    """Lines of each file that differ between its old and its new version; line endings do not count.

    A deletion is the two lines around it, since what stands there now stands next to the change.
    """
    files = ((path, _unix(old), _unix(new)) for path, (old, new) in versions.items())
    changed = [(path, old, new) for path, old, new in files if old != new]
    if not changed:
        return {}
    with _git() as git:
        for side in ("a", "b"):
            (git.folder / side).mkdir()
        for number, (_, old, new) in enumerate(changed):
            (git.folder / "a" / str(number)).write_bytes(old)
            (git.folder / "b" / str(number)).write_bytes(new)
        options = ("--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--text")
        prefixes = ("--unified=0", "--src-prefix=", "--dst-prefix=")
        out = git.ask("diff", *options, *prefixes, "a", "b", fine=(0, 1))
    return {changed[number][0]: tuple(ranges) for number, ranges in _hunks(out).items()}


def _unix(content: bytes) -> bytes:
    """As git stores text."""
    return content.replace(b"\r\n", b"\n")


def _hunks(out: bytes) -> dict[int, list[range]]:
    """The lines on the new side of each hunk, by the number that is the file's name."""
    found: dict[int, list[range]] = {}
    current: list[range] = []
    body = 0  # lines of the hunk still to come, whose text may look like a header
    for line in out.split(b"\n"):
        if body and line[:1] in b"+-":
            body -= 1
        elif line.startswith(b"+++ b/"):
            current = found.setdefault(int(line[6:]), [])
        elif hunk := re.match(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", line):
            start, count = int(hunk[2]), int(hunk[3] or 1)
            current.append(range(start, start + count) if count else range(start, start + 2))
            body = int(hunk[1] or 1) + count
    return found
