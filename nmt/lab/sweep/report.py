"""Report of a sweep, in Markdown with pictures."""

from collections.abc import Sequence

from nmt.config import Metric, SweepCommandConfig
from nmt.lab.plots.sweep import Axis, Points, draw_history, draw_importance, draw_parallel, draw_slices
from nmt.lab.sweep.choose import FEWEST, importance
from nmt.lab.sweep.space import Parameter, search_space, text, trials_of
from nmt.lab.sweep.trials import SweepDirectory, Trial, TrialState, best_step, best_trial, direction
from nmt.training.best import LEAST_BLEU

NAMES = {Metric.bleu: "validation BLEU", Metric.perplexity: "validation perplexity", Metric.loss: "validation loss"}


def write_report(sweep: SweepDirectory) -> str:
    """Write report.md and the pictures of a finished or unfinished sweep, and return the report."""
    config, trials = sweep.config(), sweep.trials()
    space = search_space(config.sweep, config.base())
    metric = config.train.metric
    over = [trial for trial in trials if trial.over]
    shares = importance(config.sweep, config.train, space, over)
    best = best_trial(trials, metric)
    parts = [f"# Sweep {sweep.path.name}", summary(config, over, trials_of(config.sweep, space))]
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


def summary(config: SweepCommandConfig, over: Sequence[Trial], total: int) -> str:
    """Return a paragraph with the settings of the sweep and the number of trials in each state."""
    counts = {state: sum(trial.state == state for trial in over) for state in TrialState}
    minutes = sum(trial.seconds for trial in over) / 60
    return (
        f"{config.sweep.sampler} search, seed {config.sweep.seed}, pruner {config.sweep.pruner}: {len(over)} of "
        f"{total} trials ({counts[TrialState.complete]} complete, {counts[TrialState.pruned]} pruned, "
        f"{counts[TrialState.failed]} failed) in {minutes:.1f} minutes of training. The score of a trial is its best "
        f"{NAMES[config.train.metric]} (greedy search, training seed {config.seed})."
    )


def winner(sweep: SweepDirectory, best: Trial, metric: Metric) -> str:
    """Return the paragraph on the best trial, with the command that trains it."""
    step = best_step(best, metric)
    noise = ""
    if metric == Metric.bleu and best.rank < LEAST_BLEU:
        noise = (
            f"**A validation BLEU below {LEAST_BLEU:g} is noise; these trials are ranked by validation perplexity.** "
            "Train longer, set data.bleu_tokenize for the script, or search with train.metric=perplexity.\n\n"
        )
    return (
        f"{noise}Best: trial {best.number}, {NAMES[metric]} {shown_score(best, metric)}, at step {step}. It was chosen "
        "on the validation set with one seed, so that its score is too high: train it with other seeds and score it on "
        "the test set before you report a difference.\n\n"
        f"    python scripts/train.py --config-dir {sweep.path} experiment=best"
    )


def parameters(space: Sequence[Parameter], shares: dict[str, float], best: Trial | None) -> str:
    """Return the table of keys with their ranges, best values and importance."""
    lines = ["| key | tried | best | importance |", "|---|---|---|---|"]
    for parameter in sorted(space, key=lambda parameter: -shares.get(parameter.key, 0)):
        key = parameter.key
        share = f"{shares[key]:.2f}" if shares else ""
        lines.append(f"| `{key}` | {parameter} | {text(best.parameters[key]) if best else ''} | {share} |")
    if not shares:
        lines.append(f"\nImportance needs at least {FEWEST} complete trials of different scores.")
    return "\n".join(lines)


def shown_score(trial: Trial, metric: Metric) -> str:
    """Return the score of a trial, with the perplexity that it is ranked by where its BLEU is noise."""
    if trial.score is None:
        return ""
    by_perplexity = metric == Metric.bleu and trial.ranks and 0 < trial.rank < LEAST_BLEU
    return f"{trial.score:.2f}" + (f" (perplexity {1 / trial.rank:.2f})" if by_perplexity else "")


def table(space: Sequence[Parameter], over: Sequence[Trial], metric: Metric) -> str:
    """Return the table of all finished trials, best first, those without a score last."""
    sign = -direction(metric)
    heads = ["trial", NAMES[metric], "state", "steps", "minutes", *(f"`{parameter.key}`" for parameter in space)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for trial in sorted(over, key=lambda trial: (trial.score is None, sign * trial.rank, trial.number)):
        score = shown_score(trial, metric)
        state = f"{trial.state}: {trial.reason}" if trial.reason else str(trial.state)
        steps = str(trial.scores[-1][0]) if trial.scores else ""
        values = [text(trial.parameters[parameter.key]) for parameter in space]
        cells = [str(trial.number), score, state, steps, f"{trial.seconds / 60:.1f}", *values]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(
    sweep: SweepDirectory, space: Sequence[Parameter], scored: Sequence[Trial], metric: Metric, shares: dict[str, float]
) -> None:
    """Draw the pictures of the report into the folder `plots`."""
    points = Points(
        numbers=[trial.number for trial in scored],
        scores=[trial.score for trial in scored if trial.score is not None],
        pruned=[trial.state == TrialState.pruned for trial in scored],
        label=NAMES[metric],
        more_is_better=metric == Metric.bleu,
    )
    axes = [
        Axis(parameter.key, [trial.parameters[parameter.key] for trial in scored], parameter.log, parameter.choices)
        for parameter in space
    ]
    plots = sweep.path / "plots"
    draw_history(points, plots / "history.png")
    draw_slices(axes, points, plots / "slices.png")
    draw_parallel(axes, points, plots / "parallel.png")
    if shares:
        draw_importance(shares, plots / "importance.png")
