"""Take fewer training tweets of the same splits: each subset is part of every larger one, all else stays as it is."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert import schemas
from sentiment140_bert.data import data_json, leakage, split
from sentiment140_bert.data.cache import (
    Prepared,
    load_cached,
    load_cached_tokens,
    make_tokens_key,
    save_splits,
    save_tokens,
)
from sentiment140_bert.data.tokenize import tokenize
from sentiment140_bert.errors import DataError

# Entries of a report that no longer hold of a part of a published dataset.
PUBLISHED_ENTRIES = ("published", "configs", "tokenizer")


def choose_subset(labels: npt.NDArray[np.int64], rows: int) -> split.Indices:
    """Choose the rows of a training split that are its subset of a size, in the split's order.

    They are the first of an order in which the labels alternate in their proportion, so that each subset is balanced
    as the whole, to within a row, and contains every smaller one. Within a label it is the order of the split, which
    is that of a hash of each text with ``split_seed``.

    Args:
        labels: Labels of all rows.
        rows: The size; no more than there are rows.
    """
    every = np.arange(len(labels))
    return np.sort(split.order_stratified(labels.astype(np.int8), every, every.astype(np.uint64))[:rows])


def draw_subset(full: Prepared, rows: int) -> Prepared:
    """Return the same splits with ``rows`` training tweets, and store them in the cache.

    Raises:
        DataError: There are fewer, or they do not hold every label.
    """
    available = full.report["splits"]["train"]["rows"]
    if rows > available:
        raise DataError(
            f"--max-train-samples is {rows:,}, but there are only {available:,} tweets to train on.",
            "Lower --max-train-samples, or omit it to use all.",
        )
    settings = full.report["settings"] | {"max_train_samples": rows}
    if rows == available:
        return dataclasses.replace(full, report={**full.report, "settings": settings})
    unpublished = {name: entry for name, entry in full.report.items() if name not in PUBLISHED_ENTRIES}
    described = cast(schemas.Data, unpublished | {"settings": settings})
    key = hashlib.sha256(f"{rows} training rows of {full.folder.name}".encode()).hexdigest()
    if cached := load_cached("prepared", key):
        own = cached.report
        described |= {"splits": own["splits"], "fingerprint": own["fingerprint"], "steps": own["steps"]}
        if "leakage" in own:
            described["leakage"] = own["leakage"]
        return dataclasses.replace(cached, report=described)
    tables = full.tables()
    labels = tables["train"]["label"].to_numpy()
    train = tables["train"].take(pa.array(choose_subset(labels, rows)))
    if len(pc.unique(train["label"])) < len(np.unique(labels)):
        raise DataError(
            f"{rows:,} training tweets do not hold {split.describe_all(labels)} labels.", "Raise --max-train-samples."
        )
    tables["train"] = train
    return save_splits(key, tables, _describe_subset(described, tables, available), {})


def _describe_subset(described: schemas.Data, tables: dict[str, pa.Table], before: int) -> schemas.Data:
    """Return the report with the entries that depend on the training tweets."""
    splits = {"train": data_json.describe_split(tables["train"])}
    for name, entry in described["splits"].items():
        if name != "train":
            splits[name] = cast(
                schemas.DataSplit, {key: entry for key, entry in entry.items() if key != "token_length"}
            )
    return {
        **described,
        "splits": splits,
        "fingerprint": data_json.compute_fingerprint({name: entry["sha256"] for name, entry in splits.items()}),
        "leakage": leakage.count_shared(tables),
        "steps": described["steps"] | {"left_out_of_train": before - len(tables["train"])},
    }


def draw_token_subset(full: Prepared, tokens: Prepared, part: Prepared, tokenizer: Any) -> Prepared:
    """Return the tokens of ``part``, a subset of ``full``; only texts that may have been truncated are tokenized.

    Args:
        full: Splits.
        tokens: The tokens of all rows.
        part: Result of :func:`draw_subset`.
        tokenizer: The tokenizer of ``tokens``.
    """
    entry = tokens.report["tokenizer"]
    described: schemas.Data = {**part.report, "tokenizer": entry}
    lengths = {name: split_entry["token_length"] for name, split_entry in tokens.report["splits"].items()}
    if part.folder == full.folder:
        return dataclasses.replace(tokens, report=data_json.add_token_lengths(described, lengths))
    key = make_tokens_key(part, entry["sha256"], entry["max_length"])
    if cached := load_cached_tokens(key, described):
        return cached
    tables = tokens.tables()
    rows = choose_subset(tables["train"]["labels"].to_numpy(), part.report["splits"]["train"]["rows"])
    tables["train"] = tables["train"].take(pa.array(rows))
    counts = np.asarray(pc.list_value_length(tables["train"]["input_ids"]).to_numpy(), dtype=np.int64)
    longest = part.table("train")["text"].filter(counts == entry["max_length"])
    truncated = tokenize(longest, tokenizer, entry["max_length"], "train")[2] if len(longest) else 0
    lengths["train"] = data_json.summarize_token_lengths(counts, truncated)
    return save_tokens(key, tables, lengths, described)


def hash_shared_rows(smaller: Prepared, larger: Prepared) -> str:
    """Return the hash, as in ``data.json``, of those training rows of ``larger`` that are in ``smaller``, too.

    It is the smaller split's own hash if, and only if, the larger one holds all of it.
    """
    inner, outer = (prepared.table("train").select(["label", "text"]) for prepared in (smaller, larger))
    return data_json.hash_rows(outer.filter(pc.is_in(join_label(outer), value_set=join_label(inner))))


def join_label(table: pa.Table) -> pa.ChunkedArray:
    """Return each row's label and text as one text."""
    return pc.binary_join_element_wise(pc.cast(table["label"], pa.string()), table["text"], "\t")
