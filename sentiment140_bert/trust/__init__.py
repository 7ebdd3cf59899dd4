"""Bounds of a stranger's folder or recipe: it leads to nothing but itself, and only to places that the user named.

A run directory, a model folder and a recipe may be untrusted. Two rules hold for all of them:

- A folder is refused if a link in it leads out of it, or if it holds a pipe, a device, or a page or settings of a size
  that nobody writes (:func:`check_folder`).
- A tracker, Space, repository or folder that a file names gets nothing until the user has named it on this machine: by
  a flag, by a variable of the environment or by a login (:func:`remember_place`, :func:`is_known_place`).
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from sentiment140_bert.credentials import strip_passwords
from sentiment140_bert.errors import TrustError

log = logging.getLogger(__name__)
UNCLEAR = re.compile(r"[\\\s\x00-\x1f\x7f]")  # in an address
LINE_END = re.compile(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_named: set[str] = set()  # places, as they are noted, by this process
_named_now: set[str] = set()  # those that count for this process alone
LARGEST = {".md": 1_000_000, ".yaml": 1_000_000, ".yml": 1_000_000, ".json": 100_000_000, ".txt": 100_000_000}  # bytes
LARGEST |= {".jsonl": 100_000_000}
LARGEST_OF_RUN = 10_000_000  # bytes of a JSON file of a run; a slice of a split takes about 230 in metrics.json
RUN_FILES = ("data.json", "environment.json", "metrics.json", "tracking.json", "published.json")
SNAPSHOT = re.compile(r"(models|datasets)--.+/snapshots/[0-9a-f]{40}$")  # of the Hub's cache, whose files are links


def check_folder(folder: Path) -> None:
    """Refuse a folder through which other files would be read, written or removed.

    Links to files of the same folder are allowed, and so are those of the Hub's cache into the same repository.

    Args:
        folder: A run, a model or an export. One that does not exist is not refused.

    Raises:
        TrustError: It holds a link that leads out of it, something that is neither a file nor a folder, or a text file
            that is larger than :data:`LARGEST`, which would be read into memory as a whole.
    """
    root = folder.resolve()
    if SNAPSHOT.search(root.as_posix()):
        root = root.parents[1]
    for path, mode in _walk(folder):
        _check_size(path)
        if stat.S_ISLNK(mode):
            if not (_leads_into(path, root) or _is_log_of_wandb(path, path.relative_to(folder))):
                raise TrustError(
                    f"{path} is a link that points outside {folder}, to {path.readlink()}.",
                    "If you trust it, replace it with what it points to: cp -rL copies a folder without links.",
                )
        elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise TrustError(
                f"{path} is a pipe or a device, not a file or folder.", "Remove it, or do not use this folder."
            )


def _check_size(path: Path) -> None:
    largest = LARGEST_OF_RUN if path.name in RUN_FILES else LARGEST.get(path.suffix)
    if largest is None:
        return
    try:
        size = path.stat().st_size
    except (OSError, RuntimeError):  # a link to nothing, or in a circle: its place is checked
        return
    if size > largest:
        raise TrustError(f"{path} has {size:,} bytes; at most {largest:,} are read.", "Remove it, or shorten it.")


def _walk(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield everything in a folder with its type and permissions (``st_mode``), without following links."""
    for parent, folders, files in os.walk(folder, onerror=_refuse_unreadable):
        for name in (*folders, *files):
            path = Path(parent, name)
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # training removes checkpoints while another thread or command reads the run
                continue
            yield path, mode


def _refuse_unreadable(error: OSError) -> None:
    """Refuse a folder that can be entered but not listed: what is in it would be used unseen."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):  # removed meanwhile, or there is no folder
        return
    raise TrustError(
        f"{error.filename} cannot be searched: {error.strerror}.", "Make it readable, or do not use this folder."
    ) from None


def _leads_into(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a circle of links; Python 3.13 has an OSError for it
        return False


def _is_log_of_wandb(link: Path, name: Path) -> bool:
    """Return True for a log that wandb keeps in its own cache, and links into the folder of a run."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - no home, no error
    if cache.startswith("~"):  # without a home it would be in the current folder, perhaps a stranger's
        return False
    logs = Path(os.environ.get("WANDB_CACHE_DIR") or cache, "wandb", "logs")
    return name.parts[0] == "wandb" and name.suffix == ".log" and _leads_into(link, logs.resolve())


def remember_place(kind: str, place: str) -> None:
    """Note that the user named a place, so that a run may name it from now on.

    The notes are lines of a file in the user's folder for settings, which no run directory can write to.

    Args:
        kind: Kind of the place, such as ``mlflow``.
        place: An address, a repository or a folder. Its users and passwords are left out.
    """
    line = _line(kind, place)
    if line in _known_places():
        return
    _named.add(line)
    file = _file_of_places()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file.open("a", encoding="utf-8") as notes:
            notes.write(f"{line}\n")
    except OSError as error:
        log.info("%s cannot be written (%s): %s must be named again next time", file, error.strerror, place)


def name_now(kind: str, place: str) -> None:
    """Note that the user named a place in this process, which counts for this process alone."""
    _named_now.add(_line(kind, place))


def is_named_now(kind: str, place: str) -> bool:
    """Return True if the user named this place in this process."""
    return _line(kind, place) in _named_now


def is_known_place(kind: str, place: str) -> bool:
    """Return True if the user named this place on this machine; an address that clients read differently never is."""
    return is_clear_address(place) and _line(kind, place) in _known_places()


def is_clear_address(place: str) -> bool:
    """Return True unless place is an address that two clients may take for two hosts; a folder is clear."""
    return not ("://" in place and UNCLEAR.search(place))


def _line(kind: str, place: str) -> str:
    return f"{kind} {LINE_END.sub(' ', strip_passwords(place))}"


def _known_places() -> set[str]:
    try:
        return _named | set(_file_of_places().read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return _named


def _file_of_places() -> Path:
    settings = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - no home, no error
    if settings.startswith("~"):  # as above: then nothing is known, and nothing noted
        settings = os.devnull
    return Path(settings, "sentiment140_bert", "known_places")
