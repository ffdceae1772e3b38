"""Configuration of training: `train.*`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config.checks import number
from nmt.config.registry import Registry


class BatchUnit(StrEnum):
    """Units of batch sizes and of mean losses."""

    sentences = "sentences"
    tokens = "tokens"


class IntervalUnit(StrEnum):
    """Units of validation and checkpoint intervals."""

    steps = "steps"
    epochs = "epochs"


class Metric(StrEnum):
    """Validation metrics that select the best checkpoint."""

    loss = "loss"
    perplexity = "perplexity"
    bleu = "bleu"


class ObjectiveKind(StrEnum):
    """Training objectives."""

    cross_entropy = "cross_entropy"
    r_drop = "r_drop"
    risk = "risk"


OBJECTIVES = Registry("objective", ObjectiveKind)


class SamplingDecay(StrEnum):
    """Decay schedules of scheduled sampling."""

    linear = "linear"
    exponential = "exponential"
    inverse_sigmoid = "inverse_sigmoid"


class SentenceMetric(StrEnum):
    """Sentence-level metrics for risk training and MBR decoding."""

    bleu = "bleu"
    chrf = "chrf"


class InitVocabulary(StrEnum):
    """Vocabularies of a run that starts from another run."""

    base = "base"
    extend = "extend"
    corpus = "corpus"


class EmbeddingLookup(StrEnum):
    """Ways to find the vector of a piece in a file of pretrained embeddings."""

    piece = "piece"
    word = "word"


@dataclass
class EmbeddingFileConfig:
    """Pretrained embeddings of one side."""

    file: str | None = None
    """File with vectors, plain or gzip: text of GloVe, word2vec or fastText (.vec), or binary word2vec. The vectors
    must have the width of the embeddings. null: none."""
    lookup: EmbeddingLookup = EmbeddingLookup.piece
    """Entry that belongs to a piece. piece: the entry spelt like the piece, with its word-boundary mark; word: the
    entry spelt like the piece without that mark."""


@dataclass
class PretrainedEmbeddingsConfig:
    """Pretrained embeddings that replace the random initial embeddings of pieces."""

    src: EmbeddingFileConfig = field(default_factory=EmbeddingFileConfig)
    """Source embeddings."""
    tgt: EmbeddingFileConfig = field(default_factory=EmbeddingFileConfig)
    """Target embeddings."""


@dataclass
class TrainConfig:
    """Training loop. One step is one optimizer update."""

    max_steps: int = 4000
    """Number of training steps; the cosine schedule ends here."""
    batch_unit: BatchUnit = BatchUnit.sentences
    """Unit of `batch_size`: sentences, or tokens. Tokens are counted on the longer side of a batch, padding
    included."""
    batch_size: int = 128
    """Size of a batch, in `batch_unit`."""
    pool_batches: int = 64
    """Number of batches whose shuffled sentences are sorted by length together, which reduces padding."""
    accumulate: int = 1
    """Number of batches whose gradients are accumulated per step."""
    mean_over: BatchUnit = BatchUnit.tokens
    """Normalisation of the loss of a step: by target tokens, or by sentences (Sutskever et al. 2014; Luong et al.
    2015). With sentences the gradient is larger by the mean number of target tokens, which affects clipping and SGD."""
    subword_sampling: float | None = None
    """Subword regularisation: a new segmentation of each sentence in each epoch. For unigram: alpha (Kudo 2018; 0:
    uniform); for bpe: the probability of dropping a merge (Provilkov et al. 2020; 0.1). null: always the best
    segmentation."""
    both_directions: int = 0
    """Number of initial epochs in which every other batch is reversed, target to source, so that encoder and decoder
    learn both languages (Ding et al. 2021); 0: none."""
    label_smoothing: float = 0.1
    """Share of the probability spread evenly over the vocabulary (Szegedy et al. 2016). 0.1 as in Vaswani et al. 2017
    (5.4)."""
    objective: str = field(default=ObjectiveKind.cross_entropy, metadata={"registry": OBJECTIVES})
    """Training objective. cross_entropy; r_drop: cross-entropy of two passes with different dropout, plus their
    divergence; risk: expected loss in a sentence-level metric."""
    r_drop_alpha: float = 5.0
    """r_drop: weight of the divergence (alpha of Liang et al. 2021)."""
    risk_metric: SentenceMetric = SentenceMetric.bleu
    """risk: the loss of a translation is 100 minus its sentence BLEU or chrF."""
    risk_samples: int = 20
    """risk: number of translations sampled per sentence, besides the reference. Memory grows in proportion."""
    risk_alpha: float = 5e-3
    """risk: sharpness of the distribution over the samples (alpha of Shen et al. 2016)."""
    risk_temperature: float = 1.0
    """risk: sampling temperature; below 1, samples are closer to the output of beam search."""
    risk_reference: bool = True
    """risk: include the reference among the samples, as in the paper."""
    ar: float = 0.0
    """Coefficient of the activation penalty on decoder outputs, for example 2 (Merity, McCann and Socher 2017)."""
    tar: float = 0.0
    """Coefficient of the penalty on changes of decoder outputs between steps, for example 1 (same paper)."""
    scheduled_sampling: SamplingDecay | None = None
    """Scheduled sampling (Bengio et al. 2015): decay with step i of the share e of reference tokens among the decoder
    inputs. linear: max(sampling_least, k - c i); exponential: k^i; inverse_sigmoid: k / (k + exp(i / k)). null: teacher
    forcing."""
    sampling_k: float = 1.0
    """scheduled_sampling: k of the decay. exponential: below 1; inverse_sigmoid: at least 1, in steps."""
    sampling_c: float = 1e-4
    """scheduled_sampling=linear: c of the decay, per step."""
    sampling_least: float = 0.0
    """scheduled_sampling: minimum share of reference tokens, for every decay."""
    interval_unit: IntervalUnit = IntervalUnit.steps
    """Unit of `validate_every` and `checkpoint_every`: steps or epochs. An epoch ends with the step that reads the last
    batch of the corpus. `patience` counts validations and so follows the same unit."""
    validate_every: int = 250
    """Interval between validations, in `interval_unit`."""
    checkpoint_every: int = 250
    """Interval between checkpoints, in `interval_unit`. A checkpoint is also written after each validation."""
    log_every: int = 20
    """Steps between log lines with training metrics."""
    metric: Metric = Metric.bleu
    """Validation metric that selects the best checkpoint, stops training early and drives the plateau schedule."""
    patience: int = 0
    """Early stopping: number of validations without improvement after which training stops; 0: never."""
    valid_sentences: int = 2000
    """Maximum number of validation sentences decoded for BLEU. Perplexity is always computed on the whole validation
    set."""
    keep_checkpoints: int = 2
    """Number of latest checkpoints kept besides the best one. With 2, one is left if the last one is damaged on
    disk."""
    ema_decay: float = 0.0
    """Decay per step of an exponential moving average of the weights (Polyak and Juditsky 1992), for example 0.999. The
    average is validated and used for translation. 0: none."""
    max_skipped: int = 10
    """Number of consecutive steps with a non-finite loss or gradient after which training stops; each such step is
    skipped."""
    direction_temperature: float = 1.0
    """Temperature T of sampling the directions of data.directions: an epoch has as many pairs as the corpus, and a
    direction with n pairs a share proportional to n^(1/T). 1: every pair once per epoch; 5 or more: nearly equal
    shares."""
    init_from: str | None = None
    """Fine-tuning: run whose best weights initialise the new run, with its vocabulary unless `init_vocabulary` says
    otherwise. The model configuration must be the same unless `init_partial` is true."""
    init_vocabulary: InitVocabulary = InitVocabulary.base
    """Vocabulary of a fine-tuning. base: that of `init_from`; extend: the same with additional pieces of this corpus
    (SentencePiece's unigram and bpe); corpus: one of this corpus, as `data.tokenizer` describes it. Pieces that both
    have keep their weights."""
    init_partial: bool = False
    """Fine-tuning: allow another model configuration. Parameters with the same name and shape are taken from
    `init_from`, and the others keep their random initial values."""
    pretrained_embeddings: PretrainedEmbeddingsConfig = field(default_factory=PretrainedEmbeddingsConfig)
    """Pretrained embeddings by side, which are read once when the run begins."""
    freeze: list[str] = field(default_factory=list)
    """Parts of the model that are not trained: encoder, decoder, src_embedding, tgt_embedding, embeddings, output, or
    patterns of parameter names such as `encoder.*.weight_hh_l0`."""
    max_unknown: float = 0.01
    """Fine-tuning: maximum share of unknown pieces in the training text, on either side, with the vocabulary of
    `init_from`. A corpus above this share is rejected."""
    resume: str | None = None
    """Resume training. auto: the run in hydra.run.dir, or if that is not set the latest unfinished run of the same
    configuration, if there is one; a run directory: that run."""
    resume_step: int | None = None
    """Resume from the checkpoint of this step and discard later ones."""

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
        yield from OBJECTIVES.problems(self, "objective")
        if self.objective == ObjectiveKind.risk and (self.ar or self.tar or self.scheduled_sampling):
            yield "objective", "is risk, which does not support ar, tar or scheduled_sampling; leave those out"
        yield from number(self, "subword_sampling", 0, 100)
        yield from number(self, "ema_decay", 0, 0.999999)
        yield from number(self, "max_unknown", 0, 1)
        for name, usual in (("init_vocabulary", InitVocabulary.base), ("init_partial", False)):
            if self.init_from is None and getattr(self, name) != usual:
                yield name, f"is {str(getattr(self, name)).lower()} but init_from is not given; add train.init_from=RUN"
        yield from number(self, "direction_temperature", 1, 1000)
        if self.resume_step is not None and self.resume is None:
            yield "resume_step", "is given but resume is not; add train.resume=auto or train.resume=RUN"
