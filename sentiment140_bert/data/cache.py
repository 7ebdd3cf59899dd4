"""What was prepared, kept on disk under a name made of what it depends on: the splits, and the tokens of splits."""

from __future__ import annotations

import dataclasses
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
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment140_bert.data import intact, schema
from sentiment140_bert.data.download import cache_dir
from sentiment140_bert.data.intact import PREPARED, REPORT, TOKENIZED
from sentiment140_bert.data.origin import ORIGIN
from sentiment140_bert.data.rows import BadRow
from sentiment140_bert.errors import DataError, first_line
from sentiment140_bert.run_dir import (
    TEMPORARY,
    full_disk_explained,
    remove_leftovers,
    settle,
    write_json,
    writing_explained,
)

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

FORMAT = 3  # raise it when the same settings would give other rows
SPLIT_COLUMNS = ["text", "label", "row", *ORIGIN]
COLUMNS = {PREPARED: SPLIT_COLUMNS, TOKENIZED: ["input_ids", "labels"]}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Splits on disk: ``folder`` was written by datasets; ``report`` is the content of ``data.json``.

    Splits: ``train``, ``validation``, ``test``, and, where there are such rows, ``manual``, ``manual_neutral`` and
    ``neutral``. Columns of prepared splits: ``text``, ``label``, ``row``, and, null where it is not known, ``user`` (a
    hash of the name, uint64), ``time`` (seconds since 1970 UTC, int64) and ``topic`` (the query that found the tweet);
    of tokenized ones: ``input_ids``, ``labels``.
    """

    folder: Path
    report: dict[str, Any]
    cached: bool

    def splits(self) -> DatasetDict:
        from datasets import load_from_disk

        return load_from_disk(str(self.folder))

    def split(self, name: str) -> Dataset:
        """One split; nothing of the others is opened."""
        from datasets import load_from_disk

        return load_from_disk(str(self.folder / name))


def kept(kind: str, key: str) -> Prepared | None:
    """What lies in the cache under a name; None if nothing does.

    What is not whole there is removed, so that it is made anew, and the log says so.

    Raises:
        DataError: It cannot be removed, or not be read for reasons that are not its own.
    """
    folder = cache_dir() / kind / key
    try:
        return _whole(kind, key)
    except intact.DAMAGE as error:
        if intact.is_trouble(error):
            raise DataError(
                f"{folder} cannot be read: {first_line(error)}.", "Name another cache in S140_CACHE."
            ) from None
        _remove(folder)
        log.warning("data: %s was damaged (%s), and is made anew", folder, first_line(error))
        return None


def _whole(kind: str, key: str) -> Prepared | None:
    """What lies in the cache under a name; None if nothing does.

    Raises:
        DAMAGE: It is not whole.
    """
    folder = cache_dir() / kind / key
    if not os.path.lexists(folder):
        return None
    found = intact.report_in(folder, kind)
    intact.check_splits(folder, kind, found, COLUMNS[kind])
    return Prepared(folder, found, cached=True)


def _remove(folder: Path) -> None:
    """Takes it out of the way in one step, for others may look for it at the same time, and then away."""
    try:
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=TEMPORARY))
        with suppress(FileNotFoundError):  # another process was faster
            folder.replace(aside / "damaged")
    except OSError as error:
        raise DataError(
            f"{folder} is damaged, and cannot be removed: {error.strerror}.", "Name another cache in S140_CACHE."
        ) from None
    shutil.rmtree(aside, ignore_errors=True)


def keep(key: str, splits: dict[str, pa.Table], described: dict[str, Any], bad: dict[str, list[BadRow]]) -> Prepared:
    """Keeps splits, with the columns that :class:`Prepared` names, in the cache, whole or not at all."""
    with _new_folder(PREPARED, key) as folder:
        _save({name: table.select(SPLIT_COLUMNS) for name, table in splits.items()}, folder)
        lines = [
            json.dumps({"source": name} | each._asdict(), ensure_ascii=False) + "\n"
            for name, rows in bad.items()
            for each in rows
        ]
        if lines:
            (folder / "bad_rows.jsonl").write_text("".join(lines), "utf-8")
        write_json(folder / REPORT, described)
    return Prepared(cache_dir() / PREPARED / key, described, cached=False)


def keep_tokens(
    key: str, splits: dict[str, pa.Table], lengths: dict[str, dict[str, Any]], described: dict[str, Any]
) -> Prepared:
    """Keeps tokens in the cache, whole or not at all.

    Args:
        key: From :func:`tokens_key`.
        splits: Columns ``input_ids`` and ``labels`` of each.
        lengths: ``token_length`` of each; all that is kept of the report, the rest being that of the splits.
        described: The whole report.
    """
    with _new_folder(TOKENIZED, key) as folder:
        _save(splits, folder)
        write_json(folder / REPORT, lengths)
    return Prepared(cache_dir() / TOKENIZED / key, described, cached=False)


def from_cache(described: dict[str, Any]) -> tuple[Prepared, Prepared] | None:
    """Splits and tokens that the cache holds for a ``data.json``; None where it holds them no more.

    Neither the source nor the tokenizer is needed: the fingerprint and the tokenizer's hash name them.
    """
    tokenizer = described["tokenizer"]
    for file in sorted((cache_dir() / PREPARED).glob(f"*/{REPORT}")):
        if _fingerprint(file.parent) != described["fingerprint"]:
            continue
        with suppress(*intact.DAMAGE):  # of an older format, perhaps
            prepared = _whole(PREPARED, file.parent.name)
            assert prepared  # noqa: S101 - its report has just been read
            tokens = _whole(TOKENIZED, tokens_key(prepared, tokenizer["sha256"], tokenizer["max_length"]))
            if tokens:
                return prepared, dataclasses.replace(tokens, report=described)
    return None


def _fingerprint(folder: Path) -> Any:
    """Of prepared splits; None where it cannot be read, for then nobody knows whether they are those looked for."""
    try:
        return intact.report_in(folder, PREPARED)["fingerprint"]
    except intact.DAMAGE:
        return None


def tokens_key(prepared: Prepared, tokenizer: str, max_length: int) -> str:
    """Names tokens: the splits by their own name in the cache, the tokenizer by its sha256."""
    return hashlib.sha256(
        "\n".join([prepared.folder.name, str(FORMAT), tokenizer, str(max_length)]).encode()
    ).hexdigest()


def _save(splits: dict[str, pa.Table], folder: Path) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict, DatasetInfo, Features
    from datasets.table import InMemoryTable

    saved = DatasetDict()
    for name, table in splits.items():
        label = "label" if "label" in table.column_names else "labels"
        names = list(schema.LABEL_NAMES.values())[: 3 if name.endswith("neutral") else 2]
        features = Features(Features.from_arrow_schema(table.schema) | {label: ClassLabel(names=names)})
        cast = table.cast(features.arrow_schema)  # cast_column of datasets would copy row by row, with a bar of its own
        saved[name] = Dataset(InMemoryTable(cast), DatasetInfo(features=features))
    saved.save_to_disk(str(folder))


@contextmanager
def _new_folder(kind: str, key: str) -> Iterator[Path]:
    """A temporary folder that takes its final name when the block succeeds, and vanishes when it does not."""
    home = cache_dir() / kind
    try:
        home.mkdir(parents=True, exist_ok=True)
        remove_leftovers(home)
        temporary = Path(tempfile.mkdtemp(dir=home, prefix=TEMPORARY))
    except OSError as error:
        raise DataError(f"The cache {home} cannot be written: {error}.", "Name another place in S140_CACHE.") from None
    try:
        with full_disk_explained(home):
            yield temporary
            settle(temporary)
        try:
            temporary.replace(home / key)
        except OSError:  # another process was faster; what it wrote has the same content, if it is whole
            if kept(kind, key) is None:
                with writing_explained(home / key):
                    temporary.replace(home / key)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
