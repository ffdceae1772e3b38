"""Combinations of model settings that are rejected."""

from typing import Any

import pytest

from nmt.config import Architecture, AttentionKind, ModelConfig, PositionKind

TRANSFORMER, CONVOLUTIONAL = {"architecture": Architecture.transformer}, {"architecture": Architecture.convolutional}
ADDITIVE, DOT = {"attention": AttentionKind.multi_head_additive}, {"attention": AttentionKind.multi_head_dot}


@pytest.mark.parametrize(
    ("settings", "field", "said"),
    [
        ({**DOT, "heads": 3}, "heads", "is 3; allowed: divisors of hidden_size, 512"),
        ({**ADDITIVE, "hidden_size": 72, "heads": 8}, "heads", "is 8; allowed: divisors of half of hidden_size, 36"),
        ({**ADDITIVE, "hidden_size": 1, "bidirectional": False}, "heads", "is 4; allowed: divisors of half"),
        ({**TRANSFORMER, "heads": 3}, "heads", "is 3; allowed: divisors of embed_size, 256"),
        (
            {**TRANSFORMER, "attention": None},
            "attention",
            "is null but every layer of the architecture transformer attends",
        ),
        ({**TRANSFORMER, "input_feeding": True}, "input_feeding", "is true but architecture is transformer"),
        ({**TRANSFORMER, "embed_size": 9, "heads": 3}, "embed_size", "is 9; allowed: even numbers"),
        ({**CONVOLUTIONAL, "input_feeding": True}, "input_feeding", "is true but architecture is convolutional"),
        ({**CONVOLUTIONAL, "kernel_width": 4}, "kernel_width", "is 4; allowed: odd numbers"),
        ({"heads": 0}, "heads", "is 0; allowed: from 1 to"),
        ({"attention_window": 0}, "attention_window", "is 0; allowed: from 1 to"),
        ({"max_positions": 0}, "max_positions", "is 0; allowed: from 1 to"),
        ({**CONVOLUTIONAL, "kernel_width": -1}, "kernel_width", "is -1; allowed: from 1 to 100"),
        ({**TRANSFORMER, "feed_forward_size": 0}, "feed_forward_size", "is 0; allowed: from 1 to"),
        ({"kernel_width": 5}, "kernel_width", "is 5 but architecture is recurrent; it applies to convolutional only"),
        ({"pre_norm": True}, "pre_norm", "is true but architecture is recurrent; it applies to transformer only"),
        ({**TRANSFORMER, "bidirectional": False}, "bidirectional", "is false but architecture is transformer"),
        ({**CONVOLUTIONAL, "residual_from": None}, "residual_from", "is null but architecture is convolutional"),
        ({**CONVOLUTIONAL, "positions": PositionKind.learned}, "positions", "is learned but architecture is conv"),
    ],
)
def test_what_cannot_be_built_is_refused_and_said_once(settings: dict[str, Any], field: str, said: str) -> None:
    [(actual, sentence)] = ModelConfig(**settings).problems()
    assert actual == field
    assert sentence.startswith(said)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {**DOT, "heads": 8},
        {**ADDITIVE, "hidden_size": 72, "heads": 9},
        {"heads": 3},  # nothing here has heads
        {**TRANSFORMER, "hidden_size": 255},
        {**TRANSFORMER, "embed_size": 9, "heads": 3, "positions": PositionKind.learned},
        {**CONVOLUTIONAL, "embed_size": 9, "hidden_size": 255, "heads": 2},
    ],
    ids=str,
)
def test_what_can_be_built_is_not_refused(settings: dict[str, Any]) -> None:
    assert list(ModelConfig(**settings).problems()) == []
