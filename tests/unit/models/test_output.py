"""Fused output layer against the plain computation, in values and gradients."""

from typing import Any

import pytest
import torch
from shapes import model_config
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from nmt.data import make_batch
from nmt.models import Vocabulary, build_model
from nmt.models.output import CHUNK, ProjectedCrossEntropy, projected_cross_entropy, smoothed_cross_entropy
from nmt.training.objectives import likelihood

WORDS, WIDTH = 37, 11


def inputs(rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return vectors (N, E), weight (V, E), bias (V,) and targets (N,)."""
    random = torch.Generator().manual_seed(rows)
    vectors = torch.randn(rows, WIDTH, generator=random).to(dtype).requires_grad_()
    weight, bias = torch.randn(WORDS, WIDTH, generator=random), torch.randn(WORDS, generator=random)
    return (
        vectors,
        weight.requires_grad_(),
        bias.requires_grad_(),
        torch.randint(0, WORDS, (rows,), generator=random),
    )


@pytest.mark.parametrize("rows", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 5])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_fused_and_plain_agree_and_so_does_torch(rows: int, smoothing: float) -> None:
    vectors, weight, bias, target = inputs(rows, torch.float32)
    loss, nll = projected_cross_entropy(vectors, weight, bias, target, smoothing)
    actual = torch.autograd.grad(3 * loss, [vectors, weight, bias])
    plain, plain_nll = smoothed_cross_entropy(linear(vectors, weight, bias), target, smoothing)
    expected = torch.autograd.grad(3 * plain, [vectors, weight, bias])
    torch.testing.assert_close((loss, nll, *actual), (plain, plain_nll, *expected), atol=1e-4, rtol=1e-5)
    reference = cross_entropy(linear(vectors, weight, bias), target, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(plain, reference)
    torch.testing.assert_close(nll, cross_entropy(linear(vectors, weight, bias), target, reduction="sum").detach())


def test_bfloat16_vectors_are_projected_in_bfloat16_and_summed_in_float32() -> None:
    vectors, weight, bias, target = inputs(CHUNK + 3, torch.bfloat16)
    loss, _ = projected_cross_entropy(vectors, weight, bias, target, 0.1)
    actual = torch.autograd.grad(loss, [vectors, weight, bias])
    plain, _ = smoothed_cross_entropy(linear(vectors.float(), weight, bias), target, 0.1)
    expected = torch.autograd.grad(plain, [vectors, weight, bias])
    assert loss.dtype == torch.float32
    assert [tensor.dtype for tensor in actual] == [torch.bfloat16, torch.float32, torch.float32]
    for mine, theirs in zip((loss, *actual), (plain, *expected), strict=True):
        assert (mine.float() - theirs).norm() < 0.02 * theirs.norm()


def test_without_gradients_none_are_made() -> None:
    vectors, weight, bias, target = inputs(7, torch.float32)
    with torch.inference_mode():
        loss, _ = projected_cross_entropy(vectors, weight, bias, target, 0.1)
    assert not loss.requires_grad
    weight.requires_grad_()
    for enabled, products in ((True, 1), (False, 0)):
        with torch.set_grad_enabled(enabled), torch.profiler.profile() as profile:
            projected_cross_entropy(vectors, weight, bias, target, 0.1)
        assert sum(event.count for event in profile.key_averages() if event.key == "aten::addmm_") == products


def test_under_autocast_every_large_product_is_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that the float32 dropout masks do not convert the vectors back."""
    torch.manual_seed(0)
    model = build_model(model_config(embed_size=8, hidden_size=16, dropout=0.3), Vocabulary(40, 40))
    batch = make_batch([[5, 6, 7]], [[8, 9]], [0])
    kinds: list[torch.dtype] = []

    def recorded(vectors: Tensor, *rest: Any) -> Any:
        kinds.append(vectors.dtype)
        return forward(vectors, *rest)

    forward = ProjectedCrossEntropy.apply
    monkeypatch.setattr(ProjectedCrossEntropy, "apply", recorded)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = likelihood.cross_entropy(0.1)(model, batch).loss
    loss.backward()
    assert kinds == [torch.bfloat16]
    assert loss.dtype == torch.float32
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_large_logits_lose_nothing() -> None:
    vectors, weight, bias, target = inputs(9, torch.float32)
    vectors, weight = 100 * vectors.detach(), weight.detach()
    _, nll = projected_cross_entropy(vectors, weight, bias.detach(), target, 0.0)
    exact = cross_entropy(linear(vectors.double(), weight.double(), bias.double()), target, reduction="sum")
    assert nll.item() == pytest.approx(exact.item(), rel=1e-5)
