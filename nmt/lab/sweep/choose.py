"""Choice of the next values, pruning and importance of keys. Only this file imports optuna.

An optuna study is built from the earlier trials for each decision and is not stored. The decision is therefore a
function of the trials on disk and of the sweep's seed: an interrupted sweep continues as if it had not been
interrupted, and nothing is unpickled.
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
"""Smallest number of complete trials from which importance is computed."""


def proposal(
    sweep: SweepConfig, train: TrainConfig, space: Sequence[Parameter], before: Sequence[Trial], number: int
) -> dict[str, Value]:
    """Return the values of the trial `number`, counted from 1, after the trials of lower numbers."""
    if sweep.sampler == SamplerKind.grid:
        return grid(list(space))[number - 1]
    history = before if sweep.sampler == SamplerKind.bayesian else []  # random search does not depend on it
    trial = study(sweep, train, space, history, number).ask(distributions(space))
    ranges = {parameter.key: parameter for parameter in space if parameter.choices is None}
    return {key: ranges[key].number(value) if key in ranges else value for key, value in trial.params.items()}


class Pruning:
    """Decision at each validation of one trial whether to stop it."""

    def __init__(
        self, sweep: SweepConfig, train: TrainConfig, space: Sequence[Parameter], before: Sequence[Trial], trial: Trial
    ) -> None:
        """Take the arguments of `proposal`; `trial` is the one in training."""
        self.study = study(sweep, train, space, before, trial.number)
        self.study.enqueue_trial(trial.parameters)
        self.trial = self.study.ask(distributions(space))
        self.last = train.max_steps
        self.known = 0

    def poor(self, ranked: Sequence[tuple[int, float]]) -> bool:
        """Return whether the trial should stop at its last validation.

        Args:
            ranked: step and rank of all validations so far. Those passed to an earlier call are not reported again.
        """
        stop = False
        for step, rank in ranked[self.known :]:
            self.trial.report(rank, step)
            stop = step < self.last and self.trial.should_prune()
        self.known = len(ranked)
        return stop

    def notes(self) -> dict[str, object]:
        """Return the rungs that the trial has reached; the pruner needs them in later trials."""
        attributes = self.study.trials[-1].system_attrs
        return {key: value for key, value in attributes.items() if key.startswith("completed_rung")}


def importance(
    sweep: SweepConfig, train: TrainConfig, space: Sequence[Parameter], trials: Sequence[Trial]
) -> dict[str, float]:
    """Return the importance of each key by PED-ANOVA (Watanabe et al. 2023), most important first.

    PED-ANOVA is fANOVA (Hutter et al. 2014) on densities; it does not need scikit-learn. The result is empty where
    fewer than `FEWEST` trials are complete or all have the same rank.
    """
    complete = [trial for trial in trials if trial.state == TrialState.complete]
    if len(complete) < FEWEST or len({trial.rank for trial in complete}) == 1:
        return {}
    # Optuna's documentation recommends at least five trials in the best quantile.
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=max(0.1, 5 / len(complete)))
    return optuna.importance.get_param_importances(study(sweep, train, space, complete, 1), evaluator=evaluator)


def study(
    sweep: SweepConfig, train: TrainConfig, space: Sequence[Parameter], before: Sequence[Trial], number: int
) -> optuna.Study:
    """Build an optuna study of the earlier trials, with a sampler seeded for trial `number`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    seed = int(np.random.SeedSequence([sweep.seed, number]).generate_state(1)[0])
    bayesian = sweep.sampler == SamplerKind.bayesian
    record = optuna.create_study(
        study_name="sweep",  # hyperband assigns trials to brackets by this name and the trial number
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
            value=None if trial.state == TrialState.failed else trial.rank,
            params=trial.parameters,
            distributions=known,
            intermediate_values=dict(trial.ranked),
            system_attrs=trial.notes,
        )
        record.add_trial(finished)
    return record


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
    return {parameter.key: distribution(parameter) for parameter in space}


def distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.choices is not None:
        return CategoricalDistribution(parameter.choices)
    if parameter.integer:
        step = int(parameter.step or 1)
        return IntDistribution(int(parameter.low), int(parameter.high), parameter.log, step)
    return FloatDistribution(parameter.low, parameter.high, parameter.log, parameter.step)
