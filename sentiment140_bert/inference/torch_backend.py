"""A transformers model as a classifier's backend, on the GPU where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from sentiment140_bert.errors import ModelError, first_line
from sentiment140_bert.inference.backend import Numbers
from sentiment140_bert.inference.batching import CPU_TOKENS
from sentiment140_bert.inference.classifier import Classifier
from sentiment140_bert.inference.tokens import TYPES, Tokenization

TOKENS_PER_BATCH = {"cpu": CPU_TOKENS, "cuda": 65_536}
ENDLESS = 1 << 20  # tokens, where neither tokenizer nor model knows a limit


class TorchBackend:
    """Logits from a model in memory.

    Args:
        model: A transformers sequence classifier; it is moved to the device.
        device: Default: the GPU, or else the CPU.
    """

    def __init__(self, model: Any, device: str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.labels = [model.config.id2label[at] for at in range(model.config.num_labels)]
        self.tokens_per_batch = TOKENS_PER_BATCH[self.device.type]

    def logits(self, inputs: Mapping[str, Numbers]) -> npt.NDArray[np.float32]:
        """See :class:`Backend`."""
        rows = {name: torch.from_numpy(values).to(self.device) for name, values in inputs.items()}
        try:
            with torch.inference_mode():
                result: npt.NDArray[np.float32] = self.model(**rows).logits.float().cpu().numpy()
        except (IndexError, TypeError, ValueError, AttributeError) as error:
            raise _fails(self.model, first_line(error)) from error
        return result


class TorchClassifier(Classifier):
    """A classifier whose model and tokenizer can be reached.

    Args:
        model: A transformers sequence classifier.
        tokenizer: Its own, a fast one; it is not changed.
        device: See :class:`TorchBackend`.
    """

    def __init__(self, model: Any, tokenizer: Any, device: str | None = None) -> None:
        super().__init__(TorchBackend(model, device), tokenization_of(model, tokenizer), model.config.to_dict())
        self.model, self.tokenizer = model, tokenizer
        self._try()

    def _try(self) -> None:
        """Raise ModelError where the model cannot answer even a short text: its config may not fit its weights."""
        tokens = self.tokenization(["a b"])
        try:
            logits = self.backend.logits(tokens.padded(np.zeros(1, dtype=np.int64)))
        except RuntimeError as error:
            raise _fails(self.model, first_line(error)) from error
        if logits.shape != (1, len(self.labels)):
            raise _fails(self.model, f"for one text and {len(self.labels)} labels it gives {logits.shape} logits")


def _fails(model: Any, why: str) -> ModelError:
    return ModelError(
        f"The model {model.name_or_path!r} cannot answer: {why}.",
        "Its files do not belong together: fetch it again, or choose another model.",
    )


def tokenization_of(model: Any, tokenizer: Any) -> Tokenization:
    """Return how a transformers tokenizer cuts and pads, without the tokenizer itself."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    return Tokenization(
        backend,
        min(tokenizer.model_max_length, positions_of(model) or ENDLESS),
        padding=tokenizer.pad_token_id or 0,
        padding_type=tokenizer.pad_token_type_id,
        typed=TYPES in tokenizer.model_input_names and any(backend.encode("a").type_ids),
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
    )


def positions_of(model: Any) -> int | None:
    """Return the tokens that a model has positions for, None where it has no limit, as XLNet, which calls that -1.

    In RoBERTa's family some are taken by the padding's place.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    positions = positions if positions and positions > 0 else None
    embeddings = getattr(getattr(model, "base_model", None), "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return positions - padding - 1 if positions and padding is not None else positions
