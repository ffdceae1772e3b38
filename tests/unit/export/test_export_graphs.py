"""The graphs compute what the model computes, at shapes other than that of the traced example."""

from pathlib import Path

import pytest
import torch
from toy_translator import WORDS, member

from nmt.errors import UserError
from nmt.export.graphs import export_graphs
from nmt.export.sessions import ExportedModel, read_graph
from nmt.export.settings import ExportSettings
from nmt.export.write import largest_difference
from nmt.models import Seq2Seq

SHAPES = {
    "gnmt": {"attention": "general", "decoder_layers": 2},
    "luong": {"decoder": "luong", "cell": "layer_norm_lstm", "input_feeding": True, "lexicon": True},
    "bahdanau": {"decoder": "bahdanau", "cell": "gru", "attention": "coverage"},
    "conditional": {"decoder": "conditional", "encoder_cell": "mlstm", "decoder_cell": "rg_lru"},
    "transformer": {"kind": "transformer"},
    "convolutional": {"kind": "convolutional"},
    "without attention": {"attention": None, "encoder_cell": "ssru", "decoder_cell": "rnn", "reverse_source": True},
}


def graphs_of(model: Seq2Seq) -> ExportedModel:
    """Return the sessions of a model's graphs."""
    graphs = export_graphs(model)
    encoder, decoder = (read_graph(graph, Path("graph.onnx")) for graph in (graphs.encoder, graphs.decoder))
    return ExportedModel(encoder, decoder, graphs.state, graphs.attends)


def pairs() -> list[tuple[list[int], list[int]]]:
    torch.manual_seed(1)
    lengths = torch.randint(0, 9, (10, 2)).tolist()
    return [tuple(torch.randint(4, WORDS, (length,)).tolist() for length in both) for both in lengths]  # type: ignore[misc]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_graphs_equal_the_model(shape: dict[str, object]) -> None:
    model = member(1, **shape)
    for parameter in model.parameters():
        parameter.detach().mul_(0.5)  # where rounding is not magnified by large sums
    model.train()
    assert largest_difference(model.eval(), graphs_of(model), pairs()) < 1e-5


def test_exporting_leaves_the_model_as_it_was() -> None:
    model = member(1, cell="layer_norm_lstm", attention="multi_head_additive", hidden_size=16)
    before = {name: list(module.__dict__) for name, module in model.named_modules()}
    export_graphs(model)
    after = {name: dict(module.__dict__) for name, module in model.named_modules()}
    assert not model.training
    assert {name: set(values) for name, values in after.items()} == {
        name: set(values) for name, values in before.items()
    }


def test_settings_of_another_type_are_damaged() -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        ExportSettings.from_json({"format": 1, "name": 3})


def test_what_is_not_a_graph_is_refused() -> None:
    with pytest.raises(UserError, match=r"cannot be read by onnxruntime"):
        read_graph(b"not a graph", Path("decoder.onnx"))
