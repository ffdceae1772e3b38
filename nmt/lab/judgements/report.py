"""Report of a campaign: scores, wins, agreement, checks and correlations as tables, Markdown and JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmt.errors import UserError
from nmt.evaluation.table import title_of
from nmt.lab.comparison.report import (
    SCORE_HEADINGS,
    TitledTable,
    digits_of,
    interval_text,
    markdown,
    p_text,
    reading_notes,
    score_columns,
)
from nmt.lab.judgements.answers import Rating
from nmt.lab.judgements.checks import CheckLimits, RaterCheck, check_raters
from nmt.lab.judgements.correlation import MetricCorrelation, metric_correlations
from nmt.lab.judgements.design import Design
from nmt.lab.judgements.scores import AlphaWithInterval, HumanScores, agreement, rating_array
from nmt.metrics import Comet

KIND_TITLES = {"da": "direct assessment", "esa": "error span annotation", "pairwise": "pairwise comparison"}
UNDEFINED = "-"


@dataclass(frozen=True)
class HumanEvaluation:
    """Results of a campaign."""

    design: Design
    ratings: list[Rating]
    checks: list[RaterCheck]
    raters: list[str]
    """Raters whose ratings count."""
    scores: HumanScores
    alpha: AlphaWithInterval


def evaluate_ratings(
    design: Design, ratings: list[Rating], limits: CheckLimits, exclude_failed: bool
) -> HumanEvaluation:
    """Check the raters and score the systems.

    Raises:
        UserError: no rater is left, or a system has no rating.
    """
    checks = check_raters(ratings, design, limits)
    raters = [check.rater for check in checks if not (check.failures and exclude_failed)]
    if not raters:
        raise UserError(
            "no ratings are left: every rater failed a check; leave out exclude_failed=true"
            if checks
            else "there are no ratings; import filled sheets first"
        )
    values = rating_array(ratings, design, raters)
    for name, of_system in zip(design.systems, values.transpose(1, 0, 2), strict=True):
        if (of_system != of_system).all():
            raise UserError(f"system {name} has no rating; import more answers, or keep the raters who judged it")
    scores = HumanScores(values, standardise=design.kind != "pairwise")
    return HumanEvaluation(design, ratings, checks, raters, scores, agreement(ratings, design, raters))


def human_signature(evaluation: HumanEvaluation) -> str:
    """Return a signature in sacrebleu's format, which says how the column was obtained."""
    design = evaluation.design
    parts = {
        "kind": design.kind,
        "z": "rater" if evaluation.scores.standardise else "no",
        "raters": len(evaluation.raters),
        "excluded": len(evaluation.checks) - len(evaluation.raters),
        "sentences": len(design.segments),
        "ratings": int(evaluation.scores.present.sum()),
    }
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def evaluation_tables(
    evaluation: HumanEvaluation, correlations: Sequence[MetricCorrelation], limits: CheckLimits
) -> list[TitledTable]:
    tables = [systems_grid(evaluation), pairs_grid(evaluation)]
    if evaluation.design.kind == "esa":
        tables.append(errors_grid(evaluation))
    return [*tables, agreement_grid(evaluation), raters_grid(evaluation, limits), correlations_grid(correlations)]


def systems_grid(evaluation: HumanEvaluation) -> TitledTable:
    design, scores = evaluation.design, evaluation.scores
    rows = [
        [name, f"{raw:.{1 if scores.standardise else 3}f}", *score_columns(cell, 3)]
        for name, raw, cell in zip(design.systems, scores.raw_means, scores.cells, strict=True)
    ]
    title = f"{KIND_TITLES[design.kind]}: {design.test_set} set, {len(design.segments):,} sentences"
    meaning = (
        "raw: mean rating, 0 to 100. mean: mean of z = (rating - mean) / standard deviation of the rater's ratings."
        if scores.standardise
        else "mean: share of comparisons won, an equal one counts one half."
    )
    fixed = "The intervals and tests resample the sentences; they treat the raters as fixed."
    notes = [meaning, *reading_notes(scores.cells, False), fixed, f"human: {human_signature(evaluation)}"]
    return TitledTable(title, ["system", "raw", *SCORE_HEADINGS], rows, notes)


def pairs_grid(evaluation: HumanEvaluation) -> TitledTable:
    names = evaluation.design.systems
    rows = [
        [
            f"{names[pair.first]} - {names[pair.second]}",
            *map(str, (pair.wins, pair.ties, pair.losses)),
            f"{pair.difference:+.3f}",
            p_text(pair.p),
        ]
        for pair in evaluation.scores.pairs
    ]
    note = "wins, ties, losses: sentences on which the first system is better, equal or worse (mean over the raters)."
    correction = "p: larger p of the paired bootstrap and of approximate randomisation, corrected for all pairs (Holm)."
    return TitledTable("Pairs", ["systems", "wins", "ties", "losses", "difference", "p"], rows, [note, correction])


def errors_grid(evaluation: HumanEvaluation) -> TitledTable:
    """Return the mean number of marked errors per translation, and their mean cost."""
    design = evaluation.design
    minor, major, rated = ([0] * len(design.systems) for _ in range(3))
    for rating in evaluation.ratings:
        item = design.items[rating.item]
        if rating.rater in evaluation.raters and not item.check:
            for system in item.shown[0].systems:
                rated[system] += 1
                minor[system] += sum(error.severity == "minor" for error in rating.errors)
                major[system] += sum(error.severity == "major" for error in rating.errors)
    rows = [
        [name, f"{minor[at] / n:.2f}", f"{major[at] / n:.2f}", f"{(minor[at] + 5 * major[at]) / n:.2f}", str(n)]
        for at, (name, n) in enumerate(zip(design.systems, (max(1, count) for count in rated), strict=True))
    ]
    note = "Mean per rated translation. cost: 1 per minor and 5 per major error, as in MQM (Freitag et al. 2021)."
    return TitledTable("Marked errors", ["system", "minor", "major", "cost", "ratings"], rows, [note])


def agreement_grid(evaluation: HumanEvaluation) -> TitledTable:
    alpha = evaluation.alpha
    level = "nominal, on the answers" if evaluation.design.kind == "pairwise" else "interval, on z-scores"
    row = [
        number_text(alpha.alpha),
        "" if alpha.interval is None else interval_text(alpha.interval, 2),
        str(alpha.units),
        level,
    ]
    note = "1: perfect agreement, 0: agreement of random answers. units: judged by at least two raters."
    return TitledTable("Agreement", ["Krippendorff's alpha", "95 % interval", "units", "scale"], [row], [note])


def raters_grid(evaluation: HumanEvaluation, limits: CheckLimits) -> TitledTable:
    pairwise = evaluation.design.kind == "pairwise"
    sheet_size = max(map(len, evaluation.design.sheets))
    rows = []
    for check in evaluation.checks:
        difference = UNDEFINED if check.repeat_difference is None else f"{check.repeat_difference:.1f}"
        excluded = "" if check.rater in evaluation.raters else " (excluded)"
        rows.append(
            [
                check.rater,
                str(check.answered),
                f"{check.damaged_lower} of {check.damaged}",
                UNDEFINED if check.damaged_p is None else p_text(check.damaged_p),
                difference,
                f"{'; '.join(check.failures) or 'passed'}{excluded}",
            ]
        )
    unit = "per cent of changed answers" if pairwise else "points"
    notes = [
        f"A full sheet has at most {sheet_size} items. damaged lower: damaged translations rated below the intact "
        f"ones; at least {limits.min_damaged:.0%} are required. p: sign test against random answers.",
        f"repeat difference: mean over repeated items, in {unit}; at most {limits.max_repeat_difference:g}.",
    ]
    headings = ["rater", "answers", "damaged lower", "p", "repeat difference", "checks"]
    return TitledTable("Raters", headings, rows, notes)


def correlations_grid(correlations: Sequence[MetricCorrelation]) -> TitledTable:
    rows = [
        [
            title_of(one.metric, one.signature),
            " ".join(f"{score:.{digits_of(one.metric)}f}" for score in one.scores),
            number_text(one.system_tau),
            number_text(one.segment_tau),
            "" if one.interval is None else interval_text(one.interval, 2),
            str(one.segments),
        ]
        for one in correlations
    ]
    notes = [
        "Kendall's tau-b. systems: over the systems. segments: mean over the sentences of tau-b over the systems; "
        "sentences with equal judgements or equal metric scores are left out.",
        *(f"{title_of(one.metric, one.signature)}: {one.signature}" for one in correlations),
    ]
    headings = ["metric", "scores of the systems", "tau systems", "tau segments", "95 % interval", "sentences"]
    return TitledTable("Correlation with metrics on the judged sentences", headings, rows, notes)


def number_text(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.3f}"


def write_evaluation(
    evaluation: HumanEvaluation,
    correlations: Sequence[MetricCorrelation],
    tables: Sequence[TitledTable],
    folder: Path,
) -> None:
    """Write human_eval.md and human_eval.json into a new folder."""
    folder.mkdir(parents=True)
    text = "\n".join(map(markdown, tables))
    (folder / "human_eval.md").write_text(f"# Judgements by people\n\n{text}", encoding="utf-8")
    content = json.dumps(finite(evaluation_record(evaluation, correlations)), indent=1, ensure_ascii=False)
    (folder / "human_eval.json").write_text(content + "\n", encoding="utf-8")


def evaluation_record(evaluation: HumanEvaluation, correlations: Sequence[MetricCorrelation]) -> dict[str, Any]:
    """Return the content of human_eval.json."""
    design, scores = evaluation.design, evaluation.scores
    systems = [
        {"name": name, "path": path, "raw": float(raw), **asdict(cell)}
        for name, path, raw, cell in zip(design.systems, design.paths, scores.raw_means, scores.cells, strict=True)
    ]
    return {
        "signature": human_signature(evaluation),
        "test_set": design.test_set,
        "systems": systems,
        "pairs": [asdict(pair) for pair in scores.pairs],
        "alpha": asdict(evaluation.alpha),
        "raters": [asdict(check) | {"excluded": check.rater not in evaluation.raters} for check in evaluation.checks],
        "correlations": [asdict(one) for one in correlations],
    }


def finite(content: Any) -> Any:
    """Return the content with null instead of NaN, which JSON does not have."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def correlations_of(evaluation: HumanEvaluation, tokenize: str, comet: Comet | None) -> list[MetricCorrelation]:
    """Return the correlations of the metrics with the scores of the systems."""
    means = [cell.mean for cell in evaluation.scores.cells]
    return metric_correlations(evaluation.design, evaluation.scores.segment_scores, means, tokenize, comet)
