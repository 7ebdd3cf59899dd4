"""The run directory: the name of every file in it, and reading and writing them whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import RunError
from sentiment140_bert.trust import check_folder

# Of what lies in figures/ and goes along with a model.
CONFUSION, LEARNING, CALIBRATION = "confusion_matrix.png", "learning_curve.png", "calibration.png"
RISK_COVERAGE, SLICES = "risk_coverage.png", "slices.png"
EVAL_RESULTS = ".eval_results/sentiment140.yaml"
TEMPORARY = ".s140-new-"  # how the names of files and folders begin that are still being written
HOUR = 3600  # seconds
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_SPACE_SAID = ("No space left on device", "Disk quota exceeded", "File too large", "unexpected pos")
TRAINING_ROWS = "training_rows.safetensors"  # hashes of the texts that a model was trained on, beside its weights


@dataclass(frozen=True)
class RunDir:
    """Where each thing of a run lies. ``path`` need not exist yet."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe, every default written out."""
        return self.path / "recipe.yaml"

    @property
    def data(self) -> Path:
        """What became of the tweets (see ``data.report``)."""
        return self.path / "data.json"

    @property
    def environment(self) -> Path:
        """Machine, versions, precision, command and duration."""
        return self.path / "environment.json"

    @property
    def history(self) -> Path:
        """One JSON line for each log entry of the Trainer."""
        return self.path / "history.jsonl"

    @property
    def metrics(self) -> Path:
        """The scores of the weights in ``model/``, and their sha256."""
        return self.path / "metrics.json"

    @property
    def predictions(self) -> Path:
        """The model's answer to every tweet that was scored; not published."""
        return self.path / "predictions.parquet"

    @property
    def report(self) -> Path:
        """The page that `s140 report` writes; not published."""
        return self.path / "report.html"

    @property
    def tracking(self) -> Path:
        """Which run it is for each tracker, and what that has been told."""
        return self.path / "tracking.json"

    @property
    def tensorboard(self) -> Path:
        """Event files, where TensorBoard is reported to."""
        return self.path / "tensorboard"

    @property
    def published(self) -> Path:
        """Where the model and the dataset went on the Hub."""
        return self.path / "published.json"

    @property
    def figures(self) -> Path:
        """Pictures of the scores."""
        return self.path / "figures"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def staging(self) -> Path:
        """Second names of the files that are being sent to the Hub."""
        return self.checkpoints / ".for-the-hub"

    @property
    def fetched(self) -> Path:
        """Checkpoints on their way here from the Hub; a fetch that was cut off goes on there."""
        return self.path / ".from-the-hub"

    @property
    def suspects(self) -> Path:
        """What the folds of ``s140 suspects --by model`` answered."""
        return self.path / "suspects"

    @property
    def model(self) -> Path:
        """The model folder, as it is published."""
        return self.path / "model"

    @property
    def onnx(self) -> Path:
        """What `s140 export` made of the model; not published."""
        return self.path / "onnx"

    @property
    def card(self) -> Path:
        """The model card, part of what is published."""
        return self.model / "README.md"

    @property
    def weights(self) -> Path:
        return self.model / "model.safetensors"

    @property
    def training_rows(self) -> Path:
        """Hashes of the training texts, part of what is published."""
        return self.model / TRAINING_ROWS

    def is_run(self) -> bool:
        """Whether a run was begun here; a lone recipe.yaml is none, nor is a model folder that carries its run's."""
        return self.recipe.is_file() and self.environment.is_file() and not (self.path / "config.json").is_file()

    def clear(self) -> None:
        """Removes what a run wrote, and nothing else that may lie in the folder.

        The scores first, so that what is left at any moment is no finished run. What makes it a run goes once nothing
        is left but what a killed process may leave of one that it begins.

        Raises:
            RunError: Something cannot be removed.
        """
        try:
            for each in (self.metrics, self.predictions, self.report, self.tracking, self.published):
                each.unlink(missing_ok=True)
            for each in (*self._checkpoint_folders(), *self._folders()):
                remove(each)
            for each in (self.recipe, self.history, self.data, self.environment):
                each.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(
                f"{error.filename or self.path} cannot be removed: {error.strerror}.",
                "Remove it yourself, or choose another folder.",
            ) from None

    def _checkpoint_folders(self) -> list[Path]:
        """``checkpoints``; where that is a link, which leads to a larger disk perhaps, only what a run wrote there."""
        if not self.checkpoints.is_symlink():
            return [self.checkpoints]
        return [*self.checkpoints.glob("checkpoint-[0-9]*"), self.staging]

    def _folders(self) -> tuple[Path, ...]:
        return (
            self.fetched,
            self.model,
            self.figures,
            self.tensorboard,
            self.suspects,
            self.onnx,
            self.path / "wandb",
        )

    def is_finished(self) -> bool:
        """A run is finished when its scores are written, which is its last step."""
        return self.metrics.is_file()

    def read(self, file: Path, shape: Any = None) -> dict[str, Any]:
        """The content of one of the run's JSON files, which is of its shape (see ``run_files``).

        Args:
            file: One of those above.
            shape: What is asked of it instead, where that is less.

        Raises:
            RunError: The file is missing, cannot be read, is damaged, or is not of its shape.
        """
        from sentiment140_bert import run_files  # pydantic takes its time

        check_folder(self.path)
        return run_files.read(file, shape)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` to write to, and renames it into place when the block succeeds.

    When the block raises, the temporary file is removed and an older ``path`` stays as it was. Afterwards the file
    is on the disk itself: a power cut leaves the old or the new one.

    Raises:
        RunError: Nothing can be written there, it is something else than a file, or the disk is full.
    """
    with writing_explained(path):
        if path.exists() and not path.is_file():  # a folder; or a pipe or a device, which renaming would replace
            raise RunError(f"{path} is there and no regular file.", "Name another file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{TEMPORARY}{path.name}.", suffix=path.suffix)
        os.close(handle)
    temporary = Path(name)
    try:
        with full_disk_explained(path):
            yield temporary
            settle(temporary)
            temporary.replace(path)
            synchronize(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Gives a temporary folder beside ``path`` to write to, and puts it in its place when the block succeeds.

    When the block raises, the temporary folder is removed and an older ``path`` stays as it was.

    Raises:
        RunError: Nothing can be written there, it is something else than a folder, or the disk is full.
    """
    with writing_explained(path):
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is there and no folder.", "Name another folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{TEMPORARY}{path.name}-"))
    former = temporary.with_name(f"{temporary.name}.former")
    try:
        with full_disk_explained(path):
            yield temporary
            settle(temporary)
            if os.path.lexists(path):
                path.replace(former)
            temporary.replace(path)
            synchronize(path.parent)
    finally:
        for folder in (temporary, former):
            remove(folder)


@contextmanager
def writing_explained(path: Path) -> Iterator[None]:
    """Turns a refusal of the file system into a sentence that names ``path``."""
    try:
        with full_disk_explained(path):
            yield
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from None


@contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Turns the error of a full disk, in the words of whichever library wrote, into a sentence that names ``path``."""
    try:
        yield
    except _errors_of_writing() as error:
        if not is_disk_full(error):
            raise
        named = getattr(error, "filename", None)
        raise disk_full(Path(named) if isinstance(named, str | Path) else path) from None


def _errors_of_writing() -> tuple[type[Exception], ...]:
    """What a write may raise. safetensors' own error only where it is loaded: who answers by an export is not asked to
    install it."""
    loaded = sys.modules.get("safetensors")
    return (OSError, RuntimeError, *([loaded.SafetensorError] if loaded else []))


def is_disk_full(error: BaseException) -> bool:
    """Whether a write failed for want of space. safetensors wraps the system's error in one of its own, and torch
    tells only that its archive came out too short."""
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return True
    return any(words in str(error) for words in NO_SPACE_SAID)


def disk_full(path: Path | None) -> RunError:
    """What to say when ``path`` could not be written for want of space; None where the system does not tell it."""
    places = (path,) if path else (Path.cwd(), Path(tempfile.gettempdir()))
    free = [f"{_free(each):,.0f} MiB are free {'there' if path else f'in {each}'}" for each in places]
    return RunError(
        f"The disk is full: {path or 'a file'} could not be written ({', '.join(free)}; or else a quota or the largest "
        "size of a file is reached).",
        "Make room, then give the same command again; a training goes on from its newest whole checkpoint.",
    )


def _free(path: Path) -> float:
    """MiB on the disk of ``path``, which need not be there yet."""
    return shutil.disk_usage(next(each for each in (path, *path.parents) if each.exists())).free / 2**20


def synchronize(path: Path) -> None:
    """Waits until a file, or the list of a folder's names, is on the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network drives keep no folders that could be
            raise
    finally:
        os.close(handle)


def settle(path: Path) -> None:
    """Bring a file, or a folder with all in it, to the disk itself, with the permissions that the umask gives.

    What safetensors and :mod:`tempfile` write is for the user alone. What a link leads to stays as it is.
    """
    mask = _umask()
    for written in (path, *path.rglob("*")):
        if written.is_symlink():
            continue
        wanted = (0o777 if written.is_dir() else 0o666) & ~mask
        if stat.S_IMODE(written.stat().st_mode) != wanted:
            written.chmod(wanted)
        synchronize(written)


def remove_leftovers(folder: Path) -> None:
    """Removes what a killed process was writing: what nobody has written to for an hour."""
    for each in list(folder.rglob(f"{TEMPORARY}*")):
        with contextlib.suppress(FileNotFoundError):  # whoever writes it has just finished
            inner = [] if each.is_symlink() else each.rglob("*")  # a link may lead to all files there are
            newest = max(file.lstat().st_mtime for file in (each, *inner))
            if time.time() - newest < HOUR:
                continue
            remove(each)


def remove(path: Path) -> None:
    """Remove a folder, a file or a link, and never what a link leads to.

    Raises:
        OSError: Something of it cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)


def _umask() -> int:
    """Return the umask; where the kernel tells it, without changing it for what other threads write meanwhile."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("utf-8", "replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all; bytes of a file's name that are no character become escapes."""
    with written_whole(path) as temporary:
        temporary.write_text(text, "utf-8", "backslashreplace")


def write_json(path: Path, content: Any) -> None:
    """Writes ``content`` as indented JSON; NaN and infinities are refused."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
