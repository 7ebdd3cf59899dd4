"""Write prepared splits as the files of a dataset repository, sharded parquet and ``data.json``, and read them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentiment140_bert import schemas
from sentiment140_bert.data import data_json
from sentiment140_bert.data.cache import FORMAT, Prepared, load_cached, save_splits
from sentiment140_bert.data.files import read_parquet
from sentiment140_bert.data.origin import add_origin
from sentiment140_bert.data.tokenize import Tokens
from sentiment140_bert.errors import DataError, FalseDataError, RunError, first_line
from sentiment140_bert.models.labels import LABEL_NAMES

if TYPE_CHECKING:
    from datasets import Features

SPLITS = ("train", "validation", "test", "manual")  # of the labels that a model is trained on
ROWS_PER_SHARD = 100_000
LARGEST_DESCRIPTION = 10_000_000  # bytes of data.json; it usually has some thousand
DEFAULT, TOKENIZED = "default", "tokenized"
THREE_WAY = "three_way"  # the hand-labeled tweets with the neutral ones, and their topics
MANUAL, NEUTRAL = "manual", "manual_neutral"
HINT = "Name another --dataset-revision, or ask its owner."
# Settings of a recipe that no longer have an effect on published splits.
DECIDED = ("labels", "cleaning", "conflicts", "max_samples", "validation_size", "test_size", "split_by", "split_seed")


def get_features(config: str, labels: int) -> Features:
    """Return the columns of a config whose splits have two or three labels."""
    from datasets import ClassLabel, Features, List, Value

    label = ClassLabel(names=list(LABEL_NAMES.values())[:labels])
    if config == THREE_WAY:
        return Features({"text": Value("string"), "label": label, "topic": Value("string")})
    if config == DEFAULT:
        return Features({"text": Value("string"), "label": label})
    return Features({"input_ids": List(Value("int32")), "attention_mask": List(Value("int8")), "labels": label})


Sizes = dict[str, dict[str, schemas.SplitSize]]  # of each split of each config


def write_dataset(
    prepared: Prepared, tokens: Prepared, folder: Path, check: Callable[[bytes, str], None]
) -> tuple[Sizes, dict[str, str]]:
    """Write the parquet files of all configs, a shard at a time.

    Args:
        prepared: Result of :func:`sentiment140_bert.data.pipeline.prepare_splits`.
        tokens: The same splits, from :func:`sentiment140_bert.data.pipeline.tokenize_splits`.
        folder: To write into.
        check: Called with all text of every shard and the file's name, before it is written.

    Returns:
        ``num_examples`` and ``num_bytes`` (in memory) of each split of each config; the sha256 of each split's tokens.
    """
    sizes: Sizes = {}
    hashes: dict[str, str] = {}
    for config, source in ((DEFAULT, prepared), (TOKENIZED, tokens)):
        schema = get_features(config, schemas.count_labels(prepared.report)).arrow_schema
        (folder / config).mkdir(parents=True)
        sizes[config] = {}
        for name, split in source.splits().items():
            if name not in SPLITS:
                continue
            shards = -(-len(split) // ROWS_PER_SHARD)
            rows = split.with_format("arrow")
            size = sizes[config][name] = {"num_examples": len(split), "num_bytes": 0}
            digest = _TokenDigest()
            for at in range(shards):
                file = f"{config}/{name}-{at:05}-of-{shards:05}.parquet"
                table = rows[at * ROWS_PER_SHARD : (at + 1) * ROWS_PER_SHARD]
                if config == DEFAULT:
                    check("\n".join(table["text"].to_pylist()).encode(), file)
                else:
                    digest.update(table["input_ids"])
                    table = table.append_column("attention_mask", _make_ones_like(table["input_ids"]))
                table = table.select(schema.names).cast(schema)
                pq.write_table(table, folder / file, compression="zstd")
                size["num_bytes"] += table.nbytes
            if config == TOKENIZED:
                hashes[name] = digest.hexdigest()
    return sizes | _write_three_way(prepared, folder, check), hashes


def count_published(folder: Path, splits: Mapping[str, schemas.DataSplit], claimed: Sizes) -> Sizes:
    """Return the sizes of published splits, as :func:`write_dataset` does; ``num_bytes`` is the claimed one.

    Args:
        folder: A whole snapshot of the repository.
        splits: The splits of ``data.json``.
        claimed: The ``configs`` of ``data.json``.
    """
    rows = {name: splits[name]["rows"] for name in SPLITS if name in splits}
    sizes = {DEFAULT: rows, TOKENIZED: rows}
    if (folder / THREE_WAY).is_dir():
        sizes[THREE_WAY] = {MANUAL: sum(splits[name]["rows"] for name in (MANUAL, NEUTRAL) if name in splits)}
    return {
        config: {
            name: {"num_examples": count, "num_bytes": _find_bytes(claimed, config, name)}
            for name, count in counts.items()
        }
        for config, counts in sizes.items()
    }


def _find_bytes(claimed: Sizes, config: str, split: str) -> int:
    size = claimed.get(config, {}).get(split)
    return size["num_bytes"] if size else 0


class _TokenDigest:
    """A sha256 over a column of tokens, however it is cut into chunks."""

    def __init__(self) -> None:
        self.ids, self.lengths = hashlib.sha256(), hashlib.sha256()

    def update(self, column: pa.ChunkedArray) -> None:
        for chunk in column.chunks:
            self.ids.update(np.asarray(chunk.flatten(), dtype="<i4").tobytes())
            self.lengths.update(np.asarray(chunk.value_lengths(), dtype="<i4").tobytes())

    def hexdigest(self) -> str:
        return hashlib.sha256(self.ids.digest() + self.lengths.digest()).hexdigest()


def _make_ones_like(ids: pa.ChunkedArray) -> pa.Array:
    lists = ids.combine_chunks()
    lengths = np.asarray(lists.value_lengths())
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ones(int(lengths.sum()), dtype=np.int8)))


def read_dataset(folder: Path, repo_id: str, revision: str) -> Prepared:
    """Read published splits into the cache, with the result of ``pipeline.prepare_splits``.

    Args:
        folder: A whole snapshot of the repository.
        repo_id: Named in the report, as ``published``.
        revision: The snapshot's commit.

    Raises:
        DataError: The files do not match its ``data.json``.
    """
    described = _read_report(folder, repo_id) | {"published": {"repo_id": repo_id, "revision": revision}}
    # Of one commit alone: another repository may have other tokens and topics, which the fingerprint does not cover.
    parts = [described["fingerprint"], FORMAT, repo_id, revision]
    key = hashlib.sha256(f"published {parts}".encode()).hexdigest()
    labels = schemas.count_labels(described)
    splits = {
        name: _read_split(folder, DEFAULT, name, repo_id, labels) for name in SPLITS if name in described["splits"]
    }
    for name, table in splits.items():
        claimed = described["splits"][name]
        if (len(table), data_json.hash_rows(table)) != (claimed["rows"], claimed["sha256"]):
            raise _make_error(f"The tweets of {repo_id}, split {name}")
    splits |= _read_three_way(folder, described, repo_id)
    if cached := load_cached("prepared", key):
        return dataclasses.replace(cached, report=described)
    numbered = {
        name: add_origin(table.append_column("row", pa.array(np.arange(len(table), dtype=np.int32))))
        for name, table in splits.items()
    }
    return save_splits(key, numbered, described, {})


def _join_hand_labelled(prepared: Prepared) -> pa.Table | None:
    """Return the manual split and its neutral tweets, with their topics; None if none is neutral."""
    splits = prepared.splits()
    if NEUTRAL not in splits:
        return None
    columns = get_features(THREE_WAY, len(LABEL_NAMES)).arrow_schema
    parts = [splits[name].with_format("arrow")[:].select(columns.names) for name in (MANUAL, NEUTRAL) if name in splits]
    return pa.concat_tables([part.cast(columns) for part in parts])


def _write_three_way(prepared: Prepared, folder: Path, check: Callable[[bytes, str], None]) -> Sizes:
    """Write the hand-labeled tweets, if some are neutral, and return their sizes."""
    table = _join_hand_labelled(prepared)
    if table is None:
        return {}
    file = f"{THREE_WAY}/{MANUAL}-00000-of-00001.parquet"
    check("\n".join([*table["text"].to_pylist(), *filter(None, table["topic"].to_pylist())]).encode(), file)
    (folder / THREE_WAY).mkdir()
    pq.write_table(table, folder / file, compression="zstd")
    return {THREE_WAY: {MANUAL: {"num_examples": len(table), "num_bytes": table.nbytes}}}


def _read_three_way(folder: Path, described: schemas.Data, repo_id: str) -> dict[str, pa.Table]:
    """Read the manual split with its topics, and the neutral tweets, if they were published.

    Raises:
        FalseDataError: They do not match data.json.
    """
    if not (folder / THREE_WAY).is_dir():
        return {}
    table = _read_split(folder, THREE_WAY, MANUAL, repo_id, len(LABEL_NAMES))
    is_neutral = pc.equal(table["label"], list(LABEL_NAMES.values()).index("neutral"))
    parts = {MANUAL: table.filter(pc.invert(is_neutral)), NEUTRAL: table.filter(is_neutral)}
    for name, part in parts.items():
        split = described["splits"].get(name)
        if not split or data_json.hash_rows(part) != split["sha256"]:
            raise _make_error(f"The tweets of {repo_id}, config {THREE_WAY}")
    return parts


def read_tokens(folder: Path, prepared: Prepared, name: str) -> Tokens | None:
    """Read the published tokens of a split; None for a split that was published without tokens."""
    if name not in SPLITS:
        return None
    described, repo_id = prepared.report, prepared.report["published"]["repo_id"]
    table = _read_split(folder, TOKENIZED, name, repo_id, schemas.count_labels(described))
    ids = table["input_ids"].cast(pa.list_(pa.int32()))
    lengths = np.concatenate([np.asarray(chunk.value_lengths()) for chunk in ids.chunks]).astype(np.int64)
    digest = _TokenDigest()
    digest.update(ids)
    split, expected = described["splits"][name], described["tokenizer"]["splits"].get(name)
    if (len(lengths), digest.hexdigest()) != (split["rows"], expected):
        raise _make_error(f"The tokens of {repo_id}, split {name}")
    return ids, lengths, split["token_length"]["truncated"]


def _make_error(part: str) -> FalseDataError:
    return FalseDataError(f"{part}, are not those that its data.json describes.", HINT)


def _read_report(folder: Path, repo_id: str) -> schemas.Data:
    try:
        file = folder / "data.json"
        if file.stat().st_size > LARGEST_DESCRIPTION:
            raise ValueError(f"it has more than {LARGEST_DESCRIPTION:,} bytes")
        described = schemas.check_schema(json.loads(file.read_text("utf-8")), schemas.Data, "data.json")
        hashes = {name: split["sha256"] for name, split in described["splits"].items()}
        if data_json.compute_fingerprint(hashes) != described["fingerprint"]:
            raise ValueError("its fingerprint is not that of its splits")
        if "splits" not in described["tokenizer"]:
            raise ValueError("it does not name its tokens")
        if not {DEFAULT, TOKENIZED} <= described.get("configs", {}).keys():
            raise ValueError("it does not name its configs")
    except (OSError, ValueError, RecursionError, RunError) as error:
        raise DataError(f"The data.json of {repo_id} is damaged: {first_line(error)}.", HINT) from None
    return described


def _read_split(folder: Path, config: str, name: str, where: str, labels: int) -> pa.Table:
    files = sorted((folder / config).glob(f"{name}-*.parquet"))
    schema = get_features(config, labels).arrow_schema
    try:
        return pa.concat_tables([read_parquet(file).cast(schema) for file in files])
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(
            f"{where}: split {name} of config {config} cannot be read: {error}.",
            "Was it published by `s140 push-to-hub`?",
        ) from None
