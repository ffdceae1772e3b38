"""Exports of models with random weights, and their graphs as a model for the search on tensors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from nmt.config import ExportPrecision, SearchConfig
from nmt.data import Tokenizer
from nmt.decoding import Translator
from nmt.export import ExportedFolder, ExportSettings
from nmt.export.graphs import export_graphs
from nmt.export.sessions import ArrayState, ExportedModel
from nmt.export.write import write_folder
from nmt.models import Seq2Seq, StepOutput
from nmt.run import RunDirectory


@dataclass
class OnlyTokenizers:
    """Run of which an export reads the tokenizers."""

    shared: Tokenizer

    def tokenizer(self, side: str) -> Tokenizer:
        return self.shared


def export(translator: Translator, folder: Path) -> ExportedFolder:
    """Export the model and the search settings of a translator with one tokenizer."""
    model = translator.model
    assert isinstance(model, Seq2Seq)
    graphs = export_graphs(model)
    size = translator.tgt.size
    settings = ExportSettings(
        *("toy", "best", 1, ExportPrecision.float32, (("en", "de"),)),
        *(graphs.attends, size, size, tuple(graphs.state), SearchConfig()),
    )
    folder.mkdir()
    write_folder(folder, cast(RunDirectory, OnlyTokenizers(translator.tgt)), settings, graphs)
    return ExportedFolder(folder)


@dataclass
class TensorState:
    """State of the graphs, selected by tensors."""

    arrays: ArrayState

    def select(self, rows: Tensor) -> "TensorState":
        return TensorState(self.arrays.select(rows.numpy()))


class GraphModel(torch.nn.Module):
    """Exported graphs as a model that `Translator` can use: the same numbers for both searches."""

    def __init__(self, model: ExportedModel) -> None:
        super().__init__()
        self.graphs = model
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def encode(self, src: Tensor, src_mask: Tensor) -> TensorState:
        return TensorState(self.graphs.encode(src.numpy(), src_mask.numpy()))

    def step(self, tokens: Tensor, state: TensorState) -> StepOutput[Any]:
        result = self.graphs.step(tokens.numpy(), state.arrays, self.graphs.attends)
        attention = None if result.attention is None else torch.from_numpy(result.attention)
        return StepOutput(torch.from_numpy(np.array(result.log_probs)), TensorState(result.state), attention)
