"""Runs with scores as written by `evaluate`, of translations made by a test."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from nmt.config import Config, DataConfig, PhrasebookConfig, SearchConfig, TokenizerConfig
from nmt.data import prepare
from nmt.metrics import Score, all_scores
from nmt.run import RunDirectory

SENTENCES = 24


def settings(cache: Path, **changes: Any) -> Config:
    """Return a configuration with a corpus that is prepared quickly."""
    corpus = PhrasebookConfig(train=150, valid=4, test=SENTENCES)
    data = DataConfig(phrasebook=corpus, cache=str(cache), tokenizer=TokenizerConfig(vocab_size=150))
    return Config(**{"data": data, **changes})


def scored_run(
    folder: Path,
    config: Config,
    broken: Callable[[int], bool],
    overrides: Sequence[str] = (),
    tokenize: str = "13a",
    **made_by: Any,
) -> RunDirectory:
    """Make a finished run whose translations are the references, some with the first word moved to the end.

    Args:
        folder: folder of the run.
        config: configuration of the run.
        broken: function from the index of a sentence to whether its first word is moved.
        overrides: overrides recorded for the start of the run.
        tokenize: BLEU tokenizer.
        made_by: further entries of the scores' record.
    """
    run = RunDirectory(folder)
    run.create(config, prepare(config.data))
    run.add_start({"overrides": list(overrides)})
    run.finish()
    references = run.text("test")[1]
    moved = [" ".join([*line.split()[1:], line.split()[0]]) for line in references]
    lines = [moved[i] if broken(i) else line for i, line in enumerate(references)]
    write_scores(run, lines, config.seed, tokenize, **made_by)
    return run


@cache
def scores_of(lines: tuple[str, ...], references: tuple[str, ...], tokenize: str) -> dict[str, Score]:
    return all_scores(lines, references, tokenize)


def write_scores(
    run: RunDirectory,
    lines: Sequence[str],
    seed: int,
    tokenize: str = "13a",
    split: str = "test",
    name: str | None = None,
    **made_by: Any,
) -> None:
    """Write the scores of translations of a split, under the split's name or another."""
    scores = scores_of(tuple(lines), tuple(run.text(split)[1]), tokenize)
    record: dict[str, Any] = {name: score.record() for name, score in scores.items()}
    record["made_by"] = {"checkpoint_step": 9, "seed": seed, "search": asdict(SearchConfig()), **made_by}
    stem = run.folder("scores") / (name or split)
    Path(f"{stem}.hyp").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    Path(f"{stem}.json").write_text(json.dumps(record), encoding="utf-8")
