"""Files written in one step: a file is the old one or the new one, whenever it is looked at."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_UNFINISHED = ".servelint-tmp"
_NAMED = 32  # characters, of at most four bytes; a file system may take 255 bytes
_SPECIAL = stat.S_ISUID | stat.S_ISGID

LEADS_OUT = "it is a link that leads out of the project"


def leads_out(path: Path, root: Path) -> bool:
    """Whether the path lies in the folder `root`, and what it is a link to does not."""
    return path.is_relative_to(root) and not path.resolve().is_relative_to(root.resolve())


def replace_file(target: Path, content: bytes) -> None:
    """Write `content` beside `target`, then put it in its place, keeping mode and owner; raises `OSError`."""
    import tempfile

    status = target.stat() if target.exists() else None
    if status is not None and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied")
    # A part of the name is enough to tell whose it is, and the whole may leave no room for more.
    prefix = f".{target.name[:_NAMED]}."
    descriptor, name = tempfile.mkstemp(suffix=_UNFINISHED, prefix=prefix, dir=target.parent)
    unfinished = Path(name)
    try:
        with _held(descriptor):
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            _like(unfinished, status)
            unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _like(path: Path, status: os.stat_result | None) -> None:
    """Give the file mode and owner of another, or those of a new file. Raises `OSError`.

    The owner first: a file that changes its owner loses setuid and setgid. A file that may act as somebody
    must not become one that acts as somebody else.
    """
    if status is None:
        umask = os.umask(0)
        os.umask(umask)
        path.chmod(0o666 & ~umask)
        return
    with suppress(PermissionError, AttributeError):  # not our file to give away, or no such concept
        os.chown(path, status.st_uid, status.st_gid)
    mode = stat.S_IMODE(status.st_mode)
    path.chmod(mode & ~_SPECIAL)
    special = mode & _SPECIAL
    if not special:
        return
    now = path.stat()
    if (now.st_uid, now.st_gid) != (status.st_uid, status.st_gid):
        raise PermissionError(1, "it has setuid or setgid, and its owner cannot be kept")
    path.chmod(mode)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        raise PermissionError(1, "its setuid or setgid cannot be kept")


@contextmanager
def _held(descriptor: int) -> Iterator[None]:
    """Lock the file until it is in its place, closed or not: one that nobody holds was left behind."""
    try:
        import fcntl
    except ImportError:  # Windows, where a file that is open cannot be put in the place of another
        yield
        return
    held = os.dup(descriptor)
    try:
        with suppress(OSError):  # some network drives have no locks
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of runs that were killed from the folder."""
    try:
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if _is_unfinished(entry)]
    except OSError:  # to be told about by who reads or writes there
        return
    for path in found:
        with suppress(OSError):
            if _is_abandoned(path):
                path.unlink()


def _is_unfinished(entry: os.DirEntry[str]) -> bool:
    named = entry.name.startswith(".") and entry.name.endswith(_UNFINISHED)
    return named and entry.is_file(follow_symlinks=False)


def _is_abandoned(path: Path) -> bool:
    """Whether no run holds the file; Windows does not let go of one that is open anyway."""
    try:
        import fcntl
    except ImportError:
        return True
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
