"""Files and folders written whole or not at all, and removed without following links; paths as users type them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import hashlib
import itertools
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sentiment140_bert.errors import RunError, S140Error, first_line, is_unicode
from sentiment140_bert.full_disk import explain_full_disk
from sentiment140_bert.text import shorten

TEMPORARY = ".s140-new-"  # how the names of files and folders begin that are still being written
FORMER = ".former"  # how the name of a folder ends that is just being replaced
DAY = 86_400  # seconds
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # a flag to open a file with, unless it is a symbolic link
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of renameat2(2)
SURROGATE = re.compile("[\ud800-\udfff]")
_checks: list[Callable[[Path], None]] = []  # what raises where a path may not be written
_new_files: set[Path] = set()  # where this process replaces no file that appears while it works


Place = str | Path  # as callers of the public functions name files, folders and models


def to_name(place: Place, what: str = "model") -> str:
    """Return the text of a path, or of a name that may be none.

    Raises:
        TypeError: It is neither a text nor a path.
    """
    if not isinstance(place, str | os.PathLike):
        raise TypeError(f"{what} must be a str or a Path, not {type(place).__name__}: {shorten(place)}")
    return os.fspath(place)


def expand_path(place: Place, what: str = "path") -> Path:
    """Return the path that a name stands for, which need not exist.

    Raises:
        S140Error: No file can have such a name, or nothing can be found out of it.
        TypeError: It is neither a text nor a path.
    """
    name = to_name(place, what)
    path = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises where there is no such user
    try:
        path.exists()
    except (OSError, ValueError) as error:
        message = f"{shorten(name)} is not a valid path: {first_line(error)[:100]}."
        raise S140Error(message, "Check the name.") from None
    if not is_unicode(os.path.abspath(path)):  # noqa: PTH100 - a link's own name counts
        raise S140Error(f"{shorten(name)} is in a path that is not Unicode, which no library opens.", "Rename it.")
    return path


def check_writes(check: Callable[[Path], None]) -> None:
    """Call ``check`` with every path before a file or folder is written there."""
    _checks.append(check)


def _check_write(path: Path) -> None:
    for check in _checks:
        check(path)


def expand_output(place: Place, what: str = "output") -> Path:
    """Return the path of a file or folder to write that the user named; of a link what it leads to, so that it stays.

    Raises:
        S140Error: No file can have such a name, or it is a link to nothing.
        TypeError: It is neither a text nor a path.
    """
    path = expand_path(place, what)
    if path.is_symlink() and not path.exists():
        raise S140Error(
            f"{path} is a link to {path.readlink()}, which does not exist.",
            "Mount its disk, remove the link, or choose another output.",
        )
    return path.resolve() if path.is_symlink() and (path.is_file() or path.is_dir()) else path


def keep_new(path: Path, is_new: bool) -> None:
    """Let :func:`write_whole` never replace a file that appears at ``path`` meanwhile, or let it again."""
    (_new_files.add if is_new else _new_files.discard)(path.resolve())


def find_free_name(path: Path) -> Path:
    """Return ``path`` with the first number in its name by which there is nothing yet."""
    numbers = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(1))
    return next(place for place in numbers if not os.path.lexists(place))


def _refuse_to_replace(path: Path, result: Path) -> None:
    """Raise if there is something at ``path`` after all, and keep the result, which may have taken hours."""
    if not os.path.lexists(path):
        return
    other = find_free_name(path)
    result.replace(other)
    raise RunError(
        f"{path} appeared, or got files, while this command worked, and is not replaced.",
        f"The result is in {other}.",
    )


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path next to ``path`` to write to, and rename it into place when the block succeeds.

    When the block raises, the temporary file is removed and an older ``path`` stays as it was. Afterwards the file
    is on the disk itself: a power cut leaves the old or the new one. What a killed process left is removed after a day.

    Raises:
        RunError: Nothing can be written there, it is something else than a file, or the disk is full; or
            :func:`keep_new` was called, and there is a file now.
    """
    _check_write(path)
    with explain_refused_write(path):
        if path.exists() and not path.is_file():  # a folder; or a pipe or a device, which renaming would replace
            raise RunError(f"{path} exists and is not a regular file.", "Name another file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers_of(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{TEMPORARY}{path.name}.", suffix=path.suffix)
        os.close(handle)
    temporary = Path(name)
    try:
        with explain_full_disk(path):
            yield temporary
            settle(temporary)
            with explain_refused_write(path):
                if path.resolve() in _new_files:
                    _refuse_to_replace(path, temporary)
                temporary.replace(path)
            synchronize(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def write_folder_whole(path: Path, replaceable: Collection[Path] | None = None) -> Iterator[Path]:
    """Give a temporary folder next to ``path`` to write to, and put it in its place when the block succeeds.

    When the block raises, the temporary folder is removed and an older ``path`` stays as it was; after a kill while it
    is replaced, the next writer of it, or :func:`remove_leftovers`, brings it back. What else was left is removed after
    a day. A folder that got other files meanwhile is not replaced.

    Args:
        path: The folder.
        replaceable: The files that may be replaced, from :func:`list_files`; by default those that are there now.

    Raises:
        RunError: Nothing can be written there, it is something else than a folder, a mounted disk, or that is full; or
            there are more files now.
    """
    _check_write(path)
    with explain_refused_write(path):
        _remove_leftovers_of(path)
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} exists and is not a folder.", "Name another folder.")
        if path.name in ("", "..") or os.path.ismount(path):  # which the system does not let be renamed
            raise RunError(f"{path} cannot be replaced by a new folder.", "Name a folder in it.")
        replaceable = list_files(path) if replaceable is None else replaceable
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{TEMPORARY}{path.name}-"))
    former = temporary.with_name(f"{temporary.name}{FORMER}")
    try:
        with explain_full_disk(path):
            yield temporary
            settle(temporary)
            with explain_refused_write(path):
                if not list_files(path) <= {*replaceable}:
                    _refuse_to_replace(path, temporary)
                _put_in_place(temporary, path, former)
            synchronize(path.parent)
    finally:
        _restore(former, path)
        for folder in (temporary, former):
            remove_path(folder)


def list_files(folder: Path) -> set[Path]:
    """Return everything in a folder that is not a folder itself; nothing if there is none."""
    return {file for file in folder.rglob("*") if file.is_symlink() or not file.is_dir()}


def _put_in_place(folder: Path, path: Path, former: Path) -> None:
    """Give a folder the name ``path``; an older one there is then ``folder``, or ``former`` where the system needs two
    steps."""
    if os.path.lexists(path):
        if _exchange(folder, path):
            return
        path.replace(former)
    folder.replace(path)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return False where the system or the disk cannot (renameat2 is Linux's own)."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    names = (AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other))
    return rename is not None and rename(*names, RENAME_EXCHANGE) == 0


def _restore(former: Path, path: Path) -> None:
    """Bring back what was to be replaced if there is nothing in its place."""
    if os.path.lexists(former) and not os.path.lexists(path):
        former.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all; bytes of a file's name that are not characters become escapes."""
    with write_whole(path) as temporary:
        temporary.write_text(text, "utf-8", "backslashreplace")


def open_to_append(path: Path) -> BinaryIO:
    """Open a file to append bytes to it. A link, or a file with a second name, is replaced with a copy of it first.

    Raises:
        RunError: A link leads to something else than a file, or cannot be replaced.
    """
    _check_write(path)
    if path.is_symlink() or (path.exists() and path.stat().st_nlink > 1):
        with write_whole(path) as copy:
            shutil.copyfile(path, copy)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK, 0o666), "ab")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON, whole or not at all; NaN and infinities are refused.

    Bytes of a file's name that are not UTF-8 become escapes, which are text like any other when it is read.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, SURROGATE.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text) + "\n")


@contextmanager
def explain_refused_write(path: Path) -> Iterator[None]:
    """Turn a refusal of the file system into a sentence that names ``path``."""
    try:
        with explain_full_disk(path):
            yield
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from None


def synchronize(path: Path) -> None:
    """Wait until a file, or the list of a folder's names, is on the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network drives cannot do this with folders
            raise
    finally:
        os.close(handle)


def settle(path: Path) -> None:
    """Bring a file, or a folder with all in it, to the disk itself, with the permissions that the umask gives.

    What safetensors and :mod:`tempfile` write is for the user alone. What a link leads to stays as it is.
    """
    mask = _read_umask()
    for written in (path, *path.rglob("*")):
        if written.is_symlink():
            continue
        permissions = (0o777 if written.is_dir() else 0o666) & ~mask
        if stat.S_IMODE(written.stat().st_mode) != permissions:
            written.chmod(permissions)
        synchronize(written)


def _read_umask() -> int:
    """Return the umask; where the kernel tells it, without changing it for what other threads write meanwhile."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("utf-8", "replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0)
    os.umask(mask)
    return mask


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing in a folder: temporary files without a change for a day.

    A folder that it was just replacing is brought back.
    """
    for path in list(folder.rglob(f"{TEMPORARY}*")):
        _remove_leftover(path)


def _remove_leftovers_of(path: Path) -> None:
    """Do the same for one file or folder, which may be among those of other tools."""
    for pattern in (f"{TEMPORARY}{glob.escape(path.name)}{end}*" for end in ".-"):
        for leftover in list(path.parent.glob(pattern)):
            _remove_leftover(leftover)


def _remove_leftover(path: Path) -> None:
    if path.name.endswith(FORMER):
        name = path.name.removeprefix(TEMPORARY).removesuffix(FORMER).rpartition("-")[0]
        _restore(path, path.parent / name)
    with contextlib.suppress(FileNotFoundError, PermissionError):  # its writer has just finished; it is another user's
        inner = [] if path.is_symlink() else path.rglob("*")  # a link may lead to all files there are
        newest = max(file.lstat().st_mtime for file in (path, *inner))
        if time.time() - newest >= DAY:
            remove_path(path)


def remove_path(path: Path) -> None:
    """Remove a folder, a file or a link, and never what a link leads to.

    Raises:
        OSError: Something of it cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)


def hash_file(path: Path) -> str:
    """Return the hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
