"""Configurations of runs from before encoder and decoder had keys of their own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from shapes import model_config

from nmt.config import (
    AttentionKind,
    BridgeKind,
    CellKind,
    Config,
    DataConfig,
    PhrasebookConfig,
    PositionKind,
    Tying,
    load_config,
    save_config,
)
from nmt.errors import UserError

FORMER: dict[str, Any] = {
    **{"architecture": "recurrent", "embed_size": 256, "hidden_size": 512, "cell": "lstm", "zoneout_h": 0.0},
    **{"zoneout_c": 0.0, "weight_drop": 0.0, "recurrent_dropout": 0.0, "encoder_layers": 1, "decoder_layers": 1},
    **{"residual_from": 2, "bidirectional": True, "bidirectional_layers": None, "direction_size": None},
    **{"encoder_transitions": 1, "encoder_feed_forward": None, "reverse_source": False, "decoder": "gnmt"},
    **{"bridge": "learned", "attention": "additive", "heads": 4, "attention_window": 10, "max_positions": 512},
    **{"input_feeding": False, "lexicon": False, "feed_forward_size": 1024, "pre_norm": False},
    **{"positions": "sinusoidal", "kernel_width": 3, "tying": "three_way", "dropout": 0.3, "fixed_masks": True},
    "word_dropout": 0.0,
}
"""All keys of `model` in the last version that had one set for both sides, with their default values."""


BASE = Config(data=DataConfig(phrasebook=PhrasebookConfig()))


def loaded(folder: Path, **changes: Any) -> Config:
    """Load a configuration with former keys as a run stored it."""
    save_config(BASE, folder / "config.yaml")
    tree = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    tree["model"] = FORMER | changes
    (folder / "config.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    return load_config(Config, folder / "config.yaml")


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ({}, {}),
        (
            {"cell": "gru", "encoder_layers": 3, "decoder_layers": 2, "weight_drop": 0.1, "residual_from": None},
            {"cell": CellKind.gru, "encoder_layers": 3, "decoder_layers": 2, "weight_drop": 0.1, "residual_from": None},
        ),
        (
            {"decoder": "luong", "attention": "dot", "bridge": "zero", "input_feeding": True, "lexicon": True},
            {
                **{"decoder": "luong", "attention": AttentionKind.dot, "bridge": BridgeKind.zero},
                **{"input_feeding": True, "lexicon": True},
            },
        ),
        (
            {"decoder": "bahdanau", "direction_size": 8, "encoder_transitions": 2, "encoder_feed_forward": 16},
            {"decoder": "bahdanau", "direction_size": 8, "transitions": 2, "encoder_feed_forward": 16},
        ),
        ({"attention": None, "tying": "none"}, {"attention": None, "tying": Tying.none}),
        (
            {"architecture": "transformer", "heads": 8, "feed_forward_size": 64, "positions": "learned"},
            {"kind": "transformer", "heads": 8, "feed_forward_size": 64, "positions": PositionKind.learned},
        ),
        (
            {"architecture": "convolutional", "kernel_width": 5, "max_positions": 9, "encoder_layers": 4},
            {"kind": "convolutional", "kernel_width": 5, "max_positions": 9, "encoder_layers": 4},
        ),
    ],
    ids=str,
)
def test_former_keys_mean_the_same_model(tmp_path: Path, former: dict[str, Any], present: dict[str, Any]) -> None:
    assert loaded(tmp_path, **former).model == model_config(**present)


@pytest.mark.parametrize(
    ("former", "said"),
    [
        ({"architecture": "perceptron"}, "model.encoder.kind is perceptron; allowed: recurrent"),
        ({"architecture": ["x"]}, "model.encoder.kind is ['x']; allowed: recurrent"),
        ({"decoder": "sutskever"}, "model.decoder.kind is sutskever; allowed: gnmt"),
        ({"cell": "elman"}, "configuration: model.encoder.cell is 'elman', which is neither built in (lstm, gru, "),
        ({"beam": 5}, "configuration key model.beam: Key 'beam' not in 'ModelConfig'"),
    ],
    ids=str,
)
def test_a_damaged_configuration_is_told_in_one_line(tmp_path: Path, former: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        loaded(tmp_path, **former)
    assert str(refused.value).startswith(f"{tmp_path / 'config.yaml'}: {said}")


def test_present_keys_are_read_as_they_are(tmp_path: Path) -> None:
    for shape in ({"encoder": "transformer", "decoder": "luong"}, {"encoder": "recurrent", "decoder": "transformer"}):
        config = replace(BASE, model=model_config(**shape))  # type: ignore[arg-type]
        save_config(config, tmp_path / "config.yaml")
        assert load_config(Config, tmp_path / "config.yaml") == config
