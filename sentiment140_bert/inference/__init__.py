"""Texts to labels and scores. Only ``torch_backend`` loads torch, only ``onnx_backend`` onnxruntime."""

from sentiment140_bert.inference.backend import Backend
from sentiment140_bert.inference.batching import batches_by_budget
from sentiment140_bert.inference.classifier import NEUTRAL, WINDOW, Classifier, Prediction
from sentiment140_bert.inference.tokens import Tokenization, Tokens

__all__ = [
    "NEUTRAL",
    "WINDOW",
    "Backend",
    "Classifier",
    "Prediction",
    "Tokenization",
    "Tokens",
    "batches_by_budget",
]
