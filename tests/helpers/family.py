"""Settings of `ModelConfig` for every member of the recurrent family, for tests that all members must pass.

A new cell, attention or decoder is included through its enum.
"""

import itertools
from typing import Any

import pytest
import torch
from shapes import RECURRENT_DECODERS
from torch import Tensor
from torch.nn.functional import cross_entropy

from nmt.config import AttentionKind, BridgeKind, CellKind
from nmt.config.side import CELLS_WITHOUT_MATRIX, MATRIX_MEMORY_CELLS
from nmt.data import Batch
from nmt.models import Seq2Seq

PARALLEL = ("transformer", "convolutional")
"""Kinds without recurrence."""
DIFFERENT_STATES = (CellKind.lstm, CellKind.gru, CellKind.ssru, CellKind.mlstm)
"""Cells with h and c, with h alone, with an h that no step reads, and with matrices."""
MORE_TENSORS = (CellKind.rg_lru, CellKind.slstm)
"""Cells whose state has more tensors than h and c."""
GNMT = {"encoder_layers": 3, "bidirectional_layers": 1, "residual_from": 3, "decoder_layers": 3}
BLOCKS: list[dict[str, Any]] = [
    *({"pre_norm": True, "cell": cell} for cell in (*DIFFERENT_STATES, *MORE_TENSORS, CellKind.gated_delta)),
    *(
        {
            "pre_norm": True,
            "convolution": 3,
            "decoder": decoder,
            "feed_forward": 8,
            "encoder_layers": 2,
            "decoder_layers": 2,
        }
        for decoder in ("gnmt", "luong", "bahdanau")
    ),
    *({"convolution": 4, "cell": cell} for cell in (CellKind.gru, CellKind.slstm, CellKind.gated_delta)),
    {"pre_norm": True, "decoder": "conditional", "feed_forward": 8, "decoder_layers": 2},
    {"pre_norm": True, "convolution": 4, "cell": CellKind.mlstm, "input_feeding": True, "decoder": "luong"},
    {"pre_norm": True, "convolution": 2, "attention": None, "decoder_layers": 2, "decoder_feed_forward": 8},
    *(
        {"pre_norm": True, "convolution": 3, "residual_from": 1, "decoder": name, "decoder_layers": 2}
        for name in ("gnmt", "luong")
    ),
    {"pre_norm": True, "cell": CellKind.gated_delta, "residual_from": 1, "input_feeding": True, "embed_size": 6},
    {"pre_norm": True, "residual_from": 1, "attention": None},
    {"decoder_residual_from": 1, "embed_size": 6},
    {"pre_norm": True, "encoder_transitions": 2, "weight_drop": 0.3, "zoneout_h": 0.1},
    {"pre_norm": True, "convolution": 3, "recurrent_dropout": 0.3, "input_feeding": True, "direction_size": 8},
]
"""Layers with parts of a block around their cell."""
MEMBERS: list[dict[str, Any]] = [
    *({"attention": attention} for attention in (None, *AttentionKind)),
    *({"cell": cell} for cell in CellKind),
    *({"decoder": decoder} for decoder in RECURRENT_DECODERS),
    *(
        {"decoder": decoder, "cell": cell}
        for decoder, cell in itertools.product(RECURRENT_DECODERS, (CellKind.gru, *MATRIX_MEMORY_CELLS[:2]))
    ),
    {"input_feeding": True},
    {"input_feeding": True, "decoder": "luong", "fixed_masks": False},
    {"attention": None, "cell": CellKind.gru, "reverse_source": True, "bidirectional": False},
    {"reverse_source": True},
    GNMT,
    GNMT | {"direction_size": 8, "cell": CellKind.layer_norm_lstm},
    {"residual_from": None, "encoder_layers": 2, "direction_size": 8},
    {"encoder_transitions": 2, "cell": CellKind.gru, "decoder": "conditional"},
    {"cell": CellKind.gated_delta, "attention": AttentionKind.coverage, "bridge": BridgeKind.zero},
    {"cell": CellKind.mlstm, "input_feeding": True, "decoder": "luong"},
    {"encoder_feed_forward": 8},
    *BLOCKS,
    *({"lexicon": True, "decoder": decoder} for decoder in RECURRENT_DECODERS),
    {"lexicon": True, "input_feeding": True, "reverse_source": True, "attention": AttentionKind.multi_head_additive},
    {"lexicon": True, "attention": AttentionKind.local_p, "encoder_feed_forward": 8},
    {"zoneout_h": 0.1, "zoneout_c": 0.2},
    {"zoneout_h": 0.1, "cell": CellKind.gru, "decoder": "bahdanau"},
    {"weight_drop": 0.3},
    {"weight_drop": 0.3, "cell": CellKind.layer_norm_lstm, "decoder": "luong", "input_feeding": True},
    {"weight_drop": 0.3, "zoneout_h": 0.1, "cell": CellKind.reference_lstm, "decoder": "conditional"},
    *({"bridge": BridgeKind.zero, "decoder": decoder} for decoder in RECURRENT_DECODERS),
    *({"recurrent_dropout": 0.3, "decoder": decoder} for decoder in RECURRENT_DECODERS),
    *(
        {"recurrent_dropout": 0.3, "cell": cell, "decoder": "luong", "input_feeding": True}
        for cell in CellKind
        if cell not in CELLS_WITHOUT_MATRIX
    ),
    {"recurrent_dropout": 0.3, "weight_drop": 0.3, "zoneout_h": 0.1, "encoder_transitions": 2},
    *({"encoder_cell": below, "decoder_cell": above} for below, above in itertools.permutations(DIFFERENT_STATES, 2)),
    *({"cell": cell, "decoder": decoder} for cell in MORE_TENSORS for decoder in ("luong", "bahdanau", "conditional")),
    *({"encoder_cell": below, "decoder_cell": above} for below, above in itertools.permutations(MORE_TENSORS, 2)),
    *({"encoder_cell": CellKind.gru, "decoder_cell": cell} for cell in MORE_TENSORS),
    *({"encoder_cell": cell, "decoder_cell": CellKind.lstm} for cell in MORE_TENSORS),
    *({"bridge": BridgeKind.zero, "cell": cell, "input_feeding": True} for cell in MORE_TENSORS),
    *({"zoneout_h": 0.1, "encoder_transitions": 2, "cell": cell} for cell in (CellKind.slstm, CellKind.sru)),
    *({"encoder": encoder, "decoder": decoder} for encoder in PARALLEL for decoder in RECURRENT_DECODERS),
    *({"decoder": decoder} for decoder in PARALLEL),
    *({"encoder": encoder, "cell": cell} for encoder, cell in itertools.product(PARALLEL, DIFFERENT_STATES)),
    *({"encoder": encoder, "bridge": BridgeKind.zero} for encoder in PARALLEL),
    *({"encoder": encoder, "lexicon": True, "input_feeding": True} for encoder in PARALLEL),
    {"encoder": "transformer", "decoder": "convolutional"},
    {"encoder": "convolutional", "decoder": "transformer"},
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
