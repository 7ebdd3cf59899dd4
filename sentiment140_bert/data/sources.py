"""Find the tweets that ``--dataset`` names: a file, a folder, a dataset of the Hub, a table or a bundled sample."""

from __future__ import annotations

import dataclasses
import hashlib
import stat
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.confined import cache_dir
from sentiment140_bert.data import columns, files, tables, untrusted_datasets
from sentiment140_bert.data.corpora import HUB_NAMES, STANFORD_SHA256
from sentiment140_bert.data.download import STANFORD_BYTES, STANFORD_URL, download
from sentiment140_bert.errors import DataError, first_line
from sentiment140_bert.files import hash_file
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.recipe.privacy import strip_folders

if TYPE_CHECKING:
    from datasets import Dataset

STANFORD_TRAINING = "training.1600000.processed.noemoticon.csv"
STANFORD_MANUAL = "testdata.manual.2009.06.14.csv"
KINDS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
PACKED = (".gz", ".bz2", ".xz")
LINES = "lines"  # the kind of a file of texts, one a line, whatever its name
READABLE = f"{', '.join(KINDS)}; all but the last also compressed ({', '.join((*PACKED, '.zip'))})"
_WEB_PAGE = ("a web page", "Download the file itself: its link may lead to a page about it, or to a login.")
# First bytes of files that are not what their names say: what they are, what to do, and the ending they may have.
SIGNATURES = {
    b"version https://git-lfs": ("a Git LFS pointer, not the file itself", "Fetch the file: git lfs pull.", ""),
    b"<!doctype html": (*_WEB_PAGE, ""),
    b"<html": (*_WEB_PAGE, ""),
    b"PK\x03\x04": (
        "an Excel workbook or a zip archive",
        "Save it as CSV (UTF-8), or name it .zip if it is an archive.",
        ".zip",
    ),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "Save it as CSV (UTF-8).", ""),
    b"\x1f\x8b": ("compressed with gzip", "Rename it to end in .gz, as in tweets.csv.gz.", ".gz"),
    b"BZh": ("compressed with bzip2", "Rename it to end in .bz2, as in tweets.csv.bz2.", ".bz2"),
    b"\xfd7zXZ": ("compressed with xz", "Rename it to end in .xz, as in tweets.csv.xz.", ".xz"),
    b"PAR1": ("a parquet file", "Rename it to end in .parquet.", ".parquet"),
    b"%PDF": ("a PDF", "Export its table as CSV.", ""),
    b"SQLite format 3": ("an SQLite database", "Export its table as CSV.", ""),
}


@dataclass(frozen=True)
class Source:
    """One place tweets are read from: a file (with ``member`` inside a zip) or a memory-mapped ``Dataset``.

    ``labels`` is the file with the labels of a file of texts; with ``as_lines`` a file is read as texts, one a line,
    whatever its name."""

    name: str
    path: Path | None = None
    member: str | None = None
    dataset: Dataset | None = None
    revision: str | None = None
    labels: Source | None = None
    as_lines: bool = False

    @property
    def sha256(self) -> str | None:
        """Hash the file's bytes; None for a dataset, whose rows are hashed as they are read."""
        if self.labels and self.path:
            both = f"{hash_file(self.path)}{self.labels.sha256}"
            return hashlib.sha256(both.encode()).hexdigest()
        return hash_file(self.path) if self.path else None

    @property
    def public_name(self) -> str:
        """Return the name without the folders of this machine, or the schema of a table."""
        name = Path(self.name).name if self.path or exists_here(self.name) else strip_folders(self.name)
        return name.encode("utf-8", "backslashreplace").decode()  # a file's name may be no Unicode

    @property
    def on_hub(self) -> bool:
        """Return True if others find it on the Hub by its name."""
        elsewhere = tables.is_table(self.name) or exists_here(self.name)
        return self.dataset is not None and not elsewhere

    @property
    def kind(self) -> str:
        """Return one of ``KINDS``, or ``LINES``; empty for a dataset."""
        return LINES if self.as_lines else get_kind(self.member or (self.path.name if self.path else ""))

    @property
    def is_packed(self) -> bool:
        return self.path is not None and self.path.name.lower().endswith((*PACKED, ".zip"))


def get_kind(name: str) -> str:
    """Return the ending of a file's name that tells its kind, without that of its packing; empty for any other."""
    name = name.lower()
    packing = next((ending for ending in PACKED if name.endswith(ending)), "")
    kind = next((ending for ending in KINDS if name.removesuffix(packing).endswith(ending)), "")
    return "" if packing and kind == ".parquet" else kind


def is_file_name(name: str) -> bool:
    """Return True if a name ends as that of a file which can be read."""
    return bool(get_kind(name)) or name.lower().endswith(".zip")


def locate(data: DataConfig) -> tuple[Source, Source | None]:
    """Find the training rows and the hand-labeled ones, if any are named or known.

    Raises:
        DataError: No such file, folder or dataset; the Hub or Stanford's site cannot be reached.
    """
    source, manual = _locate_dataset(data)
    if data.labels_file:
        if not source.path or source.kind == ".parquet":
            raise DataError(
                f"{source.name} is not a text file with one text a line, so {data.labels_file} cannot hold its labels.",
                "Omit --labels-file, or pass the file with the texts as --dataset.",
            )
        labels = open_text_source(data.labels_file, as_lines=True)
        source = dataclasses.replace(source, labels=labels, as_lines=True)
    if data.manual_test == "none":
        manual = None
    elif data.manual_test:
        name = data.manual_test
        is_table = tables.is_table(name)
        manual = Source(name, dataset=tables.read_table(name, DataConfig())) if is_table else open_source(name)
    return source, manual


def is_hub_id(name: str) -> bool:
    """Return True if :func:`locate` looks for a name on the Hub."""
    here = name in ("sample", "stanford") or exists_here(name) or is_file_name(name)
    here = here or tables.is_table(name)
    return not here and name.count("/") <= 1 and not name.startswith((".", "/", "~"))


def _locate_dataset(data: DataConfig) -> tuple[Source, Source | None]:
    name = data.dataset
    if name == "sample":
        folder = Path(str(resources("sentiment140_bert.data"))) / "sample"
        return Source("sample", folder / "tweets.csv"), Source("sample (manual)", folder / "manual.csv")
    if name == "stanford":
        archive = cache_dir() / "downloads" / "trainingandtestdata.zip"
        download(STANFORD_URL, archive, STANFORD_SHA256, STANFORD_BYTES)
        return (Source("stanford", archive, STANFORD_TRAINING), Source("stanford (manual)", archive, STANFORD_MANUAL))
    if tables.is_table(name):
        return Source(name, dataset=tables.read_table(name, data)), None
    path = find_path(name)
    if path and path.is_dir():
        return Source(name, dataset=_load_folder(path, data.dataset_split)), None
    if path or is_file_name(name):
        return _open_with_manual(name)
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise DataError(f"There is no file or folder {name}.", "Check the path.")
    return _load_from_hub(data)


def open_source(name: str) -> Source:
    """Find a single file of tweets.

    Raises:
        DataError: It is missing, empty, of no readable kind, or a zip with no or several tweet files.
    """
    return _open_with_manual(name)[0]


def find_path(name: str) -> Path | None:
    """Return the file or folder of a name; None if there is neither.

    Raises:
        DataError: It may not be read, is not a valid file name, or is neither file nor folder but a device or a
            pipe, which may never end.
    """
    try:
        path = Path(name).expanduser()
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RuntimeError) as error:  # the last two for a NUL in the name, and an unknown ~user
        raise DataError(
            f"{name[:500]!r} cannot be read: {getattr(error, 'strerror', None) or first_line(error)}.",
            "Check the path and its permissions.",
        ) from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{name} is a device, a pipe or a socket, not a file.", "Save its content to a file first.")
    return path


def exists_here(name: str) -> bool:
    """Return True if a name is that of a file or folder, even of one that may not be read."""
    try:
        return find_path(name) is not None
    except DataError:
        return True


def open_text_source(name: str, as_lines: bool = False) -> Source:
    """Find a file, which is read as lines of text if ``as_lines``.

    Raises:
        DataError: It is missing, empty, or begins as another kind of file does.
    """
    path = find_path(name)
    if path is None or not path.is_file():
        raise DataError(f"There is no file {name}.", "Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{name} is empty (0 bytes).", "Was the download cut off?")
    if as_lines and path.name.lower().endswith(".zip"):
        raise DataError(f"{name} is a zip archive, not a file of lines.", "Unpack it and name the file in it.")
    with path.open("rb") as file:
        begin = file.read(200).lstrip()
    for signature, (kind, hint, ending) in SIGNATURES.items():
        has_signature = begin.startswith(signature) or begin.lower().startswith(signature)
        if has_signature and not path.name.lower().endswith(ending or "\0"):
            raise DataError(f"{name} is {kind}.", hint)
    return Source(name, path, as_lines=as_lines)


def _open_with_manual(name: str) -> tuple[Source, Source | None]:
    source = open_text_source(name)
    path = source.path
    assert path  # noqa: S101 - a file's
    if not is_file_name(path.name):
        raise DataError(
            f"{name} has no file extension that can be read.", f"Readable: {READABLE}; or a folder saved by datasets."
        )
    if not path.name.lower().endswith(".zip"):
        return source, None
    members = files.list_tweet_files(path, name)
    manual = next((member for member in members if Path(member).name == STANFORD_MANUAL), None)
    rest = [member for member in members if member != manual] or members
    if len(rest) != 1:
        raise DataError(
            f"{name} holds {len(rest):,} tweet files ({columns.list_names(rest, 20) or 'none'}); it must hold one.",
            "Unpack it and name one file.",
        )
    both = manual is not None and rest != [manual]
    return Source(name, path, rest[0]), Source(f"{name} (manual)", path, manual) if both else None


def _load_folder(path: Path, split: str) -> Dataset:
    from datasets import Dataset

    loaded = untrusted_datasets.load_folder(path)
    return loaded if isinstance(loaded, Dataset) else _choose_split(dict(loaded), split, str(path))


def _choose_split(splits: dict[str, Any], split: str, name: str) -> Any:
    if len(splits) == 1 and split == DataConfig().dataset_split:
        return next(iter(splits.values()))
    if split not in splits:
        raise DataError(f"{name} has no split {split!r}; it has {', '.join(splits)}.", "Name one with --dataset-split.")
    return splits[split]


def _load_from_hub(data: DataConfig) -> tuple[Source, Source | None]:
    name = data.dataset
    splits, revision = untrusted_datasets.load_from_hub(name, data.dataset_revision)
    manual = None
    if name in HUB_NAMES and "test" in splits:
        manual = Source(f"{name} (test)", dataset=splits["test"], revision=revision)
    return Source(name, dataset=_choose_split(dict(splits), data.dataset_split, name), revision=revision), manual
