"""diagnose.py gradients: vanishing and exploding gradients, and the effect of clipping."""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from nmt.cli.diagnosis.output import save_numbers
from nmt.config import BatchUnit, CellKind, DiagnoseConfig, OptimConfig, OptimizerKind, RecurrentSide, ScheduleKind
from nmt.data import Batch, PairStore, Prepared, TrainingBatches, gather, normalise, prepare
from nmt.decoding import load_model
from nmt.errors import UserError
from nmt.lab.diagnostics.gradients import ClippedTraining, Decay, measure_decay, scale_recurrent, train_clipped
from nmt.lab.plots.diagnostics import GradientPage, draw_gradients
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.decoders import RecurrentDecoder
from nmt.run import RunDirectory
from nmt.runtime import Runtime

CELLS = (CellKind.rnn, CellKind.gru, CellKind.lstm, CellKind.layer_norm_lstm)
STEPS = 150
LEARNING_RATE = 0.5
"""Learning rate of plain gradient descent. Adam normalises the gradient, which would hide the effect of clipping."""
PAIRS = 16
"""Number of sentence pairs whose gradients are measured."""
BATCH_SIZE, POOL_BATCHES = 64, 64

log = logging.getLogger(__name__)


def gradients(config: DiagnoseConfig, run: RunDirectory | None, runtime: Runtime, folder: Path) -> None:
    """Write FOLDER/gradients.json and gradients.png, and print the verdict on each model."""
    prepared = prepare(config.data)
    panels: dict[str, dict[str, Decay]] = {}
    batch = long_pairs(prepared.store("valid"), config.distance).to(runtime.device)
    for scale in config.scales:
        panels[f"new, recurrent matrix times {scale:g}"] = {
            str(cell): measure_decay(new_model(config, prepared, cell, scale, runtime), batch, config.distance)
            for cell in config.cells or CELLS
        }
    if run is not None:
        decoder = run.config().model.decoder
        cell = str(decoder.cell if isinstance(decoder, RecurrentSide) else decoder.kind)
        panels[f"trained: {run.path.name}"] = {cell: decay_of_run(config, run, runtime)}
    clipped, unclipped = (train_rnn(config, prepared, norm, runtime) for norm in (config.optim.clip_norm, 0.0))
    trained = f"rnn, matrix times {max(config.scales):g}"
    show_table(panels, config.distance)
    verdict = verdict_of_training(trained, clipped, unclipped)
    print(verdict)
    clip_norm = config.optim.clip_norm
    record = {
        "distance": config.distance,
        "clip_norm": clip_norm,
        "models": {
            panel: {name: decay_record(decay, clip_norm) for name, decay in decays.items()}
            for panel, decays in panels.items()
        },
        "training": {"model": trained, "clipped": asdict(clipped), "not_clipped": asdict(unclipped)},
        "verdict": verdict,
    }
    save_numbers(folder, "gradients", record)
    title = f"{finding(panels, config.scales, config.distance)}\n{finding_of_training(clipped, unclipped)}"
    steps = config.steps or STEPS
    page = GradientPage(title, panels, clip_norm, trained, clipped, unclipped, steps)
    draw_gradients(page, folder / "gradients.png")


def decay_record(decay: Decay, clip_norm: float) -> dict[str, object]:
    """Return the numbers of a model for the JSON file."""
    derived = {"per_step": decay.per_step, "verdict": decay.verdict, "clip_factor": decay.clip_factor(clip_norm)}
    return asdict(decay) | derived


def new_model(config: DiagnoseConfig, prepared: Prepared, cell: CellKind, scale: float, runtime: Runtime) -> Seq2Seq:
    """Return an untrained model. For the same seed, only the weights of the cell differ between cells."""
    torch.manual_seed(config.seed)
    src, tgt = prepared.tokenizer("src"), prepared.tokenizer("tgt")
    vocabulary = Vocabulary(src.size, tgt.size, src.factor_sizes)
    model = build_model(config.model.with_cell(cell), vocabulary)
    scale_recurrent(model, scale)
    return model.to(runtime.device)


def decay_of_run(config: DiagnoseConfig, run: RunDirectory, runtime: Runtime) -> Decay:
    """Measure the decay of the gradients in the decoder of a run.

    Raises:
        UserError: the decoder is not recurrent, or no sentence of the validation set is long enough.
    """
    model, _ = load_model(run, config.checkpoint)
    if not isinstance(model.decoder, RecurrentDecoder):
        raise UserError(f"{run.path} has a decoder without recurrence; gradients needs a run with a recurrent decoder")
    src, tgt = (
        run.tokenizer(side).encode([normalise(line) for line in lines])
        for side, lines in zip(("src", "tgt"), run.text("valid"), strict=True)
    )
    batch = long_pairs(PairStore.of(src, tgt), config.distance).to(runtime.device)
    return measure_decay(model.to(runtime.device), batch, config.distance)


def long_pairs(store: PairStore, distance: int) -> Batch:
    """Return the pairs with the longest targets of more than `distance` and at most 2 * (distance + 1) steps.

    Raises:
        UserError: there are no such targets.
    """
    steps = store.tgt.lengths() + 1  # with eos
    order = np.argsort(-steps, kind="stable")
    long_enough = [int(i) for i in order if distance < steps[i] <= 2 * (distance + 1)]
    if not long_enough:
        raise UserError(
            f"distance={distance}: the longest target of the validation set allows at most {steps.max() - 1}"
        )
    return gather(store, long_enough[:PAIRS])


def train_rnn(config: DiagnoseConfig, prepared: Prepared, norm: float, runtime: Runtime) -> ClippedTraining:
    """Train the plain RNN with the largest scale of the recurrent matrix.

    `norm` is the largest norm of the gradient; 0 disables clipping.
    """
    model = new_model(config, prepared, CellKind.rnn, max(config.scales), runtime)
    batches = TrainingBatches(prepared.store("train"), BatchUnit.sentences, BATCH_SIZE, POOL_BATCHES, config.seed)
    optim = OptimConfig(
        kind=OptimizerKind.sgd, learning_rate=LEARNING_RATE, schedule=ScheduleKind.constant, clip_norm=norm
    )
    steps = config.steps or STEPS
    log.info("training a plain RNN for %d steps, %s", steps, "clipped" if norm else "not clipped")
    return train_clipped(model, batches, optim, steps)


def show_table(panels: dict[str, dict[str, Decay]], distance: int) -> None:
    """Print the norms of the gradients at three distances, and the verdict."""
    title = "norm of the gradient of a step's loss with respect to the state (LSTM: h and c) k steps earlier, in nats"
    table = Table("model", "cell", "k = 0", "k = 1", f"k = {distance}", "per step", "verdict", title=title)
    for panel, decays in panels.items():
        for name, decay in decays.items():
            median = decay.median()
            norms = [f"{median[k]:.1e}" for k in (0, 1, distance)]
            table.add_row(panel, name, *norms, f"x {decay.per_step:.2f}", decay.verdict)
    Console(width=118).print(table)


def finding(panels: dict[str, dict[str, Decay]], scales: list[float], distance: int) -> str:
    """Return the title: the change of each new cell's gradient over the whole distance, by scale."""
    cells: dict[str, list[str]] = {}
    for decays in list(panels.values())[: len(scales)]:
        for name, decay in decays.items():
            cells.setdefault(name, []).append(f"$10^{{{round(np.log10(decay.change))}}}$")
    summary = ";  ".join(f"{name} {', '.join(changes)}" for name, changes in cells.items())
    matrices = ", ".join(f"{scale:g}" for scale in scales)
    return f"Change of the gradient over {distance} steps, recurrent matrix times {matrices}:\n{summary}"


def finding_of_training(clipped: ClippedTraining, unclipped: ClippedTraining) -> str:
    effect = "shrinks the gradients from near and far steps equally"
    if len(unclipped.norms) < len(clipped.norms):
        return f"Clipping keeps the training finite, but {effect}"
    return f"Clipping {effect}"


def verdict_of_training(trained: str, clipped: ClippedTraining, unclipped: ClippedTraining) -> str:
    def describe(training: ClippedTraining) -> str:
        largest = max(training.norms, default=float("inf"))
        last = np.mean(training.losses[-10:]) if training.losses else float("nan")
        return f"largest norm {largest:.1e}, loss of the last steps {last:.3g}, {len(training.norms)} finite steps"

    return f"{trained}: clipped: {describe(clipped)}; not clipped: {describe(unclipped)}"
