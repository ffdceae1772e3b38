"""Formulas for the operations of a model, compared with PyTorch's counter of matrix products."""

import math
from typing import Any

import pytest
import torch
from family import MEMBERS
from shapes import RECURRENT_DECODERS, model_config
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nmt.config import AttentionKind
from nmt.data import make_batch
from nmt.lab.benchmark.flops import Work, forward_flops, training_flops
from nmt.models import Vocabulary, build_model

WORDS = 50
SRC = [[5, 6, 7], [8, 9, 10]]
TGT = [[11, 12, 13, 14], [15, 16, 17, 18]]

SHAPES: list[dict[str, Any]] = [
    *MEMBERS,
    *({"decoder": decoder, "decoder_layers": 2} for decoder in RECURRENT_DECODERS),
    {"attention": AttentionKind.general, "encoder_layers": 2, "decoder_layers": 3},
    {"attention": None, "bidirectional": False, "encoder_layers": 2, "reverse_source": True, "residual_from": None},
    {"kind": "transformer", "encoder_layers": 2, "decoder_layers": 3},
    {"kind": "convolutional", "encoder_layers": 2, "decoder_layers": 3, "kernel_width": 5},
]


def triangular_flops(matrix: tuple[int, ...], right: tuple[int, ...], *_: Any, **__: Any) -> int:
    """Return the operations of L X = B, which PyTorch does not count: a product and a sum for half of L per column."""
    return math.prod(matrix) * right[-1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_formula_counts_what_torch_counts(shape: dict[str, Any]) -> None:
    """Turn off the fused LSTM and the fused attention, which the counter does not count."""
    usual = {"embed_size": 12, "hidden_size": 16, "heads": 2, "max_positions": 7, "dropout": 0.0}
    config = model_config(**{**usual, **shape})
    torch.manual_seed(1)
    model = build_model(config, Vocabulary(WORDS, WORDS))
    batch = make_batch(SRC, TGT, range(2))
    work = Work()
    work.add(batch)
    assert (work.sentences, work.src_tokens, work.tgt_tokens, work.tokens_squared) == (2, 8, 10, 40)
    assert (work.src_squared, work.tgt_squared) == (32, 50)
    mapping = {torch.ops.aten.linalg_solve_triangular: triangular_flops}
    counter, plain = FlopCounterMode(display=False, custom_mapping=mapping), sdpa_kernel(SDPBackend.MATH)
    with torch.backends.mkldnn.flags(enabled=False), plain, counter:
        model(batch.src, batch.src_mask, batch.tgt_in)
    assert counter.get_total_flops() == forward_flops(config, WORDS, work)
    assert training_flops(config, WORDS, work) == 3 * forward_flops(config, WORDS, work)


def test_padding_is_not_counted() -> None:
    work = Work()
    work.add(make_batch([[5], [5, 6, 7, 8]], [[5, 6, 7], [5]], range(2)))
    assert (work.src_tokens, work.tgt_tokens, work.tokens_squared) == (7, 6, 2 * 4 + 5 * 2)
