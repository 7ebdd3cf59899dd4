"""Turn a source into splits and splits into tokens; steps that were done before are loaded from the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert import schemas
from sentiment140_bert.data import clean, data_json, leakage, split
from sentiment140_bert.data.cache import (
    FORMAT,
    Prepared,
    load_cached,
    load_cached_tokens,
    make_tokens_key,
    save_splits,
    save_tokens,
)
from sentiment140_bert.data.label_issues import LabelIssues, read_label_issues
from sentiment140_bert.data.origin import ORIGIN, add_origin
from sentiment140_bert.data.reading import Reading, read_tweets
from sentiment140_bert.data.sources import Source, locate
from sentiment140_bert.data.tokenize import Tokens, choose_method, hash_tokenizer
from sentiment140_bert.errors import DataError
from sentiment140_bert.models.labels import LABEL_NAMES, NEUTRAL
from sentiment140_bert.recipe import FORMAT_SETTINGS, DataConfig

log = logging.getLogger(__name__)

MIN_NEUTRAL = 0.05  # share of neutral tweets above which a model learns three labels, unless --labels says it
Readings = dict[str, tuple[Source, Reading]]
ReadTokens = Callable[[str], Tokens | None]


def prepare_splits(data: DataConfig) -> Prepared:
    """Read, clean, deduplicate and split; or load the splits from the cache.

    Raises:
        DataError: The input cannot be used; nothing was written.
    """
    source, manual = locate(data)
    issues = read_label_issues(data.drop_suspects) if data.drop_suspects else None
    key = _make_key(source, manual, data, issues)
    if key and (cached := load_cached("prepared", key)):
        return dataclasses.replace(cached, report=data_json.update_names(cached.report, data, source, manual))
    readings = _read_sources(source, manual, data)
    steps: dict[str, int] = {}
    splits = _divide(readings, data, steps)
    dropped: schemas.Suspects | None = None
    if issues:
        before = len(splits["train"])
        splits["train"], dropped = issues.drop_from(splits["train"])
        steps["suspects_dropped"] = before - len(splits["train"])
    splits = {name: add_origin(part) for name, part in splits.items() if len(part)}
    described = data_json.make_report(data, readings, steps, splits)
    if dropped:
        described["suspects"] = dropped
    described["leakage"] = leakage.count_shared(splits)
    key = key or _make_key_of_rows(described, data, issues)
    if cached := load_cached("prepared", key):
        return dataclasses.replace(cached, report=described)
    return save_splits(
        key, splits, described, {source.public_name: reading.bad for source, reading in readings.values()}
    )


def _read_sources(source: Source, manual: Source | None, data: DataConfig) -> Readings:
    readings = {"training": (source, read_tweets(source, data))}
    if manual:
        readings["manual"] = (manual, _read_manual(manual, data))
    return readings


def _read_manual(manual: Source, data: DataConfig) -> Reading:
    """Read the hand-labeled tweets; the settings of the dataset's columns and encoding do not apply to them."""
    defaults: dict[str, Any] = {name: getattr(DataConfig(), name) for name in FORMAT_SETTINGS}
    return read_tweets(manual, data.model_copy(update=defaults), labels_may_differ=True)


def _divide(readings: Readings, data: DataConfig, steps: dict[str, int]) -> dict[str, pa.Table]:
    """Return the splits, empty ones included; the tables of ``readings`` are emptied on the way, for they are large.

    Args:
        readings: ``training`` and perhaps ``manual``.
        data: The settings.
        steps: A dictionary for the counts of rows.
    """
    source, reading = readings["training"]
    steps |= {"rows_read": reading.rows, "bad_rows": reading.bad_rows}
    steps |= {"dropped_by_label_map": reading.dropped} if data.label_map else {}
    del reading
    training = _take_table("training", readings).drop_columns(["topic"])  # what was searched for may be private
    table = _clean(training, data.cleaning, steps)
    others: dict[str, pa.Table] = {}
    keeps_neutral = (data.labels or _count_labels(table)) == len(LABEL_NAMES)
    if not keeps_neutral:
        table, others["neutral"] = _separate_neutral(table)
        steps["neutral"] = len(others["neutral"])
    if "manual" in readings:
        labelled = _clean(_take_table("manual", readings), data.cleaning, {})
        parts = (labelled,) if keeps_neutral else _separate_neutral(labelled)
        others = dict(zip(("manual", "manual_neutral"), parts, strict=False)) | others
        elsewhere = pc.invert(pc.is_in(table["key"], pc.unique(labelled["key"])))
        table, before = table.filter(elsewhere), len(table)
        steps["in_manual_test"] = before - len(table)
    deduplicated = split.deduplicate(table["key"], table["label"].to_numpy(), data.conflicts)
    steps |= deduplicated.counts
    table = table.take(pa.array(deduplicated.rows))
    steps["distinct"] = len(table)
    rows = split.assign_splits(table, data, source.name)
    steps["drawn"] = sum(map(len, rows.values()))
    return {name: table.take(pa.array(indices)) for name, indices in rows.items()} | others


def _take_table(role: str, readings: Readings) -> pa.Table:
    """Return the table of a reading, and leave an empty one in its place."""
    source, reading = readings[role]
    readings[role] = (source, dataclasses.replace(reading, table=reading.table.schema.empty_table()))
    return reading.table


def _clean(table: pa.Table, level: str, steps: dict[str, int]) -> pa.Table:
    """Drop empty texts, clean ``text``, and add ``key``, by which texts count as equal."""
    keys = clean.make_keys(table["text"])
    is_filled = pc.not_equal(keys, "")
    steps["empty"] = len(table) - int(pc.sum(is_filled).as_py() or 0)
    table = table.append_column("key", keys).filter(is_filled)
    text, counts = clean.clean(table["text"], level)
    steps |= counts
    return table.set_column(table.column_names.index("text"), "text", text)


def _count_labels(table: pa.Table) -> int:
    """Return 3 if neutral tweets are more than stray ones, else 2."""
    neutral = int(pc.sum(pc.equal(table["label"], NEUTRAL)).as_py() or 0)
    return len(LABEL_NAMES) if neutral > MIN_NEUTRAL * len(table) else len(LABEL_NAMES) - 1


def _separate_neutral(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    is_neutral = pc.equal(table["label"], NEUTRAL)
    return table.filter(pc.invert(is_neutral)), table.filter(is_neutral)


def _serialize_settings(data: DataConfig) -> str:
    """Return the settings and rules that decide the rows, as text; files aside, which count by their content."""
    relevant = data.model_dump()
    for name in ("max_length", "max_train_samples", *data_json.PATHS):
        del relevant[name]
    return json.dumps([FORMAT, relevant, repr(clean.LEVELS)], sort_keys=True)


def _make_key(source: Source, manual: Source | None, data: DataConfig, issues: LabelIssues | None) -> str | None:
    """Name prepared data by file content and settings; None for a source that is not a file: its rows must be read."""
    files = [source] + ([manual] if manual else [])
    hashes = [file.sha256 for file in files]
    if None in hashes:
        return None
    hashes += [issues.sha256] if issues else []
    parts = [(file.member, file.kind) for file in files]
    return hashlib.sha256(json.dumps([hashes, parts, _serialize_settings(data)]).encode()).hexdigest()


def _make_key_of_rows(described: schemas.Data, data: DataConfig, issues: LabelIssues | None) -> str:
    """Name prepared data by their rows and those of their sources, if one is not a file."""
    sources = json.dumps(data_json.hash_sources(described))
    parts = [described["fingerprint"], sources, _serialize_settings(data), issues.sha256 if issues else ""]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def load_unsplit(data: DataConfig) -> dict[str, pa.Table]:
    """Load all labeled tweets of a dataset to score a model on: nothing is cleaned, deduplicated or held out.

    Args:
        data: ``dataset``, its format, and ``max_samples`` to draw, stratified, from all of it.

    Returns:
        ``test`` and, if the dataset has one or ``manual_test`` names one, ``manual``: columns ``text``, ``label``
        (2: neutral), ``user``, ``time`` and ``topic``, as in :class:`Prepared`.

    Raises:
        DataError: The input cannot be used, or no row is left.
    """
    source, manual = locate(data)
    reading = read_tweets(source, data)
    table = reading.table
    if not len(table):
        raise DataError(
            f"{source.name}: none of its {reading.rows:,} rows is left: {reading.dropped:,} are dropped by the label "
            f"map, {reading.bad_rows:,} are malformed.",
            "Say with --label-map which of its labels are negative, neutral or positive.",
        )
    if data.max_samples:
        table = split.draw_sample(table, data.max_samples, data.split_seed, source.name)
    tables = {"test": table}
    if manual:
        tables["manual"] = _read_manual(manual, data).table
    return {name: add_origin(table).select(["text", "label", *ORIGIN]) for name, table in tables.items()}


def tokenize_splits(
    prepared: Prepared, tokenizer: Any, max_length: int, read_published: ReadTokens | None = None
) -> Prepared:
    """Tokenize splits, or load the tokens from the cache if text, tokenizer and ``max_length`` are the same.

    Args:
        prepared: Result of :func:`prepare_splits`.
        tokenizer: A fast tokenizer of transformers.
        max_length: Largest number of tokens of a tweet; others are cut.
        read_published: Reads the tokens that were published with a split; they are used if the report of ``prepared``
            says that they are of this very tokenizer.

    Returns:
        Splits with ``input_ids`` and ``labels``, and the report with ``token_length`` in every split.
    """
    tokenizer_sha256 = hash_tokenizer(tokenizer)
    key = make_tokens_key(prepared, tokenizer_sha256, max_length)
    own = {"sha256": tokenizer_sha256, "max_length": max_length}
    described = cast(schemas.Data, {**prepared.report, "tokenizer": own})
    if cached := load_cached_tokens(key, described):
        return cached
    published = prepared.report.get("tokenizer")
    same_tokenizer = bool(published) and published["sha256"] == tokenizer_sha256
    is_usable = same_tokenizer and published["max_length"] == max_length
    if read_published:
        reason = "max_length differs" if same_tokenizer else "the tokenizer differs"
        log.info("data: %s", "its tokens are used, too" if is_usable else f"tokenized again: {reason}")
    get_method = cache(lambda: choose_method(tokenizer, max_length))  # not needed if all tokens were published
    lengths, columns = {}, {}
    for name, table in prepared.tables().items():
        tokens = read_published(name) if is_usable and read_published else None
        ids, counts, truncated = tokens or get_method()(table["text"], name)
        lengths[name] = data_json.summarize_token_lengths(counts, truncated)
        columns[name] = pa.table({"input_ids": ids, "labels": table["label"]})
    return save_tokens(key, columns, lengths, described)
