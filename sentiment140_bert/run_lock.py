"""One process at a time writes to a run directory."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from sentiment140_bert.errors import RunError
from sentiment140_bert.run_dir import remove_leftovers, writing_explained
from sentiment140_bert.trust import check_folder

log = logging.getLogger(__name__)
LOCK = ".s140.lock"
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_held: dict[Path, int] = {}  # how many times over this process holds a folder
_files: dict[Path, IO[str]] = {}  # the open files that carry the locks


@contextmanager
def held(folder: Path, doing: str, *, make: bool = False) -> Iterator[None]:
    """Holds a run directory for this process, and removes what a killed one was writing there.

    The lock is the kernel's (``flock``): it goes with the process, however that ends. (The package filelock would take
    a mere file for a lock where there are none, and that would outlive a killed process.) The file that carries it
    stays only when a process was killed. A process may hold a folder several times over. A folder that is made for
    the lock and stays empty is removed again.

    Args:
        folder: The run directory.
        doing: What for, for the message that another process gets: "training".
        make: Make the folder if it is not there; otherwise there is nothing to hold then.

    Raises:
        RunError: Another process holds it, or nothing can be written there.
    """
    if not make and not folder.is_dir():
        yield
        return
    try:
        place = folder.resolve()
    except RuntimeError:  # of Python up to 3.12
        raise RunError(f"{folder} leads in a circle of links.", "Choose another folder.") from None
    check_folder(folder)
    if place in _held:
        _held[place] += 1
        try:
            yield
        finally:
            _held[place] -= 1
        return
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    with writing_explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(folder, doing)
    _held[place] = 1
    if file:
        _files[place] = file
    try:
        remove_leftovers(folder)
        yield
    finally:
        del _held[place]
        if file:
            (folder / LOCK).unlink(missing_ok=True)
            _files.pop(place).close()
        with contextlib.suppress(OSError):  # it is not empty
            for each in missing:
                each.rmdir()


def held_if_writable(folder: Path, doing: str) -> AbstractContextManager[None]:
    """Hold a run directory as :func:`held`; do nothing where this process may not write, for a verb that only reads."""
    return held(folder, doing) if os.access(folder, os.W_OK) else contextlib.nullcontext()


def _let_go() -> None:
    """In a forked child, such as one that reads ahead: otherwise it would hold on for as long as it outlives us."""
    for file in _files.values():
        file.close()
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def _locked(folder: Path, doing: str) -> IO[str] | None:
    """The open file that carries the lock; None where the file system, or the operating system, has no locks."""
    while True:
        file = os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666), "r+", encoding="utf-8")
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                owner = file.read()
            raise RunError(
                f"{folder} is in use: {_described(owner)}.", "Wait until that ends, or choose another folder."
            ) from None
        except (OSError, ImportError) as error:
            file.close()
            if isinstance(error, OSError) and error.errno not in NO_LOCKS:
                raise
            (folder / LOCK).unlink(missing_ok=True)
            log.warning("lock: there are none in %s: only one process may write there, see to it", folder)
            return None
        names = os.fstat(file.fileno()).st_nlink
        if names == 1:
            break
        if names:  # another file's name in a stranger's folder, which is not to be written to
            (folder / LOCK).unlink(missing_ok=True)
        file.close()  # or whoever held it has just removed it
    since = datetime.now(UTC).isoformat(timespec="seconds")
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "doing": doing, "since": since}))
    file.flush()
    return file


def _described(owner: str) -> str:
    try:
        told = json.loads(owner)
        return f"{told['doing']} by process {told['pid']} on {told['host']} since {told['since']}"
    except (ValueError, KeyError, TypeError):  # it has not got that far
        return "by another process"
