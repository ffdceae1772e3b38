"""Diagnosis of the confidence of words: calibration on the validation set, errors on the test set."""

import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nmt.cli.diagnosis.output import save_numbers
from nmt.config import DiagnoseConfig, SearchConfig
from nmt.decoding import Translator, load_translator
from nmt.errors import UserError
from nmt.evaluation import translate_with_bar
from nmt.evaluation.calibration import (
    BINS,
    CalibrationError,
    LabelledWords,
    bin_sums,
    calibration_path,
    fit,
    labelled_words,
    write_calibration,
)
from nmt.lab.plots.calibration import draw_reliability
from nmt.run import RunDirectory
from nmt.runtime import Runtime


def calibrate(config: DiagnoseConfig, run: RunDirectory, search: SearchConfig, runtime: Runtime, folder: Path) -> None:
    """Fit the calibration of a run, store it in RUN/calibration.json, and write FOLDER/calibration.json and .png.

    Raises:
        UserError: the run has a calibration already, cannot be written, or lacks a split.
    """
    path = calibration_path(run)
    if path.exists():
        raise UserError(f"{path} exists already; delete it to fit the calibration again")
    if not os.access(run.path, os.W_OK):
        raise UserError(f"{run.path} cannot be written; give it write permission, or copy the run")
    translator, step = load_translator(run, config.checkpoint, search, runtime.device)
    translator.set_n_best(1)
    fitting, testing = (words_of_split(run, translator, split) for split in ("valid", "test"))
    calibration = fit(step, fitting, testing)
    after = np.interp(testing.probabilities, calibration.probabilities, calibration.confidences)
    bins = {"before": bin_sums(testing.probabilities, testing.right), "after": bin_sums(after, testing.right)}
    record = {
        "run": str(run.path),
        "search": asdict(search),
        "right_words": {"valid": float(fitting.right.mean()), "test": float(testing.right.mean())},
        "bins": {name: sums.tolist() for name, sums in bins.items()},
        "calibration": asdict(calibration),
    }
    save_numbers(folder, "calibration", record)
    draw_reliability(
        f"{run.path.name}: expected calibration error {percent(calibration.before)} before, "
        f"{percent(calibration.after)} after",
        bins,
        folder / "calibration.png",
    )
    write_calibration(run, calibration)
    table = Table("", "mean", "right", "expected calibration error", title_justify="left")
    table.title = f"{len(testing.right)} words of the test set, {BINS} bins, in percent"
    for name, values, error in (
        ("probability", testing.probabilities, calibration.before),
        ("confidence", after, calibration.after),
    ):
        table.add_row(name, f"{100 * values.mean():.1f}", f"{100 * testing.right.mean():.1f}", percent(error))
    Console(width=110).print(table)
    print(path)


def words_of_split(run: RunDirectory, translator: Translator, split: str) -> LabelledWords:
    """Translate a split, and return the words of its translations with their labels."""
    src, references = run.text(split)
    translations = [best for best, *_ in translate_with_bar(translator, src, split)]
    return labelled_words(translator, src, translations, references)


def percent(error: CalibrationError) -> str:
    """Return an error with its interval, in percent."""
    return f"{100 * error.value:.1f} ({100 * error.low:.1f}-{100 * error.high:.1f})"
