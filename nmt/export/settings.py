"""Settings of an exported folder: settings.json."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from nmt.config import ExportPrecision, LengthPenalty, SearchConfig, SearchKind
from nmt.config.checks import problems_in
from nmt.errors import UserError

FORMAT = 1
SEARCHED = (
    *("kind", "beam_size", "length_penalty", "alpha", "n_best", "max_length_ratio", "max_length_offset"),
    *("min_length", "max_source_pieces", "batch_size", "coverage_penalty"),
)
"""Search settings that an exported folder has; the others are those of searches that need torch."""
KINDS = (SearchKind.greedy, SearchKind.beam)


@dataclass(frozen=True)
class StateTensor:
    """Tensor of the decoder's state: an output of the encoder and an input of the step."""

    name: str
    per_hypothesis: bool
    """True if it has one row per hypothesis, so that the step returns it; False: one per sentence, which stays."""
    axis: int
    """Axis of the rows."""


@dataclass(frozen=True)
class ExportSettings:
    """Everything about an exported model that its graphs and tokenizers do not hold."""

    name: str
    """Name of the run."""
    checkpoint: str
    """Checkpoint of the run: best, last or average:N."""
    step: int
    """Training step of the checkpoint."""
    precision: ExportPrecision
    directions: tuple[tuple[str, str], ...]
    """Languages of the source and the target, of a multilingual run all pairs; the first is the default."""
    attends: bool
    """True if the step returns attention weights."""
    src_size: int
    """Number of pieces of the source vocabulary."""
    tgt_size: int
    """Number of pieces of the target vocabulary."""
    state: tuple[StateTensor, ...]
    """Tensors of the decoder's state."""
    search: SearchConfig
    """Search settings of the run."""

    def to_json(self) -> dict[str, Any]:
        """Return the content of settings.json."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        content["state"] = [asdict(tensor) for tensor in self.state]
        content["search"] = {key: getattr(self.search, key) for key in SEARCHED}
        return {"format": FORMAT} | content

    @classmethod
    def from_json(cls, content: Any) -> "ExportSettings":
        """Return the settings in the content of settings.json.

        Raises:
            UserError: the settings are of another version.
            ValueError, TypeError, KeyError, AttributeError: they are damaged.
        """
        if content["format"] != FORMAT:
            raise UserError(
                f"is an export of format {content['format']}, this version reads {FORMAT}; export the run again"
            )
        values = {field.name: content[field.name] for field in fields(cls)}
        for name, kind in (("name", str), ("checkpoint", str), ("step", int), ("src_size", int), ("tgt_size", int)):
            if type(values[name]) is not kind:
                raise ValueError(name)
        if type(values["attends"]) is not bool:
            raise ValueError("attends")
        values["precision"] = ExportPrecision(values["precision"])
        values["directions"] = tuple((str(src), str(tgt)) for src, tgt in values["directions"])
        values["state"] = read_state(values["state"])
        values["search"] = read_search(values["search"])
        if not values["directions"]:
            raise ValueError("directions")
        return cls(**values)


def read_state(content: Any) -> tuple[StateTensor, ...]:
    """Return the tensors of a state; raise ValueError or TypeError if they are damaged."""
    tensors = tuple(StateTensor(**tensor) for tensor in content)
    for tensor in tensors:
        if type(tensor.name) is not str or type(tensor.per_hypothesis) is not bool or tensor.axis not in (0, 1):
            raise ValueError("state")
    if len({tensor.name for tensor in tensors}) < len(tensors) or not any(each.per_hypothesis for each in tensors):
        raise ValueError("state")
    return tensors


def read_search(content: Mapping[str, Any]) -> SearchConfig:
    """Return search settings; raise ValueError if they are damaged."""
    if set(content) != set(SEARCHED):
        raise ValueError("search")
    defaults = SearchConfig()
    for key, value in content.items():
        expected = int if key == "batch_size" and value is not None else type(getattr(defaults, key))
        if issubclass(expected, StrEnum):
            expected = str
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise ValueError(key)
    search = SearchConfig(**content)
    search.kind, search.length_penalty = SearchKind(search.kind), LengthPenalty(search.length_penalty)
    if problems := list(problems_in(search)):
        raise ValueError(problems[0])
    return search


def check_search(search: SearchConfig) -> None:
    """Refuse search settings that an exported folder does not support.

    Raises:
        UserError: one of the settings needs torch.
    """
    refused: list[str] = []
    if search.kind not in KINDS:
        refused.append(f"search.kind={search.kind}")
    refused += [f"search.{key}" for key in ("block_ngrams", "replace_unknown", "shortlist") if getattr(search, key)]
    if refused:
        raise unsupported(refused)


def unsupported(names: Sequence[str]) -> UserError:
    """Return the error for settings that an exported folder does not support."""
    return UserError(f"an exported folder does not support {', '.join(names)}; leave it out, or translate from the run")
