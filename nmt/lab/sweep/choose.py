"""Which values to try next, which trial to stop, which key matters: the only file that imports optuna.

Optuna is told of all trials before, and asked; nothing of it is kept. So what comes next is a function of the trials
on disk and of the sweep's seed, a sweep that was killed goes on as if it had not been, and nothing is unpickled.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nmt.config import Metric, PrunerKind, SamplerKind, SweepConfig, TrainConfig
from nmt.lab.sweep.space import Parameter, Value, grid
from nmt.lab.sweep.trials import Trial, TrialState

STATES = {
    TrialState.complete: optuna.trial.TrialState.COMPLETE,
    TrialState.pruned: optuna.trial.TrialState.PRUNED,
    TrialState.failed: optuna.trial.TrialState.FAIL,
}
FEWEST = 10
"""Trials trained to their end below which nothing is said of importance."""


def proposal(
    sweep: SweepConfig, train: TrainConfig, space: Sequence[Parameter], before: Sequence[Trial], number: int
) -> dict[str, Value]:
    """The values of a trial.

    Args:
        sweep: how to choose.
        train: has the metric, and the steps for the pruner.
        space: what may be chosen.
        before: the trials of lower numbers.
        number: the trial's own, from 1.
    """
    if sweep.sampler == SamplerKind.grid:
        return grid(list(space))[number - 1]
    trial = study(sweep, train, space, before, number).ask(distributions(space))
    ranges = {each.key: each for each in space if each.choices is None}
    return {key: ranges[key].number(value) if key in ranges else value for key, value in trial.params.items()}


class Pruning:
    """Decides at each validation of one trial whether it is worth going on."""

    def __init__(
        self, sweep: SweepConfig, train: TrainConfig, space: Sequence[Parameter], before: Sequence[Trial], trial: Trial
    ) -> None:
        """As `proposal`; `trial` is the one in training."""
        self.study = study(sweep, train, space, before, trial.number)
        self.study.enqueue_trial(trial.parameters)
        self.trial = self.study.ask(distributions(space))
        self.last = train.max_steps
        self.known = 0

    def poor(self, scores: Sequence[tuple[int, float]]) -> bool:
        """Whether the trial should stop at the last of these validations, of which it may have seen the first ones."""
        stop = False
        for step, score in scores[self.known :]:
            self.trial.report(score, step)
            stop = step < self.last and self.trial.should_prune()
        self.known = len(scores)
        return stop

    def notes(self) -> dict[str, object]:
        """What the pruner has to know of this trial in later ones: the rungs that it has reached."""
        attributes = self.study.trials[-1].system_attrs
        return {key: value for key, value in attributes.items() if key.startswith("completed_rung")}


def importance(
    sweep: SweepConfig, train: TrainConfig, space: Sequence[Parameter], trials: Sequence[Trial]
) -> dict[str, float]:
    """Share of each key in what sets the best trials apart, most important first: PED-ANOVA (Watanabe et al. 2023).

    That is fANOVA (Hutter et al. 2014) on densities: it needs no forest of scikit-learn's. Empty where too few trials
    were trained to their end, or all are as good.
    """
    complete = [trial for trial in trials if trial.state == TrialState.complete]
    if len(complete) < FEWEST or len({trial.score for trial in complete}) == 1:
        return {}
    # At least five trials among the best, as its documentation asks for.
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=max(0.1, 5 / len(complete)))
    told = study(sweep, train, space, complete, 1)
    return optuna.importance.get_param_importances(told, evaluator=evaluator)


def study(
    sweep: SweepConfig, train: TrainConfig, space: Sequence[Parameter], before: Sequence[Trial], number: int
) -> optuna.Study:
    """Optuna's own record of the trials before, with a sampler whose random numbers are those of trial `number`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    seed = int(np.random.SeedSequence([sweep.seed, number]).generate_state(1)[0])
    bayesian = sweep.sampler == SamplerKind.bayesian
    told = optuna.create_study(
        study_name="sweep",  # hyperband deals trials out to its brackets by this name and their number
        direction="maximize" if train.metric == Metric.bleu else "minimize",
        sampler=optuna.samplers.TPESampler(n_startup_trials=sweep.startup, seed=seed)
        if bayesian
        else optuna.samplers.RandomSampler(seed=seed),
        pruner=pruner(sweep, train),
    )
    known = distributions(space)
    for trial in before:
        finished = optuna.trial.create_trial(
            state=STATES[trial.state],
            value=None if trial.state == TrialState.failed else trial.score,
            params=trial.parameters,
            distributions=known,
            intermediate_values=dict(trial.scores),
            system_attrs=trial.notes,
        )
        told.add_trial(finished)
    return told


def pruner(sweep: SweepConfig, train: TrainConfig) -> optuna.pruners.BasePruner:
    match sweep.pruner:
        case PrunerKind.none:
            return optuna.pruners.NopPruner()
        case PrunerKind.median:
            return optuna.pruners.MedianPruner(
                n_startup_trials=sweep.prune_after_trials, n_warmup_steps=sweep.prune_after_steps
            )
        case PrunerKind.hyperband:
            return optuna.pruners.HyperbandPruner(
                min_resource=min(train.validate_every, train.max_steps),
                max_resource=train.max_steps,
                reduction_factor=sweep.reduction,
            )


def distributions(space: Sequence[Parameter]) -> dict[str, BaseDistribution]:
    return {each.key: distribution(each) for each in space}


def distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.choices is not None:
        return CategoricalDistribution(parameter.choices)
    if parameter.integer:
        step = int(parameter.step or 1)
        return IntDistribution(int(parameter.low), int(parameter.high), parameter.log, step)
    return FloatDistribution(parameter.low, parameter.high, parameter.log, parameter.step)
