"""Search space of a sweep: allowed values, and errors before the first training."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nmt.config import (
    CellKind,
    Config,
    DataConfig,
    Metric,
    PhrasebookConfig,
    SamplerKind,
    SearchKind,
    SweepConfig,
    TrainConfig,
    load_config,
    save_config,
    with_values,
)
from nmt.errors import UserError
from nmt.lab.sweep.space import Parameter, grid, kinds_of_keys, search_space, trials_of

BASE = Config(data=DataConfig(phrasebook=PhrasebookConfig()))


def space(tree: dict[str, Any], base: Config = BASE) -> list[Parameter]:
    return search_space(SweepConfig(parameters=tree), base)


def one(key: str, **node: Any) -> Parameter:
    """Return the parameter of one key, from the tree of a configuration file."""
    tree: dict[str, Any] = node
    for name in reversed(key.split(".")):
        tree = {name: tree}
    (parameter,) = space(tree)
    return parameter


def test_a_range_is_of_the_keys_own_kind() -> None:
    assert one("model.hidden_size", low=64, high=256, step=64).grid() == (64, 128, 192, 256)
    assert all(isinstance(value, int) for value in one("model.encoder.layers", low=1, high=3).grid())
    assert one("model.dropout", low=0, high=0.3, step=0.1).grid() == (0.0, 0.1, 0.2, 0.3)
    assert one("model.encoder.feed_forward", low=8, high=9).grid() == (8, 9)  # null, or a whole number


def test_a_range_ends_at_the_last_value_that_its_steps_reach() -> None:
    assert one("train.batch_size", low=16, high=70, step=20).high == 56
    assert one("model.dropout", low=0.0, high=0.3, step=0.1).high == pytest.approx(0.3)


def test_choices_keep_their_order_and_may_be_of_any_kind() -> None:
    assert one("model.encoder.cell", choices=["gru", "lstm"]).grid() == ("gru", "lstm")
    assert one("model.decoder.attention", choices=[None, "dot"]).grid() == (None, "dot")
    assert one("model.decoder.input_feeding", choices=[True, False]).grid() == (True, False)


def test_a_grid_is_every_combination_and_the_last_key_changes_fastest() -> None:
    tree = {"model": {"encoder": {"cell": {"choices": ["gru", "lstm"]}, "layers": {"low": 1, "high": 2}}}, "seed": None}
    combinations = [tuple(values.values()) for values in grid(space(tree))]
    assert combinations == [("gru", 1), ("gru", 2), ("lstm", 1), ("lstm", 2)]
    sweep = SweepConfig(sampler=SamplerKind.grid, parameters=tree, trials=None)
    assert trials_of(sweep, space(tree)) == 4
    assert trials_of(replace(sweep, trials=3), space(tree)) == 3
    assert trials_of(replace(sweep, sampler=SamplerKind.random, trials=9), space(tree)) == 9


def test_a_drawn_number_has_six_digits_and_stays_within_its_range() -> None:
    rate = one("optim.learning_rate", low=1.23456789e-4, high=9.87654321e-3, log=True)
    assert rate.number(0.00123456789) == 0.00123457
    assert rate.number(9.87654321e-3) == 9.87654e-3
    assert rate.number(9.876539e-3) == 9.87654e-3
    narrow = one("optim.learning_rate", low=1.2345614e-4, high=1.2345676e-4)
    assert narrow.number(narrow.low) == narrow.low  # six digits of `low` are less,
    assert narrow.number(narrow.high) == narrow.high  # and those of `high` are more
    whole = one("data.tokenizer.vocab_size", low=1_234_561 - 500_000, high=1_000_000)
    assert whole.number(734_563) == 734_563


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "sweep.parameters is empty"),
        (
            {"model": {"hiden_size": {"low": 1, "high": 2}}},
            "hiden_size is not a key of the training configuration; did you mean model.hid",
        ),
        ({"model": {"low": 1, "high": 2}}, "sweep.parameters.model is not a key of the training"),
        ({"model": {"dropout": 0.3}}, "sweep.parameters.model.dropout is 0.3; give low and high, or choices"),
        ({"model": {"dropout": {"low": 0.1}}}, "model.dropout.high is missing"),
        ({"model": {"dropout": {"low": 0.3, "high": 0.1}}}, "model.dropout.low is 0.3 but high is 0.1"),
        ({"model": {"dropout": {"low": 0.0, "high": 0.3, "log": True}}}, "low is 0 but log is true; allowed: above 0"),
        (
            {"model": {"dropout": {"low": 0.1, "high": 0.3, "log": True, "step": 0.1}}},
            "step is given together with log",
        ),
        ({"model": {"dropout": {"low": 0.1, "high": 0.3, "step": 0}}}, "step is 0; allowed: above 0"),
        ({"model": {"dropout": {"low": 0.1, "high": 0.3, "choices": [1]}}}, "choices is given together with a range"),
        ({"model": {"dropout": {"choices": []}}}, "choices is empty"),
        ({"model": {"dropout": {"low": 0.1, "hihg": 0.3}}}, "hihg"),
        ({"model": {"dropout": {"low": 0.1, "high": 0.99}}}, "model.dropout is 0.99; allowed: from 0 to 0.95"),
        ({"optim": {"learning_rate": {"choices": [0.1, "fast"]}}}, "'fast' .* could not be converted to Float"),
        (
            {"model": {"encoder": {"cell": {"choices": ["lstm", "elman"]}}}},
            "cell is 'elman', which is neither built in",
        ),
        ({"model": {"encoder": {"cell": {"low": 1, "high": 2}}}}, "its values are not numbers; give choices"),
        ({"optim": {"betas": {"choices": [[0.9, 0.98]]}}}, r"choices has \[0.9, 0.98\]"),
        ({"model": {"hidden_size": {"low": 64, "high": 128}}}, "model.hidden_size is 65; allowed: even numbers"),
        ({"model": {"hidden_size": {"low": 0.5, "high": 128}}}, "hidden_size.low is 0.5; allowed: whole numbers"),
        ({"tracking": {"project": {"choices": ["a", "b"]}}}, "tracking.project cannot be searched"),
        ({"train": {"metric": {"choices": ["bleu", "perplexity"]}}}, "train.metric cannot be searched"),
        ({"sweep": {"seed": {"choices": [1]}}}, "sweep.seed is not a key of the training configuration"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_in_one_line_that_names_it(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        space(tree)
    assert "\n" not in str(error.value)


def test_values_that_are_wrong_with_others_alone_are_left_to_the_trials() -> None:
    """Check that a combination with tied but separate vocabularies is left to its trial."""
    tree = {"data": {"tokenizer": {"joint": {"choices": [True, False]}}}, "model": {"tying": {"choices": ["none"]}}}
    apart, joint = (
        with_values(BASE, {"data.tokenizer.joint": value, "model.tying": "none"}) for value in (False, True)
    )
    assert (apart.data.tokenizer.joint, joint.data.tokenizer.joint) == (False, True)
    assert len(space(tree)) == 2
    with pytest.raises(UserError, match="three_way"):
        with_values(BASE, {"data.tokenizer.joint": False})


def test_perplexities_of_other_tokenizers_are_not_compared() -> None:
    tree = {"data": {"tokenizer": {"vocab_size": {"low": 100, "high": 200}}}}
    assert len(space(tree)) == 1
    with pytest.raises(UserError, match=r"use train.metric=bleu"):
        space(tree, replace(BASE, train=TrainConfig(metric=Metric.perplexity)))
    with pytest.raises(UserError, match=r"train.metric is loss"):
        space(tree, replace(BASE, train=TrainConfig(metric=Metric.loss)))
    with pytest.raises(UserError, match="init_from fixes the tokenizer"):
        space(tree, replace(BASE, train=TrainConfig(init_from="runs/one")))


def test_a_grid_of_a_continuous_range_is_refused() -> None:
    with pytest.raises(UserError, match=r"optim.learning_rate is continuous"):
        one("optim.learning_rate", low=0.1, high=0.2).grid()


def test_every_key_of_a_saved_configuration_has_a_kind(tmp_path: Path) -> None:
    """Compare with the configuration file of a run: every key in it can be searched."""
    save_config(BASE, tmp_path / "config.yaml")
    kinds = kinds_of_keys(BASE)
    assert load_config(Config, tmp_path / "config.yaml") == BASE
    assert kinds["train.max_steps"] is kinds["model.encoder.direction_size"] is kinds["data.phrasebook.depth"] is int
    assert kinds["optim.learning_rate"] is kinds["train.subword_sampling"] is float
    assert kinds["model.encoder.cell"] is str
    assert kinds["search.kind"] is SearchKind
    assert "model" not in kinds


def test_changed_values_are_those_of_the_new_configuration_alone() -> None:
    new = with_values(BASE, {"model.encoder.cell": "gru", "optim.learning_rate": 0.5, "model.decoder.attention": None})
    assert (new.model.encoder.cell, new.optim.learning_rate, new.model.decoder.attention) == (CellKind.gru, 0.5, None)
    assert BASE.model.encoder.cell == CellKind.lstm
    assert math.isclose(BASE.optim.learning_rate, 2e-3)
    with pytest.raises(UserError, match=r"configuration key model.cel: "):
        with_values(BASE, {"model.cel": "gru"})
