"""A full disk: how it is recognized in any library's error, and the error that says so."""

from __future__ import annotations

import errno
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sentiment140_bert.errors import FullDiskError

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_SPACE_MESSAGES = ("No space left on device", "Disk quota exceeded", "File too large", "unexpected pos")


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn the error of a full disk, in the words of whichever library wrote, into a sentence that names ``path``."""
    try:
        yield
    except _list_write_errors() as error:
        if not is_disk_full(error):
            raise
        named = getattr(error, "filename2", None) or getattr(error, "filename", None)  # of a copy: where it goes
        raise build_full_disk_error(Path(named) if isinstance(named, str | Path) else path) from None


def _list_write_errors() -> tuple[type[Exception], ...]:
    """Return what a write may raise; safetensors' own error only if it is loaded, because exports work without it."""
    loaded = sys.modules.get("safetensors")
    return (OSError, RuntimeError, *([loaded.SafetensorError] if loaded else []))


def is_disk_full(error: BaseException) -> bool:
    """Return True if a write failed because the disk is full.

    safetensors wraps the system's error in one of its own, and torch tells only that its archive came out too short.
    """
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return True
    return any(message in str(error) for message in NO_SPACE_MESSAGES)


def build_full_disk_error(path: Path | None) -> FullDiskError:
    """Return the error to raise when ``path`` could not be written because the disk is full.

    Args:
        path: What was written, or None where the system does not tell.
    """
    places = (path,) if path else (Path.cwd(), Path(tempfile.gettempdir()))
    free = [f"{measure_free_space(place):,.0f} MiB are free {'there' if path else f'in {place}'}" for place in places]
    return FullDiskError(
        f"The disk is full: {path or 'a file'} could not be written ({', '.join(free)}; or a quota or the maximum "
        "file size is reached).",
        "Make room, then run the same command again; a training resumes from its newest whole checkpoint.",
    )


def measure_free_space(path: Path) -> float:
    """Return the MiB that are free on the disk of ``path``, which need not exist yet."""
    existing = next(place for place in (path, *path.parents) if place.exists())
    return shutil.disk_usage(existing).free / 2**20
