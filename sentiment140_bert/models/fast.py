"""What makes a classifier fast and changes none of its answers."""

from __future__ import annotations

from transformers import PreTrainedModel

from sentiment140_bert.models.first_token import first_token_only
from sentiment140_bert.models.onednn import use_onednn


def fast(model: PreTrainedModel) -> PreTrainedModel:
    """The same model, changed in place: nothing is computed that its logits do not depend on, by the faster library."""
    return use_onednn(first_token_only(model))
