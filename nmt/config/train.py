"""How long, on what batches, and what is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.checks import number


class BatchUnit(StrEnum):
    sentences = "sentences"
    tokens = "tokens"


class Metric(StrEnum):
    perplexity = "perplexity"
    bleu = "bleu"


@dataclass
class TrainConfig:
    """The training loop. One step is one update of the weights."""

    max_steps: int = 4000
    """Steps of training; the cosine schedule ends here."""
    batch_unit: BatchUnit = BatchUnit.sentences
    """What `batch_size` counts; a token budget counts padded tokens of the longer side."""
    batch_size: int = 128
    """Size of a batch, in `batch_unit`."""
    pool_batches: int = 64
    """Batches' worth of shuffled sentences that are sorted by length together."""
    accumulate: int = 1
    """Batches whose gradients are added up for one step."""
    label_smoothing: float = 0.1
    """Share of the probability spread over the whole vocabulary (Szegedy et al. 2016)."""
    validate_every: int = 250
    """Steps between validations."""
    checkpoint_every: int = 250
    """Steps between checkpoints, besides the one after each validation."""
    log_every: int = 20
    """Steps between lines of metrics."""
    metric: Metric = Metric.bleu
    """What chooses the best checkpoint, stops early and drives the plateau schedule."""
    patience: int = 0
    """Validations without improvement after which training stops; 0: never."""
    valid_sentences: int = 2000
    """Sentences of the validation set that are decoded for BLEU at the most; perplexity is over all of them."""
    keep_checkpoints: int = 2
    """Newest checkpoints kept, besides the best: what is left if the last one is damaged on the disk."""
    max_skipped: int = 10
    """Steps in a row with a loss or gradient that is not finite, after which training stops; each is skipped."""
    resume: str | None = None
    """auto: continue the run in hydra.run.dir, or without one the newest unfinished run of the same configuration, if
    there is any; a run directory: continue that one."""
    resume_step: int | None = None
    """Continue from the checkpoint of this step, and drop what came after it."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in (
            "max_steps",
            "batch_size",
            "pool_batches",
            "accumulate",
            "validate_every",
            "checkpoint_every",
            "log_every",
            "valid_sentences",
            "keep_checkpoints",
            "max_skipped",
        ):
            yield from number(self, name, 1)
        yield from number(self, "label_smoothing", 0, 0.9)
        yield from number(self, "patience", 0)
        if self.resume_step is not None and self.resume is None:
            yield "resume_step", "is given and resume is not; give train.resume=auto or train.resume=RUN too"
