"""Training in both directions in the first epochs: every other batch is swapped and otherwise unchanged."""

import pytest
import torch
from tiny_training import SRC, TGT, batches

from nmt.data import Batch, TrainingBatches, make_batch

EPOCHS = 2


def both(subword_sampling: float | None = None) -> TrainingBatches:
    stream = batches(subword_sampling=subword_sampling)
    stream.both_directions = EPOCHS
    return stream


def equal(one: Batch, other: Batch) -> bool:
    names = ("src", "src_mask", "tgt_in", "tgt_out", "tgt_mask")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names) and (
        (one.indices, one.tokens) == (other.indices, other.tokens)
    )


def test_every_other_batch_of_the_first_epochs_is_turned_round_and_none_later() -> None:
    plain, turning, turned = batches(), both(), []
    while plain.epoch < EPOCHS + 2:
        straight, batch = plain.next(), turning.next()
        swapped = make_batch([TGT[i] for i in batch.indices], [SRC[i] for i in batch.indices], batch.indices)
        assert straight.indices == batch.indices
        assert equal(batch, straight) != equal(batch, swapped)
        turned.append((plain.epoch, equal(batch, swapped)))
    for epoch in range(EPOCHS):
        in_epoch = [yes for number, yes in turned if number == epoch]
        assert in_epoch == [False, True] * (len(in_epoch) // 2) + [False] * (len(in_epoch) % 2)
    assert not any(yes for number, yes in turned if number >= EPOCHS)


@pytest.mark.parametrize("subword_sampling", [None, 0.5])
def test_a_position_has_the_same_batch_however_it_was_reached(subword_sampling: float | None) -> None:
    """Sampled pieces are swapped with their sides: they spell the same text as the stored pieces."""
    whole = both(subword_sampling)
    for _ in range(7):
        batch = whole.next()
    other = both(subword_sampling)
    other.seek(whole.epoch, whole.index - 1)
    assert equal(other.next(), batch)


def test_processes_turn_the_same_batches() -> None:
    whole, first, second = both(), both(), both()
    first.share, second.share = (0, 2), (1, 2)
    for _ in range(9):
        batch, shares = whole.next(), [first.next(), second.next()]
        assert sorted(batch.indices) == sorted(shares[0].indices + shares[1].indices)
        assert batch.tokens == sum(share.tokens for share in shares)


def test_the_weights_that_count_are_those_of_the_tokens_learnt() -> None:
    """A swapped batch counts the tokens of its swapped targets, by which the gradient is divided."""
    turning = both()
    turning.next()
    batch = turning.next()
    assert batch.tokens == sum(len(SRC[i]) + 1 for i in batch.indices)
