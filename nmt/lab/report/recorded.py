"""Scores that evaluations recorded in RUN/scores, as text."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmt.config import SearchConfig
from nmt.data import read_json
from nmt.evaluation.table import SHOWN, title_of
from nmt.lab.comparison.systems import format_setting

NOT_RECORDED = "not recorded"
Fact = tuple[str, str]
"""A name and its value as text."""


@dataclass(frozen=True)
class RecordedScore:
    """One recorded score, as text."""

    label: str
    number: str
    interval: str
    """95 % interval; empty if none was recorded."""
    signature: str


@dataclass(frozen=True)
class EvaluationRecord:
    """Scores of one evaluation, from one file of RUN/scores."""

    name: str
    scores: list[RecordedScore]
    made_by: list[Fact]

    @classmethod
    def read(cls, path: Path) -> "EvaluationRecord | None":
        """Read a file of scores. Return None if it is damaged."""
        try:
            record = read_json(path)
            made_by = dict(record.pop("made_by"))
            scores = [recorded_score(name, score) for name, score in record.items() if isinstance(score, dict)]
            return cls(path.stem, scores, list(decoding_facts(made_by)))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
            return None


def recorded_score(name: str, score: dict[str, Any]) -> RecordedScore:
    label, digits = title_of(name, str(score["signature"])), SHOWN.get(name, (name, 2))[1]
    interval = ""
    if score.get("interval"):
        low, high = map(float, score["interval"])
        interval = f"[{low:.{digits}f}, {high:.{digits}f}]"
    return RecordedScore(label, f"{float(score['score']):.{digits}f}", interval, str(score["signature"]))


def decoding_facts(made_by: dict[str, Any]) -> Iterator[Fact]:
    """Yield the facts about how the translations were made."""
    defaults = asdict(SearchConfig())
    search = {key: value for key, value in dict(made_by["search"]).items() if value != defaults.get(key)}
    kind, beam = made_by["search"].get("kind", "beam"), made_by["search"].get("beam_size")
    others = [f"{key}={format_setting(value)}" for key, value in search.items() if key not in ("kind", "beam_size")]
    yield "search", ", ".join([f"{kind} of {beam}" if kind == "beam" else str(kind), *others])
    yield "checkpoint", f"{made_by.get('checkpoint', 'best')}, step {made_by.get('checkpoint_step', '?')}"
    if made_by.get("ensemble"):
        yield "ensemble with", ", ".join(map(str, made_by["ensemble"]))
    yield "precision", str(made_by.get("precision", NOT_RECORDED))
    yield "seed of the training", str(made_by.get("seed", NOT_RECORDED))
    if "sentences" in made_by:
        yield "sentences", f"{int(made_by['sentences']):,}"
    if "sentences_per_second" in made_by:
        yield "speed", f"{float(made_by['sentences_per_second']):,.0f} sentences/s"
    if made_by.get("unknown_reference_pieces"):
        yield "unknown pieces in the references", str(made_by["unknown_reference_pieces"])
    if "shortlist_coverage" in made_by:
        yield "reference pieces in the shortlists", f"{float(made_by['shortlist_coverage']['tokens']):.2%}"
    if "test_set" in made_by:
        yield "source lines, SHA-256", str(made_by["test_set"]["src_sha256"])
