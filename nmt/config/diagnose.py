"""Configuration of the command `diagnose`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nmt.config.checks import number
from nmt.config.data import DataConfig
from nmt.config.machine import MachineConfig
from nmt.config.model import ModelConfig
from nmt.config.optim import OptimConfig
from nmt.config.root import checkpoint_problems
from nmt.config.side import CellKind, RecurrentSide


class Diagnosis(StrEnum):
    """Diagnoses."""

    gradients = "gradients"
    memory = "memory"
    gates = "gates"
    attention = "attention"
    calibration = "calibration"


class ModelSide(StrEnum):
    """Stack of recurrent layers to inspect: encoder, encoder in reverse direction, or decoder."""

    encoder = "encoder"
    encoder_backward = "encoder_backward"
    decoder = "decoder"


@dataclass
class DiagnoseConfig:
    """`diagnose`: plot internals of models."""

    task: Diagnosis
    """Diagnosis; the first word on the command line."""
    output: str | None = None
    """Folder for plots and numbers, which must not exist; null: runs/TASK_TIME."""
    run: str | None = None
    """gates, attention, calibration: run to inspect. gradients: run whose decoder is shown in addition to the new
    models."""
    ensemble: list[str] = field(default_factory=list)
    """attention: further runs with the same tokenizers, which form an ensemble with `run`."""
    checkpoint: str = "best"
    """Checkpoint of every run: best, last, or average:N, the mean weights of the N latest."""
    sentence: str | None = None
    """gates, attention: source sentence."""
    search: dict[str, Any] = field(default_factory=dict)
    """Changes to the search settings of the run (memory: to greedy search); attention shows `n_best` hypotheses."""
    side: ModelSide = ModelSide.encoder
    """gates: layer stack; encoder_backward is the encoder direction that reads from the end."""
    layer: int = 1
    """gates: layer, counted from 1 at the bottom."""
    sentences: int = 200
    """memory: number of sentences per distance class; gates: number of validation sentences for saturation
    statistics."""
    cells: list[CellKind] = field(default_factory=list)
    """gradients, memory: cells to compare; empty: rnn, gru, lstm, and for gradients also layer_norm_lstm."""
    scales: list[float] = field(default_factory=lambda: [0.5, 1.0, 4.0])
    """gradients: factors applied to the orthogonal recurrent matrices of new models."""
    distance: int = 30
    """gradients: largest distance k, in time steps."""
    runs: list[str] = field(default_factory=list)
    """memory: runs trained on the phrasebook to compare, instead of new trainings. Runs that differ only in their
    seed are one model."""
    trainings: str = "runs/memory"
    """memory: folder of the trainings; existing ones are resumed or reused."""
    steps: int | None = None
    """Steps per training; null: 2000 for memory, 150 for gradients."""
    data: DataConfig = field(default_factory=DataConfig)
    """gradients, memory: corpus."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """gradients, memory: model except its cell; memory also trains each model without attention."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """memory: optimisation; gradients: only clip_norm is used, with plain SGD."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads."""
    seed: int = 1
    """Seed of the weights and of the order of the data."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("layer", "sentences", "distance", "steps"):
            yield from number(self, name, 1)
        yield from number(self, "seed", 0, 2**63 - 1)
        yield from checkpoint_problems(self.checkpoint)
        if self.task in (Diagnosis.gates, Diagnosis.attention):
            for name in ("run", "sentence"):
                if not getattr(self, name):
                    yield name, f"is missing; {self.task} needs one: {name}=..."
        if self.task == Diagnosis.calibration and not self.run:
            yield "run", f"is missing; {self.task} needs one: run=..."
        if self.task == Diagnosis.memory and self.run is not None:
            yield "run", f"is {self.run!r}; memory takes a list of runs: runs=[{self.run}]"
        if not self.scales or any(not 0 < scale <= 100 for scale in self.scales):
            yield "scales", f"is {self.scales}; allowed: numbers above 0, up to 100"
        if self.task == Diagnosis.gradients and self.optim.clip_norm == 0:
            yield (
                "optim.clip_norm",
                "is 0, which disables clipping, but gradients shows the effect of clipping; give a norm",
            )
        if self.task in (Diagnosis.gradients, Diagnosis.memory):
            for name, side in (("encoder", self.model.encoder), ("decoder", self.model.decoder)):
                if not isinstance(side, RecurrentSide):
                    yield f"model.{name}", f"is {side.kind}, but {self.task} compares recurrent cells; choose another"
        if self.task == Diagnosis.memory and not self.runs:
            if not self.model.decoder.attends:
                yield (
                    "model.decoder.attention",
                    "is null, but memory compares models with and without attention; choose an attention",
                )
            if self.data.phrasebook is None or self.data.tgt_lang != "de":
                yield (
                    "data",
                    "is not the phrasebook with German as target, which memory needs; give data=phrasebook_nested",
                )
            elif self.data.phrasebook.depth == 0:
                yield "data.phrasebook.depth", "is 0, which gives no nested clauses; allowed: at least 1"
