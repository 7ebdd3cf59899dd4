"""Where tweets come from: what ``--dataset`` may name, resolved to rows that can be read."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.data import hub_dataset, saved, schema, tables, unpacking
from sentiment140_bert.data.download import STANFORD_BYTES, STANFORD_SHA256, STANFORD_URL, cache_dir, download
from sentiment140_bert.errors import DataError, first_line
from sentiment140_bert.run_dir import sha256_of
from sentiment140_bert.settings import DataConfig

if TYPE_CHECKING:
    from datasets import Dataset

STANFORD_TRAINING = "training.1600000.processed.noemoticon.csv"
STANFORD_MANUAL = "testdata.manual.2009.06.14.csv"
TEXT_FILES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".zip")
FILES = (*TEXT_FILES, ".parquet", ".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class Source:
    """One place tweets are read from: a file (with ``member`` inside a zip) or a ``Dataset`` in memory map."""

    name: str
    path: Path | None = None
    member: str | None = None
    dataset: Dataset | None = None
    revision: str | None = None

    @property
    def sha256(self) -> str | None:
        """Of the file's bytes; None for a dataset, whose rows are hashed as they are read."""
        return sha256_of(self.path) if self.path else None

    @property
    def public_name(self) -> str:
        """The name without the folders of this machine."""
        name = Path(self.name).name if self.path or is_here(self.name) else self.name
        return name.encode("utf-8", "backslashreplace").decode()  # a file's name may be no Unicode

    @property
    def on_hub(self) -> bool:
        """Whether others find it on the Hub by its name."""
        elsewhere = tables.is_table(self.name) or is_here(self.name)
        return self.dataset is not None and not elsewhere

    @property
    def suffix(self) -> str:
        name = (self.member or (self.path.name if self.path else "")).lower()
        return next((suffix for suffix in sorted(FILES, key=len, reverse=True) if name.endswith(suffix)), "")


def locate(data: DataConfig) -> tuple[Source, Source | None]:
    """The training rows and, where given or known, the hand-labelled ones.

    Raises:
        DataError: No such file, folder or dataset; the Hub or Stanford's site cannot be reached.
    """
    source, manual = _named(data)
    if data.manual_test == "none":
        manual = None
    elif data.manual_test:
        name = data.manual_test
        is_table = tables.is_table(name)
        manual = Source(name, dataset=tables.read(name, None, None)) if is_table else file_source(name)
    return source, manual


def is_hub_id(name: str) -> bool:
    """Whether :func:`locate` looks for a name on the Hub."""
    here = name in ("sample", "stanford") or is_here(name) or name.lower().endswith(FILES)
    here = here or tables.is_table(name)
    return not here and name.count("/") <= 1 and not name.startswith((".", "/", "~"))


def _named(data: DataConfig) -> tuple[Source, Source | None]:
    name = data.dataset
    if name == "sample":
        folder = Path(str(files("sentiment140_bert.data"))) / "sample"
        return Source("sample", folder / "tweets.csv"), Source("sample (manual)", folder / "manual.csv")
    if name == "stanford":
        archive = cache_dir() / "downloads" / "trainingandtestdata.zip"
        download(STANFORD_URL, archive, STANFORD_SHA256, STANFORD_BYTES)
        return (
            Source("stanford", archive, STANFORD_TRAINING),
            Source("stanford (manual)", archive, STANFORD_MANUAL),
        )
    if tables.is_table(name):
        return Source(name, dataset=tables.read(name, data.text_column, data.label_column)), None
    path = found(name)
    if path and path.is_dir():
        return Source(name, dataset=_from_folder(path, data.dataset_split)), None
    if path or name.lower().endswith(FILES):
        return _file_with_manual(name)
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise DataError(f"There is no file or folder {name}.", "Check the path.")
    return _from_hub(data)


def file_source(name: str) -> Source:
    """A single file of tweets.

    Raises:
        DataError: It is missing, empty, of no known kind, or a zip with no or several tweet files.
    """
    return _file_with_manual(name)[0]


def found(name: str) -> Path | None:
    """The file or folder of a name; None where there is neither.

    Raises:
        DataError: It may not be read, is no name that a file can have, or is neither file nor folder but a device or a
            pipe, which may never end.
    """
    try:
        path = Path(name).expanduser()
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RuntimeError) as error:  # the last two of a NUL in the name, and of an unknown ~user
        raise DataError(
            f"{name[:500]!r} cannot be read: {getattr(error, 'strerror', None) or first_line(error)}.",
            "Check the path and the right to read it.",
        ) from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{name} is no file but a device, a pipe or a socket.", "Write what it holds into a file.")
    return path


def is_here(name: str) -> bool:
    """Whether a name is that of a file or folder, even of one that may not be read."""
    try:
        return found(name) is not None
    except DataError:
        return True


def _file_with_manual(name: str) -> tuple[Source, Source | None]:
    path = found(name)
    if path is None or not path.is_file():
        raise DataError(f"There is no file {name}.", "Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{name} is empty (0 bytes).", "Was the download cut off?")
    if not path.name.lower().endswith(FILES):
        raise DataError(
            f"{name} is of no kind that can be read.", f"Known: {', '.join(FILES)}, or a folder saved by datasets."
        )
    if not path.name.lower().endswith(".zip"):
        return Source(name, path), None
    members = unpacking.tweet_files(path, name)
    manual = next((each for each in members if Path(each).name == STANFORD_MANUAL), None)
    rest = [each for each in members if each != manual] or members
    if len(rest) != 1:
        raise DataError(
            f"{name} holds {len(rest):,} tweet files ({schema.shown_names(rest) or 'none'}); one is needed.",
            "Unpack it and name one file.",
        )
    both = manual is not None and rest != [manual]
    return Source(name, path, rest[0]), Source(f"{name} (manual)", path, manual) if both else None


def _from_folder(path: Path, split: str) -> Dataset:
    from datasets import Dataset

    loaded = saved.load(path)
    return loaded if isinstance(loaded, Dataset) else _chosen(dict(loaded), split, str(path))


def _chosen(splits: dict[str, Any], split: str, name: str) -> Any:
    if len(splits) == 1 and split == DataConfig().dataset_split:
        return next(iter(splits.values()))
    if split not in splits:
        raise DataError(f"{name} has no split {split!r}; it has {', '.join(splits)}.", "Name one with --dataset-split.")
    return splits[split]


def _from_hub(data: DataConfig) -> tuple[Source, Source | None]:
    name = data.dataset
    splits, revision = hub_dataset.load(name, data.dataset_revision)
    manual = None
    if name in ("stanfordnlp/sentiment140", "sentiment140") and "test" in splits:
        manual = Source(f"{name} (test)", dataset=splits["test"], revision=revision)
    return Source(name, dataset=_chosen(dict(splits), data.dataset_split, name), revision=revision), manual
