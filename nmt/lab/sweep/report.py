"""What a sweep has found, as Markdown and pictures."""

from collections.abc import Sequence

from nmt.config import Metric, SweepCommandConfig
from nmt.lab.plots.sweep import Axis, Points, draw_history, draw_importance, draw_parallel, draw_slices
from nmt.lab.sweep.choose import FEWEST, importance
from nmt.lab.sweep.space import Parameter, search_space, text, trials_of
from nmt.lab.sweep.trials import SweepDirectory, Trial, TrialState, best_trial
from nmt.training.best import LEAST_BLEU

NAMES = {
    Metric.bleu: "validation BLEU",
    Metric.perplexity: "validation perplexity",
    Metric.loss: "validation loss",
}


def write_report(sweep: SweepDirectory) -> str:
    """Writes report.md and the pictures of a sweep, however far it is, and returns the text."""
    asked, trials = sweep.config(), sweep.trials()
    space = search_space(asked.sweep, asked.base())
    metric = asked.train.metric
    over = [trial for trial in trials if trial.over]
    shares = importance(asked.sweep, asked.train, space, over)
    best = best_trial(trials, metric)
    parts = [f"# Sweep {sweep.path.name}", summary(asked, over, trials_of(asked.sweep, space))]
    if best is not None:
        parts.append(winner(sweep, best, metric))
    parts += [parameters(space, shares, best), table(space, over, metric)]
    scored = [trial for trial in over if trial.score is not None]
    if scored:
        draw(sweep, space, scored, metric, shares)
        names = ["history", *(["importance"] if shares else []), "slices", "parallel"]
        parts += [f"![{name}](plots/{name}.png)" for name in names]
    report = "\n\n".join(parts) + "\n"
    (sweep.path / "report.md").write_text(report, encoding="utf-8")
    return report


def summary(asked: SweepCommandConfig, over: Sequence[Trial], total: int) -> str:
    counts = {state: sum(trial.state == state for trial in over) for state in TrialState}
    minutes = sum(trial.seconds for trial in over) / 60
    return (
        f"{asked.sweep.sampler} search, seed {asked.sweep.seed}, pruner {asked.sweep.pruner}: {len(over)} of {total} "
        f"trials ({counts[TrialState.complete]} trained to their end, {counts[TrialState.pruned]} pruned, "
        f"{counts[TrialState.failed]} failed) in {minutes:.1f} minutes of training. A trial's score is its best "
        f"{NAMES[asked.train.metric]} (greedy search, training seed {asked.seed})."
    )


def winner(sweep: SweepDirectory, best: Trial, metric: Metric) -> str:
    step = next(step for step, score in best.scores if score == best.score)
    noise = ""
    if metric == Metric.bleu and (best.score or 0) < LEAST_BLEU:
        noise = (
            f"**A BLEU below {LEAST_BLEU:g} is noise: no trial is known to be better than another.** Train longer, "
            "give data.bleu_tokenize for the script, or search with train.metric=perplexity.\n\n"
        )
    return (
        f"{noise}Best: trial {best.number}, {NAMES[metric]} {best.score:.2f}, at step {step}. It is the best of "
        "several, on the data that it was chosen by and with one seed: train it with other seeds before believing a "
        "difference, and score it on the test set.\n\n"
        f"    python scripts/train.py --config-dir {sweep.path} experiment=best"
    )


def parameters(space: Sequence[Parameter], shares: dict[str, float], best: Trial | None) -> str:
    lines = ["| key | tried | best | importance |", "|---|---|---|---|"]
    for each in sorted(space, key=lambda each: -shares.get(each.key, 0)):
        share = f"{shares[each.key]:.2f}" if shares else ""
        lines.append(f"| `{each.key}` | {each} | {text(best.parameters[each.key]) if best else ''} | {share} |")
    if not shares:
        lines.append(f"\nImportance is told from {FEWEST} trials on that were trained to their end.")
    return "\n".join(lines)


def table(space: Sequence[Parameter], over: Sequence[Trial], metric: Metric) -> str:
    """All trials that are over, best first, those without a score last."""
    sign = -1 if metric == Metric.bleu else 1
    heads = ["trial", NAMES[metric], "state", "steps", "minutes", *(f"`{each.key}`" for each in space)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for trial in sorted(over, key=lambda trial: (trial.score is None, sign * (trial.score or 0), trial.number)):
        score = "" if trial.score is None else f"{trial.score:.2f}"
        state = f"{trial.state}: {trial.reason}" if trial.reason else str(trial.state)
        steps = str(trial.scores[-1][0]) if trial.scores else ""
        values = [text(trial.parameters[each.key]) for each in space]
        cells = [str(trial.number), score, state, steps, f"{trial.seconds / 60:.1f}", *values]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(
    sweep: SweepDirectory, space: Sequence[Parameter], scored: Sequence[Trial], metric: Metric, shares: dict[str, float]
) -> None:
    points = Points(
        numbers=[trial.number for trial in scored],
        scores=[trial.score for trial in scored if trial.score is not None],
        pruned=[trial.state == TrialState.pruned for trial in scored],
        label=NAMES[metric],
        more_is_better=metric == Metric.bleu,
    )
    axes = [Axis(each.key, [trial.parameters[each.key] for trial in scored], each.log, each.choices) for each in space]
    plots = sweep.path / "plots"
    draw_history(points, plots / "history.png")
    draw_slices(axes, points, plots / "slices.png")
    draw_parallel(axes, points, plots / "parallel.png")
    if shares:
        draw_importance(shares, plots / "importance.png")
