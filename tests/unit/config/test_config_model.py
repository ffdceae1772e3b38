"""Combinations of model settings that are rejected."""

from dataclasses import replace
from typing import Any

import pytest
from shapes import model_config

from nmt.config import AttentionKind, CellKind, ModelConfig, PositionKind, TransformerEncoderConfig, from_hydra
from nmt.config.checks import problems_in
from nmt.errors import UserError

TRANSFORMER, CONVOLUTIONAL = {"kind": "transformer"}, {"kind": "convolutional"}
ADDITIVE, DOT = {"attention": AttentionKind.multi_head_additive}, {"attention": AttentionKind.multi_head_dot}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({**DOT, "heads": 3}, ["decoder.heads is 3; allowed: divisors of hidden_size, 512"]),
        (
            {**ADDITIVE, "hidden_size": 72, "heads": 8},
            ["decoder.heads is 8; allowed: divisors of half of hidden_size, 36"],
        ),
        ({**ADDITIVE, "hidden_size": 1, "bidirectional": False}, ["decoder.heads is 4; allowed: divisors of half"]),
        (
            {**TRANSFORMER, "heads": 3},
            [f"{side}.heads is 3; allowed: divisors of embed_size, 256" for side in ("encoder", "decoder")],
        ),
        (
            {**TRANSFORMER, "embed_size": 9, "heads": 3},
            ["embed_size is 9; allowed: even numbers with sinusoidal positions"],
        ),
        ({"encoder": "convolutional", "kernel_width": 4}, ["encoder.kernel_width is 4; allowed: odd numbers"]),
        ({"encoder": "convolutional", "kernel_width": -1}, ["encoder.kernel_width is -1; allowed: from 1 to 100"]),
        ({"decoder": "transformer", "feed_forward_size": 0}, ["decoder.feed_forward_size is 0; allowed: from 1 to"]),
        ({"heads": 0}, ["decoder.heads is 0; allowed: from 1 to"]),
        ({"attention_window": 0}, ["decoder.attention_window is 0; allowed: from 1 to"]),
        ({"max_positions": 0}, ["decoder.max_positions is 0; allowed: from 1 to"]),
        ({"encoder_layers": 0}, ["encoder.layers is 0; allowed: from 1 to 100"]),
        (
            {"encoder": "transformer", "attention": None},
            ["decoder.attention is null but encoder is transformer, which has no final state to start from"],
        ),
        (
            {"encoder": "convolutional", "attention": None},
            ["decoder.attention is null but encoder is convolutional, which has no final state to start from"],
        ),
    ],
)
def test_what_cannot_be_built_is_refused_and_said_once(settings: dict[str, Any], said: list[str]) -> None:
    problems = list(problems_in(model_config(**settings)))
    assert all(problem.startswith(sentence) for problem, sentence in zip(problems, said, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {**DOT, "heads": 8},
        {**ADDITIVE, "hidden_size": 72, "heads": 9},
        {"heads": 3},  # nothing here has heads
        {**TRANSFORMER, "hidden_size": 255},
        {**TRANSFORMER, "embed_size": 9, "heads": 3, "positions": PositionKind.learned},
        {**CONVOLUTIONAL, "embed_size": 9, "hidden_size": 255},
        {"decoder": "transformer", "attention": None},  # which has no such key
    ],
    ids=str,
)
def test_what_can_be_built_is_not_refused(settings: dict[str, Any]) -> None:
    assert list(problems_in(model_config(**settings))) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"encoder": {"kind": "none"}}, "encoder.kind is none; allowed: recurrent, transformer, convolutional"),
        ({"encoder": {"kind": ["recurrent"]}}, "encoder.kind is ['recurrent']; allowed: recurrent"),
        ({"decoder": {"kind": "transformer", "attention": "dot"}}, "decoder.attention is not a key of the kind trans"),
        ({"encoder": {"kind": "recurrent", "heads": 2}}, "encoder.heads is not a key of the kind recurrent; "),
        (
            {"decoder": {"kind": "bahdanau", "input_feeding": True}},
            "decoder.input_feeding is not a key of the kind",
        ),
        (
            {"encoder": {"cell": "gur"}},
            "configuration: encoder.cell is 'gur', which is neither built in (lstm, gru, ",
        ),
    ],
)
def test_each_kind_has_its_own_keys(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        from_hydra(ModelConfig, given)
    assert str(refused.value).startswith(said)


def test_the_kind_decides_the_type_whatever_the_order_of_the_layers() -> None:
    model = from_hydra(ModelConfig, {"encoder": {"layers": 3}}, {"encoder": {"kind": "transformer", "heads": 8}})
    assert model.encoder == TransformerEncoderConfig(layers=3, heads=8)
    assert from_hydra(ModelConfig) == ModelConfig()  # the shared default values were not changed


def test_a_side_has_no_noise_left_and_gets_a_cell_only_if_recurrent() -> None:
    noisy = model_config(decoder="transformer", dropout=0.1, word_dropout=0.2, zoneout_h=0.3, weight_drop=0.4)
    assert {key for key, value in noisy.noise().items() if value} == {
        *("dropout", "word_dropout", "encoder.zoneout_h", "encoder.weight_drop")
    }
    assert not any(noisy.without_noise().noise().values())
    gru = noisy.with_cell(CellKind.gru)
    assert (gru.encoder, gru.decoder) == (replace(noisy.encoder, cell=CellKind.gru), noisy.decoder)
