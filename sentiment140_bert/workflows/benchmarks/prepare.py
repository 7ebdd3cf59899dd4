"""Ways to prepare tweets, side by side: pandas and ``Dataset.map`` as in tutorials, this package, the tokenizer alone.

All begin with the same CSV, use the same tokenizer with the same cleaning inside it, and cut at the same length. The
first two read, clean, fold equal texts, drop those with both labels, split, tokenize and save. This package does more
in its turn: it repairs misread UTF-8, draws by hashes, writes a report with the sha256 of every split, and looks for
nearly equal texts on both sides of a split.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sentiment140_bert.benchmark import Work
from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.settings import DataConfig
from sentiment140_bert.workflows import preparing

Turn = Callable[[], Work]
TEXTS_AT_ONCE = 10_000


def drawn(dataset: str, rows: int | None, file: Path) -> int:
    """Writes tweets as a CSV of two columns, label and text, without a header, in the dataset's order; no neutral ones.

    Args:
        dataset: As a recipe names it.
        rows: How many to draw, stratified by label; None for all.
        file: To write.

    Returns:
        How many rows were written.

    Raises:
        DataError: The dataset cannot be read, or has fewer rows.
    """
    import pyarrow.compute as pc

    from sentiment140_bert.data.prepare import whole
    from sentiment140_bert.data.schema import NEUTRAL

    table = whole(DataConfig(dataset=dataset, manual_test="none", max_samples=rows))["test"]
    table = table.filter(pc.not_equal(table["label"], NEUTRAL))
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, quoting=csv.QUOTE_ALL)
        for batch in table.select(["label", "text"]).to_batches(max_chunksize=TEXTS_AT_ONCE):
            writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return len(table)


def pandas_map(*, file: str, tokenizer: str, max_length: int = 128) -> Turn:
    """As tutorials do it: pandas, scikit-learn's ``train_test_split``, ``Dataset.map`` in batches.

    Args:
        file: From :func:`drawn`.
        tokenizer: A model's name, as a recipe has it.
        max_length: Tokens kept of each tweet.
    """
    import datasets
    import pandas  # noqa: F401  what is imported is not measured
    import sklearn.model_selection  # noqa: F401

    from sentiment140_bert import modeling
    from sentiment140_bert.data import clean

    datasets.disable_progress_bars()
    made = modeling.load_tokenizer(tokenizer, None, clean.normalizer("repair"))

    def tokens(batch: dict[str, Any]) -> dict[str, Any]:
        return {"input_ids": made(batch["text"], truncation=True, max_length=max_length)["input_ids"]}

    def turn() -> Work:
        parts = datasets.DatasetDict(
            {name: datasets.Dataset.from_pandas(part, preserve_index=False) for name, part in _parts(file).items()}
        )
        parts = parts.map(tokens, batched=True, remove_columns=["text"])
        with TemporaryDirectory(prefix="s140-benchmark-") as folder:
            parts.save_to_disk(folder)
        return _counted(parts)

    return turn


def _parts(file: str) -> dict[str, Any]:
    """Frames of the columns ``label`` and ``text``, cleaned, without repeats and contradictions."""
    import html

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


def package(*, file: str, tokenizer: str, max_length: int = 128) -> Turn:
    """``s140 prepare`` with an empty cache; ``audit_seconds`` says what the search for nearly equal texts takes of it.

    The bundled sample is prepared before, so that what is imported is not measured.

    Args:
        file: From :func:`drawn`.
        tokenizer: A model's name, as a recipe has it.
        max_length: Tokens kept of each tweet.
    """
    import datasets

    datasets.disable_progress_bars()
    recipe = _recipe(file, tokenizer, max_length)
    with _empty_cache():
        preparing.tokenized(_recipe("sample", tokenizer, max_length))

    def turn() -> Work:
        with _empty_cache():
            began = time.perf_counter()
            prepared, tokens, _ = preparing.tokenized(recipe)
            seconds = time.perf_counter() - began
            done = _counted(tokens.splits())
            return Work(done.tweets, done.tokens, seconds, notes={"audit_seconds": _audit_seconds(prepared)})

    return turn


def tokenizer_alone(*, file: str, tokenizer: str, max_length: int = 128) -> Turn:
    """``encode_batch_fast`` of the texts that :func:`package` tokenizes, which are made before the turns begin.

    Args:
        file: From :func:`drawn`.
        tokenizer: A model's name, as a recipe has it.
        max_length: Tokens kept of each tweet.
    """
    from sentiment140_bert.data.tokenization import bare

    recipe = _recipe(file, tokenizer, max_length)
    with _empty_cache():
        prepared, _, made = preparing.tokenized(recipe)
        texts = [text for split in prepared.splits().values() for text in split["text"]]
    backend = bare(made)
    backend.enable_truncation(max_length)

    def turn() -> Work:
        tokens = 0
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            tokens += sum(map(len, backend.encode_batch_fast(texts[start : start + TEXTS_AT_ONCE])))
        return Work(len(texts), tokens)

    return turn


def _recipe(file: str, tokenizer: str, max_length: int) -> Recipe:
    values = {"dataset": file, "manual_test": "none", "model_name_or_path": tokenizer, "max_length": max_length}
    return Recipe().with_values(values)


def _counted(splits: Any) -> Work:
    """Tweets of all splits, and their tokens."""
    import pyarrow.compute as pc

    columns = [split.with_format("arrow")[:]["input_ids"] for split in splits.values()]
    return Work(sum(map(len, columns)), sum(pc.sum(pc.list_value_length(each)).as_py() for each in columns))


def _audit_seconds(prepared: Prepared) -> float:
    from sentiment140_bert.data import clean, leakage

    tables = {name: split.with_format("arrow")[:] for name, split in prepared.splits().items()}
    tables = {name: table.append_column("key", clean.keys(table["text"])) for name, table in tables.items()}
    train = tables.pop("train")
    began = time.perf_counter()
    leakage.audits(tables, train)
    return time.perf_counter() - began


@contextmanager
def _empty_cache() -> Iterator[None]:
    """In this block nothing was prepared before, and nothing that is prepared stays."""
    before = os.environ.get("S140_CACHE")
    with TemporaryDirectory(prefix="s140-benchmark-") as folder:
        os.environ["S140_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("S140_CACHE")
            os.environ |= {"S140_CACHE": before} if before else {}
