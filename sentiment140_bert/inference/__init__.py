"""Texts to labels and scores. Only ``torch_backend`` loads torch, only ``onnx_backend`` onnxruntime."""

from sentiment140_bert.inference.classifier import NEUTRAL, WINDOW, Backend, Classifier, Prediction, split_into_batches
from sentiment140_bert.inference.tokens import Tokenization, Tokens

__all__ = [
    "NEUTRAL",
    "WINDOW",
    "Backend",
    "Classifier",
    "Prediction",
    "Tokenization",
    "Tokens",
    "split_into_batches",
]
