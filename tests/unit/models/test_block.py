"""Parts of a block around a recurrent layer against equations written step by step."""

import pytest
import torch
from family import BLOCKS, assert_gradients_are_finite_differences
from shapes import model_config
from torch import Tensor

from nmt.config import CellKind, RecurrentEncoderConfig
from nmt.data import make_batch
from nmt.models import Vocabulary, build_model
from nmt.models.layers.block import BlockLayer
from nmt.models.layers.cells import build_layer

INPUTS, WIDTH = 6, 8


def block(cell: CellKind, pre_norm: bool, convolution: int | None) -> BlockLayer:
    torch.manual_seed(1)
    config = RecurrentEncoderConfig(cell=cell, pre_norm=pre_norm, convolution=convolution)
    layer = build_layer(config, INPUTS, WIDTH).double()
    assert isinstance(layer, BlockLayer)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def by_hand(layer: BlockLayer, x: Tensor) -> Tensor:
    """Return P f(silu(sum_k K_k LN(x)_{t-k} + b)) with the inner layer called one step at a time."""
    state, outputs = layer.inner.zero_state(x), []
    y = x
    if layer.norm is not None:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        y = (x - mean) / (variance + 1e-5).sqrt() * layer.norm.weight + layer.norm.bias
    for t in range(len(x)):
        v = y[t]
        if layer.kernel is not None and layer.kernel_bias is not None:
            total, width = layer.kernel_bias.expand_as(v), len(layer.kernel)
            for k in range(min(width, t + 1)):
                total = total + layer.kernel[width - 1 - k] * y[t - k]
            v = total / (1 + torch.exp(-total))
        state = layer.inner.step(v, state)
        outputs.append(state[0] if layer.output is None else state[0] @ layer.output.weight.t())
    return torch.stack(outputs)


@pytest.mark.parametrize("cell", [CellKind.gru, CellKind.ssru, CellKind.slstm, CellKind.mlstm, CellKind.gated_delta])
@pytest.mark.parametrize(("pre_norm", "convolution"), [(True, None), (False, 2), (True, 4)])
def test_a_sequence_and_single_steps_are_the_equations(cell: CellKind, pre_norm: bool, convolution: int | None) -> None:
    layer = block(cell, pre_norm, convolution)
    x = torch.randn(7, 3, INPUTS, dtype=torch.float64)
    expected = by_hand(layer, x)
    outputs, last = layer(x)
    torch.testing.assert_close(outputs, expected)
    state = layer.zero_state(x)
    for t, row in enumerate(x):
        state = layer.step(row, state)
        torch.testing.assert_close(state[0], expected[t])
    torch.testing.assert_close(state, last)


def test_a_sequence_continues_from_a_state() -> None:
    layer = block(CellKind.mlstm, True, 4)
    x = torch.randn(9, 2, INPUTS, dtype=torch.float64)
    whole, last = layer(x)
    first, state = layer(x[:2])
    second, end = layer(x[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(end, last)


def test_feed_forward_blocks_of_the_decoder_add_to_the_layers_above_the_bottom_one() -> None:
    torch.manual_seed(2)
    config = model_config(embed_size=8, hidden_size=8, decoder_layers=3, decoder_feed_forward=5)
    model = build_model(config, Vocabulary(20, 20)).double().eval()
    assert len(model.decoder.blocks) == 2
    batch = make_batch([[5, 6, 3], [7, 3]], [[8, 9], [4]], [0, 1])
    before = model(batch.src, batch.src_mask, batch.tgt_in)
    with torch.no_grad():
        for part in model.decoder.blocks:
            part.outer.weight.zero_()
            part.outer.bias.zero_()
    without = model(batch.src, batch.src_mask, batch.tgt_in)
    assert not torch.allclose(before, without)
    plain = build_model(model_config(embed_size=8, hidden_size=8, decoder_layers=3), Vocabulary(20, 20)).double()
    plain.load_state_dict({name: part for name, part in model.state_dict().items() if ".blocks." not in name})
    torch.testing.assert_close(without, plain.eval()(batch.src, batch.src_mask, batch.tgt_in))


@pytest.mark.parametrize("settings", BLOCKS[-3:], ids=str)
def test_gradients_are_finite_differences(settings: dict[str, object]) -> None:
    torch.manual_seed(3)
    sizes = {"embed_size": 8, "hidden_size": 8, "decoder_layers": 2}
    model = build_model(model_config(**{**sizes, **settings}), Vocabulary(20, 20)).double().eval()
    assert_gradients_are_finite_differences(model, make_batch([[5, 6, 7, 3], [8, 3]], [[9, 4], [5]], [0, 1]))
