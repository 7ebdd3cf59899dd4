"""``data.json``: what became of the tweets, at every step and in every split."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment140_bert.data.schema import LABEL_NAMES
from sentiment140_bert.recipe import FILE_SETTINGS, DataConfig

if TYPE_CHECKING:
    from sentiment140_bert.data.reading import Reading
    from sentiment140_bert.data.source import Source

QUANTILES = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
PATHS = ("dataset", *FILE_SETTINGS)  # said elsewhere in the report, without folders of this machine
PACKAGES = ("sentiment140-bert", "datasets", "pyarrow", "numpy", "tokenizers")


def describe(
    data: DataConfig, readings: dict[str, tuple[Source, Reading]], steps: dict[str, int], splits: dict[str, pa.Table]
) -> dict[str, Any]:
    """The report, token lengths aside.

    Args:
        data: The settings.
        readings: Each source that was read, as ``training`` and ``manual``.
        steps: Rows counted at each step.
        splits: Columns ``text`` and ``label`` of each split.
    """
    return {
        "sources": {role: _source(source, reading) for role, (source, reading) in readings.items()},
        "steps": steps,
        "splits": {name: described_split(table) for name, table in splits.items()},
        "fingerprint": fingerprint({name: row_hash(table) for name, table in splits.items()}),
        "seed": data.split_seed,
        "settings": data.model_dump(exclude=set(PATHS)),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def renewed(report: dict[str, Any], data: DataConfig, source: Source, manual: Source | None) -> dict[str, Any]:
    """A cached report with the names and settings of this call: the same content may have another name today."""
    sources = {role: dict(each) for role, each in report["sources"].items()}
    for role, each in (("training", source), ("manual", manual)):
        if each and role in sources:
            sources[role]["name"] = each.public_name
    if data.drop_suspects:
        report = report | {"suspects": report["suspects"] | {"name": Path(data.drop_suspects).name}}
    return report | {"sources": sources, "settings": data.model_dump(exclude=set(PATHS))}


def with_lengths(report: dict[str, Any], lengths: dict[str, Any]) -> dict[str, Any]:
    """The report with ``token_length`` in every split."""
    splits = {
        name: split | ({"token_length": lengths[name]} if name in lengths else {})
        for name, split in report["splits"].items()
    }
    return report | {"splits": splits}


def _source(source: Source, reading: Reading) -> dict[str, Any]:
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


def described_split(table: pa.Table) -> dict[str, Any]:
    """What is in a split (columns ``text`` and ``label``): its rows, of each label too, and a hash of them."""
    labels = np.asarray(table["label"].to_numpy())
    return {
        "rows": len(table),
        **{name: int((labels == label).sum()) for label, name in LABEL_NAMES.items() if (labels == label).any()},
        "sha256": row_hash(table),
    }


def row_hash(table: pa.Table) -> str:
    """sha256 over ``label<TAB>text`` of each row, in order."""
    digest = hashlib.sha256()
    for batch in table.select(["label", "text"]).to_batches(max_chunksize=50_000):
        labels, texts = (column.to_pylist() for column in batch.columns)
        digest.update("".join(f"{label}\t{text}\n" for label, text in zip(labels, texts, strict=True)).encode())
    return digest.hexdigest()


def fingerprint(hashes: dict[str, str]) -> str:
    """One name for a whole set of splits."""
    return hashlib.sha256("".join(f"{name} {value}\n" for name, value in sorted(hashes.items())).encode()).hexdigest()


def token_lengths(lengths: npt.NDArray[np.int64], truncated: int) -> dict[str, Any]:
    """Quantiles of the number of tokens, special ones included, and how many tweets were cut.

    Args:
        lengths: Tokens of each tweet of a split.
        truncated: Tweets that were longer than ``max_length``.
    """
    quantiles = {name: int(np.quantile(lengths, at, method="higher")) for name, at in QUANTILES.items()}
    return quantiles | {"mean": round(float(lengths.mean()), 2), "total": int(lengths.sum()), "truncated": truncated}
