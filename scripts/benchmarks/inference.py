"""Measure labeling: transformers' pipeline, this package, and the graphs that it exports.

    s140 export RUN && s140 export RUN --quantize int8
    python scripts/benchmarks/inference.py RUN --texts tweets.txt

Each contender loads the model and scores the same texts in each turn; slow ones get the first of them.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import click

from benchmark import Contender, Script, Work, measure, only_option, print_report, rounds_option, seed_option
from ceiling import FORWARD, count_parameters, model_ceiling
from sentiment140_bert import models, open_classifier
from sentiment140_bert.cli.options import output_options
from sentiment140_bert.cli.output import stdout_kept_clean
from sentiment140_bert.data.texts import read_texts
from sentiment140_bert.inference.classifier import CPU_TOKENS


def draw_texts(file: str, count: int, seed: int) -> list[str]:
    """Draw some of a file's texts in random order; with the same seed fewer of them are the first of more."""
    texts = read_texts(file)
    random.Random(seed).shuffle(texts)
    return texts[:count]


def pipeline(*, model: str, texts: str, count: int, seed: int, **options: Any) -> Callable[[], Work]:
    """Build a contender: ``pipeline(texts)``, one text after the other, or with ``batch_size`` padded batches.

    Args:
        model: A run directory, a model folder or a Hub id.
        texts: A file as ``s140 predict --input`` takes it.
        count: How many of its texts to score; at most all.
        seed: Seed of their order.
        options: Given to the pipeline.
    """
    import transformers

    from sentiment140_bert.inference.torch_backend import make_tokenization

    classifier, tokenizer = models.load_model_and_tokenizer(model, plain=True)
    classify = transformers.pipeline("text-classification", model=classifier, tokenizer=tokenizer)
    drawn = draw_texts(texts, count, seed)
    tokens = int(make_tokenization(classify.model, classify.tokenizer)(drawn).lengths.sum())
    return lambda: Work(len(classify(drawn, truncation=True, **options)), tokens)


def package(*, model: str, texts: str, count: int, seed: int, backend: str = "torch") -> Callable[[], Work]:
    """Build a contender: ``s140 predict``; for the backends ``onnx`` and ``onnx-int8`` the model must be exported."""
    classifier = open_classifier(model, backend=backend)
    drawn = draw_texts(texts, count, seed)
    tokens = int(classifier.tokenization(drawn).lengths.sum())

    def turn() -> Work:
        deque(classifier.predict(drawn), maxlen=0)
        return Work(len(drawn), tokens)

    return turn


@click.command(cls=Script)
@click.argument("model")
@click.option("--texts", required=True, help="File with tweets, as --input of `s140 predict` takes it.")
@click.option("--tweets", type=click.IntRange(1), default=4000, show_default=True, help="In one turn.")
@click.option("--slow-tweets", type=click.IntRange(1), help="In one turn of pipeline.  [default: a tenth]")
@rounds_option
@only_option("pipeline", "pipeline_32", "package", "bf16", "onnx", "onnx_int8")
@seed_option
@output_options
def main(
    model: str,
    texts: str,
    tweets: int,
    slow_tweets: int | None,
    rounds: int,
    only: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Label tweets with MODEL (a run or a folder): by transformers' pipeline, by `s140 predict`, by its exports.

    `s140 export MODEL` and `s140 export MODEL --quantize int8` make the exports.
    """
    settings = {"model": model, "texts": texts, "seed": seed}
    few = settings | {"count": slow_tweets or max(tweets // 10, 1)}
    many = settings | {"count": tweets}
    contenders = [
        Contender("pipeline", "pipeline(texts)", pipeline, few),
        Contender("pipeline_32", "pipeline(texts, batch_size=32)", pipeline, few | {"batch_size": 32}),
        Contender("package", "s140 predict", package, many),
        Contender("bf16", "s140 predict --backend torch-bf16", package, many | {"backend": "torch-bf16"}),
        Contender("onnx", "s140 predict --backend onnx", package, many | {"backend": "onnx"}),
        Contender("onnx_int8", "s140 predict --backend onnx-int8", package, many | {"backend": "onnx-int8"}),
    ]
    with stdout_kept_clean():
        config = models.load_config(model)
        contenders.append(model_ceiling(config, CPU_TOKENS))
        flops = FORWARD * count_parameters(config)
        report = measure("inference", settings, contenders, rounds, only, flops_per_token=flops)
    print_report(report, as_json)


if __name__ == "__main__":
    main()
