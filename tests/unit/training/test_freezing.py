"""Frozen parts: gradients of the others against those of a whole training, and no trace of the frozen ones."""

import logging
import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shapes import model_config
from test_objectives import WHOLE
from tiny_training import PLATEAU, SHORT, WORDS, assert_same, build, calling, lines, weights

from nmt.config import CellKind, OptimizerKind, Tying
from nmt.errors import Interrupted, UserError
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.run import load_checkpoint
from nmt.training import Trainer
from nmt.training.freezing import PARTS, freeze, selected
from nmt.training.objectives.likelihood import Objective, cross_entropy, penalised_weights
from nmt.training.optim import optimizer_tensors

SHAPES: dict[str, dict[str, Any]] = {
    "lstm": {"decoder_layers": 2},
    "gru": {"cell": CellKind.gru, "lexicon": True},
    "ssru": {"cell": CellKind.ssru},
    "transformer": {"kind": "transformer"},
    "transformer, luong": {"encoder": "transformer", "decoder": "luong"},
    "lstm, transformer": {"decoder": "transformer"},
    "convolutional": {"kind": "convolutional"},
}
ENCODER = ["encoder"]
FROZEN = {
    "encoder": {"encoder.forwards.0.lstm.weight_ih_l0", "encoder.backwards.0.lstm.weight_hh_l0"},
    "src_embedding": {"encoder.embedding.weight"},
    "tgt_embedding": {"decoder.embedding.weight"},
    "embeddings": {"encoder.embedding.weight", "decoder.embedding.weight"},
    "output": {"output_weight", "output_bias"},
}
"""Some or all parameters of each part of a recurrent model without tying."""


def model_of(**shape: Any) -> Seq2Seq:
    torch.manual_seed(3)
    usual: dict[str, Any] = {"embed_size": 8, "hidden_size": 8, "dropout": 0.0, "tying": Tying.none}
    return build_model(model_config(**usual | shape), Vocabulary(WORDS, WORDS))


def gradients(model: Seq2Seq) -> dict[str, torch.Tensor | None]:
    cross_entropy(0.1)(model, WHOLE).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("part", [*PARTS, "*bias*"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradients_of_the_other_parameters_stay_the_same(shape: str, part: str) -> None:
    whole, model = model_of(**SHAPES[shape]), model_of(**SHAPES[shape])
    freeze(model, [part])
    expected, actual = gradients(whole), gradients(model)
    frozen = {name for name, gradient in actual.items() if gradient is None}
    assert frozen == set(selected(model, [part], "train.freeze")) != set()
    for name in expected.keys() - frozen:
        torch.testing.assert_close(actual[name], expected[name], msg=name)


def test_parts_have_the_parameters_that_their_names_say() -> None:
    model = model_of()
    by_part = {part: set(selected(model, [part], "train.freeze")) for part in PARTS}
    for part, some in FROZEN.items():
        assert some <= by_part[part], part
    assert by_part["embeddings"] == by_part["src_embedding"] | by_part["tgt_embedding"] == FROZEN["embeddings"]
    assert by_part["output"] == FROZEN["output"]
    disjoint = ("encoder", "decoder", "embeddings", "output")
    assert sum(len(by_part[part]) for part in disjoint) == len(list(model.parameters()))
    assert set.union(*(by_part[part] for part in disjoint)) == set(dict(model.named_parameters()))
    assert all(name.startswith("decoder.") for name in by_part["decoder"])


def test_what_selects_nothing_or_everything_is_refused() -> None:
    listed = "encoder, decoder, src_embedding, tgt_embedding, embeddings, output"
    for part in ("encodr", "layers.0", "", "encoder.forwards.7.*"):
        with pytest.raises(UserError, match=rf"train\.freeze has {part!r}, which is neither a part .*{listed}"):
            freeze(model_of(), ["output", part])
    for everything in (["*"], ["encoder", "decoder", "embeddings", "output"]):
        with pytest.raises(UserError, match="leaves no parameter to train"):
            freeze(model_of(), everything)


def test_counts_and_shared_parameters_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    model = model_of(tying=Tying.three_way)
    values = [parameter.numel() for parameter in model.parameters()]
    freeze(model, ["src_embedding"])
    assert f"1 parameters with {WORDS * 8 / 1e6:.2f} million values are frozen" in caplog.text
    assert f"{len(values) - 1} parameters with {(sum(values) - WORDS * 8) / 1e6:.2f} million" in caplog.text
    assert "output_weight, decoder.embedding.weight are frozen, too (model.tying)" in caplog.text
    caplog.clear()
    freeze(model_of(tying=Tying.two_way), ["src_embedding"])
    assert "too" not in caplog.text


@pytest.mark.parametrize("kind", list(OptimizerKind))
def test_frozen_parameters_keep_their_bits_and_have_no_state(kind: OptimizerKind, tmp_path: Path) -> None:
    optim = replace(PLATEAU, kind=kind, weight_decay=0.1, clip_norm=0.01, l1=0.01, l2=0.01, momentum=0.9)
    trainer = build(tmp_path, replace(SHORT, ema_decay=0.7), optim)
    freeze(trainer.model, ENCODER)
    before = weights(trainer.model)
    trainer.train()
    after, frozen = weights(trainer.model), set(selected(trainer.model, ENCODER, "train.freeze"))
    assert {name for name in after if torch.equal(before[name], after[name])} == frozen
    assert {name for name in after if torch.equal(before[name], trainer.average.average[name])} == frozen
    names = list(after)
    with_state = {names[int(key.split(".")[0])] for key in optimizer_tensors(trainer.optimizer)}
    assert with_state == set(names) - frozen


def test_the_clip_norm_is_that_of_the_trained_parameters(tmp_path: Path) -> None:
    trainer = build(tmp_path, dropout=0.0)
    freeze(trainer.model, ["embeddings", "decoder"])
    batch = trainer.batches.next()
    trainer.update([batch])
    model = build(tmp_path, dropout=0.0).model
    cross_entropy(SHORT.label_smoothing)(model, batch).loss.div(batch.tokens).backward()
    squares = {name: float(p.grad.square().sum()) for name, p in model.named_parameters()}
    trained = [name for name, p in trainer.model.named_parameters() if p.requires_grad]
    assert 0 < len(trained) < len(squares)
    assert trainer.progress.window.norm == pytest.approx(math.sqrt(sum(squares[name] for name in trained)), rel=1e-5)


def test_penalties_leave_frozen_matrices_out() -> None:
    model = model_of()
    before = len(penalised_weights(model))
    freeze(model, ["embeddings"])
    assert len(penalised_weights(model)) == before - 2


def begin(folder: Path, parts: list[str], objective: Objective | None = None) -> Trainer:
    """Return a trainer with frozen parts that continues the training in `folder`, or begins it."""
    trainer = build(folder, optim=replace(PLATEAU, kind=OptimizerKind.adam), objective=objective)
    freeze(trainer.model, parts)
    if (trainer.checkpoints / "last").exists():
        trainer.load_checkpoint(load_checkpoint(trainer.checkpoints, "last"))
    return trainer


def interrupt(folder: Path, parts: list[str]) -> None:
    """Stop a training after its fifth step."""
    stop = calling(lambda: signal.raise_signal(signal.SIGTERM), call=10)
    with pytest.raises(Interrupted, match="SIGTERM"):
        begin(folder, parts, stop).train()


def test_a_training_with_frozen_parts_continues_to_the_same_bits(tmp_path: Path) -> None:
    whole = begin(tmp_path / "whole", ENCODER)
    whole.train()
    interrupt(tmp_path / "parts", ENCODER)
    continued = begin(tmp_path / "parts", ENCODER)
    assert continued.progress.step == 5
    continued.train()
    assert_same(weights(continued.model), weights(whole.model))
    assert_same(optimizer_tensors(continued.optimizer), optimizer_tensors(whole.optimizer))
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")


def test_parts_can_be_frozen_and_freed_when_a_training_continues(tmp_path: Path) -> None:
    interrupt(tmp_path, ENCODER)
    stopped = load_checkpoint(tmp_path / "checkpoints", "last")
    names = list(dict(begin(tmp_path, []).model.named_parameters()))
    encoder = {name for name in names if name.startswith("encoder.")}
    assert {names[int(key.split(".")[1])] for key in stopped.tensors if key.startswith("optimizer.")} == (
        set(names) - encoder
    )
    freed = begin(tmp_path, [])
    freed.update([freed.batches.next()])
    assert not encoder & {name for name, w in weights(freed.model).items() if torch.equal(w, stopped.weights[name])}
    steps = {names[i]: int(state["step"]) for i, state in freed.optimizer.state_dict()["state"].items()}
    assert {steps[name] for name in encoder} == {1}
    assert {steps[name] for name in set(names) - encoder} == {6}
    frozen = begin(tmp_path, ["decoder"])
    frozen.update([frozen.batches.next()])
    same = {name for name, w in weights(frozen.model).items() if torch.equal(w, stopped.weights[name])}
    assert same == {name for name in names if name.startswith("decoder.")}
    assert not {names[i] for i in frozen.optimizer.state_dict()["state"]} & same
