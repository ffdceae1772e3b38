"""Scores of a run, with everything that is needed to repeat them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from nmt.config import Config, SearchConfig
from nmt.console import progress_bar
from nmt.data import BOS_ID, PAD_ID
from nmt.decoding import Candidate, Ensemble, Translator
from nmt.errors import UserError
from nmt.metrics import Score, all_scores
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.run import RunDirectory, load_average, load_weights

NAMES = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}


def load_translator(
    run: RunDirectory,
    checkpoint: str,
    search: SearchConfig,
    device: torch.device,
    others: Sequence[RunDirectory] = (),
) -> tuple[Translator, int]:
    """A run's model ready to translate, and the step of its checkpoint.

    Args:
        run: whose model and tokenizers are used.
        checkpoint: best, last or average:N, of every run.
        search: how to translate.
        device: where.
        others: runs whose models decode together with this one's, as an ensemble.

    Raises:
        UserError: a run is incomplete or damaged, or has another vocabulary.
    """
    models, steps = zip(*(load_model(each, checkpoint) for each in (run, *others)), strict=True)
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    for other in others:
        if (other.tokenizer("src").model, other.tokenizer("tgt").model) != (src.model, tgt.model):
            raise UserError(f"ensemble: {other.path} has other tokenizers than {run.path}; train both on one corpus")
    members = [model.to(device).eval() for model in models]
    model = Ensemble(members) if others else members[0]
    return Translator(model, src, tgt, search, run.config().data.bleu_tokenize), steps[0]


def load_model(run: RunDirectory, checkpoint: str) -> tuple[Seq2Seq, int]:
    """A run's model with the weights of a checkpoint, and its step; of an average, the newest."""
    config = run.config()
    name, _, count = checkpoint.partition(":")
    if count and int(count) > config.train.keep_checkpoints:
        raise UserError(
            f"checkpoint={checkpoint}: {run.path} keeps {config.train.keep_checkpoints} checkpoints; "
            f"train with train.keep_checkpoints={count}"
        )
    load = partial(load_average, run.checkpoints, int(count)) if count else partial(load_weights, run.checkpoints, name)
    step, weights = load(run.identity)
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    model = build_model(config.model, Vocabulary(src.size, tgt.size, PAD_ID, BOS_ID))
    model.load_weights(weights)
    return model, step


def translate_with_bar(translator: Translator, lines: Sequence[str]) -> list[list[Candidate]]:
    """The n best translations of each line, with a progress bar on standard error if that is a terminal."""
    with progress_bar() as bar:
        task = bar.add_task("translating", total=len(lines))
        return translator.translate(lines, lambda done: bar.advance(task, done))


def evaluate_split(
    run: RunDirectory, translator: Translator, split: str, step: int, config: Config
) -> dict[str, Score]:
    """Scores a held-out split; writes RUN/scores/SPLIT.json and the hypotheses beside it."""
    src, references = run.text(split)
    return evaluate_lines(src, references, translator, step, config, run.folder("scores") / split)


def evaluate_lines(
    src: Sequence[str],
    references: Sequence[str],
    translator: Translator,
    step: int,
    config: Config,
    stem: Path,
    chosen: Mapping[str, object] | None = None,
) -> dict[str, Score]:
    """Translates, scores, and writes STEM.json and STEM.hyp.

    Args:
        src: source sentences.
        references: as many reference translations.
        translator: the model and its search.
        step: the checkpoint's, for the record.
        config: the run's configuration.
        stem: the files' path without ending.
        chosen: what else of the command belongs to the record.

    Raises:
        UserError: the sides are of different length.
    """
    if len(src) != len(references):
        raise UserError(f"src has {len(src)} lines and ref {len(references)}; give parallel files")
    if not src:
        raise UserError("src has no line; there is nothing to score")
    hypotheses = [best.text for best, *_ in translate_with_bar(translator, src)]
    scores = all_scores(hypotheses, references, config.data.bleu_tokenize)
    record = {name: asdict(score) for name, score in scores.items()}
    record["made_by"] = {
        "checkpoint_step": step,
        "seed": config.seed,
        "search": asdict(translator.config),
        "precision": str(translator.model.precision),
        "sentences": len(src),
        **(chosen or {}),
    }
    Path(f"{stem}.hyp").write_text("".join(line + "\n" for line in hypotheses), encoding="utf-8")
    Path(f"{stem}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    return scores


def show_scores(scores: dict[str, Score]) -> None:
    """Prints the scores as a table on a terminal, and elsewhere a line each with its signature on the next."""
    console = Console()
    if not console.is_terminal:
        for name, score in scores.items():
            print(f"{NAMES[name]} = {score.score:.1f}\n{score.signature}")
        return
    table = Table("metric", "score", "signature")
    for name, score in scores.items():
        table.add_row(NAMES[name], f"{score.score:.2f}", score.signature)
    console.print(table)
