"""Judgements of people as a score of a comparison of runs."""

from collections.abc import Sequence

import numpy as np

from nmt.config import HumanEvalConfig, user_path
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.lab.comparison.cells import ScoreCell, interval_cell
from nmt.lab.comparison.statistics import ExtraScore
from nmt.lab.comparison.systems import System
from nmt.lab.judgements.answers import read_ratings
from nmt.lab.judgements.checks import CheckLimits
from nmt.lab.judgements.key_file import read_key
from nmt.lab.judgements.report import evaluate_ratings, human_signature
from nmt.lab.judgements.scores import HumanScores, mean_over_raters


def human_column(systems: Sequence[System], test: EvaluationSet, judgements: str, exclude_failed: bool) -> ExtraScore:
    """Return the scores of the systems whose runs were judged, with tests against the first system if it was judged.

    Judged runs of one system, which differ in their seed, are averaged.

    Raises:
        UserError: the campaign is damaged, has no ratings, judged another test set, or none of the runs.
    """
    folder = user_path(judgements)
    design = read_key(folder)
    limits = CheckLimits.of(HumanEvalConfig("score", judgements), design.kind)
    lines = list(test.src)
    if any(one.line > len(lines) or lines[one.line - 1] != one.src for one in design.segments):
        raise UserError(f"judgements={folder} has sentences of another test set than {test.name}; choose its campaign")
    evaluation = evaluate_ratings(design, read_ratings(folder, design), limits, exclude_failed)
    judged = [
        [at for at, path in enumerate(design.paths) if path in {str(run.run.path.resolve()) for run in system.runs}]
        for system in systems
    ]
    rows = [mean_over_raters(evaluation.scores.values[:, at].transpose(1, 0, 2)) for at in judged if at]
    if not rows:
        raise UserError(f"judgements={folder} has no judgements of these runs; it has: {', '.join(design.paths)}")
    scores = HumanScores(np.stack(rows, axis=1), evaluation.scores.standardise)
    found = iter(scores.cells if judged[0] else [interval_cell(resampled) for resampled in scores.resampled])
    cells: list[ScoreCell | None] = [next(found) if at else None for at in judged]
    return ExtraScore(human_signature(evaluation), cells)
