"""Ways to label texts, side by side: transformers' pipeline, this package, and what it exports.

Each function loads a model and returns what scores the texts once. All take the same arguments; with the same seed a
smaller ``count`` gives a part of the same texts, so that slow ways can be given fewer.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from sentiment140_bert.benchmark import Work
from sentiment140_bert.errors import DataError
from sentiment140_bert.workflows.answering import open_classifier

Turn = Callable[[], Work]


def pipeline_singly(*, model: str, texts: str, count: int, seed: int = 0) -> Turn:
    """``pipeline(texts)``: one text after the other.

    Args:
        model: A run directory, a model folder or a Hub id.
        texts: A file as ``s140 predict --input`` takes it.
        count: How many of its texts to score; at most all.
        seed: By which they are drawn.
    """
    return _pipeline(model, drawn(texts, count, seed))


def pipeline_batched(*, model: str, texts: str, count: int, seed: int = 0) -> Turn:
    """``pipeline(texts, batch_size=32)``: each batch padded to its longest text."""
    return _pipeline(model, drawn(texts, count, seed), batch_size=32)


def package_torch(*, model: str, texts: str, count: int, seed: int = 0) -> Turn:
    """``s140 predict``."""
    return _package(model, drawn(texts, count, seed), "torch")


def package_onnx(*, model: str, texts: str, count: int, seed: int = 0) -> Turn:
    """``s140 predict --backend onnx``; ``model`` must have been exported."""
    return _package(model, drawn(texts, count, seed), "onnx")


def package_onnx_int8(*, model: str, texts: str, count: int, seed: int = 0) -> Turn:
    """``s140 predict --backend onnx-int8``; ``model`` must have been exported with ``--quantize int8``."""
    return _package(model, drawn(texts, count, seed), "onnx-int8")


def drawn(file: str, count: int, seed: int) -> list[str]:
    """Some of a file's texts in random order.

    Raises:
        DataError: The file cannot be read, or holds no texts.
    """
    from sentiment140_bert.data.texts import read_texts

    texts = read_texts(file)
    if not texts:
        raise DataError(f"{file} holds no texts to be labelled.", "Name a file with tweets.")
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    return [texts[at] for at in order[:count]]


def _pipeline(model: str, texts: Sequence[str], **options: Any) -> Turn:
    from transformers import pipeline

    from sentiment140_bert import modeling
    from sentiment140_bert.inference.torch_backend import tokenization_of

    plain, tokenizer = modeling.load_classifier(model, plain=True)
    classify = pipeline("text-classification", model=plain, tokenizer=tokenizer)
    tokens = int(tokenization_of(classify.model, classify.tokenizer)(texts).lengths.sum())

    def score() -> Work:
        return Work(len(classify(list(texts), truncation=True, **options)), tokens)

    return score


def _package(model: str, texts: Sequence[str], backend: str) -> Turn:
    classifier = open_classifier(model, backend=backend)
    tokens = int(classifier.tokenization(texts).lengths.sum())

    def score() -> Work:
        deque(classifier.predict(texts), maxlen=0)
        return Work(len(texts), tokens)

    return score
