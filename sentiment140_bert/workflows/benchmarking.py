"""What this machine can do, and who comes close to it: contenders in turns, medians, the share of the ceiling."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sentiment140_bert.benchmark import Contender, alternate, report_of
from sentiment140_bert.benchmark.ceiling import FORWARD, TRAINING, products
from sentiment140_bert.benchmark.report import CEILING
from sentiment140_bert.errors import BenchmarkError
from sentiment140_bert.inference.batching import CPU_TOKENS
from sentiment140_bert.machine.usage import resident_peak
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.workflows import preparing

log = logging.getLogger(__name__)
SEED_BATCH, SEED_WIDTH = 16, 512  # of the original notebook
SCRIPT_BATCH, SCRIPT_WIDTH = 8, 128  # defaults of transformers' run_classification.py


def benchmark_training(
    model: str,
    tokenizer: str,
    dataset: str,
    *,
    tweets: int | None = None,
    batch_size: int | None = None,
    slow_steps: int | None = None,
    rounds: int = 3,
    only: Sequence[str] = (),
    seed: int = 42,
) -> dict[str, Any]:
    """Trains a model of that shape in five ways, in turns.

    Args:
        model: Whose shape is trained, with random weights.
        tokenizer: Whose tokens the tweets become.
        dataset: As a recipe names it; the tweets are drawn from its training split.
        tweets: Of one turn of ``trainer`` and ``package``; 320 on a CPU, 40,960 on a GPU.
        batch_size: Of these two; 32 on a CPU, 512 on a GPU.
        slow_steps: Of one turn of ``notebook`` and ``script``; 1 on a CPU, 20 on a GPU. ``tutorial`` makes four times
            as many.
        rounds: Turns of each.
        only: Contenders to be measured; all when empty.
        seed: Of the tweets drawn.

    Returns:
        What ``s140 benchmark training --json`` prints; docs/performance.md explains it.

    Raises:
        BenchmarkError: No contender did its work; or the tweets are too few.
        S140Error: The model's shape or the tweets cannot be had.
    """
    import torch

    from sentiment140_bert import modeling
    from sentiment140_bert.workflows.benchmarks.training import package, plain_trainer

    on_gpu = torch.cuda.is_available()
    tweets = tweets or (40_960 if on_gpu else 320)
    batch_size = batch_size or (512 if on_gpu else 32)
    slow_steps = slow_steps or (20 if on_gpu else 1)
    if tweets < 2 * batch_size:
        raise BenchmarkError(
            f"{tweets} tweets are less than two batches of {batch_size}: the first step is not counted.",
            "Raise --tweets or lower --batch-size.",
        )
    config = modeling.shape_of(model)
    tokens = _tokens(tokenizer, dataset, max(tweets, (4 * slow_steps + 1) * SEED_BATCH), seed)
    some = {name: tokens[: (slow_steps + 1) * size] for name, size in (("a", SEED_BATCH), ("b", SCRIPT_BATCH))}
    whole = {"model": model, "tokens": tokens[:tweets], "batch": batch_size}
    contenders = [
        Contender(
            "notebook",
            f"the notebook: padded to {SEED_WIDTH}, batch {SEED_BATCH}",
            plain_trainer,
            {"model": model, "tokens": some["a"], "batch": SEED_BATCH, "width": SEED_WIDTH},
        ),
        Contender(
            "script",
            f"run_classification.py: padded to {SCRIPT_WIDTH}, batch {SCRIPT_BATCH}",
            plain_trainer,
            {"model": model, "tokens": some["b"], "batch": SCRIPT_BATCH, "width": SCRIPT_WIDTH},
        ),
        Contender(
            "tutorial",
            f"Trainer: padded to the longest, batch {SEED_BATCH}",
            plain_trainer,
            whole | {"tokens": tokens[: (4 * slow_steps + 1) * SEED_BATCH], "batch": SEED_BATCH},
        ),
        Contender("trainer", f"Trainer: padded to the longest, batch {batch_size}", plain_trainer, whole),
        Contender("package", f"s140 train, batch {batch_size}", package, whole),
    ]
    chosen = [each for each in contenders if not only or each.name in only]
    rows = batch_size * round(float(np.mean([len(ids) for ids in tokens])))
    given = {"model": model, "tokenizer": tokenizer, "dataset": dataset, "seed": seed}
    return _measured("training", given, [*chosen, _ceiling(config, rows)], rounds, TRAINING * _parameters(config))


def benchmark_inference(
    model: str,
    texts: str,
    *,
    tweets: int = 4_000,
    slow_tweets: int | None = None,
    rounds: int = 3,
    only: Sequence[str] = (),
    seed: int = 42,
) -> dict[str, Any]:
    """Labels the same tweets by transformers' pipeline, by this package, and by what it exported.

    Args:
        model: A run or model folder; exported, or else the two contenders that need it tell so.
        texts: A file as ``s140 predict --input`` takes it.
        tweets: Of one turn.
        slow_tweets: Of one turn of ``pipeline``; a tenth by default.
        rounds: Turns of each.
        only: Contenders to be measured; all when empty.
        seed: Of the tweets drawn, in random order.

    Returns:
        What ``s140 benchmark inference --json`` prints.

    Raises:
        BenchmarkError: No contender did its work.
        S140Error: The model's shape cannot be had.
    """
    from sentiment140_bert import modeling
    from sentiment140_bert.workflows.benchmarks import inference as ways

    config = modeling.shape_of(model)
    few = slow_tweets or max(tweets // 10, 1)
    given = {"model": model, "texts": texts, "seed": seed}
    contenders = [
        Contender("pipeline", "pipeline(texts)", ways.pipeline_singly, given | {"count": few}),
        Contender("pipeline_32", "pipeline(texts, batch_size=32)", ways.pipeline_batched, given | {"count": few}),
        Contender("package", "s140 predict", ways.package_torch, given | {"count": tweets}),
        Contender("onnx", "s140 predict --backend onnx", ways.package_onnx, given | {"count": tweets}),
        Contender("onnx_int8", "s140 predict --backend onnx-int8", ways.package_onnx_int8, given | {"count": tweets}),
    ]
    chosen = [each for each in contenders if not only or each.name in only]
    return _measured("inference", given, [*chosen, _ceiling(config, CPU_TOKENS)], rounds, FORWARD * _parameters(config))


def benchmark_prepare(
    dataset: str, tokenizer: str, *, rows: int | None = None, rounds: int = 3, only: Sequence[str] = ()
) -> dict[str, Any]:
    """Prepares the same rows as tutorials do and as this package does, beside what the tokenizer alone takes.

    Args:
        dataset: As a recipe names it.
        tokenizer: A model's name, as a recipe has it.
        rows: Drawn from all of the dataset; None for all.
        rounds: Turns of each.
        only: Contenders to be measured; all when empty.

    Returns:
        What ``s140 benchmark prepare --json`` prints; ``audit_seconds`` of the package are part of its seconds.

    Raises:
        BenchmarkError: No contender did its work.
        S140Error: The dataset cannot be had.
    """
    from sentiment140_bert.workflows.benchmarks import prepare as ways

    with TemporaryDirectory(prefix="s140-benchmark-") as folder:
        file = Path(folder) / "tweets.csv"
        written = ways.drawn(dataset, rows, file)
        given = {"file": str(file), "tokenizer": tokenizer}
        contenders = [
            Contender("pandas_map", "pandas and Dataset.map", ways.pandas_map, given),
            Contender("package", "s140 prepare", ways.package, given),
            Contender("tokenizer_alone", "the tokenizer alone", ways.tokenizer_alone, given),
        ]
        chosen = [each for each in contenders if not only or each.name in only]
        told = {"dataset": dataset, "tokenizer": tokenizer, "rows": written}
        return _measured("prepare", told, chosen, rounds, None)


def _measured(
    kind: str, given: dict[str, Any], contenders: Sequence[Contender], rounds: int, flops_per_token: float | None
) -> dict[str, Any]:
    from sentiment140_bert import environment
    from sentiment140_bert.workflows.runs import without_folders

    turns, failed = alternate(contenders, rounds, lambda said: log.info("%s", said), resident_peak)
    if not any(turns[each.name] for each in contenders if each.name != CEILING):
        raise _nothing_measured(contenders, failed)
    return {
        "kind": kind,
        **{name: without_folders(value) if isinstance(value, str) else value for name, value in given.items()},
        "rounds": rounds,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": environment.describe(),
        **report_of(contenders, turns, failed, flops_per_token),
    }


def _nothing_measured(contenders: Sequence[Contender], failed: Mapping[str, str]) -> BenchmarkError:
    told = {each.title: failed[each.name] for each in contenders if each.name != CEILING}
    reasons = list(dict.fromkeys(told.values()))
    if len(reasons) == 1:
        return BenchmarkError(f"Nothing could be measured: {reasons[0]}")
    lines = "".join(f"\n  {title}: {reason}" for title, reason in told.items())
    return BenchmarkError(f"Nothing could be measured, for no contender did its work:{lines}")


def _ceiling(config: Any, rows: int) -> Contender:
    """The products that a model of this shape consists of, for so many rows at once, and larger ones."""
    wide, inner = getattr(config, "hidden_size", 768), getattr(config, "intermediate_size", 3072)
    shapes = ((rows, wide, inner), (rows, inner, wide))
    return Contender(CEILING, "the best matrix product", products, {"shapes": shapes})


def _parameters(config: Any) -> int:
    """Of a classifier of this shape, without its embeddings."""
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    return int(model.num_parameters(exclude_embeddings=True))


def _tokens(tokenizer: str, dataset: str, count: int, seed: int) -> list[list[int]]:
    """Tokens of ``count`` tweets of the training split, drawn at random; more than once where there are too few."""
    recipe = Recipe().with_values({"model_name_or_path": tokenizer, "dataset": dataset})
    train = preparing.tokenized(recipe)[1].splits()["train"]
    random = np.random.default_rng(seed)
    drawn = random.choice(len(train), count, replace=count > len(train))
    if count > len(train):
        log.info("data: %s has %s tweets to train on; they are drawn more than once", dataset, f"{len(train):,}")
    ids: list[list[int]] = train.select(drawn)["input_ids"][:]
    return ids
