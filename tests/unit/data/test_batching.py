"""Batches compared with a naive loop: padding, masks, every pair once per epoch, and a reproducible order."""

import importlib
import os
import random
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config import BatchUnit
from nmt.data import BOS_ID, EOS_ID, PAD_ID, Batch, PairStore, TrainingBatches, batches_by_length, gather, make_batch
from nmt.data.store import ShardSide

Lines = list[list[int]]
batching = importlib.import_module("nmt.data.batching")


def corpus(pairs: int, seed: int = 1, longest: int = 30, spread: int = 2) -> PairStore:
    """Return sentences of random lengths that differ by at most `spread` between the sides; ids start at 4."""
    draw = random.Random(seed)
    lengths = [draw.randint(1, longest) for _ in range(pairs)]
    src = [[draw.randint(4, 99) for _ in range(length)] for length in lengths]
    tgt = [[draw.randint(4, 99) for _ in range(max(1, length + draw.randint(-spread, spread)))] for length in lengths]
    return PairStore.of(src, tgt)


def training(store: PairStore, unit: BatchUnit, size: int, pool_batches: int = 8, seed: int = 1) -> TrainingBatches:
    return TrainingBatches(store, unit, size, pool_batches, seed)


def epoch_of(batches: TrainingBatches) -> list[Batch]:
    """Return the batches of the next epoch; `batches` must be at its start."""
    epoch = [batches.next()]
    while True:
        position = (batches.epoch, batches.index)
        batch = batches.next()
        if batches.epoch != position[0]:
            batches.seek(*position)
            return epoch
        epoch.append(batch)


def same(one: Batch, other: Batch) -> bool:
    return one.indices == other.indices and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in ("src", "tgt_in", "tgt_out")
    )


SENTENCE = st.lists(st.integers(4, 99), max_size=6)


@settings(deadline=None)
@given(st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=5))
def test_padding_masks_and_symbols_position_by_position(pairs: list[tuple[list[int], list[int]]]) -> None:
    src, tgt = [src for src, _ in pairs], [tgt for _, tgt in pairs]
    batch = make_batch(src, tgt, range(10, 10 + len(pairs)))
    src_steps, tgt_steps = max(map(len, src)) + 1, max(map(len, tgt)) + 1
    for b in range(len(pairs)):
        padding = src_steps - len(src[b]) - 1
        assert batch.src[:, b].tolist() == [PAD_ID] * padding + src[b] + [EOS_ID]
        assert batch.src_mask[:, b].tolist() == [False] * padding + [True] * (len(src[b]) + 1)
        padding = tgt_steps - len(tgt[b]) - 1
        assert batch.tgt_in[:, b].tolist() == [BOS_ID] + tgt[b] + [PAD_ID] * padding
        assert batch.tgt_out[:, b].tolist() == tgt[b] + [EOS_ID] + [PAD_ID] * padding
        assert batch.tgt_mask[:, b].tolist() == [True] * (len(tgt[b]) + 1) + [False] * padding
    assert batch.tokens == sum(len(line) + 1 for line in tgt)
    assert batch.indices == list(range(10, 10 + len(pairs)))
    assert {batch.src.dtype, batch.tgt_in.dtype, batch.tgt_out.dtype} == {torch.int64}
    assert {batch.src_mask.dtype, batch.tgt_mask.dtype} == {torch.bool}


def test_a_batch_is_the_pairs_that_its_indices_name() -> None:
    store = corpus(20)
    picked = gather(store, [7, 3, 19])
    for column, index in enumerate([7, 3, 19]):
        assert picked.src[picked.src_mask[:, column], column].tolist() == [*store.src[index].tolist(), EOS_ID]
        assert picked.tgt_out[picked.tgt_mask[:, column], column].tolist() == [*store.tgt[index].tolist(), EOS_ID]


def test_a_batch_moves_to_another_device_whole() -> None:
    batch = gather(corpus(3), [0, 1, 2])
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert {value.device.type for value in vars(moved).values() if isinstance(value, torch.Tensor)} == {"meta"}
    assert (moved.indices, moved.tokens) == (batch.indices, batch.tokens)


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        (BatchUnit.sentences, 1),
        (BatchUnit.sentences, 7),
        (BatchUnit.sentences, 500),
        (BatchUnit.tokens, 1),
        (BatchUnit.tokens, 100),
        (BatchUnit.tokens, 100_000),
    ],
)
@pytest.mark.parametrize("pool_batches", [1, 5])
def test_every_pair_exactly_once_per_epoch(unit: BatchUnit, size: int, pool_batches: int) -> None:
    batches = training(corpus(101), unit, size, pool_batches)
    for epoch in range(3):
        seen = [index for batch in epoch_of(batches) for index in batch.indices]
        assert sorted(seen) == list(range(101))
        assert batches.epoch == epoch


def test_batches_of_sentences_are_full_but_the_last() -> None:
    sizes = Counter(len(batch.indices) for batch in epoch_of(training(corpus(101), BatchUnit.sentences, 8)))
    assert sizes == {8: 12, 5: 1}


@pytest.mark.parametrize("budget", [20, 64, 300])
def test_the_token_budget_holds_unless_one_pair_alone_is_longer(budget: int) -> None:
    store = corpus(300, spread=9)
    batches = epoch_of(training(store, BatchUnit.tokens, budget))
    areas = []
    for batch in batches:
        longest = max(max(len(store.src[i]), len(store.tgt[i])) + 1 for i in batch.indices)
        areas.append(longest * len(batch.indices))
        assert areas[-1] == max(batch.src.numel(), batch.tgt_in.numel())
        assert areas[-1] <= budget or len(batch.indices) == 1
    if budget > 40:
        assert sum(areas) / len(areas) > 0.7 * budget  # most of the budget is used


def orders(batches: TrainingBatches, epochs: int) -> list[list[list[int]]]:
    return [[batch.indices for batch in epoch_of(batches)] for _ in range(epochs)]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    store = corpus(200)
    first = orders(training(store, BatchUnit.tokens, 90), 3)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    random.seed(99)
    assert orders(training(store, BatchUnit.tokens, 90), 3) == first
    assert orders(training(store, BatchUnit.tokens, 90, seed=2), 1)[0] != first[0]
    assert len({str(order) for order in first}) == 3
    # Epochs differ in the composition of batches, not only in their order.
    assert {frozenset(batch) for batch in first[0]} != {frozenset(batch) for batch in first[1]}


def test_the_order_is_shuffled_over_the_lengths() -> None:
    store = corpus(400)
    lengths = [batch.src.shape[0] for batch in epoch_of(training(store, BatchUnit.sentences, 8, pool_batches=50))]
    assert abs(np.corrcoef(range(len(lengths)), lengths)[0, 1]) < 0.5  # sorted batches would give nearly 1


def shuffled_by_hand(store: PairStore, size: int, pool: int, window: int, seed: int) -> list[list[int]]:
    """Return the first epoch in batches of sentences, computed with lists."""
    random_source = np.random.default_rng((seed, 0))
    order = random_source.permutation(len(store)).tolist()
    epoch = []
    for start in range(0, len(order), window):
        batches = []
        for first in range(start, min(start + window, len(order)), pool):
            part = sorted(order[first : first + pool], key=lambda i: (len(store.tgt[i]), len(store.src[i])))
            batches += [part[i : i + size] for i in range(0, len(part), size)]
        epoch += [batches[i] for i in random_source.permutation(len(batches)).tolist()]
    return epoch


@pytest.mark.parametrize(("most", "window"), [(batching.WINDOW, 10**9), (70, 48), (10, 24)])
@pytest.mark.parametrize("pairs", [200, 300])  # one byte and two bytes per index
def test_windows_of_sorted_pools(monkeypatch: pytest.MonkeyPatch, most: int, window: int, pairs: int) -> None:
    """A window consists of whole pools, here of 24 pairs, and of at least one."""
    monkeypatch.setattr(batching, "WINDOW", most)
    store = corpus(pairs)
    order = orders(training(store, BatchUnit.sentences, 8, pool_batches=3, seed=4), 1)[0]
    assert order == shuffled_by_hand(store, 8, 24, window, seed=4)


@pytest.mark.parametrize("unit", BatchUnit)
def test_memory_is_one_window_and_four_bytes_per_pair(monkeypatch: pytest.MonkeyPatch, unit: BatchUnit) -> None:
    pairs = 400_000
    side = ShardSide(np.full(pairs, 4, dtype=np.uint16), np.arange(pairs + 1))
    monkeypatch.setattr(batching, "WINDOW", 1 << 12)
    tracemalloc.start()
    batches = training(PairStore(side, side), unit, 64)
    for _ in range(300):  # windows 1 to 5
        batches.next()
    batches.seek(1, 100)
    batches.next()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * pairs + 1_000_000  # an order of eight bytes alone would be 3.2 million


ORDER = """
from nmt.config import BatchUnit
from nmt.data import PairStore, TrainingBatches, batching
batching.make_batch = lambda src, tgt, indices: indices  # the order alone, without torch, which takes long to import
lines = [[4] * (1 + i * 7 % 13) for i in range(90)]
batches = TrainingBatches(PairStore.of(lines, lines[::-1]), BatchUnit.tokens, 60, 3, 5)
print([batches.next() for _ in range(40)])
"""


def test_another_process_gives_the_same_order() -> None:
    lines = [[4] * (1 + i * 7 % 13) for i in range(90)]
    batches = TrainingBatches(PairStore.of(lines, lines[::-1]), BatchUnit.tokens, 60, 3, 5)
    here = str([batches.next().indices for _ in range(40)])
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", ORDER], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == here


def uninterrupted(batches: TrainingBatches) -> Iterator[tuple[tuple[int, int], Batch]]:
    """Yield every batch with the position before it, which a checkpoint stores."""
    while True:
        position = (batches.epoch, batches.index)
        yield position, batches.next()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.sampled_from(BatchUnit), st.integers(0, 3), st.sampled_from([30, 1000]))
def test_a_stream_resumes_at_any_position(after: int, unit: BatchUnit, seed: int, window: int) -> None:
    size = 6 if unit == BatchUnit.sentences else 90
    store = corpus(60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "WINDOW", window)
        stream = uninterrupted(training(store, unit, size, 2, seed))
        for _ in range(after):
            next(stream)
        resumed = training(store, unit, size, 2, seed)
        position, expected = next(stream)
        resumed.seek(*position)
        for _ in range(15):  # beyond the end of an epoch
            assert same(resumed.next(), expected)
            _, expected = next(stream)


@pytest.mark.parametrize("window", [12, 1000])
def test_going_back_within_an_epoch(monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    monkeypatch.setattr(batching, "WINDOW", window)
    batches = training(corpus(60), BatchUnit.sentences, 6)
    first = epoch_of(batches)
    batches.seek(0, 2)
    assert same(batches.next(), first[2])


def padding_share(batches: list[Batch]) -> float:
    masks = [mask for batch in batches for mask in (batch.src_mask, batch.tgt_mask)]
    return 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def test_pools_leave_a_fraction_of_the_padding_of_unsorted_batches() -> None:
    store = corpus(1000)
    shuffled = random.Random(3).sample(range(1000), 1000)
    unsorted = [gather(store, shuffled[start : start + 16]) for start in range(0, 1000, 16)]
    pooled = epoch_of(training(store, BatchUnit.sentences, 16, pool_batches=20))
    assert padding_share(unsorted) > 0.4
    assert padding_share(pooled) < 0.25 * padding_share(unsorted)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_validation_sees_every_pair_once_the_shortest_first(size: int) -> None:
    store = corpus(150)
    batches = list(batches_by_length(store, size))
    assert sorted(index for batch in batches for index in batch.indices) == list(range(150))
    assert all(len(batch.indices) == size for batch in batches[:-1])
    lengths = [len(store.tgt[index]) for batch in batches for index in batch.indices]
    assert lengths == sorted(lengths)


def test_validation_of_nothing_has_no_batch() -> None:
    assert list(batches_by_length(PairStore.of([], []), 4)) == []


@pytest.mark.parametrize("unit", BatchUnit)
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_each_batch_among_them(unit: BatchUnit, processes: int) -> None:
    store, size = corpus(50), 7 if unit == BatchUnit.sentences else 60
    whole = epoch_of(training(store, unit, size))
    shares = [epoch_of(TrainingBatches(store, unit, size, 8, 1, share=(rank, processes))) for rank in range(processes)]
    for number, batch in enumerate(whole):
        parts = [share[number] for share in shares]
        assert sorted(index for part in parts for index in part.indices) == sorted(batch.indices)
        assert sum(part.tokens for part in parts) == batch.tokens
        counts = [len(part.indices) for part in parts]
        assert max(counts) - min(counts) <= 1
        assert all(part.src.size(1) == part.tgt_in.size(1) == count for part, count in zip(parts, counts, strict=True))


def test_batches_of_another_size_begin_at_the_start() -> None:
    store = corpus(50)
    resized = training(store, BatchUnit.sentences, 4)
    resized.next()
    resized.resize(8)
    assert all(map(same, epoch_of(resized), epoch_of(training(store, BatchUnit.sentences, 8))))
