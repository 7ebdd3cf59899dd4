"""A transformers model as a classifier's backend, on the GPU where there is one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sentiment140_bert.errors import HardwareError, ModelError, first_line
from sentiment140_bert.inference.classifier import CPU_TOKENS, Classifier
from sentiment140_bert.inference.tokens import IDS, MASK, TYPES, Numbers, Tokenization
from sentiment140_bert.machine.facts import multiplies_bf16
from sentiment140_bert.models.architecture import INPUT_ERRORS, NO_LIMIT, count_positions, find_padding_id
from sentiment140_bert.models.tokenizer import copy_backend

log = logging.getLogger(__name__)
TOLERANCE = {"rtol": 1e-3, "atol": 1e-3}  # as which logits of a text differ by how a batch is computed
TOKENS_PER_BATCH = {"cpu": CPU_TOKENS, "cuda": 65_536}


class TorchBackend:
    """Logits from a model in memory.

    Args:
        model: A transformers sequence classifier; it is moved to the device.
        device: Default: the GPU, or else the CPU.
    """

    computes_bf16 = False  # products in bf16, the rest in fp32

    def __init__(self, model: Any, device: str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.labels = [model.config.id2label[at] for at in range(model.config.num_labels)]
        self.tokens_per_batch = TOKENS_PER_BATCH[self.device.type]

    def logits(self, inputs: Mapping[str, Numbers]) -> npt.NDArray[np.float32]:
        """Compute logits, see :class:`Backend`; rows that the model does not take together are computed one by one.

        Raises:
            ModelError: It does not take one of them.
        """
        count, mask = len(inputs[IDS]), inputs.get(MASK)
        try:
            return self.compute(inputs)
        except INPUT_ERRORS as error:
            if count == 1:
                raise _make_error(self.model, first_line(error)) from error
        rows = [slice(None) if mask is None else mask[at] == 1 for at in range(count)]
        singles = [{name: inputs[name][[at]][:, row] for name in inputs if name != MASK} for at, row in enumerate(rows)]
        return np.concatenate([self.logits(single) for single in singles])

    def compute(self, inputs: Mapping[str, Numbers]) -> npt.NDArray[np.float32]:
        """Return the logits of all rows together."""
        rows = {name: torch.from_numpy(values).to(self.device) for name, values in inputs.items()}
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.computes_bf16):
            result: npt.NDArray[np.float32] = self.model(**rows).logits.float().cpu().numpy()
        return result


class TorchClassifier(Classifier):
    """A classifier whose model and tokenizer can be reached.

    Args:
        model: A transformers sequence classifier.
        tokenizer: The model's own fast tokenizer; it is not changed.
        device: See :class:`TorchBackend`.
        bf16: Compute products in bf16: faster where the hardware has it, with scores that differ in the third digit.

    Raises:
        HardwareError: This machine has no bf16.
    """

    def __init__(self, model: Any, tokenizer: Any, device: str | None = None, bf16: bool = False) -> None:
        backend = TorchBackend(model, device)
        super().__init__(backend, make_tokenization(model, tokenizer), model.config.to_dict())
        self.model, self.tokenizer = model, tokenizer
        self._try(backend)
        if bf16:
            _check_bf16(backend.device)
            backend.computes_bf16 = True  # not before: batches are compared in fp32

    def _try(self, backend: TorchBackend) -> None:
        """Compute a short text alone, with its copy and with a longer one; avoid batches that change its logits.

        Raises:
            ModelError: It cannot be computed: the model's config may not fit its weights.
        """
        tokens = self.tokenization(["a b", "a b a b a b"])
        try:
            alone = backend.logits(tokens.pad(np.zeros(1, dtype=np.int64)))
        except RuntimeError as error:
            raise _make_error(self.model, first_line(error)) from error
        if alone.shape != (1, len(self.labels)):
            raise _make_error(self.model, f"for one text and {len(self.labels)} labels it gives {alone.shape} logits")

        def is_changed(*rows: int) -> bool:
            try:
                together = backend.compute(tokens.pad(np.array(rows)))
            except (*INPUT_ERRORS, RuntimeError):
                return True
            return not np.allclose(alone[0], together[0], **TOLERANCE, equal_nan=True)

        if is_changed(0, 0):  # GPT-2, say, where no token is known as padding
            backend.tokens_per_batch = 1
        self.pads = not is_changed(0, 1)
        if not self.pads:
            kind = "alone" if backend.tokens_per_batch == 1 else "with those of its length"
            log.info("model: %s takes no padding, so each text is computed %s", self.model.name_or_path, kind)


def _check_bf16(device: torch.device) -> None:
    on_gpu = device.type == "cuda"
    if not (torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else multiplies_bf16()):
        place = torch.cuda.get_device_name() if on_gpu else "processor (no AVX512_BF16 or AMX)"
        raise HardwareError(f"bf16 was requested, but this {place} does not support it.", "Use --backend torch.")


def _make_error(model: Any, why: str) -> ModelError:
    return ModelError(
        f"The model {model.name_or_path!r} cannot classify texts: {why}.",
        "Its files do not belong together: fetch the model again, or choose another.",
    )


def make_tokenization(model: Any, tokenizer: Any) -> Tokenization:
    """Make a tokenization that cuts and pads as a transformers tokenizer, which it does not change."""
    backend = copy_backend(tokenizer)
    return Tokenization(
        backend,
        min(tokenizer.model_max_length, count_positions(model) or NO_LIMIT),
        padding=find_padding_id(model, tokenizer),
        padding_type=tokenizer.pad_token_type_id,
        typed=TYPES in tokenizer.model_input_names and any(backend.encode("a").type_ids),
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
    )
