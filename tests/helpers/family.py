"""Every member of the recurrent family, as settings of `ModelConfig`: what all of them must do is tested with it.

A new cell, attention or decoder is in it by its enum.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nmt.config import AttentionKind, BridgeKind, Cell, DecoderKind
from nmt.data import Batch
from nmt.models import Seq2Seq

GNMT = {"encoder_layers": 3, "bidirectional_layers": 1, "residual_from": 3, "decoder_layers": 3}
MEMBERS: list[dict[str, Any]] = [
    *({"attention": attention} for attention in (None, *AttentionKind)),
    *({"cell": cell} for cell in Cell),
    *({"decoder": decoder} for decoder in DecoderKind),
    *({"decoder": decoder, "cell": Cell.gru} for decoder in DecoderKind),
    {"input_feeding": True},
    {"input_feeding": True, "decoder": DecoderKind.luong, "fixed_masks": False},
    {"attention": None, "cell": Cell.gru, "reverse_source": True, "bidirectional": False},
    {"reverse_source": True},
    GNMT,
    GNMT | {"direction_size": 8, "cell": Cell.layer_norm_lstm},
    {"residual_from": None, "encoder_layers": 2, "direction_size": 8},
    {"encoder_transitions": 2, "cell": Cell.gru, "decoder": DecoderKind.conditional},
    {"encoder_feed_forward": 8},
    *({"lexicon": True, "decoder": decoder} for decoder in DecoderKind),
    {"lexicon": True, "input_feeding": True, "reverse_source": True, "attention": AttentionKind.multi_head_additive},
    {"lexicon": True, "attention": AttentionKind.local_p, "encoder_feed_forward": 8},
    {"zoneout_h": 0.1, "zoneout_c": 0.2},
    {"zoneout_h": 0.1, "cell": Cell.gru, "decoder": DecoderKind.bahdanau},
    {"weight_drop": 0.3},
    {"weight_drop": 0.3, "cell": Cell.layer_norm_lstm, "decoder": DecoderKind.luong, "input_feeding": True},
    {"weight_drop": 0.3, "zoneout_h": 0.1, "cell": Cell.reference_lstm, "decoder": DecoderKind.conditional},
    *({"bridge": BridgeKind.zero, "decoder": decoder} for decoder in DecoderKind),
    *({"recurrent_dropout": 0.3, "decoder": decoder} for decoder in DecoderKind),
    *({"recurrent_dropout": 0.3, "cell": cell, "decoder": DecoderKind.luong, "input_feeding": True} for cell in Cell),
    {"recurrent_dropout": 0.3, "weight_drop": 0.3, "zoneout_h": 0.1, "encoder_transitions": 2},
]


def loss(model: Seq2Seq, batch: Batch) -> Tensor:
    """The mean cross-entropy, by torch's own."""
    logits: Tensor = model(batch.src, batch.src_mask, batch.tgt_in)
    return cross_entropy(logits[batch.tgt_mask], batch.tgt_out[batch.tgt_mask])


def assert_gradients_are_finite_differences(model: Seq2Seq, batch: Batch) -> None:
    """Along a random direction of each parameter; the model is in float64."""
    loss(model, batch).backward()
    epsilon = 1e-6
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        direction = torch.randn_like(parameter)
        with torch.no_grad():
            parameter.add_(epsilon * direction)
            above = loss(model, batch)
            parameter.sub_(2 * epsilon * direction)
            below = loss(model, batch)
            parameter.add_(epsilon * direction)
        slope = (parameter.grad * direction).sum().item()
        assert slope != 0, name
        assert ((above - below) / (2 * epsilon)).item() == pytest.approx(slope, rel=1e-4, abs=1e-9), name
