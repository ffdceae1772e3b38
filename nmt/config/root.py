"""Root configurations of the commands, and validated conversion from Hydra and YAML."""

import copy
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from nmt.config.checks import number, one_standard_input, problems_in, texts_in, value_at
from nmt.config.data import DataConfig, TokenizerType
from nmt.config.flat_model import with_sides
from nmt.config.languages import language_problems
from nmt.config.machine import MachineConfig, Precision
from nmt.config.model import ModelConfig, Tying, side_paths
from nmt.config.optim import OptimConfig
from nmt.config.search import SearchConfig
from nmt.config.source_checks import source_problems
from nmt.config.text_keys import restore_text
from nmt.config.tracking import TrackingConfig
from nmt.config.train import BatchUnit, ObjectiveKind, TrainConfig
from nmt.errors import UserError, first_line

MAX_BYTES = 1 << 20  # of the configuration of a run, which usually has a few thousand
MAX_DIGITS = 100  # of a number; the time of the YAML loader grows with the square of the digits
NUMBER = re.compile(r"[-+]?[0-9][0-9a-fA-FxXoObB_:.]*")
MAX_LEVELS = 20  # a run has six; the time of the YAML loader grows with the square of the depth
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""YAML loader of libyaml where PyYAML was built with it, which is ten times as fast."""
T = TypeVar("T")
DEFAULTS: dict[type, DictConfig] = {}


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
    """Split to score, valid or test, as stored in the run directory."""
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
        if self.split not in ("valid", "test"):
            yield "split", f"is {self.split!r}; allowed: valid, test, or your own files as src=FILE ref=FILE"
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
    """Run directory."""
    ensemble: list[str] = field(default_factory=list)
    """Further runs with the same tokenizers, which form an ensemble with `run`."""
    input: str | None = None
    """Text to translate, one sentence per line: a file, a pipe, or - for standard input; null: standard input, with a
    prompt on a terminal."""
    output: str | None = None
    """File for the translations, which must not exist, or a pipe; null or -: standard output."""
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
        if self.output is not None and self.input is None:
            yield "output", "is given but input is not; give input=FILE, or redirect standard output"
        if self.alignments is not None and self.alignments == self.output:
            yield "alignments", "and output are the same file; give different files"
        if self.prefix is not None and self.prefixes is not None:
            yield (
                "prefix",
                "and prefixes exclude each other; give one prefix for all lines, or a file with one per line",
            )
        yield from checkpoint_problems(self.checkpoint)


def checkpoint_problems(name: str) -> Iterator[tuple[str, str]]:
    """Yield a problem unless `name` denotes a checkpoint."""
    if not re.fullmatch("best|last|average:[1-9][0-9]{0,5}", name):
        yield "checkpoint", f"is {name!r}; allowed: best, last, average:N"


def from_hydra(schema: type[T], *composed: Any, prefix: str = "") -> T:
    """Convert a composed or loaded configuration to validated dataclasses.

    Code behind this function never handles a DictConfig.

    Args:
        schema: dataclass of the root.
        composed: configurations from Hydra or YAML; later ones override earlier ones.
        prefix: text before the keys in error messages, for a part of a tree.

    Raises:
        UserError: all problems together, each with its key and the allowed values.
    """
    try:
        # Plain containers, because a node that Hydra made of a dataclass would add the keys of `+key=value` unchecked.
        layers = [layer if OmegaConf.is_config(layer) else OmegaConf.create(layer) for layer in composed]
        plain = [OmegaConf.to_container(layer) for layer in layers]
        merged = OmegaConf.merge(with_kinds(schema, plain, prefix), *plain)
        config = OmegaConf.to_object(merged)
        if any("${" in text for layer in plain for text in texts_in(layer)):
            OmegaConf.structured(config)  # checks resolved references against the type of their key
    except MissingMandatoryValue as error:
        key = first_line(f"{prefix}{error.full_key}")
        raise UserError(f"{key} is missing; give it as {key}=...") from None
    except OmegaConfBaseException as error:
        where = first_line(f" key {prefix}{error.full_key}") if error.full_key else ""  # a key can contain line breaks
        raise UserError(f"configuration{where}: {first_line(error)}") from None
    except (ValueError, OverflowError):  # raised by Python for numbers of thousands of digits
        raise UserError("configuration: a number has too many digits; shorten it") from None
    except RecursionError:
        raise UserError("configuration: nested too deeply; `--help` lists the keys") from None
    assert isinstance(config, schema)
    problems = list(problems_in(config, prefix))
    if problems:
        raise UserError("configuration: " + "; ".join(problems))
    return config


def defaults(schema: type) -> DictConfig:
    """Return the default values of a schema from a cache. Callers must not change the result; merging copies it."""
    if schema not in DEFAULTS:
        DEFAULTS[schema] = OmegaConf.structured(schema)
    return DEFAULTS[schema]


def with_kinds(schema: type, layers: list[Any], prefix: str = "") -> DictConfig:
    """Return the default values of a schema with the encoder and decoder of the kinds that the layers name.

    Raises:
        UserError: there is no such kind, or a layer has a key that the kind lacks.
    """
    tree = defaults(schema)
    for path, kinds in side_paths(schema).items():
        given = [side for layer in layers if isinstance(side := value_at(layer, path), dict)]
        kind = next((side["kind"] for side in reversed(given) if side.get("kind", "???") != "???"), None)
        if kind is None:
            kind = OmegaConf.select(tree, path).kind
        if not isinstance(kind, str) or kind not in kinds:
            noun, name = path.rpartition(".")[2], first_line(str(kind))[:80]
            raise UserError(
                f"{prefix}{path}.kind is {name}; allowed: {', '.join(kinds)}. For another one import the module that "
                f"calls nmt.register_{noun}({name!r}, ...)"
            )
        allowed = kinds[kind].__dataclass_fields__
        if unknown := [str(key) for side in given for key in side if key not in allowed]:
            key, group = first_line(f"{prefix}{path}.{unknown[0]}"), path.replace(".", "/")
            raise UserError(
                f"{key} is not a key of the kind {kind}; choose a kind as {group}=NAME, or of these keys: "
                f"{', '.join(allowed)}"
            )
        if kind != OmegaConf.select(tree, path).kind:
            tree = copy.deepcopy(tree)
            OmegaConf.update(tree, path, OmegaConf.structured(kinds[kind]), merge=False)
    return tree


def save_config(config: Any, path: Path) -> None:
    """Write the configuration as YAML."""
    path.write_text(OmegaConf.to_yaml(OmegaConf.structured(config)), encoding="utf-8")


def load_config(schema: type[T], path: Path, overrides: Mapping[str, Any] | None = None) -> T:
    """Read a configuration written by `save_config`, with new values at some dotted keys.

    The file contains plain values only. Constructs that `save_config` never writes and that could be used for attacks
    are rejected: `${...}`, which can read the environment; aliases, which can expand one line to gigabytes; and tags.

    Raises:
        UserError: the file is missing, is not YAML, belongs to another version, or fails validation.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("utf-8")
        check_plain_values(text)
        loaded = OmegaConf.load(io.StringIO(text))
        if not isinstance(loaded, DictConfig):
            raise TypeError("it holds a list; a configuration file holds keys: write key: value")
        restore_text(schema, loaded, text)
        if "model.encoder" in side_paths(schema) and isinstance(loaded.get("model"), DictConfig):
            loaded["model"] = with_sides(loaded["model"])
        for key, value in (overrides or {}).items():
            OmegaConf.update(loaded, key, value, force_add=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; is this a run directory?") from None
    except (OmegaConfBaseException, YAMLError, TypeError, ValueError, RecursionError, OSError) as error:
        raise UserError(f"{path} cannot be read as a configuration: {first_line(error)}") from None
    try:
        return from_hydra(schema, loaded)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def check_plain_values(text: str) -> None:
    """Reject YAML that contains more than mappings, lists and plain values.

    Raises:
        ValueError: the text is too long or contains other constructs.
        YAMLError: the text is not YAML.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES:,} bytes")
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_LEVELS:
            raise ValueError(f"it is nested deeper than {MAX_LEVELS} levels")
        value = getattr(event, "value", "")
        if len(value) > MAX_DIGITS and NUMBER.fullmatch(value):
            raise ValueError(f"a number has more than {MAX_DIGITS} digits")
        more = "*" if isinstance(event, yaml.AliasEvent) else getattr(event, "tag", None) or ""
        more = more or "${" * ("${" in value)
        if more:
            line = "" if event.start_mark is None else f"line {event.start_mark.line + 1}: "
            raise ValueError(
                f"{line}{more} is not allowed in the configuration of a run, which contains plain values only"
            )


def with_search(schema: type[T], composed: DictConfig, trained: SearchConfig) -> tuple[T, SearchConfig]:
    """Return the configuration of a command, and its search settings merged over those of the run.

    A search setting `???` takes the value of the run: OmegaConf's merge keeps the left side where the right side is
    `???`.

    Raises:
        UserError: as in `from_hydra`.
    """
    search = from_hydra(SearchConfig, OmegaConf.structured(trained), composed.search, prefix="search.")
    rest = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "search"])
    return from_hydra(schema, rest), search
