"""Settings of `ModelConfig` for every member of the recurrent family, for tests that all members must pass.

A new cell, attention or decoder is included through its enum.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nmt.config import AttentionKind, BridgeKind, CellKind, DecoderKind
from nmt.config.model import ELEMENTWISE_CELLS
from nmt.data import Batch
from nmt.models import Seq2Seq

GNMT = {"encoder_layers": 3, "bidirectional_layers": 1, "residual_from": 3, "decoder_layers": 3}
MEMBERS: list[dict[str, Any]] = [
    *({"attention": attention} for attention in (None, *AttentionKind)),
    *({"cell": cell} for cell in CellKind),
    *({"decoder": decoder} for decoder in DecoderKind),
    *({"decoder": decoder, "cell": CellKind.gru} for decoder in DecoderKind),
    {"input_feeding": True},
    {"input_feeding": True, "decoder": DecoderKind.luong, "fixed_masks": False},
    {"attention": None, "cell": CellKind.gru, "reverse_source": True, "bidirectional": False},
    {"reverse_source": True},
    GNMT,
    GNMT | {"direction_size": 8, "cell": CellKind.layer_norm_lstm},
    {"residual_from": None, "encoder_layers": 2, "direction_size": 8},
    {"encoder_transitions": 2, "cell": CellKind.gru, "decoder": DecoderKind.conditional},
    {"encoder_feed_forward": 8},
    *({"lexicon": True, "decoder": decoder} for decoder in DecoderKind),
    {"lexicon": True, "input_feeding": True, "reverse_source": True, "attention": AttentionKind.multi_head_additive},
    {"lexicon": True, "attention": AttentionKind.local_p, "encoder_feed_forward": 8},
    {"zoneout_h": 0.1, "zoneout_c": 0.2},
    {"zoneout_h": 0.1, "cell": CellKind.gru, "decoder": DecoderKind.bahdanau},
    {"weight_drop": 0.3},
    {"weight_drop": 0.3, "cell": CellKind.layer_norm_lstm, "decoder": DecoderKind.luong, "input_feeding": True},
    {"weight_drop": 0.3, "zoneout_h": 0.1, "cell": CellKind.reference_lstm, "decoder": DecoderKind.conditional},
    *({"bridge": BridgeKind.zero, "decoder": decoder} for decoder in DecoderKind),
    *({"recurrent_dropout": 0.3, "decoder": decoder} for decoder in DecoderKind),
    *(
        {"recurrent_dropout": 0.3, "cell": cell, "decoder": DecoderKind.luong, "input_feeding": True}
        for cell in CellKind
        if cell not in ELEMENTWISE_CELLS
    ),
    {"recurrent_dropout": 0.3, "weight_drop": 0.3, "zoneout_h": 0.1, "encoder_transitions": 2},
]


def loss(model: Seq2Seq, batch: Batch) -> Tensor:
    """Return the mean cross-entropy, computed by PyTorch's function."""
    logits: Tensor = model(batch.src, batch.src_mask, batch.tgt_in)
    return cross_entropy(logits[batch.tgt_mask], batch.tgt_out[batch.tgt_mask])


def assert_gradients_are_finite_differences(model: Seq2Seq, batch: Batch) -> None:
    """Compare each parameter's gradient with a finite difference along a random direction, for a float64 model."""
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
