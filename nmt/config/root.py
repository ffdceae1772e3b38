"""Root configurations of the commands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nmt.config.checks import number, one_standard_input
from nmt.config.data import TEST_SET_NAME, CorpusLocation, DataConfig, TokenizerType
from nmt.config.documents import DocumentFormat, InputFormat, document_format
from nmt.config.inline import OutputFormat, Protection
from nmt.config.languages import language_problems
from nmt.config.machine import MachineConfig, Precision
from nmt.config.model import ModelConfig, Tying
from nmt.config.optim import OptimConfig
from nmt.config.search import SearchConfig
from nmt.config.source_checks import source_problems
from nmt.config.tracking import TrackingConfig
from nmt.config.train import BatchUnit, ObjectiveKind, TrainConfig


@dataclass
class Config:
    """Training run: the configuration of `train`, stored in the run directory."""

    data: DataConfig = field(default_factory=DataConfig)
    """Corpus, preprocessing and tokenizers."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Model."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimizer, learning-rate schedule and clipping."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Training loop."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """Decoding for validation, scoring and translation."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    """Experiment tracking."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads."""
    seed: int = 1
    """Seed of the weights, the dropout and the order of the data."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "seed", 0, 2**63 - 1)
        if self.machine.precision == Precision.int8:
            yield (
                "machine.precision",
                "is int8, which is for translation only; allowed in training: auto, float32, bfloat16",
            )
        yield from self.sampling_problems()
        if self.train.tar and self.model.dropout and not self.model.fixed_masks:
            yield (
                "train.tar",
                "is set but model.fixed_masks is false: it would penalise the change of masks; set fixed_masks",
            )
        if self.train.both_directions and not self.data.tokenizer.joint:
            yield (
                "train.both_directions",
                "needs data.tokenizer.joint=true; set both_directions to 0, or use a joint vocabulary",
            )
        if self.train.objective == ObjectiveKind.r_drop and not any(self.model.noise().values()):
            yield (
                "train.objective",
                "is r_drop but the model has no dropout, so that its two passes are equal; set model.dropout",
            )
        if self.train.mean_over == BatchUnit.sentences and (self.optim.l1 or self.optim.l2):
            yield "train.mean_over", "is sentences, which does not support optim.l1 or optim.l2; use optim.weight_decay"
        if self.search.coverage_penalty and not self.model.decoder.attends:
            yield (
                "search.coverage_penalty",
                "is set but model.decoder.attention is null; it needs attention weights, set it to 0",
            )
        yield from source_problems(self.data, self.model, self.train)
        if self.search.replace_unknown is not None and not self.model.decoder.attends:
            yield (
                "search.replace_unknown",
                "is set but model.decoder.attention is null; it needs attention weights, set it to null",
            )
        if self.model.tying == Tying.three_way and not self.data.tokenizer.joint:
            yield (
                "model.tying",
                "is three_way, which needs data.tokenizer.joint=true; use two_way, or a joint vocabulary",
            )

    def sampling_problems(self) -> Iterator[tuple[str, str]]:
        """Yield the problems of subword sampling with a tokenizer that this run trains."""
        tokenizer, strength = self.data.tokenizer, self.train.subword_sampling
        if strength is None or len(tokenizer.files) == 2:
            return
        if tokenizer.type not in (TokenizerType.unigram, TokenizerType.bpe):
            yield (
                "train.subword_sampling",
                f"does not support data.tokenizer.type={tokenizer.type}, which has one segmentation; set it to null, "
                "or use unigram or bpe",
            )
        if tokenizer.type == TokenizerType.bpe and strength > 1:
            yield "train.subword_sampling", f"is {strength}; allowed with bpe: from 0 to 1"


@dataclass
class PrepareConfig:
    """`prepare`: preprocess a corpus into token ids."""

    data: DataConfig = field(default_factory=DataConfig)
    """Corpus, preprocessing and tokenizers."""


@dataclass
class EvaluateConfig:
    """`evaluate`: score a trained run on a split, on your own files or on a test set of sacrebleu."""

    run: str
    """Run directory."""
    ensemble: list[str] = field(default_factory=list)
    """Further runs with the same tokenizers, which form an ensemble with `run`."""
    split: str = "test"
    """Split to score: valid or test, as stored in the run directory, or a further test set of the corpus by its name in
    `data.tests`, which is read or downloaded as the training data are."""
    splits: str | None = None
    """all: score `test` and every further test set of the corpus; null: score `split`."""
    data: CorpusLocation = field(default_factory=CorpusLocation)
    """Location of the corpus's files, for further test sets."""
    src: str | None = None
    """File of source sentences; with `ref` it replaces the split."""
    ref: str | None = None
    """File of reference translations of `src`."""
    further_refs: list[str] = field(default_factory=list)
    """Files of additional reference translations."""
    src_lang: str | None = None
    """Source language of `src` or `testset`; null: data.src_lang of the run."""
    tgt_lang: str | None = None
    """Target language of a multilingual run: that of `src` or `testset`, or of the lines of the split to score; null:
    data.tgt_lang, or all lines of the split."""
    testset: str | None = None
    """Test set of sacrebleu, by its name there, such as wmt14; it replaces the split and is downloaded by sacrebleu."""
    name: str | None = None
    """Base name of the score files; null: name of the split, the file or the test set."""
    output: str | None = None
    """Folder for the score files; null: RUN/scores. Required for a run without write permission."""
    comet: str | None = None
    """COMET model to score with as well, such as Unbabel/wmt22-comet-da, or a .ckpt file from a source you trust."""
    checkpoint: str = "best"
    """Checkpoint: best, last, or average:N, the mean weights of the N latest (see train.keep_checkpoints)."""
    search: dict[str, Any] = field(default_factory=dict)
    """Changes to the search settings of the run."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from test_set_name(self)
        if self.splits not in (None, "all"):
            yield "splits", f"is {self.splits!r}; allowed: all; give one set as split=NAME"
        if self.splits is not None:
            for key in ("src", "testset", "name"):
                if getattr(self, key) is not None:
                    yield "splits", f"is given together with {key}; give one or the other"
        if (self.src is None) != (self.ref is None):
            yield "src", "and ref must be given together; give both or neither"
        if self.further_refs and self.ref is None:
            yield "further_refs", "needs src and ref; give these as well"
        yield from language_problems(self)
        if self.src_lang is not None and self.src is None and self.testset is None:
            yield "src_lang", "names the language of src or testset; give one of them, or leave it out"
        yield from one_standard_input(src=self.src, ref=self.ref, further_refs=self.further_refs)
        if self.testset is not None and self.src is not None:
            yield "testset", "is given together with src and ref; give one or the other"
        if self.name is not None and not re.fullmatch(r"\w[\w.-]*", self.name):
            yield "name", f"is {self.name!r}; allowed: letters, digits, '_', '-' and '.'"
        on_split = self.src is None and self.testset is None and not self.ensemble
        if self.name in ("train", "valid", "test") and not (on_split and self.name == self.split):
            yield (
                "name",
                f"is {self.name!r}, which is reserved for the scores of that split of the run; give another name",
            )
        yield from checkpoint_problems(self.checkpoint)


@dataclass
class TranslateConfig:
    """`translate`: translate interactively on a terminal, as a filter in a pipe, or from file to file."""

    run: str
    """Run directory, or a folder that nmt-export wrote."""
    ensemble: list[str] = field(default_factory=list)
    """Further runs with the same tokenizers, which form an ensemble with `run`."""
    input: str | None = None
    """Text to translate, one sentence per line, or a document: a file, a pipe, or - for standard input; null: standard
    input, with a prompt on a terminal."""
    format: InputFormat = InputFormat.auto
    """Format of the input: lines (one sentence per line), text (paragraphs), markdown, html, srt, vtt, tmx or xliff;
    auto: by the suffix of its name, lines for .txt and others. Everything but lines is a document, which keeps its
    structure."""
    output: str | None = None
    """File for the translations, which must not exist, or a pipe; null or -: standard output. A document that is
    stopped continues from OUTPUT.part."""
    overwrite: bool = False
    """Replace `output` and `alignments` if they exist."""
    src_lang: str | None = None
    """Source language of the text, by whose rules long lines are split into sentences; null: data.src_lang."""
    tgt_lang: str | None = None
    """Target language, for a run with data.directions; null: data.tgt_lang. A line that begins with a tag such as <2de>
    keeps it."""
    alignments: str | None = None
    """File for word alignments by attention, which must not exist. It has one line per output line in Pharaoh format:
    pairs of source and target word indices such as `0-0 1-2`."""
    prefix: str | None = None
    """Forced prefix of every translation. Its last word can be completed to a longer word unless a space follows it."""
    prefixes: str | None = None
    """File with one prefix per input line; an empty line means no prefix. It replaces `prefix`."""
    constraints: str | None = None
    """File with the words and phrases that each translation must contain, one line per input line, separated by
    tabs."""
    corrections: str | None = None
    """File to which `:correct` at the prompt appends corrections, for the command `adapt`; it is created if it does not
    exist. It needs a terminal."""
    protect: list[Protection] | None = None
    """Kinds of text that translations keep unchanged: placeholders, tags, urls, numbers. null: placeholders, tags and
    urls in documents, nothing in lines."""
    glossary: str | None = None
    """File with terms that translations use: TSV with source term, target term, case, source forms and target forms; or
    TBX."""
    glossary_report: str | None = None
    """File for the terms kept and missed in each sentence, as TSV."""
    output_format: OutputFormat = OutputFormat.text
    """Form of the output for lines: text, or tsv or jsonl with scores, probabilities of words and word alignment."""
    checkpoint: str = "best"
    """Checkpoint: best, last, or average:N, the mean weights of the N latest (see train.keep_checkpoints)."""
    search: dict[str, Any] = field(default_factory=dict)
    """Changes to the search settings of the run."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from language_problems(self)
        texts = {"input": self.input or "-", "prefixes": self.prefixes, "constraints": self.constraints}
        yield from one_standard_input(**texts)
        if self.alignments == "-" and self.output in (None, "-"):
            yield "alignments", "and the translations are both standard output; give a file for one of them"
        if self.corrections is not None and self.input is not None:
            yield "corrections", "is for the prompt, but input is given; leave one of them out"
        if self.output is not None and self.input is None:
            yield "output", "is given but input is not; give input=FILE, or redirect standard output"
        if self.alignments is not None and self.alignments == self.output:
            yield "alignments", "and output are the same file; give different files"
        if self.prefix is not None and self.prefixes is not None:
            yield (
                "prefix",
                "and prefixes exclude each other; give one prefix for all lines, or a file with one per line",
            )
        if self.format not in (InputFormat.auto, InputFormat.lines) and self.input is None:
            yield "format", f"is {self.format}, but input is not given; give input=FILE, or input=- for standard input"
        yield from self.term_problems()
        if self.document is not None:
            for key in ("alignments", "prefix", "prefixes", "constraints"):
                if getattr(self, key) is not None:
                    wrong = f"is for one sentence per line, but the input is {self.document}"
                    yield key, f"{wrong}; leave {key} out, or give format=lines"
        yield from checkpoint_problems(self.checkpoint)

    def term_problems(self) -> Iterator[tuple[str, str]]:
        """Yield the problems of protected text, the glossary and the form of the output."""
        if self.glossary_report is not None and self.glossary is None:
            yield "glossary_report", "is given but glossary is not; give glossary=FILE"
        for key in ("prefix", "prefixes", "constraints"):
            for other in ("glossary", "protect"):
                if getattr(self, key) is not None and getattr(self, other):
                    yield other, f"and {key} exclude each other; leave one of them out"
        if self.protect:
            if self.alignments is not None:
                yield "alignments", "cannot be given with protect, which changes the words; leave one of them out"
            if self.output_format != OutputFormat.text:
                yield "output_format", "cannot be given with protect, which changes the words; leave one of them out"
        if self.document is not None and self.output_format != OutputFormat.text:
            yield (
                "output_format",
                f"is {self.output_format}, but the input is {self.document}; give format=lines, or leave it out",
            )

    @property
    def document(self) -> DocumentFormat | None:
        """Format of a document; None for text with one sentence per line."""
        return document_format(self.input or "-", self.format)


def test_set_name(config: Any) -> Iterator[tuple[str, str]]:
    """Yield a problem unless `config.split` can be the name of a held-out split or of a further test set."""
    if config.split == "train" or not re.fullmatch(TEST_SET_NAME, config.split):
        yield "split", f"is {config.split!r}; allowed: valid, test, or the name of a further test set of the corpus"


def checkpoint_problems(name: str) -> Iterator[tuple[str, str]]:
    """Yield a problem unless `name` denotes a checkpoint."""
    if not re.fullmatch("best|last|average:[1-9][0-9]{0,5}", name):
        yield "checkpoint", f"is {name!r}; allowed: best, last, average:N"
