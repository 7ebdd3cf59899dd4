"""From a source to splits and from splits to tokens, each step taken from the cache where it was done before."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import clean, leakage, reading, report, schema, split, suspects
from sentiment140_bert.data.cache import FORMAT, Prepared, keep, keep_tokens, kept, tokens_key
from sentiment140_bert.data.origin import ORIGIN, with_origin
from sentiment140_bert.data.source import Source, locate
from sentiment140_bert.data.tokenization import Tokens, identity, way
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

log = logging.getLogger(__name__)

# Settings that say how a file is written.
LAYOUT = (
    *("text_column", "label_column", "user_column", "time_column", "id_column"),
    *("labels_file", "delimiter", "quoting", "encoding"),
)
AUDITED = ("validation", "test", "manual")
Readings = dict[str, tuple[Source, reading.Reading]]
TokensOf = Callable[[str], Tokens | None]


def prepare(data: DataConfig) -> Prepared:
    """Reads, cleans, folds and splits; or finds that this was done before.

    Raises:
        DataError: The input cannot be used; nothing is written then.
    """
    source, manual = locate(data)
    doubted = suspects.read(data.drop_suspects) if data.drop_suspects else None
    key = _key(source, manual, data, doubted)
    found = kept("prepared", key) if key else None
    if found:
        return dataclasses.replace(found, report=report.renewed(found.report, data, source, manual))
    readings = _readings(source, manual, data)
    steps: dict[str, int] = {}
    splits = _divided(readings, data, steps)
    more: dict[str, Any] = {}
    if doubted:
        before = len(splits["train"])
        splits["train"], more["suspects"] = doubted.left_out(splits["train"])
        steps["suspects_dropped"] = before - len(splits["train"])
    splits = {name: with_origin(part) for name, part in splits.items() if len(part)}
    audited = {name: splits[name] for name in AUDITED if name in splits}
    more["leakage"] = {name: each.counts() for name, each in leakage.audits(audited, splits["train"]).items()}
    described = report.describe(data, readings, steps, splits) | more
    key = key or _key_of_rows(described, data, doubted)
    found = kept("prepared", key)
    if found:
        return dataclasses.replace(found, report=described)
    return keep(key, splits, described, {each.public_name: read.bad for each, read in readings.values()})


def _readings(source: Source, manual: Source | None, data: DataConfig) -> Readings:
    readings = {"training": (source, reading.read(source, data))}
    if manual:
        readings["manual"] = (manual, reading.read(manual, _layout_of_its_own(data), labels_may_differ=True))
    return readings


def _divided(readings: Readings, data: DataConfig, steps: dict[str, int]) -> dict[str, pa.Table]:
    """The splits, empty ones included; the tables of ``readings`` are emptied on the way, for they are large.

    Args:
        readings: ``training`` and perhaps ``manual``.
        data: The settings.
        steps: To count the rows in.
    """
    source, read = readings["training"]
    steps |= {"rows_read": read.rows, "bad_rows": read.bad_rows}
    steps |= {"dropped_by_label_map": read.dropped} if data.label_map else {}
    table, neutral = _parted(_cleaned(_taken("training", readings), data.cleaning, steps))
    del read
    steps["neutral"] = len(neutral)
    apart = {"neutral": neutral}
    if "manual" in readings:
        labelled = _cleaned(_taken("manual", readings), data.cleaning, {})
        apart = dict(zip(("manual", "manual_neutral"), _parted(labelled), strict=True)) | apart
        elsewhere = pc.invert(pc.is_in(table["key"], pc.unique(labelled["key"])))
        table, before = table.filter(elsewhere), len(table)
        steps["in_manual_test"] = before - len(table)
    folded = split.fold(table["key"], table["label"].to_numpy(), data.conflicts)
    steps |= folded.counts
    table = table.take(pa.array(folded.rows))
    steps["distinct"] = len(table)
    chosen = split.assign(table, data, source.name)
    steps["drawn"] = sum(map(len, chosen.values()))
    return {name: table.take(pa.array(rows)) for name, rows in chosen.items()} | apart


def _taken(role: str, readings: Readings) -> pa.Table:
    """The table of a reading, which is left with an empty one."""
    source, read = readings[role]
    readings[role] = (source, dataclasses.replace(read, table=read.table.schema.empty_table()))
    return read.table


def whole(data: DataConfig) -> dict[str, pa.Table]:
    """All labelled tweets of a dataset as they are, to score a model on: nothing is cleaned, folded or held out.

    Args:
        data: ``dataset``, how to read it, and ``max_samples`` to draw, stratified, from all of it.

    Returns:
        ``test`` and, where the dataset has one or ``manual_test`` names one, ``manual``: columns ``text``, ``label``
        (2: neutral), ``user``, ``time`` and ``topic``, as in :class:`Prepared`.

    Raises:
        DataError: As :func:`prepare`, or no row is left.
    """
    source, manual = locate(data)
    read = reading.read(source, data)
    table = read.table
    if not len(table):
        raise DataError(
            f"{source.name}: none of its {read.rows:,} rows is left: {read.dropped:,} are dropped by the label map, "
            f"{read.bad_rows:,} are malformed.",
            "Say with --label-map which of its labels are negative, neutral or positive.",
        )
    if data.max_samples:
        table = split.sample(table, data.max_samples, data.split_seed, source.name)
    tables = {"test": table}
    if manual:
        tables["manual"] = reading.read(manual, _layout_of_its_own(data), labels_may_differ=True).table
    return {name: with_origin(each).select(["text", "label", *ORIGIN]) for name, each in tables.items()}


def tokenized(prepared: Prepared, tokenizer: Any, max_length: int, at_hand: TokensOf | None = None) -> Prepared:
    """The same splits as tokens; taken from the cache where text, tokenizer and ``max_length`` are the same.

    Args:
        prepared: From :func:`prepare`.
        tokenizer: A fast tokenizer of transformers.
        max_length: Tokens kept of each tweet.
        at_hand: Gives the tokens of a split that were published with it; they are used where ``prepared`` says that
            they are of this very tokenizer.

    Returns:
        Splits with ``input_ids`` and ``labels``, and the report with ``token_length`` in every split.
    """
    name_of_tokenizer = identity(tokenizer)
    key = tokens_key(prepared, name_of_tokenizer, max_length)
    described = prepared.report | {"tokenizer": {"sha256": name_of_tokenizer, "max_length": max_length}}
    found = kept("tokenized", key)
    if found:
        return dataclasses.replace(found, report=report.with_lengths(described, found.report))
    theirs = prepared.report.get("tokenizer", {})
    usable = all(theirs.get(key) == value for key, value in described["tokenizer"].items())
    if at_hand:
        other = (
            "max_length is another one" if theirs.get("sha256") == name_of_tokenizer else "this is another tokenizer"
        )
        log.info("data: %s", "its tokens are used too" if usable else f"tokenized anew: {other}")
    tokenizing = cache(lambda: way(tokenizer, max_length))  # not asked for where all tokens were published
    lengths, columns = {}, {}
    for name, dataset in prepared.splits().items():
        table = dataset.with_format("arrow")[:]
        published = at_hand(name) if usable and at_hand else None
        ids, tokens, truncated = published or tokenizing()(table["text"], name)
        lengths[name] = report.token_lengths(tokens, truncated)
        columns[name] = pa.table({"input_ids": ids, "labels": table["label"]})
    return keep_tokens(key, columns, lengths, report.with_lengths(described, lengths))


def _layout_of_its_own(data: DataConfig) -> DataConfig:
    """For the manual file: what is said of the dataset's columns and encoding does not hold there."""
    usual: dict[str, Any] = {name: getattr(DataConfig(), name) for name in LAYOUT}
    return data.model_copy(update=usual)


def _cleaned(table: pa.Table, level: str, steps: dict[str, int]) -> pa.Table:
    """Empty texts left out, ``text`` cleaned, and ``key`` added, by which texts count as equal."""
    keys = clean.keys(table["text"])
    filled = pc.not_equal(keys, "")
    steps["empty"] = len(table) - int(pc.sum(filled).as_py() or 0)
    table = table.append_column("key", keys).filter(filled)
    text, counts = clean.clean(table["text"], level)
    steps |= counts
    return table.set_column(table.column_names.index("text"), "text", text)


def _parted(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    is_neutral = pc.equal(table["label"], schema.NEUTRAL)
    return table.filter(pc.invert(is_neutral)), table.filter(is_neutral)


def _settings(data: DataConfig) -> str:
    """What of the settings and the rules changes the rows, as text; files aside, which count by their content."""
    relevant = data.model_dump()
    for name in ("max_length", "max_train_samples", *report.PATHS):
        del relevant[name]
    return json.dumps([FORMAT, relevant, repr(clean.LEVELS)], sort_keys=True)


def _key(source: Source, manual: Source | None, data: DataConfig, doubted: suspects.Suspects | None) -> str | None:
    """Names prepared data by file content and settings; None for a source that is no file: its rows must be read."""
    files = [source] + ([manual] if manual else [])
    hashes = [each.sha256 for each in files]
    if None in hashes:
        return None
    hashes += [doubted.sha256] if doubted else []
    parts = [(each.member, each.kind) for each in files]
    return hashlib.sha256(json.dumps([hashes, parts, _settings(data)]).encode()).hexdigest()


def _key_of_rows(described: dict[str, Any], data: DataConfig, doubted: suspects.Suspects | None) -> str:
    """Names prepared data by what came out, where the source is no file."""
    parts = [described["fingerprint"], _settings(data), doubted.sha256 if doubted else ""]
    return hashlib.sha256("".join(parts).encode()).hexdigest()
