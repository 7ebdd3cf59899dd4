"""What a model takes: how many tokens, and what fills up its rows; and how it fails where it is given others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ENDLESS = 1 << 20  # tokens, where neither tokenizer nor model knows a limit
FAILURES = (IndexError, TypeError, ValueError, AttributeError)  # of a model that does not take its inputs


def positions_of(model: PreTrainedModel) -> int | None:
    """Return the tokens that a model has positions for, None where it has no limit, as XLNet, which calls that -1.

    In RoBERTa's family some are taken by the padding's place.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    positions = positions if positions and positions > 0 else None
    embeddings = getattr(getattr(model, "base_model", None), "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return positions - padding - 1 if positions and padding is not None else positions


def padding_number(model: Any, tokenizer: Any) -> int:
    """Return what a model's rows are filled up with: as it knows the padding itself, else as its tokenizer does.

    GPT-2 and its kin look for that number to find where a text ends.
    """
    own = getattr(model.config, "pad_token_id", None)
    return own if own is not None and own >= 0 else tokenizer.pad_token_id or 0
