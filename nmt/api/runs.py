"""Training, scoring and comparison of runs in Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nmt import pipeline
from nmt.api.results import list_of_lines
from nmt.api.translator import Run, load_runs, open_run
from nmt.config import CompareConfig, EvaluateConfig, from_hydra
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, score_translations, scores_name
from nmt.lab.comparison.compare import Comparison
from nmt.lab.comparison.report import comparison_tables, markdown
from nmt.lab.comparison.systems import gather
from nmt.metrics import Score, check_tokenizer
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime
from nmt.training.resume import has_work


def train(
    experiment: str | None = None, overrides: Sequence[str] = (), *, config_dir: str | Path | None = None
) -> RunDirectory:
    """Train a model as `nmt-train experiment=EXPERIMENT OVERRIDES` does, and return its run.

    No signal handler is installed: an interrupt ends the training at once, and `train.resume=RUN` among the overrides
    continues from its last checkpoint. The log goes to the logger `nmt`, and no train.log is written.

    Args:
        experiment: file of conf/experiment; None: the default configuration.
        overrides: overrides as on the command line, for example `["train.max_steps=200", "hydra.run.dir=runs/short"]`.
        config_dir: further folder of configuration files, as with --config-dir.

    Returns:
        The run, whose directory is `.path`. Its test set is scored, if the corpus has one.

    Raises:
        UserError: an override is wrong, the corpus cannot be prepared, or the training fails.
    """
    from nmt.cli import app  # Hydra, which nothing else here needs
    from nmt.cli.app.choose_run import choose_run
    from nmt.cli.app.composing import composed

    words = [*([] if experiment is None else [f"experiment={experiment}"]), *list_of_lines(overrides, "overrides")]
    with composed("train", words, config_dir) as cfg:
        config, run = choose_run(cfg)
        given = app.overrides()
    runtime = setup_runtime(config.machine)
    check_tokenizer(config.data.bleu_tokenize)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # the caller's random numbers stay
        prepared = None if run.exists else pipeline.create_run(run, config)
        if has_work(run, config):
            with run.locked():
                pipeline.record_start(run, config, given, ["nmt.train", *words])
                pipeline.train(config, run, runtime, prepared, defer_signals=False)
    return open_run(run)


def evaluate(
    run: Run | Sequence[Run],
    split: str = "test",
    *,
    testset: str | None = None,
    name: str | None = None,
    checkpoint: str = "best",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    **search: Any,
) -> dict[str, Score]:
    """Score a run as `nmt-evaluate` does, and write the scores and translations to RUN/scores.

    Args:
        run: run directory, or a list of run directories that translate as an ensemble.
        split: valid or test, as stored in the run, or a further test set of its corpus by its name in `data.tests`.
        testset: test set of sacrebleu, such as wmt14, which replaces the split.
        name: name of the files; None: that of the split or test set. Needed for an ensemble.
        checkpoint, device, precision, threads: as in `nmt.load`.
        search: search settings that replace those of the run, as in `RunTranslator.translate`.

    Returns:
        The scores by name, such as bleu and chrf, with their intervals and signatures.

    Raises:
        UserError: the run has no such split, or a setting is wrong.
    """
    loaded = load_runs(run, checkpoint=checkpoint, device=device, precision=precision, threads=threads)
    first, *others = loaded.runs
    if others and name is None:
        raise UserError("an ensemble needs a name for the files of its scores; give name=NAME")
    from_hydra(EvaluateConfig, {"run": str(first.path), "split": split, "testset": testset, "name": name})
    config = first.config()
    check_tokenizer(config.data.bleu_tokenize)
    pair = f"{config.data.src_lang}-{config.data.tgt_lang}"
    if testset is None:
        stem, test = split, EvaluationSet.of_run(first, split)
    else:
        stem, test = scores_name(testset, pair), EvaluationSet.of_sacrebleu(testset, pair)
    chosen = {"checkpoint": first.checkpoint_link(checkpoint), "ensemble": [str(other.path) for other in others]}
    scored = score_translations(test, loaded.translator(search), loaded.step, config, chosen)
    scored.keep(first.folder("scores") / (name or stem))
    return scored.scores


class RunComparison(Comparison):
    """Comparison of runs, which a notebook shows as its tables; `cells` has the scores, tests and intervals."""

    def markdown(self) -> str:
        """Return the tables of scores and costs as Markdown."""
        return "\n".join(map(markdown, comparison_tables(self, [], [])))

    def _repr_markdown_(self) -> str:
        return self.markdown()


def compare(
    runs: Sequence[Run], split: str = "test", *, testset: str | None = None, metric: str | None = None
) -> RunComparison:
    """Compare scored runs as `nmt-compare` does: means, intervals and significance tests against the first system.

    Args:
        runs: run directories, or folders that hold some. Runs that differ only in their seed are one system.
        split: valid, test, a further test set of the corpus or the recorded name of other scores. Training has scored
            the test set; `nmt.evaluate` and `nmt-evaluate` score others.
        testset: test set of sacrebleu that all runs have scored, which replaces the split.
        metric: the only score to compare; None: all.

    Raises:
        UserError: a run has no such scores, or the runs have different test sets.
    """
    if isinstance(runs, Run):
        raise UserError("compare takes a list of runs; give [run, run]")
    paths = [str(run.path if isinstance(run, RunDirectory) else run) for run in runs]
    from_hydra(CompareConfig, {"runs": paths, "split": split, "metric": metric, "testset": testset})
    systems, test = gather(paths, split, metric, testset)
    return RunComparison(systems, test, metric)
