"""Configuration of the command `adapt`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nmt.config.checks import number
from nmt.config.data import CorpusLocation
from nmt.config.machine import MachineConfig, Precision
from nmt.config.optim import OptimizerKind
from nmt.config.root import checkpoint_problems


@dataclass
class AdaptConfig:
    """`adapt`: learn from corrections of translations, in a copy of a run."""

    run: str
    """Run directory to start from; it is not changed."""
    corrections: str
    """File of corrections, as the prompt and the page save them (JSON lines), or a .tsv file with the columns source,
    correction and, optionally, the model's translation. A first line of column names is left out."""
    output: str
    """Folder for the adapted run, which must not exist."""
    checkpoint: str = "best"
    """Checkpoint: best, last, or average:N, the mean weights of the N latest (see train.keep_checkpoints)."""
    steps: int = 100
    """Maximum number of training steps. Training stops when all corrections come out and the loss of BLEU is at most
    max_loss."""
    check_every: int = 5
    """Number of steps between two checks of the corrections."""
    optimizer: OptimizerKind = OptimizerKind.sgd
    """Optimizer. sgd changes the weights in proportion to their gradients. adam changes all of them by the same amount
    in its first steps, also those that a correction does not concern."""
    learning_rate: float = 0.3
    """Learning rate; with optimizer=adam about 3e-4."""
    clip_norm: float = 1.0
    """Maximum norm of the gradients (Pascanu et al. 2013); 0: no limit."""
    decay: float = 0.01
    """Strength of the penalty decay/2 |w - w0|^2 on the distance from the old weights w0 (L2-SP, Li et al. 2018)."""
    batch_size: int = 64
    """Number of sentences in a batch, replayed pairs included."""
    replay: float = 0.75
    """Share of each batch that is pairs of the run's training set; 0: only corrections, without the training set."""
    replay_weight: float = 20.0
    """Weight of the divergence from the old model's probabilities on a token of a replayed pair. A token of a
    correction has weight 1."""
    max_loss: float = 0.3
    """Maximum loss of BLEU on the validation sample. Weights that lose more are not kept; training continues."""
    valid_sentences: int = 500
    """Number of sentences in the sample of the validation set."""
    examples: int = 5
    """Number of changed translations of the sample that are printed."""
    seed: int = 1
    """Seed of the sample, and of the order of the corrections and the replayed pairs."""
    data: CorpusLocation = field(default_factory=CorpusLocation)
    """Location of the training corpus's files, for replay."""
    search: dict[str, Any] = field(default_factory=dict)
    """Changes to the search settings of the run, by which corrections and sample are translated."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads. Training is in float32 with every precision."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from checkpoint_problems(self.checkpoint)
        yield from number(self, "steps", 1, 100_000)
        yield from number(self, "check_every", 1, 100_000)
        yield from number(self, "learning_rate", 1e-12, 10)
        yield from number(self, "clip_norm", 0)
        yield from number(self, "decay", 0, 1e6)
        yield from number(self, "batch_size", 1, 100_000)
        yield from number(self, "replay", 0, 0.99)
        yield from number(self, "replay_weight", 0, 1e6)
        yield from number(self, "max_loss", 0, 100)
        yield from number(self, "valid_sentences", 1, 1_000_000)
        yield from number(self, "examples", 0, 1_000_000)
        yield from number(self, "seed", 0, 2**63 - 1)
        if self.machine.precision in (Precision.int8, Precision.bfloat16):
            yield "machine.precision", f"is {self.machine.precision}; adapt computes in float32: leave it out"
