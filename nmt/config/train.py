"""How long, on what batches, and what is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.checks import number


class BatchUnit(StrEnum):
    sentences = "sentences"
    tokens = "tokens"


class IntervalUnit(StrEnum):
    steps = "steps"
    epochs = "epochs"


class Metric(StrEnum):
    loss = "loss"
    perplexity = "perplexity"
    bleu = "bleu"


class ObjectiveKind(StrEnum):
    cross_entropy = "cross_entropy"
    r_drop = "r_drop"
    risk = "risk"


class SamplingDecay(StrEnum):
    linear = "linear"
    exponential = "exponential"
    inverse_sigmoid = "inverse_sigmoid"


class SentenceMetric(StrEnum):
    bleu = "bleu"
    chrf = "chrf"


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
    mean_over: BatchUnit = BatchUnit.tokens
    """What the loss of a step is a mean over: target tokens, or sentences (Sutskever et al. 2014; Luong et al. 2015).
    With sentences the gradient is longer by the mean number of target tokens, which clipping and SGD notice."""
    subword_sampling: float | None = None
    """Other pieces for each sentence in each epoch: alpha of the unigram model (Kudo 2018; 0: all equally likely), or
    the probability of dropping a merge of byte-pair encoding (Provilkov et al. 2020; 0.1). Null: always the best."""
    both_directions: int = 0
    """Epochs at the beginning in which every other batch is turned round, from target to source, so that encoder and
    decoder learn both languages (Ding et al. 2021); 0: none."""
    label_smoothing: float = 0.1
    """Share of the probability spread over the whole vocabulary (Szegedy et al. 2016)."""
    objective: ObjectiveKind = ObjectiveKind.cross_entropy
    """What is minimised: cross-entropy; that of two passes with other dropout, and their disagreement (r_drop); or the
    expected loss in a sentence metric (risk)."""
    r_drop_alpha: float = 5.0
    """r_drop: strength of the agreement (alpha of Liang et al. 2021)."""
    risk_metric: SentenceMetric = SentenceMetric.bleu
    """risk: the loss of a translation is 100 minus its BLEU or chrF."""
    risk_samples: int = 20
    """risk: translations sampled for each sentence, besides the reference; memory grows with them."""
    risk_alpha: float = 5e-3
    """risk: sharpness of the distribution over them (alpha of Shen et al. 2016)."""
    risk_temperature: float = 1.0
    """risk: of the samples; below 1 they are more like what search finds."""
    risk_reference: bool = True
    """risk: whether the reference is among them, as in the paper."""
    ar: float = 0.0
    """Strength of the penalty on the size of the decoder's outputs; as 2 (Merity, McCann and Socher 2017)."""
    tar: float = 0.0
    """Strength of the penalty on their change from step to step; as 1."""
    scheduled_sampling: SamplingDecay | None = None
    """How the share e of true words among those that the decoder reads falls with the step i (Bengio et al. 2015):
    linear max(least, k - c i), exponential k^i, inverse_sigmoid k / (k + exp(i / k)). Null: all are true."""
    sampling_k: float = 1.0
    """k of scheduled_sampling; exponential: below 1, inverse_sigmoid: 1 or more, in steps."""
    sampling_c: float = 1e-4
    """c of scheduled_sampling=linear, a step."""
    sampling_least: float = 0.0
    """Least share of true words, whatever the decay."""
    interval_unit: IntervalUnit = IntervalUnit.steps
    """Unit of `validate_every` and `checkpoint_every`: steps, or epochs. An epoch ends with the step that reads the
    last batch of the corpus. `patience` counts validations, so that it is in the same unit."""
    validate_every: int = 250
    """Steps or epochs between validations."""
    checkpoint_every: int = 250
    """Steps or epochs between checkpoints, besides the one after each validation."""
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
    ema_decay: float = 0.0
    """Decay a step of an exponential moving average of the weights, which is validated and kept to translate with; as
    0.999; 0: none (Polyak and Juditsky 1992)."""
    max_skipped: int = 10
    """Steps in a row with a loss or gradient that is not finite, after which training stops; each is skipped."""
    init_from: str | None = None
    """Fine-tuning: a run whose best weights and tokenizers the new run starts with; the model must be the same."""
    max_unknown: float = 0.01
    """Fine-tuning: the largest share of the training text's pieces, on either side, that the vocabulary of `init_from`
    may not be able to write; a corpus with more is refused."""
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
        for name in ("both_directions", "patience", "r_drop_alpha", "risk_alpha", "ar", "tar", "sampling_c"):
            yield from number(self, name, 0)
        yield from number(self, "risk_samples", 1)
        yield from number(self, "risk_temperature", 0.01, 10)
        yield from number(self, "sampling_least", 0, 1)
        low, high = {"exponential": (0.0, 0.999999), "inverse_sigmoid": (1.0, 1e9)}.get(
            self.scheduled_sampling or "", (0, 2)
        )
        yield from number(self, "sampling_k", low, high)
        if self.objective == ObjectiveKind.risk and (self.ar or self.tar or self.scheduled_sampling):
            yield "objective", "is risk, which takes no ar, tar or scheduled_sampling; leave those out"
        yield from number(self, "subword_sampling", 0, 100)
        yield from number(self, "ema_decay", 0, 0.999999)
        yield from number(self, "max_unknown", 0, 1)
        if self.resume_step is not None and self.resume is None:
            yield "resume_step", "is given and resume is not; give train.resume=auto or train.resume=RUN too"
