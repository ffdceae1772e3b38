"""Training in both directions first: which batches are turned round, and that all else of them stays."""

import pytest
import torch
from tiny_training import SRC, TGT, batches

from nmt.data import Batch, TrainingBatches, make_batch

EPOCHS = 2


def both(subword_sampling: float | None = None) -> TrainingBatches:
    found = batches(subword_sampling=subword_sampling)
    found.both_directions = EPOCHS
    return found


def equal(one: Batch, other: Batch) -> bool:
    names = ("src", "src_mask", "tgt_in", "tgt_out", "tgt_mask")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names) and (
        (one.indices, one.tokens) == (other.indices, other.tokens)
    )


def test_every_other_batch_of_the_first_epochs_is_turned_round_and_none_later() -> None:
    plain, turning, turned = batches(), both(), []
    while plain.epoch < EPOCHS + 2:
        straight, found = plain.next(), turning.next()
        around = make_batch([TGT[i] for i in found.indices], [SRC[i] for i in found.indices], found.indices)
        assert straight.indices == found.indices
        assert equal(found, straight) != equal(found, around)
        turned.append((plain.epoch, equal(found, around)))
    for epoch in range(EPOCHS):
        own = [yes for number, yes in turned if number == epoch]
        assert own == [False, True] * (len(own) // 2) + [False] * (len(own) % 2)
    assert not any(yes for number, yes in turned if number >= EPOCHS)


@pytest.mark.parametrize("subword_sampling", [None, 0.5])
def test_a_position_has_the_same_batch_however_it_was_reached(subword_sampling: float | None) -> None:
    """Sampled pieces are turned with their sides: they spell what the stored ones spell."""
    whole = both(subword_sampling)
    for _ in range(7):
        found = whole.next()
    other = both(subword_sampling)
    other.seek(whole.epoch, whole.index - 1)
    assert equal(other.next(), found)


def test_processes_turn_the_same_batches() -> None:
    whole, first, second = both(), both(), both()
    first.share, second.share = (0, 2), (1, 2)
    for _ in range(9):
        found, shares = whole.next(), [first.next(), second.next()]
        assert sorted(found.indices) == sorted(shares[0].indices + shares[1].indices)
        assert found.tokens == sum(share.tokens for share in shares)


def test_the_weights_that_count_are_those_of_the_tokens_learnt() -> None:
    """A turned batch counts its own targets' tokens, which the gradient is divided by."""
    turning = both()
    turning.next()
    found = turning.next()
    assert found.tokens == sum(len(SRC[i]) + 1 for i in found.indices)
