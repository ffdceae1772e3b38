"""Cross-entropy against torch's own and by hand; padding does not count."""

import math
from types import SimpleNamespace

import pytest
import torch
from shapes import model_config
from torch import Tensor
from torch.nn.functional import cross_entropy as torch_cross_entropy

from nmt.config import BatchUnit
from nmt.data import PAD_ID, Batch, make_batch
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.training.gradients import accumulate_gradients
from nmt.training.objectives.likelihood import cross_entropy, negative_log_likelihood

WORDS = 12
SRC = [[4, 5, 6], [7], [8, 9], [10, 4, 11, 5]]
TGT = [[8, 9], [10, 11, 4, 5, 6], [], [7]]
WHOLE = make_batch(SRC, TGT, range(4))
SMOOTHINGS = pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])


def tiny_model() -> Seq2Seq:
    torch.manual_seed(1)
    config = model_config(embed_size=6, hidden_size=8, dropout=0.0)
    return build_model(config, Vocabulary(WORDS, WORDS))


def gradients(model: Seq2Seq, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


def giving(logits: Tensor) -> SimpleNamespace:
    """Return a stand-in for a model with these logits for every batch, projected by the identity."""
    words = logits.size(-1)
    return SimpleNamespace(
        decoder_outputs=lambda src, src_mask, tgt_in: logits,
        output_weight=torch.eye(words),
        output_bias=torch.zeros(words),
        drops_weights=False,
    )


def torch_loss(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    return torch_cross_entropy(
        logits.flatten(0, 1),
        batch.tgt_out.flatten(),
        label_smoothing=smoothing,
        ignore_index=PAD_ID,
        reduction="sum",
    )


@SMOOTHINGS
def test_loss_and_gradients_are_those_of_torch(smoothing: float) -> None:
    model = tiny_model()
    output = cross_entropy(smoothing)(model, WHOLE)
    logits = model(WHOLE.src, WHOLE.src_mask, WHOLE.tgt_in)
    expected = torch_loss(logits, WHOLE, smoothing)
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(output.nll, torch_loss(logits, WHOLE, 0.0).detach())
    torch.testing.assert_close(gradients(model, output.loss), gradients(model, expected))


@pytest.mark.parametrize("mean_over", list(BatchUnit))
def test_the_gradient_of_a_step_is_of_the_mean_over_tokens_or_sentences_of_all_its_batches(
    mean_over: BatchUnit,
) -> None:
    model, parts = tiny_model(), [make_batch(SRC[:1], TGT[:1], [0]), make_batch(SRC[1:], TGT[1:], range(1, 4))]
    sums = accumulate_gradients(model, cross_entropy(0.0), parts, bfloat16=False, mean_over=mean_over)
    actual = [parameter.grad for parameter in model.parameters()]
    whole = torch_loss(model(WHOLE.src, WHOLE.src_mask, WHOLE.tgt_in), WHOLE, 0.0)
    assert (sums.tokens, sums.loss) == (12, pytest.approx(whole.item()))
    torch.testing.assert_close(actual, gradients(model, whole / (12 if mean_over == BatchUnit.tokens else 4)))


def test_loss_of_one_word_computed_by_hand() -> None:
    # The only target word is eos, number 3, to which the model gives 1/2: nll = ln 2. Over the four words, minus
    # the logarithms are (3 + 3 + 2 + 1) ln 2, so smoothing by 0.2 gives (0.8 * 1 + 0.2 / 4 * 9) ln 2 = 1.25 ln 2.
    batch = make_batch([[]], [[]], [0])
    logits = torch.tensor([1 / 8, 1 / 8, 1 / 4, 1 / 2]).log().view(1, 1, 4) + 5.0  # a softmax ignores the constant 5
    output = cross_entropy(0.2)(giving(logits), batch)
    assert output.loss.item() == pytest.approx(1.25 * math.log(2))
    assert output.nll.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("garbage", [1e4, float("nan"), float("inf")])
def test_logits_on_padding_change_neither_loss_nor_gradient(garbage: float) -> None:
    clean = torch.randn(*WHOLE.tgt_out.shape, WORDS, generator=torch.Generator().manual_seed(1))
    dirty = torch.where(WHOLE.tgt_mask.unsqueeze(-1), clean, garbage).requires_grad_()
    output, expected = (cross_entropy(0.1)(giving(logits), WHOLE) for logits in (dirty, clean))
    assert output.loss.item() == expected.loss.item()
    assert output.nll.item() == expected.nll.item()
    (gradient,) = torch.autograd.grad(output.loss, dirty)
    assert gradient[~WHOLE.tgt_mask].count_nonzero() == 0
    assert gradient[WHOLE.tgt_mask].isfinite().all()


@SMOOTHINGS
@pytest.mark.parametrize("parts", [[[0, 1], [2, 3]], [[0], [1], [2], [3]]])
def test_parts_of_a_batch_add_up_to_the_whole(smoothing: float, parts: list[list[int]]) -> None:
    model, objective = tiny_model(), cross_entropy(smoothing)
    whole = objective(model, WHOLE)
    batches = [make_batch([SRC[i] for i in part], [TGT[i] for i in part], part) for part in parts]
    results = [objective(model, batch) for batch in batches]
    torch.testing.assert_close(sum(part.loss for part in results), whole.loss)
    torch.testing.assert_close(sum(part.nll for part in results), whole.nll)
    added = [sum(grads) for grads in zip(*(gradients(model, part.loss) for part in results), strict=True)]
    torch.testing.assert_close(added, gradients(model, whole.loss))


def test_logits_in_half_precision_are_summed_in_float32() -> None:
    logits = torch.randn(*WHOLE.tgt_out.shape, WORDS, generator=torch.Generator().manual_seed(1)).bfloat16()
    output = cross_entropy(0.1)(giving(logits), WHOLE)
    assert output.loss.dtype == output.nll.dtype == torch.float32
    torch.testing.assert_close(output.loss, torch_loss(logits.float(), WHOLE, 0.1))


def test_the_logged_likelihood_holds_no_graph() -> None:
    assert not cross_entropy(0.1)(tiny_model(), WHOLE).nll.requires_grad


def test_negative_log_likelihood_is_the_sum_over_the_words_alone() -> None:
    model = tiny_model()
    expected = 0.0
    for src, tgt in zip(SRC, TGT, strict=True):
        batch = make_batch([src], [tgt], [0])
        probabilities = model(batch.src, batch.src_mask, batch.tgt_in).softmax(-1)
        expected -= sum(math.log(probabilities[t, 0, word].item()) for t, word in enumerate([*tgt, 3]))
    assert negative_log_likelihood(model, WHOLE) == pytest.approx(expected, rel=1e-5)
