"""Fewer training tweets of the same splits: each subset is part of every larger one, all else stays as it is."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import leakage, report, split
from sentiment140_bert.data.cache import Prepared, keep, keep_tokens, kept, tokens_key
from sentiment140_bert.data.prepare import AUDITED
from sentiment140_bert.data.tokenization import tokenize
from sentiment140_bert.errors import DataError

Indices = npt.NDArray[np.int64]
# Of a report: what is another one with fewer training tweets, and what no longer holds of a published dataset.
OTHERS = ("splits", "fingerprint", "leakage", "steps")
PUBLISHED = ("published", "configs", "tokenizer")


def drawn(labels: npt.NDArray[np.int64], rows: int) -> Indices:
    """Which rows of a training split are its subset of a size, in the split's order.

    They are the first of an order in which the labels alternate in their proportion, so that each subset is balanced
    as the whole, to within a row, and contains every smaller one. Within a label it is the order of the split, which
    is that of a hash of each text with ``split_seed``.

    Args:
        labels: Of all rows, 0 or 1.
        rows: How many; no more than there are.
    """
    every = np.arange(len(labels))
    return np.sort(split.drawing_order(labels.astype(np.int8), every, every.astype(np.uint64))[:rows])


def cut(whole: Prepared, rows: int) -> Prepared:
    """The same splits with ``rows`` training tweets; kept in the cache.

    Raises:
        DataError: There are fewer, or they do not hold both labels.
    """
    available = whole.report["splits"]["train"]["rows"]
    if rows > available:
        raise DataError(
            f"{rows:,} training tweets were asked for, but only {available:,} are left to train on.",
            "Lower --max-train-samples, or leave it away to use all.",
        )
    settings = whole.report["settings"] | {"max_train_samples": rows}
    if rows == available:
        return dataclasses.replace(whole, report=whole.report | {"settings": settings})
    told = {name: value for name, value in whole.report.items() if name not in PUBLISHED} | {"settings": settings}
    key = hashlib.sha256(f"{rows} training rows of {whole.folder.name}".encode()).hexdigest()
    if found := kept("prepared", key):
        others = {name: found.report[name] for name in OTHERS if name in found.report}
        return dataclasses.replace(found, report=told | others)
    tables = _tables(whole)
    train = tables["train"].take(pa.array(drawn(tables["train"]["label"].to_numpy(), rows)))
    if len(pc.unique(train["label"])) < 2:
        raise DataError(f"{rows:,} training tweets do not hold both labels.", "Raise --max-train-samples.")
    tables["train"] = train
    return keep(key, tables, told | _described(whole, tables, available), {})


def _described(whole: Prepared, tables: dict[str, pa.Table], before: int) -> dict[str, Any]:
    """What of ``data.json`` depends on the training tweets."""
    train = report.described_split(tables["train"])
    splits = {name: part for name, part in whole.report["splits"].items() if name != "train"}
    splits = {name: {key: each for key, each in part.items() if key != "token_length"} for name, part in splits.items()}
    splits = {"train": train} | splits
    audited = {name: tables[name] for name in AUDITED if name in tables}
    return {
        "splits": splits,
        "fingerprint": report.fingerprint({name: part["sha256"] for name, part in splits.items()}),
        "leakage": {name: each.counts() for name, each in leakage.audits(audited, tables["train"]).items()},
        "steps": whole.report["steps"] | {"left_out_of_train": before - len(tables["train"])},
    }


def cut_tokens(whole: Prepared, tokens: Prepared, part: Prepared, tokenizer: Any) -> Prepared:
    """The tokens of ``part``, which was cut from ``whole``; nothing but what may have been truncated is tokenized.

    Args:
        whole: Splits.
        tokens: Theirs.
        part: From :func:`cut`.
        tokenizer: By which they were made.
    """
    about = tokens.report["tokenizer"]
    described = part.report | {"tokenizer": about}
    lengths = {name: each["token_length"] for name, each in tokens.report["splits"].items()}
    if part.folder == whole.folder:
        return dataclasses.replace(tokens, report=report.with_lengths(described, lengths))
    key = tokens_key(part, about["sha256"], about["max_length"])
    if found := kept("tokenized", key):
        return dataclasses.replace(found, report=report.with_lengths(described, found.report))
    columns = _tables(tokens)
    chosen = drawn(columns["train"]["labels"].to_numpy(), part.report["splits"]["train"]["rows"])
    columns["train"] = columns["train"].take(pa.array(chosen))
    found_lengths = np.asarray(pc.list_value_length(columns["train"]["input_ids"]).to_numpy(), dtype=np.int64)
    full = part.splits()["train"].with_format("arrow")[:]["text"].filter(found_lengths == about["max_length"])
    truncated = tokenize(full, tokenizer, about["max_length"], "train")[2] if len(full) else 0
    lengths["train"] = report.token_lengths(found_lengths, truncated)
    return keep_tokens(key, columns, lengths, report.with_lengths(described, lengths))


def _tables(prepared: Prepared) -> dict[str, pa.Table]:
    return {name: part.with_format("arrow")[:] for name, part in prepared.splits().items()}


def contained(smaller: Prepared, larger: Prepared) -> str:
    """A hash, as ``data.json`` has it, of those training rows of ``larger`` that stand in ``smaller``, too.

    It is the smaller split's own hash if, and only if, the larger one holds all of it.
    """
    inner, outer = (
        each.splits()["train"].with_format("arrow")[:].select(["label", "text"]) for each in (smaller, larger)
    )
    return report.row_hash(outer.filter(pc.is_in(_marks(outer), value_set=_marks(inner))))


def _marks(table: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(pc.cast(table["label"], pa.string()), table["text"], "\t")
