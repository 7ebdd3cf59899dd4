"""Streams, memory and working directory of the process, and explanations of the operating system's errors."""

from __future__ import annotations

import contextlib
import errno
import logging
import mmap
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from sentiment140_bert.errors import HardwareError, S140Error, first_line
from sentiment140_bert.full_disk import build_full_disk_error, is_disk_full
from sentiment140_bert.machine import facts
from sentiment140_bert.text import shorten

MIN_MEMORY_LEFT = 64  # MiB: with less, any error of a library is about memory
RESERVED = 16 << 20  # bytes
# The operating system's words in errors of libraries.
MEMORY_WORDS = (
    *("cannot allocate memory", "can't allocate memory", "not enough memory", "bad_alloc"),
    *("failed to map segment", "can't start new thread", "threadpoolbuilderror", "out of memory"),
)
FILES_WORDS = "Too many open files"
HOME_WORDS = "Could not determine home directory"
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
REFUSED_WORDS = ("Permission denied", "Read-only file system", "readonly database", "unable to open database file")
FAILED = {errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO}
log = logging.getLogger(__name__)
_reserve: mmap.mmap | None = None


def open_missing_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    Otherwise the next opened file would get such a stream's number, and what a library prints would be written into
    it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115


def drop_output() -> None:
    """Discard what is still to be printed, such as the content of a buffer at the end of the process."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # not a file, or closed
            os.dup2(null, stream.fileno())
    os.close(null)


def check_working_directory() -> None:
    """Refuse to work in a folder that was removed: libraries ask for its name while they are imported.

    Raises:
        S140Error: It was removed, or cannot be read.
    """
    try:
        os.getcwd()  # noqa: PTH109 - its error is wanted
    except OSError as error:
        raise S140Error(
            f"The working directory cannot be used: {error.strerror}.",
            "Perhaps it was removed. Change to another folder with cd.",
        ) from None


def share_processors() -> None:
    """Let threads of torch that wait for each other soon sleep, unless the user chose otherwise.

    By default they spin, and take a processor from what another program does there, on which the others then wait. The
    GNU OpenMP library reads this when torch is loaded; the number of turns is measured (docs/performance.md).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def reserve_memory() -> None:
    """Reserve memory that is given back when it runs out: an explanation needs some, too."""
    global _reserve
    if facts.read_memory_limit() is not None and _reserve is None:
        with contextlib.suppress(OSError):
            _reserve = mmap.mmap(-1, RESERVED)


def _free_memory(error: BaseException) -> None:
    """Free the reserve, and the variables of the functions that an error has ended."""
    global _reserve
    if _reserve is not None:
        _reserve.close()
        _reserve = None
    for cause in _causes(error):
        traceback.clear_frames(cause.__traceback__)


def explain(error: BaseException) -> S140Error | None:
    """Return an error for the user in place of one of the operating system; None for any other error.

    Libraries wrap the system's errors in their own, so the causes of an error are searched, too.
    """
    is_used_up = _is_memory_used_up()
    if is_used_up or any(isinstance(cause, MemoryError) for cause in _causes(error)):
        _free_memory(error)
    for cause in _causes(error):
        if explained := _explain(cause):
            return explained
    return _out_of_memory(error) if is_used_up else _explain_import(error)


def _explain_import(error: BaseException) -> S140Error | None:
    """Explain an error of a library that cannot be imported; many read variables of the environment then."""
    names = [
        str(frame.f_globals.get("__name__")).partition(".")[0]
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_name == "<module>"
    ]
    library = next((name for name in reversed(names) if name not in ("__main__", "sentiment140_bert")), None)
    if library is None:
        return None
    return S140Error(
        f"{library} cannot be imported: {first_line(error)}.",
        "Check the variables of the environment that it reads, or install the package again.",
    )


def explain_in_threads() -> None:
    """Let a thread that fails by an error of the operating system log a line instead of a traceback."""
    if not isinstance(threading.excepthook, _ThreadHook):
        threading.excepthook = _ThreadHook(threading.excepthook)


class _ThreadHook:
    def __init__(self, before: Callable[[threading.ExceptHookArgs], object]) -> None:
        self.before = before

    def __call__(self, ended: threading.ExceptHookArgs) -> None:
        explained = explain(ended.exc_value) if ended.exc_value else None
        if explained:
            log.warning("%s: %s", ended.thread.name if ended.thread else "a thread", explained.message)
        else:
            self.before(ended)


def _is_memory_used_up() -> bool:
    left = facts.measure_memory_left()
    return left is not None and left < MIN_MEMORY_LEFT


def _causes(error: BaseException) -> Iterator[BaseException]:
    visited: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in visited:
        yield cause
        visited.add(id(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _explain(error: BaseException) -> S140Error | None:
    number = error.errno if isinstance(error, OSError) else None
    name = getattr(error, "filename", None)
    file = shorten(os.fsdecode(name)) if isinstance(name, str | bytes | Path) else "A file"
    text = str(error)
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(words in text.lower() for words in MEMORY_WORDS):
        return _out_of_memory(error)
    if is_disk_full(error) or "database or disk is full" in text:
        return build_full_disk_error(Path(os.fsdecode(name)) if isinstance(name, str | bytes | Path) else None)
    if number in (errno.EMFILE, errno.ENFILE) or FILES_WORDS in text:
        return S140Error(
            f"Too many files are open at once: this process may open {facts.read_open_files_limit() or 'no more'}.",
            "Raise the limit: ulimit -n 4096",
        )
    if number == errno.ENAMETOOLONG:
        return S140Error(f"{file} is too long for a file name.", "Choose a shorter one.")
    if number in REFUSED or any(words in text for words in REFUSED_WORDS):
        return S140Error(
            f"{file} cannot be accessed: {_reason(error)}.",
            "Check its permissions, or choose another place (also S140_CACHE, HF_HOME and TMPDIR).",
        )
    if number in FAILED:
        return S140Error(f"{file} cannot be read or written: {_reason(error)}.", "Check its disk or network drive.")
    if HOME_WORDS in text:
        return S140Error(
            "This user has no home folder, and HOME is not set.",
            "Set HOME, or set both S140_CACHE and HF_HOME to a folder.",
        )
    return None


def _reason(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or first_line(error)


def _out_of_memory(error: BaseException) -> S140Error:
    limit, total = facts.read_memory_limit(), facts.read_memory_total()
    sizes = [f"this process may use {limit:,} MiB (ulimit -v)"] if limit else []
    sizes += [f"the machine has {total:,} MiB"] if total else []
    reason = "" if isinstance(error, MemoryError) else f" ({first_line(error)})"
    return HardwareError(
        f"Memory ran out{reason}: {', '.join(sizes) or 'the amount is unknown'}.",
        "Raise the limit, close other programs, or use less: a smaller batch, --max-length, model or file; "
        "OMP_NUM_THREADS=1 also helps.",
    )
