"""R-Drop against its equation in plain probabilities, and against cross-entropy without dropout."""

import math

import pytest
import torch
from shapes import model_config
from test_objectives import WHOLE, WORDS, giving, gradients, tiny_model
from torch import Tensor

from nmt.data import make_batch
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.training.objectives import chunks
from nmt.training.objectives.likelihood import TokenLoss, activation_penalty, cross_entropy
from nmt.training.objectives.r_drop import r_drop


def twice_random(seed: int = 1) -> Tensor:
    """Return random logits of two passes, (T, 2 B, V)."""
    steps, batch = WHOLE.tgt_out.shape
    return 2 * torch.randn(steps, 2 * batch, WORDS, generator=torch.Generator().manual_seed(seed))


def divergence(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("rows", [256, 3])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 5.0])
def test_the_loss_is_half_of_the_papers_equation(alpha: float, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "ROWS", rows)
    logits = twice_random()
    model = giving(logits)
    model.project = lambda vectors: vectors
    output = r_drop(TokenLoss(0.0), alpha)(model, WHOLE)

    probabilities = logits.double().softmax(-1)
    batch = WHOLE.tgt_out.size(1)
    nll = kl = 0.0
    for t, b in WHOLE.tgt_mask.nonzero().tolist():
        p, q = probabilities[t, b].tolist(), probabilities[t, batch + b].tolist()
        word = int(WHOLE.tgt_out[t, b])
        nll -= math.log(p[word]) + math.log(q[word])
        kl += (divergence(p, q) + divergence(q, p)) / 2
    assert output.loss.item() == pytest.approx((nll + alpha * kl) / 2, rel=1e-4)
    assert output.nll.item() == pytest.approx(nll / 2, rel=1e-4)


def test_the_gradient_is_that_of_the_whole_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "ROWS", 4)
    model = dropping()
    torch.manual_seed(3)
    actual = gradients(model, r_drop(TokenLoss(0.1), 5.0)(model, WHOLE).loss)

    torch.manual_seed(3)
    src, mask, tgt_in = (torch.cat([x, x], dim=1) for x in (WHOLE.src, WHOLE.src_mask, WHOLE.tgt_in))
    log_probs = model(src, mask, tgt_in).log_softmax(-1)
    one, other = (half[WHOLE.tgt_mask] for half in log_probs.chunk(2, dim=1))
    target = WHOLE.tgt_out[WHOLE.tgt_mask]
    kl = torch.nn.functional.kl_div
    loss = sum(torch.nn.functional.cross_entropy(p, target, label_smoothing=0.1, reduction="sum") for p in (one, other))
    for p, q in ((one, other), (other, one)):
        loss = loss + 5.0 / 2 * kl(p, q, log_target=True, reduction="sum")
    torch.testing.assert_close(actual, gradients(model, loss / 2), atol=1e-5, rtol=1e-4)


def dropping() -> Seq2Seq:
    model = tiny_model()
    for part in (model.encoder, model.decoder):
        part.dropout.probability = 0.4
    return model


def test_the_two_passes_have_dropout_of_their_own() -> None:
    model = dropping()
    apart, together = (r_drop(TokenLoss(0.1), alpha)(model.train(), WHOLE).loss.item() for alpha in (5.0, 0.0))
    assert apart > together + 0.1
    model.eval()
    one, two = (r_drop(TokenLoss(0.1), alpha)(model, WHOLE).loss.item() for alpha in (5.0, 0.0))
    assert one == pytest.approx(two, rel=1e-6)


@pytest.mark.parametrize("name", ["dropout", "word_dropout", "weight_drop", "zoneout_h", "recurrent_dropout"])
def test_the_two_passes_differ_by_each_kind_of_noise_alone(name: str) -> None:
    torch.manual_seed(1)
    config = model_config(embed_size=6, hidden_size=8, **{"dropout": 0.0, name: 0.4})
    model = build_model(config, Vocabulary(WORDS, WORDS)).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # so that the state has an effect
    losses = []
    for alpha in (5.0, 0.0):
        torch.manual_seed(2)
        losses.append(r_drop(TokenLoss(0.1), alpha)(model, WHOLE).loss.item())
    assert losses[0] > losses[1] + 1e-2


def test_without_dropout_it_is_cross_entropy() -> None:
    model = tiny_model()
    output, expected = (objective(model, WHOLE) for objective in (r_drop(TokenLoss(0.1), 5.0), cross_entropy(0.1)))
    torch.testing.assert_close(output.loss, expected.loss)
    torch.testing.assert_close(output.nll, expected.nll)


def test_penalties_on_the_activations_are_the_mean_of_both_passes() -> None:
    logits = twice_random()
    model = giving(logits)
    model.project = lambda vectors: vectors
    loss, plain = (r_drop(TokenLoss(0.1, *strengths), 5.0)(model, WHOLE).loss for strengths in ((2.0, 1.0), (0.0, 0.0)))
    halves = [activation_penalty(half, WHOLE.tgt_mask, 2.0, 1.0) for half in logits.chunk(2, dim=1)]
    assert (loss - plain).item() == pytest.approx(sum(halves).item() / 2, rel=1e-4)


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    model, objective = tiny_model(), r_drop(TokenLoss(0.1), 5.0)
    parts = [make_batch([[4, 5, 6]], [[8, 9]], [0]), make_batch([[7]], [[10, 11, 4]], [1])]
    whole = make_batch([[4, 5, 6], [7]], [[8, 9], [10, 11, 4]], [0, 1])
    torch.testing.assert_close(sum(objective(model, part).loss for part in parts), objective(model, whole).loss)
