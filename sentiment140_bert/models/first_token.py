"""A last layer that computes the first token's row alone: all that a classifier reads of it."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import (
    BertForSequenceClassification,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    RobertaForSequenceClassification,
    XLMRobertaForSequenceClassification,
)
from transformers.models.bert.modeling_bert import BertLayer
from transformers.models.distilbert.modeling_distilbert import TransformerBlock
from transformers.models.roberta.modeling_roberta import RobertaLayer
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaLayer


def first_token_only(model: PreTrainedModel) -> PreTrainedModel:
    """Lets the last layer of a classifier compute nothing that its logits do not depend on; returns the same model.

    The heads of BERT, RoBERTa and DistilBERT read token 0 of the last layer. So that layer needs keys and values of
    all tokens, but the query, the attention's output and the feed-forward part of token 0 only. Logits and gradients
    are the same; the names of the weights too, so it is saved as ever. The hidden states of the last layer then have
    the shape (tweets, 1, hidden), and its attention weights are not returned.

    Args:
        model: A sequence classifier; changed in place. Any other kind of model is left as it is.
    """
    encoder, plain, fast = _LAYERS.get(type(model), ("", None, None))
    if fast and model.config._attn_implementation in ("sdpa", "eager"):  # whose masks are known
        layers = getattr(model.base_model, encoder).layer
        if len(layers) and type(layers[-1]) is plain:
            layers[-1].__class__ = fast
    return model


def _attended(query: Any, key: Any, value: Any, mask: torch.Tensor | None, heads: int, dropout: float) -> torch.Tensor:
    """Attention of one query row; query (tweets, 1, hidden), key and value (tweets, tokens, hidden), as they come."""

    def by_head(rows: torch.Tensor) -> torch.Tensor:
        return rows.view(*rows.shape[:-1], heads, -1).transpose(1, 2)

    mask = None if mask is None else mask[..., :1, :]
    attended = scaled_dot_product_attention(by_head(query), by_head(key), by_head(value), mask, dropout)
    return attended.transpose(1, 2).reshape(query.shape)


class _Bert:
    """The forward pass of BERT's last layer, for token 0; a mixin, for RoBERTa's layers are built alike."""

    def forward(
        self: Any, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **__: Any
    ) -> torch.Tensor:
        part, first = self.attention.self, hidden_states[:, :1]
        attended = _attended(
            part.query(first),
            part.key(hidden_states),
            part.value(hidden_states),
            attention_mask,
            part.num_attention_heads,
            part.dropout.p if self.training else 0.0,
        )
        output: torch.Tensor = self.feed_forward_chunk(self.attention.output(attended, first))
        return output


class FirstTokenBertLayer(_Bert, BertLayer):  # type: ignore[misc]
    """BERT's layer for token 0; shape (tweets, tokens, hidden) to (tweets, 1, hidden)."""


class FirstTokenRobertaLayer(_Bert, RobertaLayer):  # type: ignore[misc]
    """RoBERTa's."""


class FirstTokenXLMRobertaLayer(_Bert, XLMRobertaLayer):  # type: ignore[misc]
    """XLM-RoBERTa's."""


class FirstTokenDistilBertLayer(TransformerBlock):  # type: ignore[misc]
    """DistilBERT's."""

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any
    ) -> torch.Tensor:
        part, first = self.attention, hidden_states[:, :1]
        attended = _attended(
            part.q_lin(first),
            part.k_lin(hidden_states),
            part.v_lin(hidden_states),
            attention_mask,
            part.n_heads,
            part.dropout.p if self.training else 0.0,
        )
        first = self.sa_layer_norm(part.out_lin(attended) + first)
        output: torch.Tensor = self.output_layer_norm(self.ffn(first) + first)
        return output


_LAYERS: dict[type, tuple[str, Any, Any]] = {
    BertForSequenceClassification: ("encoder", BertLayer, FirstTokenBertLayer),
    RobertaForSequenceClassification: ("encoder", RobertaLayer, FirstTokenRobertaLayer),
    XLMRobertaForSequenceClassification: ("encoder", XLMRobertaLayer, FirstTokenXLMRobertaLayer),
    DistilBertForSequenceClassification: ("transformer", TransformerBlock, FirstTokenDistilBertLayer),
}
