"""One process at a time writes to a run directory.

The lock is the kernel's, by filelock. Two things stay by hand: the message to another process, because filelock does
not write down the owner; and the count of links, because filelock locks and truncates another file's second name.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sentiment140_bert.errors import RunError
from sentiment140_bert.files import NO_LINK, Place, check_writes, expand_path, explain_refused_write, remove_leftovers
from sentiment140_bert.trust import check_folder

if TYPE_CHECKING:
    from filelock import BaseFileLock

log = logging.getLogger(__name__)
LOCK = ".s140.lock"
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_held: dict[Path, Held | None] = {}  # the folders of this process; None on a file system without locks


class Held(NamedTuple):
    """A lock that this process has, the text in its file, and the device and inode of the file."""

    lock: BaseFileLock
    owner: str
    inode: tuple[int, int]

    def is_in_place(self, folder: Path) -> bool:
        """Return True if the lock's file is in a folder; by its text, too, as some file systems number files again."""
        file = folder / LOCK
        try:
            return _read_inode(file.lstat()) == self.inode or file.read_text("utf-8", "replace") == self.owner
        except (FileNotFoundError, NotADirectoryError):
            return False


def expand_folder(place: Place, what: str = "path") -> Path:
    """Return the path of a folder that a command works in, its links followed once: they may change meanwhile.

    Raises:
        S140Error, TypeError: See :func:`expand_path`.
    """
    path = expand_path(place, what)
    try:
        followed = path.resolve()
    except RuntimeError:  # of a circular link, in Python up to 3.12
        return path
    return path if followed == path.absolute() else followed


@contextmanager
def lock_folder(folder: Path, purpose: str, *, create: bool = False) -> Iterator[None]:
    """Lock a run directory for this process, and remove what a killed one was writing there.

    The lock goes with the process, however that ends; a forked child does not hold it. A process may lock a folder
    again while it has it. The lock's file stays only if a process was killed. A folder that was created for the lock
    and stays empty is removed again.

    Args:
        folder: The run directory.
        purpose: What the lock is for, as in "training"; the message to another process shows it.
        create: Create the folder if it does not exist; otherwise nothing is locked.

    Raises:
        RunError: Another process has locked it, or nothing can be written there.
    """
    if not create and not folder.is_dir():
        yield
        return
    try:
        place = folder.resolve()
    except RuntimeError:  # Python up to 3.12
        raise RunError(f"{folder} is a circular link.", "Choose another folder.") from None
    check_folder(folder)
    if place in _held:
        yield
        return
    check_still_locked(folder)
    created = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    with explain_refused_write(folder):
        folder.mkdir(parents=True, exist_ok=True)
        held = _held[place] = _acquire(folder, _describe_owner(purpose))
    try:
        remove_leftovers(folder)
        yield
    finally:
        del _held[place]
        if held and held.lock.is_locked:  # a forked child has lost it
            if held.is_in_place(place):
                (place / LOCK).unlink()  # before the release, after which it may be another process's
            held.lock.release()
        with contextlib.suppress(OSError):  # it is not empty
            for path in created:
                path.rmdir()


def lock_if_writable(folder: Path, purpose: str) -> AbstractContextManager[None]:
    """Lock a run directory for a verb that only reads; do nothing if this process may not write there."""
    return lock_folder(folder, purpose) if os.access(folder, os.W_OK) else contextlib.nullcontext()


def is_still_locked(path: Path) -> bool:
    """Return False if a folder which this process locked around a path was moved or removed since."""
    real = path.resolve()
    around = [(folder, held) for folder, held in list(_held.items()) if held and real.is_relative_to(folder)]
    return all(held.is_in_place(folder) for folder, held in around)


def check_still_locked(path: Path) -> None:
    """Raise RunError unless :func:`is_still_locked`: what would be written there may be in another one's folder."""
    if not is_still_locked(path):
        raise RunError(
            f"{path} is in a folder that was moved or removed while this process worked there; nothing is written.",
            "Move it back, or name its new place, and repeat the command: what is complete is not done again.",
        )


check_writes(check_still_locked)


def make_lock(file: Path, **options: Any) -> BaseFileLock:
    """Return a lock of filelock's on a file, which is removed first if it is another file's second name."""
    from filelock import FileLock

    if _has_second_name(file):
        file.unlink()
    return FileLock(file, **options)


def _has_second_name(file: Path) -> bool:
    try:
        state = file.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_nlink > 1


def _is_held(file: Path) -> bool:
    """Return True if a process has locked a file, which is opened for reading only and stays as it is."""
    import fcntl

    descriptor = os.open(file, os.O_RDONLY | NO_LINK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _acquire(folder: Path, owner: str) -> Held | None:
    """Return the acquired lock, or None if the file system has no locks; filelock does not use a plain file instead."""
    from filelock import Timeout

    file, inode = folder / LOCK, (0, 0)

    def on_acquired(descriptor: int) -> None:
        nonlocal inode
        inode = _read_inode(os.fstat(descriptor))
        os.ftruncate(descriptor, 0)
        os.write(descriptor, owner.encode())

    try:
        if _has_second_name(file) and _is_held(file):  # someone made a backup of hard links meanwhile
            raise Timeout(str(file))
        lock = make_lock(
            file,
            timeout=0.1,  # the file of a lock that was just released is not mistaken for one that is held
            thread_local=False,
            fallback_to_soft=False,
            on_acquired=on_acquired,
        )
        lock.acquire(poll_interval=0.02)
    except Timeout:
        raise RunError(
            f"{folder} is in use: {_read_owner(file)}.", "Wait until it ends, or choose another folder."
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        file.unlink(missing_ok=True)
        log.warning("lock: %s does not support locks; make sure that only one process writes there", folder)
        return None
    return Held(lock, owner, inode)


def _read_inode(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _describe_owner(purpose: str) -> str:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "doing": purpose, "since": since})


def _read_owner(file: Path) -> str:
    try:
        owner = json.loads(file.read_text("utf-8"))
        return f"{owner['doing']} by process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # not written yet, or just removed
        return "by another process"
