"""diagnose.py gradients: vanishing and exploding made visible, and what clipping does about it."""

import logging
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from nmt.cli.diagnosis.output import save_numbers
from nmt.config import BatchUnit, Cell, DiagnoseConfig, OptimConfig, OptimizerKind, ScheduleKind
from nmt.data import BOS_ID, PAD_ID, Batch, PairStore, Prepared, TrainingBatches, gather, normalise, prepare
from nmt.decoding import load_model
from nmt.errors import UserError
from nmt.lab.diagnostics import ClippedTraining, Decay, measure_decay, scale_recurrent, train_clipped
from nmt.lab.plots.diagnostics import GradientPage, draw_gradients
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.decoders import RecurrentDecoder
from nmt.run import RunDirectory
from nmt.runtime import Runtime

CELLS = (Cell.rnn, Cell.gru, Cell.lstm, Cell.layer_norm_lstm)
STEPS = 150
LEARNING_RATE = 0.5
"""Of plain gradient descent; Adam divides by the gradient's size, and would hide what clipping does."""
PAIRS = 16
"""Whose targets the gradients go back through."""
BATCH_SIZE, POOL_BATCHES = 64, 64

log = logging.getLogger(__name__)


def gradients(config: DiagnoseConfig, run: RunDirectory | None, machine: Runtime, folder: Path) -> None:
    """Writes FOLDER/gradients.json and gradients.png, and prints the verdict on each model."""
    prepared = prepare(config.data)
    panels: dict[str, dict[str, Decay]] = {}
    batch = long_pairs(prepared.store("valid"), config.distance).to(machine.device)
    for scale in config.scales:
        panels[f"new, recurrent matrix times {scale:g}"] = {
            str(cell): measure_decay(new_model(config, prepared, cell, scale, machine), batch, config.distance)
            for cell in config.cells or CELLS
        }
    if run is not None:
        panels[f"trained: {run.path.name}"] = {str(run.config().model.cell): of_run(config, run, machine)}
    clipped, unclipped = (clipping(config, prepared, norm, machine) for norm in (config.optim.clip_norm, 0.0))
    trained = f"rnn, matrix times {max(config.scales):g}"
    show(panels, config.distance)
    verdict = verdict_of_training(trained, clipped, unclipped)
    print(verdict)
    record = {
        "distance": config.distance,
        "clip_norm": config.optim.clip_norm,
        "models": {
            panel: {
                name: {
                    **asdict(decay),
                    "per_step": decay.per_step,
                    "verdict": decay.verdict,
                    "clip_factor": decay.clip_factor(config.optim.clip_norm),
                }
                for name, decay in decays.items()
            }
            for panel, decays in panels.items()
        },
        "training": {"model": trained, "clipped": asdict(clipped), "not_clipped": asdict(unclipped)},
        "verdict": verdict,
    }
    save_numbers(folder, "gradients", record)
    title = f"{finding(panels, config.scales, config.distance)}\n{finding_of_training(clipped, unclipped)}"
    steps = config.steps or STEPS
    page = GradientPage(title, panels, config.optim.clip_norm, trained, clipped, unclipped, steps)
    draw_gradients(page, folder / "gradients.png")


def new_model(config: DiagnoseConfig, prepared: Prepared, cell: Cell, scale: float, machine: Runtime) -> Seq2Seq:
    """The same weights for the same seed but for the cell's own."""
    torch.manual_seed(config.seed)
    src_size, tgt_size = (prepared.tokenizer(side).size for side in ("src", "tgt"))
    model = build_model(replace(config.model, cell=cell), Vocabulary(src_size, tgt_size, PAD_ID, BOS_ID))
    scale_recurrent(model, scale)
    return model.to(machine.device)


def of_run(config: DiagnoseConfig, run: RunDirectory, machine: Runtime) -> Decay:
    """
    Raises:
        UserError: the run's decoder is not recurrent, or its validation set has no sentence that is long enough.
    """
    model, _ = load_model(run, config.checkpoint)
    if not isinstance(model.decoder, RecurrentDecoder):
        raise UserError(
            f"{run.path} has a decoder without recurrence, which no gradient goes back through step by step"
        )
    src, tgt = (
        run.tokenizer(side).encode([normalise(line) for line in lines])
        for side, lines in zip(("src", "tgt"), run.text("valid"), strict=True)
    )
    batch = long_pairs(PairStore.of(src, tgt), config.distance).to(machine.device)
    return measure_decay(model.to(machine.device), batch, config.distance)


def long_pairs(store: PairStore, distance: int) -> Batch:
    """The pairs with the longest targets, but none more than twice as long as it has to be.

    Raises:
        UserError: no target has more steps than the distance.
    """
    steps = store.tgt.lengths() + 1  # with eos
    order = np.argsort(-steps, kind="stable")
    enough = [int(i) for i in order if distance < steps[i] <= 2 * (distance + 1)]
    if not enough:
        raise UserError(f"distance={distance}: the validation set has no target so long; {steps.max() - 1} is the most")
    return gather(store, enough[:PAIRS])


def clipping(config: DiagnoseConfig, prepared: Prepared, norm: float, machine: Runtime) -> ClippedTraining:
    """Trains the plain RNN whose recurrent matrix is the largest."""
    model = new_model(config, prepared, Cell.rnn, max(config.scales), machine)
    batches = TrainingBatches(prepared.store("train"), BatchUnit.sentences, BATCH_SIZE, POOL_BATCHES, config.seed)
    optim = OptimConfig(
        kind=OptimizerKind.sgd, learning_rate=LEARNING_RATE, schedule=ScheduleKind.constant, clip_norm=norm
    )
    steps = config.steps or STEPS
    log.info("training a plain RNN for %d steps, %s", steps, "clipped" if norm else "not clipped")
    return train_clipped(model, batches, optim, steps)


def show(panels: dict[str, dict[str, Decay]], distance: int) -> None:
    title = "norm of the gradient of a step's loss by the whole state (of an LSTM h and c) k steps before, in nats"
    table = Table("model", "cell", "k = 0", "k = 1", f"k = {distance}", "a step", "verdict", title=title)
    for panel, decays in panels.items():
        for name, decay in decays.items():
            median = decay.median()
            norms = [f"{median[k]:.1e}" for k in (0, 1, distance)]
            table.add_row(panel, name, *norms, f"x {decay.per_step:.2f}", decay.verdict)
    Console(width=118).print(table)


def finding(panels: dict[str, dict[str, Decay]], scales: list[float], distance: int) -> str:
    """The title: how each new cell's gradient changes over the whole distance, scale by scale."""
    cells: dict[str, list[str]] = {}
    for decays in list(panels.values())[: len(scales)]:
        for name, decay in decays.items():
            cells.setdefault(name, []).append(f"$10^{{{round(np.log10(decay.change))}}}$")
    found = ";  ".join(f"{name} {', '.join(changes)}" for name, changes in cells.items())
    matrices = ", ".join(f"{scale:g}" for scale in scales)
    return f"Change of the gradient over {distance} steps, recurrent matrix times {matrices}:\n{found}"


def finding_of_training(clipped: ClippedTraining, unclipped: ClippedTraining) -> str:
    alike = "shrinks what comes from near and far alike"
    if len(unclipped.norms) < len(clipped.norms):
        return f"Clipping keeps the training finite, but {alike}"
    return f"Clipping {alike}"


def verdict_of_training(trained: str, clipped: ClippedTraining, unclipped: ClippedTraining) -> str:
    def told(training: ClippedTraining) -> str:
        largest = max(training.norms, default=float("inf"))
        last = np.mean(training.losses[-10:]) if training.losses else float("nan")
        return f"largest norm {largest:.1e}, loss of the last steps {last:.3g}, {len(training.norms)} finite steps"

    return f"{trained}: clipped: {told(clipped)}; not clipped: {told(unclipped)}"
