"""Store prepared splits and their tokens on disk, under names made of all that they depend on, and load them again.

They stay there for months, and other programs may damage them, so what is loaded is validated first.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, cast

import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import TypedDict

from sentiment140_bert import schemas
from sentiment140_bert.confined import cache_dir
from sentiment140_bert.data import untrusted_datasets
from sentiment140_bert.data.columns import BadRow
from sentiment140_bert.data.data_json import add_token_lengths, hash_sources
from sentiment140_bert.data.origin import ORIGIN
from sentiment140_bert.errors import DataError, S140Error, first_line
from sentiment140_bert.files import TEMPORARY, explain_refused_write, remove_leftovers, settle, write_json
from sentiment140_bert.full_disk import explain_full_disk
from sentiment140_bert.models.labels import LABEL_NAMES, NEUTRAL
from sentiment140_bert.trust import check_folder

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

FORMAT = 5  # raise it when the same settings would give other rows
REPORT = "data.json"
PREPARED, TOKENIZED = "prepared", "tokenized"
SPLIT_COLUMNS = ["text", "label", "row", *ORIGIN]
COLUMNS = {PREPARED: SPLIT_COLUMNS, TOKENIZED: ["input_ids", "labels"]}
# What the validating functions raise if something is damaged.
DAMAGE = (S140Error, *untrusted_datasets.SENSELESS_FOLDER)
# Errors of the system that do not mean damage.
SYSTEM_ERRORS = {
    *(errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
}

log = logging.getLogger(__name__)


class CachedSplit(TypedDict):
    """A split before it has tokens."""

    rows: schemas.Count
    sha256: schemas.Sha256


class CachedReport(TypedDict):
    """The report of prepared splits, as far as it is used."""

    sources: dict[str, schemas.Source]
    steps: dict[str, schemas.Count]
    splits: dict[str, CachedSplit]
    fingerprint: schemas.Sha256
    settings: schemas.DataSettings
    seed: int
    leakage: NotRequired[dict[str, schemas.Leakage]]
    suspects: NotRequired[schemas.Suspects]


class CachedLengths(schemas.Tokens):
    """The report of a split's tokens: their lengths."""

    min: schemas.Count
    p90: schemas.Count
    p99: schemas.Count
    mean: schemas.Number
    total: schemas.Count


SHAPES = {PREPARED: CachedReport, TOKENIZED: dict[str, CachedLengths]}


@dataclass(frozen=True)
class Prepared:
    """Splits on disk: ``folder`` was written by datasets; ``report`` is the content of ``data.json``, that
    of splits without what only their tokens tell: ``tokenizer`` and ``token_length``.

    Splits: ``train``, ``validation``, ``test``, and, if there are such rows, ``manual``, ``manual_neutral`` and
    ``neutral``. Columns of prepared splits: ``text``, ``label``, ``row``, and, null if unknown, ``user`` (a
    hash of the name, uint64), ``time`` (seconds since 1970 UTC, int64) and ``topic`` (the query that found the tweet);
    of tokenized ones: ``input_ids``, ``labels``.
    """

    folder: Path
    report: schemas.Data
    cached: bool

    def splits(self) -> DatasetDict:
        from datasets import load_from_disk

        return load_from_disk(str(self.folder))

    def split(self, name: str) -> Dataset:
        """Load one split; the others are not opened."""
        from datasets import load_from_disk

        return load_from_disk(str(self.folder / name))

    def table(self, name: str) -> pa.Table:
        """Load one split as an Arrow table."""
        return self.split(name).with_format("arrow")[:]

    def tables(self) -> dict[str, pa.Table]:
        """Load all splits as Arrow tables."""
        return {name: split.with_format("arrow")[:] for name, split in self.splits().items()}


def load_cached(kind: str, key: str) -> Prepared | None:
    """Load the splits or tokens of a name; None if there are none.

    Damaged ones are removed, with a warning in the log, so that they are made again.

    Raises:
        DataError: They cannot be removed, or cannot be read for a reason that is not damage.
    """
    folder = cache_dir() / kind / key
    try:
        return _load_valid(kind, key)
    except DAMAGE as error:
        if _is_system_error(error):
            raise DataError(
                f"{folder} cannot be read: {first_line(error)}.", "Name another cache in S140_CACHE."
            ) from None
        _remove(folder)
        log.warning("data: %s was damaged (%s) and is built again", folder, first_line(error))
        return None


def load_cached_tokens(key: str, described: schemas.Data) -> Prepared | None:
    """Load tokens as :func:`load_cached`, with the report of their splits."""
    cached = load_cached(TOKENIZED, key)
    if not cached:
        return None
    lengths = cast(dict[str, schemas.Tokens], cached.report)  # all that is stored of the report
    return dataclasses.replace(cached, report=add_token_lengths(described, lengths))


def _load_valid(kind: str, key: str) -> Prepared | None:
    """Load the splits or tokens of a name; None if there are none.

    Raises:
        DAMAGE: They are damaged.
    """
    folder = cache_dir() / kind / key
    if not os.path.lexists(folder):
        return None
    report = _read_report(folder, kind)
    validate_cache(folder, kind, report)
    return Prepared(folder, report, cached=True)


def _read_report(folder: Path, kind: str) -> schemas.Data:
    """Read the report of a cached folder.

    Raises:
        DAMAGE: It is missing, no JSON, or lacks something.
    """
    check_folder(folder)  # another user may share the cache
    content = json.loads((folder / REPORT).read_text("utf-8"))
    return cast(schemas.Data, schemas.check_schema(content, SHAPES[kind], REPORT))


def validate_cache(folder: Path, kind: str, report: Any) -> None:
    """Open the splits of a cached folder, which reads little more than their sizes, and compare them with the report.

    Args:
        folder: The cached folder.
        kind: ``prepared`` or ``tokenized``.
        report: The content of its ``data.json``.

    Raises:
        DAMAGE: A split is missing, cannot be opened, or has other numbers of rows or tokens than the report.
    """
    splits: DatasetDict = untrusted_datasets.load_folder(folder)
    entries = report["splits"] if kind == PREPARED else report
    # Neutral tweets may be in the report and not stored, or stored and not in the report.
    unreported, missing = (
        {name for name in names if not name.endswith("neutral")}
        for names in (splits.keys() - entries.keys(), entries.keys() - splits.keys())
    )
    if "published" in report:  # and not all of it was
        missing = set()
    if wrong := {"train"} - splits.keys() or missing or unreported:
        raise ValueError(f"{', '.join(sorted(wrong))} is missing, or is not in {REPORT}")
    for name, split in splits.items():
        if absent := [column for column in COLUMNS[kind] if column not in split.column_names]:
            raise ValueError(f"{name} has no column {absent[0]}")
        if name not in entries:
            continue
        if kind == PREPARED:
            count, expected = len(split), entries[name]["rows"]
        else:
            ids = split.data.table["input_ids"]
            count, expected = int(pc.sum(pc.list_value_length(ids)).as_py() or 0), entries[name]["total"]
        if count != expected:
            raise ValueError(f"{name} holds {count:,} {'rows' if kind == PREPARED else 'tokens'}, not {expected:,}")


def _is_system_error(error: BaseException) -> bool:
    """Return True if a file could not be read for a reason that says nothing about its content."""
    causes = (error, error.__context__)
    return any(isinstance(cause, OSError) and cause.errno in SYSTEM_ERRORS for cause in causes)


def _remove(folder: Path) -> None:
    """Move a folder out of the way in one step, for other processes may look for it, and then remove it."""
    try:
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=TEMPORARY))
        with suppress(FileNotFoundError):  # another process was faster
            folder.replace(aside / "damaged")
    except OSError as error:
        raise DataError(
            f"{folder} is damaged and cannot be removed: {error.strerror}.", "Name another folder in S140_CACHE."
        ) from None
    shutil.rmtree(aside, ignore_errors=True)


def save_splits(key: str, splits: dict[str, pa.Table], report: schemas.Data, bad: dict[str, list[BadRow]]) -> Prepared:
    """Store splits, with the columns that :class:`Prepared` names, in the cache, whole or not at all."""
    with _make_folder(PREPARED, key) as folder:
        _save({name: table.select(SPLIT_COLUMNS) for name, table in splits.items()}, folder)
        lines = [
            json.dumps({"source": name} | row._asdict(), ensure_ascii=False) + "\n"
            for name, rows in bad.items()
            for row in rows
        ]
        if lines:
            (folder / "bad_rows.jsonl").write_text("".join(lines), "utf-8")
        write_json(folder / REPORT, report)
    return Prepared(cache_dir() / PREPARED / key, report, cached=False)


def save_tokens(
    key: str, splits: dict[str, pa.Table], lengths: dict[str, schemas.Tokens], described: schemas.Data
) -> Prepared:
    """Store tokens in the cache, whole or not at all.

    Args:
        key: Result of :func:`make_tokens_key`.
        splits: Columns ``input_ids`` and ``labels`` of each.
        lengths: ``token_length`` of each, the only part of the report that is stored.
        described: The report of the splits.
    """
    with _make_folder(TOKENIZED, key) as folder:
        _save(splits, folder)
        write_json(folder / REPORT, lengths)
    return Prepared(cache_dir() / TOKENIZED / key, add_token_lengths(described, lengths), cached=False)


def find_cached(report: schemas.Data) -> tuple[Prepared, Prepared] | None:
    """Find the splits and tokens of a ``data.json`` in the cache; return None if they are no longer there.

    Neither the source nor the tokenizer is needed: the fingerprint and the tokenizer's hash name them.
    """
    tokenizer = report["tokenizer"]
    identity = _identify(report)
    for file in sorted((cache_dir() / PREPARED).glob(f"*/{REPORT}")):
        if _read_identity(file.parent) != identity:
            continue  # others may have the same rows with other topics, or other tokens
        with suppress(*DAMAGE):  # of an older format, perhaps
            prepared = _load_valid(PREPARED, file.parent.name)
            assert prepared  # noqa: S101 - its report has just been read
            tokens = _load_valid(TOKENIZED, make_tokens_key(prepared, tokenizer["sha256"], tokenizer["max_length"]))
            if tokens:
                return prepared, dataclasses.replace(tokens, report=report)
    return None


def _identify(report: schemas.Data) -> Any:
    """Return what tells prepared splits apart: rows, sources, columns of users and times, and place of publication."""
    settings = dict(report["settings"])
    columns = settings.get("user_column"), settings.get("time_column")
    return report["fingerprint"], hash_sources(report), columns, report.get("published")


def _read_identity(folder: Path) -> Any:
    """Return the identity of prepared splits in the cache; None if it cannot be read."""
    try:
        return _identify(_read_report(folder, PREPARED))
    except DAMAGE:
        return None


def make_tokens_key(prepared: Prepared, tokenizer: str, max_length: int) -> str:
    """Name tokens: the splits by their own name in the cache, the tokenizer by its sha256."""
    return hashlib.sha256(
        "\n".join([prepared.folder.name, str(FORMAT), tokenizer, str(max_length)]).encode()
    ).hexdigest()


def _save(splits: dict[str, pa.Table], folder: Path) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict, DatasetInfo, Features
    from datasets.table import InMemoryTable

    datasets = DatasetDict()
    for name, table in splits.items():
        label = "label" if "label" in table.column_names else "labels"
        names = list(LABEL_NAMES.values())[: 3 if NEUTRAL in table[label].unique().to_pylist() else 2]
        features = Features(Features.from_arrow_schema(table.schema) | {label: ClassLabel(names=names)})
        typed = table.cast(features.arrow_schema)  # cast_column of datasets would copy row by row, with its own bar
        datasets[name] = Dataset(InMemoryTable(typed), DatasetInfo(features=features))
    datasets.save_to_disk(str(folder))


@contextmanager
def _make_folder(kind: str, key: str) -> Iterator[Path]:
    """Make a temporary folder that takes its final name if the block succeeds, and vanishes if it does not."""
    home = cache_dir() / kind
    try:
        home.mkdir(parents=True, exist_ok=True)
        remove_leftovers(home)
        temporary = Path(tempfile.mkdtemp(dir=home, prefix=TEMPORARY))
    except OSError as error:
        raise DataError(f"The cache {home} cannot be written: {error}.", "Name another folder in S140_CACHE.") from None
    try:
        with explain_full_disk(home):
            yield temporary
            settle(temporary)
        try:
            temporary.replace(home / key)
        except OSError:  # another process was faster, and its folder has the same content, if it is valid
            if load_cached(kind, key) is None:
                with explain_refused_write(home / key):
                    temporary.replace(home / key)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
