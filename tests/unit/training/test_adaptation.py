"""Careful steps on corrections: the loss and the penalty against their formulas, batches, and determinism."""

import math
from dataclasses import replace

import pytest
import torch
from shapes import model_config
from tiny_training import PLAIN, SRC, TGT, WORDS, assert_same, weights

from nmt.config import OptimConfig
from nmt.data import Batch, PairStore, make_batch
from nmt.errors import UserError
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.training import build_optimizer
from nmt.training.adaptation import CorrectionBatches, learn_and_replay, take_careful_steps, with_decay_towards
from nmt.training.objectives.likelihood import Objective, ObjectiveOutput, cross_entropy

CORRECTIONS = list(zip(SRC[:3], [line[::-1] for line in TGT[:3]], strict=True))
STORE = PairStore.of(SRC, TGT)


def tiny(seed: int, double: bool = False) -> Seq2Seq:
    torch.manual_seed(seed)
    config = model_config(embed_size=6, hidden_size=6, dropout=0.0)
    model = build_model(config, Vocabulary(WORDS, WORDS))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.double() if double else model


def zero(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
    """Return no loss, so that only a penalty is left."""
    return ObjectiveOutput(torch.zeros(()), torch.zeros(()))


def mixed(count: int = 8, replay: float = 0.5) -> Batch:
    return CorrectionBatches(CORRECTIONS, STORE, count, replay, seed=3).next()


def test_the_gradient_of_the_penalty_is_that_of_finite_differences() -> None:
    model, batch = tiny(1, double=True), mixed()
    old = {name: weight.detach() + 0.1 * (1 + number) for number, (name, weight) in enumerate(model.named_parameters())}
    objective = with_decay_towards(zero, old, 0.3)
    by_hand = sum((weight.detach() - old[name]).square().sum().item() for name, weight in model.named_parameters())
    loss = objective(model, batch).loss
    assert loss.item() == pytest.approx(batch.tokens * 0.3 / 2 * by_hand, rel=1e-6)
    loss.backward()
    step = 1e-4
    for name, weight in model.named_parameters():
        index = (0,) * weight.dim()
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[index] += sign * step
                values.append(objective(model, batch).loss.item())
                weight[index] -= sign * step
        difference = (values[0] - values[1]) / (2 * step)
        assert weight.grad is not None
        assert weight.grad[index].item() == pytest.approx(difference, rel=1e-4), name


def test_no_strength_and_the_old_weights_give_no_penalty() -> None:
    model, batch = tiny(1), mixed()
    plain = cross_entropy(0.1)
    assert with_decay_towards(plain, weights(model), 0.0) is plain
    penalised = with_decay_towards(plain, weights(model), 7.0)
    assert penalised(model, batch).loss.item() == pytest.approx(plain(model, batch).loss.item())


def test_the_loss_is_the_likelihood_of_corrections_and_the_divergence_of_replayed_pairs() -> None:
    """Compare with sums over single tokens of single sentences, without padding."""
    old, model, batch = tiny(1), tiny(2), mixed()
    count = sum(index < 0 for index in batch.indices)
    assert 0 < count < len(batch.indices)
    expected = 0.0
    for column, index in enumerate(batch.indices):
        src, tgt = CORRECTIONS[-1 - index] if index < 0 else (SRC[index], TGT[index])
        single = make_batch([src], [tgt], [0])
        log_q, log_p = (
            each.project(each.decoder_outputs(single.src, single.src_mask, single.tgt_in))[:, 0].log_softmax(-1)
            for each in (model, old)
        )
        for step, word in enumerate([*tgt, 3]):
            if column < count:
                expected -= log_q[step, word].item()
            else:
                expected += 2.5 * sum(
                    math.exp(p) * (p - q) for p, q in zip(log_p[step].tolist(), log_q[step].tolist(), strict=True)
                )
    assert learn_and_replay(old, 2.5)(model, batch).loss.item() == pytest.approx(expected, rel=1e-4)


def gradient(objective: Objective, model: Seq2Seq, batch: Batch) -> float:
    model.zero_grad()
    objective(model, batch).loss.backward()
    grads = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return float(torch.stack([grad.square().sum() for grad in grads]).sum().sqrt())


def test_at_the_old_weights_replayed_pairs_alone_move_nothing() -> None:
    model, old, batch = tiny(1), tiny(1), mixed()
    count = sum(index < 0 for index in batch.indices)
    replayed, corrected = batch.columns(slice(count, None)), batch.columns(slice(0, count))
    objective = learn_and_replay(old, 4.0)
    assert gradient(objective, model, replayed) == pytest.approx(0, abs=1e-4)
    assert gradient(cross_entropy(0.0), model, replayed) > 1
    assert gradient(objective, model, corrected) > 1


def test_a_batch_in_two_halves_has_the_same_loss() -> None:
    """A batch that does not fit into memory is split; one of its halves may have no correction."""
    old, model = tiny(1), tiny(2)
    batch = CorrectionBatches(CORRECTIONS, STORE, 8, 0.75, seed=3).next()
    objective = with_decay_towards(learn_and_replay(old, 4.0), weights(old), 0.1)
    whole = objective(model, batch).loss.item()
    assert sum(objective(model, half).loss.item() for half in batch.halves()) == pytest.approx(whole, rel=1e-5)
    assert batch.halves()[1].indices[0] >= 0


def test_batches_mix_corrections_in_turn_with_different_training_pairs() -> None:
    batches = CorrectionBatches(CORRECTIONS, STORE, 8, 0.75, seed=5)
    drawn: list[int] = []
    for _ in range(6):
        batch = batches.next()
        corrected, replayed = batch.indices[:2], batch.indices[2:]
        assert all(index < 0 for index in corrected)
        assert len(set(replayed)) == 6
        drawn += corrected
        for column, index in enumerate(replayed, start=2):
            length = int(batch.tgt_mask[:, column].sum())
            assert batch.tgt_out[: length - 1, column].tolist() == TGT[index]
    for start in range(0, 12, 3):
        assert sorted(drawn[start : start + 3]) == [-3, -2, -1]
    again = CorrectionBatches(CORRECTIONS, STORE, 8, 0.75, seed=5)
    assert [again.next().indices[:2] for _ in range(6)] == [drawn[i : i + 2] for i in range(0, 12, 2)]
    assert CorrectionBatches(CORRECTIONS, STORE, 8, 0.75, seed=6).next().indices != again.next().indices


@pytest.mark.parametrize(
    ("store", "size", "replay", "corrected", "replayed"),
    [
        (None, 8, 0.75, 8, 0),
        (STORE, 8, 0.0, 8, 0),
        (STORE, 4, 0.99, 1, 3),
        (STORE, 1, 0.9, 1, 0),
        (STORE, 96, 0.75, 52, 44),
    ],
)
def test_each_batch_has_a_correction_and_at_most_all_pairs(
    store: PairStore | None, size: int, replay: float, corrected: int, replayed: int
) -> None:
    indices = CorrectionBatches(CORRECTIONS, store, size, replay, seed=1).next().indices
    assert sum(index < 0 for index in indices) == corrected
    assert sum(index >= 0 for index in indices) == replayed


def adapted(steps: int, stop: int = 1000, optim: OptimConfig | None = None) -> tuple[int, list[int], Seq2Seq]:
    old, model, checks = tiny(1), tiny(1), []

    def should_stop(step: int) -> bool:
        checks.append(step)
        return step >= stop

    objective = with_decay_towards(learn_and_replay(old, 4.0), weights(old), 0.01)
    optimizer = build_optimizer(model, optim or OptimConfig(learning_rate=0.01))
    batches = CorrectionBatches(CORRECTIONS, STORE, 8, 0.5, seed=1)
    taken = take_careful_steps(model, objective, optimizer, batches, steps, 1.0, 5, should_stop)
    return taken, checks, model


def test_the_steps_are_checked_stop_and_have_the_same_bits_again() -> None:
    assert adapted(12)[:2] == (12, [5, 10, 12])
    taken, checks, model = adapted(100, stop=10)
    assert (taken, checks) == (10, [5, 10])
    assert_same(weights(adapted(10)[2]), weights(model))


def test_the_corrections_become_more_probable() -> None:
    batch = make_batch([src for src, _ in CORRECTIONS], [tgt for _, tgt in CORRECTIONS], range(3))
    before, after = (cross_entropy(0.0)(model, batch).nll.item() for model in (tiny(1), adapted(60)[2]))
    assert after < 0.6 * before


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    with pytest.raises(UserError, match="lower learning_rate"):
        adapted(60, optim=replace(PLAIN, learning_rate=1e30))
