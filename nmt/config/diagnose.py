"""What `scripts/diagnose.py` shows, and of which models."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nmt.config.checks import number
from nmt.config.data import DataConfig
from nmt.config.model import Architecture, Cell, ModelConfig
from nmt.config.optim import OptimConfig
from nmt.config.root import MachineConfig, checkpoint_problems


class Diagnosis(StrEnum):
    gradients = "gradients"
    memory = "memory"
    gates = "gates"
    attention = "attention"


class Side(StrEnum):
    encoder = "encoder"
    encoder_backward = "encoder_backward"
    decoder = "decoder"


@dataclass
class DiagnoseConfig:
    """`diagnose`: pictures of what goes on inside."""

    task: Diagnosis
    """What to show; the first word on the command line."""
    output: str | None = None
    """Folder for the pictures and numbers, which must not exist; null: runs/TASK_TIME."""
    run: str | None = None
    """gates, attention: the run to look into; gradients: its decoder too, beside the new ones."""
    ensemble: list[str] = field(default_factory=list)
    """attention: further runs of the same tokenizers, whose models decode together with the first one's."""
    checkpoint: str = "best"
    """Of every run: best, last, or average:N."""
    sentence: str | None = None
    """gates, attention: what to translate."""
    search: dict[str, Any] = field(default_factory=dict)
    """What differs from the run's own search (memory: from greedy search); attention shows the `n_best`."""
    side: Side = Side.encoder
    """gates: whose; encoder_backward is the direction that reads from the end."""
    layer: int = 1
    """gates: counted from the bottom."""
    sentences: int = 200
    """memory: translated for each class of distances; gates: of the validation set, for the shares of saturation."""
    cells: list[Cell] = field(default_factory=list)
    """gradients, memory: what to compare; empty: rnn, gru, lstm, and for gradients layer_norm_lstm."""
    scales: list[float] = field(default_factory=lambda: [0.5, 1.0, 4.0])
    """gradients: what the orthogonal recurrent matrices of new models are multiplied by."""
    distance: int = 30
    """gradients: the largest k, in steps."""
    runs: list[str] = field(default_factory=list)
    """memory: trained runs on the phrasebook to compare, instead of training."""
    trainings: str = "runs/memory"
    """memory: folder of its trainings; one that is there already is continued or used again."""
    steps: int | None = None
    """Steps of each training; null: 2000 for memory, 150 for gradients."""
    data: DataConfig = field(default_factory=DataConfig)
    """gradients, memory: the corpus."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """gradients, memory: the model but for its cell; memory takes the attention away from half of them."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """memory: how they are trained; gradients: the norm that is clipped to, all else is plain SGD."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    seed: int = 1
    """Of the weights and of the order of the data."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("layer", "sentences", "distance", "steps"):
            yield from number(self, name, 1)
        yield from number(self, "seed", 0, 2**63 - 1)
        yield from checkpoint_problems(self.checkpoint)
        if self.task in (Diagnosis.gates, Diagnosis.attention):
            for name in ("run", "sentence"):
                if not getattr(self, name):
                    yield name, f"is missing; {self.task} needs one: {name}=..."
        if self.task == Diagnosis.memory and self.run is not None:
            yield "run", f"is {self.run!r}; memory compares several: runs=[{self.run}]"
        if not self.scales or any(not 0 < scale <= 100 for scale in self.scales):
            yield "scales", f"is {self.scales}; allowed: numbers above 0, up to 100"
        if self.task == Diagnosis.gradients and self.optim.clip_norm == 0:
            yield "optim.clip_norm", "is 0, which is no clipping; gradients compares with it: give a norm"
        if self.task in (Diagnosis.gradients, Diagnosis.memory) and self.model.architecture != Architecture.recurrent:
            yield "model.architecture", f"is {self.model.architecture}; allowed: recurrent"
        if self.task == Diagnosis.memory and not self.runs:
            if self.model.attention is None:
                yield "model.attention", "is null; memory takes it away from half of the models: choose one"
            if self.data.phrasebook is None or self.data.tgt_lang != "de":
                yield "data", "is not the phrasebook into German, whose verbs memory knows; give data=phrasebook_nested"
            elif self.data.phrasebook.depth == 0:
                yield "data.phrasebook.depth", "is 0; allowed: at least 1, clauses whose verbs stand at the end"
