"""Make ``data.json``: counts of tweets at every step and in every split, with hashes."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment140_bert import schemas
from sentiment140_bert.models.labels import LABEL_NAMES
from sentiment140_bert.recipe import FILE_SETTINGS, DataConfig

if TYPE_CHECKING:
    from sentiment140_bert.data.reading import Reading
    from sentiment140_bert.data.sources import Source

QUANTILES = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
# Their names, without the folders of this machine, are elsewhere in the report.
PATHS = ("dataset", *FILE_SETTINGS)
PACKAGES = ("sentiment140-bert", "datasets", "pyarrow", "numpy", "tokenizers")


def make_report(
    data: DataConfig, readings: dict[str, tuple[Source, Reading]], steps: dict[str, int], splits: dict[str, pa.Table]
) -> schemas.Data:
    """Make the report, without ``tokenizer`` and token lengths.

    Args:
        data: The settings.
        readings: Each source that was read, as ``training`` and ``manual``.
        steps: Rows counted at each step.
        splits: Columns ``text`` and ``label`` of each split.
    """
    described = {
        "sources": {role: _describe_source(source, reading) for role, (source, reading) in readings.items()},
        "steps": steps,
        "splits": {name: describe_split(table) for name, table in splits.items()},
        "fingerprint": compute_fingerprint({name: hash_rows(table) for name, table in splits.items()}),
        "seed": data.split_seed,
        "settings": data.model_dump(exclude=set(PATHS)),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    return cast(schemas.Data, described)


def update_names(report: schemas.Data, data: DataConfig, source: Source, manual: Source | None) -> schemas.Data:
    """Return a cached report with the names and settings of this call: the same content may have another name now."""
    sources: schemas.Sources = {**report["sources"]}
    sources["training"] = {**sources["training"], "name": source.public_name}
    if manual and "manual" in sources:
        sources["manual"] = {**sources["manual"], "name": manual.public_name}
    if data.drop_suspects:
        report = {**report, "suspects": {**report["suspects"], "name": Path(data.drop_suspects).name}}
    return cast(schemas.Data, {**report, "sources": sources, "settings": data.model_dump(exclude=set(PATHS))})


def describe_left_out(steps: Mapping[str, int]) -> str:
    """Return a sentence on the labeled rows that no model is trained on; empty if there are none."""
    reasons = {
        "neutral": "neutral (--labels 3 would train on them, too)",
        "dropped_by_label_map": "dropped by the label map",
        "conflicting_dropped": "whose text has several labels",
        "bad_rows": "malformed",
    }
    counts = [f"{steps[step]:,} {reason}" for step, reason in reasons.items() if steps.get(step)]
    return f"not trained on, of {steps['rows_read']:,} rows: {', '.join(counts)}" if counts else ""


def add_token_lengths(report: schemas.Data, lengths: Mapping[str, schemas.Tokens]) -> schemas.Data:
    """Return the report with ``token_length`` in every split."""
    splits = {**report["splits"]}
    for name in splits.keys() & lengths.keys():
        splits[name] = {**splits[name], "token_length": lengths[name]}
    return {**report, "splits": splits}


def _describe_source(source: Source, reading: Reading) -> schemas.Source:
    return {
        "name": source.public_name,
        "on_hub": source.on_hub,
        "revision": source.revision,
        "sha256": reading.sha256,
        "sha256_of": "file" if source.path else "rows",
        "encoding": reading.encoding,
        "labels": reading.scheme,
        "rows": reading.rows,
        "bad_rows": reading.bad_rows,
    }


def describe_split(table: pa.Table) -> schemas.DataSplit:
    """Count the rows of a split (columns ``text`` and ``label``), those of each label too, and hash them."""
    labels = np.asarray(table["label"].to_numpy())
    counts = {
        "rows": len(table),
        **{name: int((labels == label).sum()) for label, name in LABEL_NAMES.items() if (labels == label).any()},
        "sha256": hash_rows(table),
    }
    return cast(schemas.DataSplit, counts)


def hash_rows(table: pa.Table) -> str:
    """Return the sha256 over ``label<TAB>text`` of each row, in order.

    A text of several lines is ``label<LF>characters<TAB>text``: otherwise its lines could be rows of their own.
    """

    def encode(label: int, text: str) -> str:
        return f"{label}\n{len(text)}\t{text}\n" if "\n" in text else f"{label}\t{text}\n"

    digest = hashlib.sha256()
    for batch in table.select(["label", "text"]).to_batches(max_chunksize=50_000):
        labels, texts = (column.to_pylist() for column in batch.columns)
        digest.update("".join(map(encode, labels, texts)).encode())
    return digest.hexdigest()


def hash_sources(report: schemas.Data) -> list[str]:
    """Return the hashes of the sources; they cover users, times and topics, too, unlike the fingerprint."""
    sources = report["sources"]
    return [sources["training"]["sha256"], *([sources["manual"]["sha256"]] if "manual" in sources else [])]


def compute_fingerprint(hashes: dict[str, str]) -> str:
    """Return one hash for a whole set of splits, by their own."""
    return hashlib.sha256("".join(f"{name} {value}\n" for name, value in sorted(hashes.items())).encode()).hexdigest()


def summarize_token_lengths(lengths: npt.NDArray[np.int64], truncated: int) -> schemas.Tokens:
    """Compute quantiles of the number of tokens, special ones included, and count the tweets that were cut.

    Args:
        lengths: Tokens of each tweet of a split.
        truncated: Tweets that were longer than ``max_length``.
    """
    quantiles = {name: int(np.quantile(lengths, at, method="higher")) for name, at in QUANTILES.items()}
    sums = {"mean": round(float(lengths.mean()), 2), "total": int(lengths.sum()), "truncated": truncated}
    return cast(schemas.Tokens, quantiles | sums)
