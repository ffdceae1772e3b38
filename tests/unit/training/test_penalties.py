"""AR, TAR, L1 and L2 against their formulas written out; without them the loss is unchanged."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_objectives import TGT, WHOLE, giving, gradients, tiny_model
from tiny_training import PLAIN, SHORT, SRC, build, weights
from tiny_training import TGT as TINY_TGT
from torch import Tensor

from nmt.data import make_batch
from nmt.training.objectives.likelihood import activation_penalty, cross_entropy, penalised_weights, with_weight_penalty


def by_hand(vectors: Tensor, ar: float, tar: float) -> float:
    """Compute the two sums sentence by sentence and step by step."""
    size = change = 0.0
    for column, line in enumerate(TGT):
        steps = vectors[: len(line) + 1, column].tolist()
        size += sum(sum(v * v for v in step) / len(step) for step in steps)
        for before, after in itertools.pairwise(steps):
            change += sum((b - a) ** 2 for a, b in zip(before, after, strict=True)) / len(before)
    return ar * size + tar * change


@pytest.mark.parametrize(("ar", "tar"), [(2.0, 0.0), (0.0, 1.0), (2.0, 1.0)])
@pytest.mark.parametrize("garbage", [0.0, float("nan"), 1e20])
def test_activations_are_penalised_by_the_formula_and_padding_is_not(ar: float, tar: float, garbage: float) -> None:
    clean = torch.randn(*WHOLE.tgt_out.shape, 5, generator=torch.Generator().manual_seed(1))
    vectors = torch.where(WHOLE.tgt_mask.unsqueeze(-1), clean, garbage).requires_grad_()
    penalty = activation_penalty(vectors, WHOLE.tgt_mask, ar, tar)
    assert penalty.item() == pytest.approx(by_hand(clean, ar, tar), rel=1e-5)
    (gradient,) = torch.autograd.grad(penalty, vectors)
    assert gradient[WHOLE.tgt_mask].isfinite().all()


def test_the_objective_adds_the_penalties_of_its_activations() -> None:
    vectors = torch.randn(*WHOLE.tgt_out.shape, 12, generator=torch.Generator().manual_seed(1))
    plain = cross_entropy(0.1)(giving(vectors), WHOLE)
    output = cross_entropy(0.1, ar=2.0, tar=0.5)(giving(vectors), WHOLE)
    assert output.loss.item() - plain.loss.item() == pytest.approx(by_hand(vectors, 2.0, 0.5), rel=1e-4)
    assert output.nll.item() == plain.nll.item()


def test_the_weights_are_all_matrices_and_no_bias() -> None:
    model = tiny_model()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if parameter.dim() == 1 or "bias" in name else 0.0)
        for layer in [*model.encoder.forwards, *model.encoder.backwards]:
            layer.lstm.weight_ih_l0[:, -1] = 1.0  # the encoder's bias
    assert all(weight.count_nonzero() == 0 for weight in penalised_weights(model))
    sizes = sum(weight.numel() for weight in penalised_weights(model))
    zeros = sum(int((parameter == 0).sum()) for parameter in model.parameters())
    assert sizes == zeros


@pytest.mark.parametrize(("l1", "l2"), [(0.01, 0.0), (0.0, 0.02), (0.01, 0.02)])
def test_weights_are_penalised_by_the_formula(l1: float, l2: float) -> None:
    model = tiny_model()
    tokens = WHOLE.tokens
    plain = cross_entropy(0.1)(model, WHOLE).loss
    loss = with_weight_penalty(cross_entropy(0.1), l1, l2)(model, WHOLE).loss
    flat = [weight for matrix in penalised_weights(model) for weight in matrix.detach().flatten().tolist()]
    penalty = l1 * sum(map(abs, flat)) + l2 / 2 * sum(weight * weight for weight in flat)
    assert (loss - plain).item() / tokens == pytest.approx(penalty, rel=1e-3)
    expected = gradients(model, cross_entropy(0.1)(model, WHOLE).loss)
    actual = gradients(model, loss)
    for parameter, one, other, name in zip(
        model.parameters(), actual, expected, dict(model.named_parameters()), strict=True
    ):
        by_formula = other + tokens * (l1 * parameter.sign() + l2 * parameter)
        if parameter.dim() == 1:
            torch.testing.assert_close(one, other)
        elif name.endswith("lstm.weight_ih_l0"):
            torch.testing.assert_close(one[:, :-1], by_formula[:, :-1], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(one[:, -1], other[:, -1], atol=1e-4, rtol=1e-4)
        else:
            torch.testing.assert_close(one, by_formula, atol=1e-4, rtol=1e-4)


def test_a_step_of_several_batches_is_penalised_once(tmp_path: Path) -> None:
    """Compare l2 with weight decay of plain gradient descent, to which it is equal except for the biases."""
    batches = [make_batch(SRC[part], TINY_TGT[part], range(8)[part]) for part in (slice(0, 3), slice(3, 8))]
    before = {}
    moved = []
    for name, optim in (("penalty", replace(PLAIN, l2=0.1)), ("decay", replace(PLAIN, weight_decay=0.1))):
        trainer = build(tmp_path / name, replace(SHORT, accumulate=2), optim, dropout=0.0)
        before = weights(trainer.model)
        trainer.update(batches)
        moved.append(weights(trainer.model))
    assert "decoder.readout.weight" in before
    for name in ("decoder.readout.weight", "decoder.layers.0.weight_hh_l0"):
        torch.testing.assert_close(moved[0][name], moved[1][name])
        assert not torch.equal(moved[0][name], before[name])
