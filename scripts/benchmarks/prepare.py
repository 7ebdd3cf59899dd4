"""Measure preparing tweets: pandas and ``Dataset.map`` as in tutorials, this package, the tokenizer alone.

    python scripts/benchmarks/prepare.py --tokenizer bundled:minilm --dataset tweets.csv.gz --rounds 1

All begin with the same CSV, use the same tokenizer with the same cleaning inside it, and cut at the same length. The
first two read, clean, drop repeated texts and those with both labels, split, tokenize and save. This package does more
in its turn: it repairs misread UTF-8, draws by hashes, writes a report with the sha256 of every split, and looks for
nearly equal texts on both sides of a split.
"""

from __future__ import annotations

import csv
import html
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import pyarrow.compute as pc

from benchmark import Contender, Script, Work, dataset_option, measure, only_option, print_report, rounds_option
from sentiment140_bert import models
from sentiment140_bert.cli.options import output_options
from sentiment140_bert.cli.output import stdout_kept_clean
from sentiment140_bert.data import loading
from sentiment140_bert.recipe import DataConfig, Recipe

MAX_LENGTH = 128  # tokens kept of each tweet
TEXTS_AT_ONCE = 10_000


def write_rows(dataset: str, rows: int | None, file: Path) -> int:
    """Write tweets as a CSV of two columns, label and text, without a header, in the dataset's order; no neutral ones.

    Args:
        dataset: The dataset, named as in a recipe.
        rows: How many to draw, stratified by label; None for all.
        file: To write.

    Returns:
        How many rows were written.

    Raises:
        DataError: The dataset cannot be read, or has fewer rows.
    """
    from sentiment140_bert.data.pipeline import load_unsplit
    from sentiment140_bert.models.labels import NEUTRAL

    table = load_unsplit(DataConfig(dataset=dataset, manual_test="none", max_samples=rows))["test"]
    table = table.filter(pc.not_equal(table["label"], NEUTRAL))
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, quoting=csv.QUOTE_ALL)
        for batch in table.select(["label", "text"]).to_batches(max_chunksize=TEXTS_AT_ONCE):
            writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return len(table)


def pandas_map(*, file: str, tokenizer: str, max_length: int = MAX_LENGTH) -> Callable[[], Work]:
    """Build a contender: pandas, scikit-learn's ``train_test_split``, ``Dataset.map`` in batches, as in tutorials.

    Args:
        file: Result of :func:`write_rows`.
        tokenizer: A model's name, as a recipe has it.
        max_length: Tokens kept of each tweet.
    """
    import datasets
    import pandas  # noqa: F401  what is imported is not measured
    import sklearn.model_selection  # noqa: F401

    from sentiment140_bert.data import clean

    datasets.disable_progress_bars()
    tokenize = models.load_tokenizer(tokenizer, None, clean.make_normalizer("repair"))

    def tokenize_batch(batch: dict[str, Any]) -> dict[str, Any]:
        return {"input_ids": tokenize(batch["text"], truncation=True, max_length=max_length)["input_ids"]}

    def turn() -> Work:
        frames = split_with_pandas(file)
        splits = datasets.DatasetDict(
            {name: datasets.Dataset.from_pandas(frame, preserve_index=False) for name, frame in frames.items()}
        )
        splits = splits.map(tokenize_batch, batched=True, remove_columns=["text"])
        with TemporaryDirectory(prefix="s140-benchmark-") as folder:
            splits.save_to_disk(folder)
        return count_work(splits)

    return turn


def split_with_pandas(file: str) -> dict[str, Any]:
    """Return frames of the columns ``label`` and ``text``, cleaned, without repeats and contradictions."""
    import pandas
    from sklearn.model_selection import train_test_split

    frame = pandas.read_csv(file, names=["label", "text"], keep_default_na=False)
    text = frame["text"].map(html.unescape)
    text = text.str.replace(r"(?:https?://|www\.)\S+", "http", regex=True, case=False)
    frame["text"] = text.str.replace(r"@\w+", "@user", regex=True).str.strip()
    frame["key"] = frame["text"].str.lower().str.replace(r"\s+", " ", regex=True)
    frame = frame[frame["key"] != ""].drop_duplicates(["key", "label"]).drop_duplicates("key", keep=False)
    frame = frame[["label", "text"]]
    rest, test = train_test_split(frame, test_size=0.05, stratify=frame["label"], random_state=42)
    train, validation = train_test_split(rest, test_size=len(test), stratify=rest["label"], random_state=42)
    return {"train": train, "validation": validation, "test": test}


def package(*, file: str, tokenizer: str, max_length: int = MAX_LENGTH) -> Callable[[], Work]:
    """Build a contender: ``s140 prepare`` with an empty cache, as :func:`pandas_map` takes its arguments.

    The note ``audit_seconds`` is what the search for nearly equal texts takes of it. The bundled sample is prepared
    before, so that what is imported is not measured.
    """
    import datasets

    datasets.disable_progress_bars()
    with empty_cache():
        loading.load_data(make_recipe("sample", tokenizer, max_length))

    def turn() -> Work:
        with empty_cache():
            started = time.perf_counter()
            prepared, tokens, _ = loading.load_data(make_recipe(file, tokenizer, max_length))
            seconds = time.perf_counter() - started
            work = count_work(tokens.splits())
            return Work(work.tweets, work.tokens, seconds, notes={"audit_seconds": time_audit(prepared.splits())})

    return turn


def tokenizer_alone(*, file: str, tokenizer: str, max_length: int = MAX_LENGTH) -> Callable[[], Work]:
    """Build a contender: ``encode_batch_fast`` of the texts that :func:`package` tokenizes, prepared before the turns.

    Takes its arguments as :func:`pandas_map` does.
    """
    from sentiment140_bert.models.tokenizer import copy_backend

    with empty_cache():
        prepared, _, fast_tokenizer = loading.load_data(make_recipe(file, tokenizer, max_length))
        texts = [text for split in prepared.splits().values() for text in split["text"]]
    backend = copy_backend(fast_tokenizer)
    backend.enable_truncation(max_length)

    def turn() -> Work:
        tokens = 0
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            tokens += sum(map(len, backend.encode_batch_fast(texts[start : start + TEXTS_AT_ONCE])))
        return Work(len(texts), tokens)

    return turn


def make_recipe(dataset: str, tokenizer: str, max_length: int) -> Recipe:
    """Make the recipe of what the package prepares."""
    values = {"dataset": dataset, "manual_test": "none", "model_name_or_path": tokenizer, "max_length": max_length}
    return Recipe().with_values(values)


def count_work(splits: Any) -> Work:
    """Count the tweets of all splits, and their tokens."""
    columns = [split.with_format("arrow")[:]["input_ids"] for split in splits.values()]
    return Work(sum(map(len, columns)), sum(pc.sum(pc.list_value_length(column)).as_py() for column in columns))


def time_audit(splits: Any) -> float:
    """Return the seconds that the search for nearly equal texts takes."""
    from sentiment140_bert.data import clean, leakage

    tables = {name: split.with_format("arrow")[:] for name, split in splits.items()}
    tables = {name: table.append_column("key", clean.make_keys(table["text"])) for name, table in tables.items()}
    train = tables.pop("train")
    started = time.perf_counter()
    leakage.audit_splits(tables, train)
    return time.perf_counter() - started


@contextmanager
def empty_cache() -> Iterator[None]:
    """Use a new cache in this block, and remove it afterwards."""
    before = os.environ.get("S140_CACHE")
    with TemporaryDirectory(prefix="s140-benchmark-") as folder:
        os.environ["S140_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("S140_CACHE")
            os.environ |= {"S140_CACHE": before} if before else {}


@click.command(cls=Script)
@dataset_option
@click.option("--tokenizer", default="google-bert/bert-base-uncased", show_default=True, help="A model's name.")
@click.option("--rows", type=click.IntRange(1), help="Drawn from all of the dataset.  [default: all]")
@rounds_option
@only_option("pandas_map", "package", "tokenizer_alone")
@output_options
def main(dataset: str, tokenizer: str, rows: int | None, rounds: int, only: tuple[str, ...], as_json: bool) -> None:
    """Prepare tweets: by pandas and Dataset.map, by `s140 prepare`; and what the tokenizer alone takes of it."""
    with stdout_kept_clean(), TemporaryDirectory(prefix="s140-benchmark-") as folder:
        file = Path(folder) / "tweets.csv"
        settings = {"dataset": dataset, "tokenizer": tokenizer, "rows": write_rows(dataset, rows, file)}
        source = {"file": str(file), "tokenizer": tokenizer}
        contenders = [
            Contender("pandas_map", "pandas and Dataset.map", pandas_map, source),
            Contender("package", "s140 prepare", package, source),
            Contender("tokenizer_alone", "the tokenizer alone", tokenizer_alone, source),
        ]
        report = measure("prepare", settings, contenders, rounds, only)
    print_report(report, as_json)


if __name__ == "__main__":
    main()
