"""The roots of the tree, one a command, and the only door through which a configuration enters."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from nmt.config.checks import number, one_standard_input, problems_in, texts_in
from nmt.config.data import DataConfig, SubwordType
from nmt.config.model import NOISE, ModelConfig, Tying
from nmt.config.optim import OptimConfig
from nmt.config.search import SearchConfig
from nmt.config.text_keys import keep_text
from nmt.config.tracking import TrackingConfig
from nmt.config.train import BatchUnit, ObjectiveKind, TrainConfig
from nmt.errors import UserError, first_line

MOST_BYTES = 1 << 20  # of a run's configuration, which has a few thousand
MOST_DIGITS = 100  # of a number, which YAML's reader takes the square of, too
NUMBER = re.compile(r"[-+]?[0-9][0-9a-fA-FxXoObB_:.]*")
MOST_LEVELS = 20  # of which it has six; YAML's reader takes the square of the depth
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Of libyaml where PyYAML was built with it, ten times as fast."""
T = TypeVar("T")
DEFAULTS: dict[type, DictConfig] = {}


class Precision(StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"


@dataclass
class MachineConfig:
    """What a command computes on."""

    device: str = "auto"
    """auto (cuda if there is one, else cpu), cpu, cuda or cuda:N."""
    precision: Precision = Precision.auto
    """auto: in training bfloat16 where matrices are multiplied in it (AMX, CUDA), else float32; in translation and
    scoring float32, so that a score is the same on any machine. int8, for translation alone: 1.6 times as fast where
    the processor multiplies 8-bit integers (VNNI, AMX); it moved BLEU by up to 0.2, either way."""
    threads: int | None = None
    """Number of threads; null: OMP_NUM_THREADS if it is set, else the number of cores that the process may use
    (affinity and the control group's quota). Results are equal to the bit only at the same number of threads."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.device not in ("auto", "cpu") and not self.device.startswith("cuda"):
            yield "device", f"is {self.device!r}; allowed: auto, cpu, cuda, cuda:N"
        yield from number(self, "threads", 1, 1024)


@dataclass
class Config:
    """A run: everything that `train` needs, and what a run directory remembers."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)
    seed: int = 1
    """Seed of the weights, the dropout and the order of the data."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "seed", 0, 2**63 - 1)
        if self.machine.precision == Precision.int8:
            yield "machine.precision", "is int8, which is for translation; training allows auto, float32, bfloat16"
        if self.data.tokenizer.type == SubwordType.bpe and (self.train.subword_sampling or 0) > 1:
            yield "train.subword_sampling", f"is {self.train.subword_sampling}; allowed with bpe: from 0 to 1"
        if self.train.tar and self.model.dropout and not self.model.fixed_masks:
            yield "train.tar", "is on and model.fixed_masks false: it would punish the masks' change; set fixed_masks"
        if self.train.both_directions and not self.data.tokenizer.joint:
            yield (
                "train.both_directions",
                "is on and data.tokenizer.joint false; set it to 0, or have a joint vocabulary",
            )
        if self.train.objective == ObjectiveKind.r_drop and not any(getattr(self.model, name) for name in NOISE):
            yield (
                "train.objective",
                "is r_drop and the model drops nothing, so that its two passes are equal; set model.dropout",
            )
        if self.train.mean_over == BatchUnit.sentences and (self.optim.l1 or self.optim.l2):
            yield "train.mean_over", "is sentences, which takes no optim.l1 or optim.l2; use optim.weight_decay"
        if self.search.coverage_penalty and self.model.attention is None:
            yield "search.coverage_penalty", "is on and model.attention null: it sums attention's weights; set it to 0"
        if self.model.tying == Tying.three_way and not self.data.tokenizer.joint:
            yield (
                "model.tying",
                "is three_way and data.tokenizer.joint false; use two_way, or a joint vocabulary",
            )


@dataclass
class PrepareConfig:
    """`prepare`: the corpus to turn into ids."""

    data: DataConfig = field(default_factory=DataConfig)


@dataclass
class EvaluateConfig:
    """`evaluate`: a trained run on one of its splits, or on files of your own."""

    run: str
    """The run directory."""
    ensemble: list[str] = field(default_factory=list)
    """Further runs of the same tokenizers, whose models decode together with the first one's."""
    split: str = "test"
    """valid or test, as the run directory keeps them."""
    src: str | None = None
    """Instead of a split: a file with source sentences ..."""
    ref: str | None = None
    """... and one with their reference translations."""
    further_refs: list[str] = field(default_factory=list)
    """Further files of reference translations."""
    testset: str | None = None
    """Instead of a split: a test set by the name that sacrebleu gives it, such as wmt14; fetched by sacrebleu."""
    name: str | None = None
    """Name of the files of scores; null: that of the split, the file or the test set."""
    output: str | None = None
    """Folder for the files of scores; null: RUN/scores. Needed for a run that cannot be written to."""
    comet: str | None = None
    """A model of COMET to score with too, such as Unbabel/wmt22-comet-da, or a .ckpt file: one that you trust."""
    checkpoint: str = "best"
    """best, last, or average:N, the mean of the weights of the N newest (train.keep_checkpoints keeps them)."""
    search: dict[str, Any] = field(default_factory=dict)
    """What differs from the run's own search; `with_search` puts the two together."""
    machine: MachineConfig = field(default_factory=MachineConfig)

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.split not in ("valid", "test"):
            yield "split", f"is {self.split!r}; allowed: valid, test, or own files by src=FILE ref=FILE"
        if (self.src is None) != (self.ref is None):
            yield "src", "and ref go together; give both or neither"
        if self.further_refs and self.ref is None:
            yield "further_refs", "go with src and ref; give these too"
        yield from one_standard_input(src=self.src, ref=self.ref, further_refs=self.further_refs)
        if self.testset is not None and self.src is not None:
            yield "testset", "is given and src and ref are too; give one or the other"
        if self.name is not None and not re.fullmatch(r"\w[\w.-]*", self.name):
            yield "name", f"is {self.name!r}; allowed: a file's name of letters, digits, '_', '-' and '.'"
        own = self.src is None and self.testset is None and not self.ensemble
        if self.name in ("train", "valid", "test") and not (own and self.name == self.split):
            yield "name", f"is {self.name!r}, where the run's own scores of that split are kept; give another name"
        yield from checkpoint_problems(self.checkpoint)


@dataclass
class TranslateConfig:
    """`translate`: interactive on a terminal, a filter in a pipe, or from file to file."""

    run: str
    """The run directory."""
    ensemble: list[str] = field(default_factory=list)
    """Further runs of the same tokenizers, whose models decode together with the first one's."""
    input: str | None = None
    """Text to translate, one sentence a line: a file, a pipe, or - for standard input; null: that too, or a prompt if
    it is a terminal."""
    output: str | None = None
    """File for the translations, which must not exist, or a pipe; null or -: standard output."""
    alignments: str | None = None
    """File for alignments of words by attention, which must not exist: for each line of output one in Pharaoh's format,
    as `0-0 1-2`, numbers of a source word and of a target word."""
    prefix: str | None = None
    """What every translation begins with; its last word may go on unless a space follows it."""
    prefixes: str | None = None
    """Instead: a file with a prefix for each line of the input; an empty line is none."""
    constraints: str | None = None
    """A file with words and phrases that each line's translation must hold, separated by tabs."""
    checkpoint: str = "best"
    """best, last, or average:N, the mean of the weights of the N newest (train.keep_checkpoints keeps them)."""
    search: dict[str, Any] = field(default_factory=dict)
    """What differs from the run's own search; `with_search` puts the two together."""
    machine: MachineConfig = field(default_factory=MachineConfig)

    def problems(self) -> Iterator[tuple[str, str]]:
        texts = {"input": self.input or "-", "prefixes": self.prefixes, "constraints": self.constraints}
        yield from one_standard_input(**texts)
        if self.alignments == "-" and self.output in (None, "-"):
            yield "alignments", "and the translations are both standard output; give a file for one of them"
        if self.output is not None and self.input is None:
            yield "output", "is given and input is not; give input=FILE, or redirect standard output"
        if self.alignments is not None and self.alignments == self.output:
            yield "alignments", "and output are the same file; give them different names"
        if self.prefix is not None and self.prefixes is not None:
            yield "prefix", "and prefixes do not go together; give one for all lines, or a file with one a line"
        yield from checkpoint_problems(self.checkpoint)


def checkpoint_problems(name: str) -> Iterator[tuple[str, str]]:
    if not re.fullmatch("best|last|average:[1-9][0-9]{0,5}", name):
        yield "checkpoint", f"is {name!r}; allowed: best, last, average:N"


def from_hydra(schema: type[T], *composed: Any, prefix: str = "") -> T:
    """Turns a composed or loaded configuration into checked dataclasses; after it nobody sees a DictConfig.

    Args:
        schema: the dataclass of the root.
        composed: what hydra or YAML gave; of several, a later one counts more.
        prefix: what stands before the keys in the errors, for a part of a tree.

    Raises:
        UserError: all problems together, each with its key and the allowed values.
    """
    try:
        # As plain containers: a node that hydra made of a dataclass would bring keys that `+key=value` added unseen.
        layers = [layer if OmegaConf.is_config(layer) else OmegaConf.create(layer) for layer in composed]
        plain = [OmegaConf.to_container(layer) for layer in layers]
        merged = OmegaConf.merge(defaults(schema), *plain)
        config = OmegaConf.to_object(merged)
        if any("${" in text for layer in plain for text in texts_in(layer)):
            OmegaConf.structured(config)  # what a reference gave has not been held against the type of its place
    except MissingMandatoryValue as error:
        key = first_line(f"{prefix}{error.full_key}")
        raise UserError(f"{key} is missing; give it as {key}=...") from None
    except OmegaConfBaseException as error:
        where = first_line(f" key {prefix}{error.full_key}") if error.full_key else ""  # a key may be of several
        raise UserError(f"configuration{where}: {first_line(error)}") from None
    except (ValueError, OverflowError):  # python's own, for numbers of thousands of digits
        raise UserError("configuration: a number has more digits than a number may have") from None
    except RecursionError:
        raise UserError("configuration: nested too deeply; write keys as nmt/config/ has them") from None
    assert isinstance(config, schema)
    problems = list(problems_in(config, prefix))
    if problems:
        raise UserError("configuration: " + "; ".join(problems))
    return config


def defaults(schema: type) -> DictConfig:
    """A schema's own values, read from it once; not to be changed, merging copies it."""
    if schema not in DEFAULTS:
        DEFAULTS[schema] = OmegaConf.structured(schema)
    return DEFAULTS[schema]


def save_config(config: Any, path: Path) -> None:
    """Writes the configuration as YAML."""
    path.write_text(OmegaConf.to_yaml(OmegaConf.structured(config)), encoding="utf-8")


def load_config(schema: type[T], path: Path, overrides: Mapping[str, Any] | None = None) -> T:
    """Read a configuration that `save_config` wrote, with other values at some dotted keys.

    It holds values alone. What `save_config` never writes, and whoever made the file could mean harm by, is refused:
    `${...}`, which can read the environment, aliases, which can make gigabytes of a line, and tags.

    Raises:
        UserError: the file is missing, not YAML, of another version, or fails its checks.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8")
        refuse_more_than_values(text)
        loaded = OmegaConf.load(io.StringIO(text))
        if not isinstance(loaded, DictConfig):
            raise TypeError("it holds a list; a configuration file holds keys: write key: value")
        keep_text(schema, loaded, text)
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


def refuse_more_than_values(text: str) -> None:
    """
    Raises:
        ValueError: YAML is too long, or has more in it than mappings, lists and plain values.
        YAMLError: it is no YAML.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"it is longer than {MOST_BYTES:,} bytes")
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_LEVELS:
            raise ValueError(f"it is nested deeper than {MOST_LEVELS} levels")
        value = getattr(event, "value", "")
        if len(value) > MOST_DIGITS and NUMBER.fullmatch(value):
            raise ValueError(f"a number has more than {MOST_DIGITS} digits")
        more = "*" if isinstance(event, yaml.AliasEvent) else getattr(event, "tag", None) or ""
        more = more or "${" * ("${" in value)
        if more:
            line = "" if event.start_mark is None else f"line {event.start_mark.line + 1}: "
            raise ValueError(f"{line}{more} has no place in a run's configuration, which holds plain values")


def with_search(schema: type[T], composed: DictConfig, trained: SearchConfig) -> tuple[T, SearchConfig]:
    """A command's configuration, and its search settings on top of the run's: a value `???` asks for the run's.

    OmegaConf's merge leaves the left side where the right side is `???`.

    Raises:
        UserError: as `from_hydra`.
    """
    search = from_hydra(SearchConfig, OmegaConf.structured(trained), composed.search, prefix="search.")
    rest = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "search"])
    return from_hydra(schema, rest), search
