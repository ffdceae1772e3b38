"""Batches of sentence pairs of similar length, shuffled by seed and epoch, with a position that can be resumed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmt.config import BatchUnit
from nmt.data.store import PairStore
from nmt.data.subword_sampling import SubwordSampling
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID

# torch is imported inside the functions that make tensors, so preparing a corpus starts without importing it.
if TYPE_CHECKING:
    import torch
    from torch import Tensor

Line = Sequence[int] | NDArray[np.unsignedinteger]
"""Ids of a sentence, without bos and eos."""

WINDOW = 1 << 18
"""Number of pairs whose batches are shuffled together, rounded to whole pools; a smaller corpus is one window."""


@dataclass
class Batch:
    """Batch of B sentence pairs, time-major."""

    src: Tensor
    """Source ids followed by eos, padded on the left, (S, B)."""
    src_mask: Tensor
    """True on real source tokens, (S, B)."""
    tgt_in: Tensor
    """bos followed by the target ids, padded at the end, (T, B)."""
    tgt_out: Tensor
    """Target ids followed by eos, padded at the end, (T, B)."""
    tgt_mask: Tensor
    """True on real target tokens, (T, B)."""
    indices: list[int]
    """Indices of the pairs in the corpus."""
    tokens: int
    """Number of real target tokens, including eos."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its tensors on the device."""
        if device.type == "cpu":
            return self
        return replace(
            self,
            src=self.src.to(device),
            src_mask=self.src_mask.to(device),
            tgt_in=self.tgt_in.to(device),
            tgt_out=self.tgt_out.to(device),
            tgt_mask=self.tgt_mask.to(device),
        )

    def halves(self) -> list[Batch]:
        """Return the same pairs in two batches, for a batch that does not fit into memory."""
        middle = len(self.indices) // 2
        return [self.columns(slice(0, middle)), self.columns(slice(middle, None))]

    def columns(self, which: slice) -> Batch:
        """Return a batch of some of the pairs, with unchanged padding."""
        mask = self.tgt_mask[:, which]
        return Batch(
            self.src[:, which],
            self.src_mask[:, which],
            self.tgt_in[:, which],
            self.tgt_out[:, which],
            mask,
            self.indices[which],
            int(mask.sum()),
        )


def pad_source(lines: Sequence[Line]) -> tuple[Tensor, Tensor]:
    """Return the arrays of `pad_left` as tensors."""
    import torch

    src, mask = pad_left(lines)
    return torch.from_numpy(src), torch.from_numpy(mask)


def pad_left(lines: Sequence[Line]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return ids and mask, both (S, B), padded on the left; each line is followed by eos."""
    longest = max((len(line) for line in lines), default=0) + 1
    src = np.full((longest, len(lines)), PAD_ID, dtype=np.int64)
    mask = np.zeros((longest, len(lines)), dtype=bool)
    for column, line in enumerate(lines):
        src[longest - 1 - len(line) : longest - 1, column] = line
        mask[longest - 1 - len(line) :, column] = True
    src[-1] = EOS_ID
    return src, mask


def make_batch(src: Sequence[Line], tgt: Sequence[Line], indices: Sequence[int]) -> Batch:
    """Pad source and target lines to one batch."""
    import torch

    source, source_mask = pad_source(src)
    longest = max((len(line) for line in tgt), default=0) + 1
    tgt_in = np.full((longest, len(tgt)), PAD_ID, dtype=np.int64)
    tgt_out = np.full((longest, len(tgt)), PAD_ID, dtype=np.int64)
    mask = np.zeros((longest, len(tgt)), dtype=bool)
    tgt_in[0] = BOS_ID
    for column, line in enumerate(tgt):
        tgt_in[1 : len(line) + 1, column] = line
        tgt_out[: len(line), column] = line
        tgt_out[len(line), column] = EOS_ID
        mask[: len(line) + 1, column] = True
    return Batch(
        source,
        source_mask,
        torch.from_numpy(tgt_in),
        torch.from_numpy(tgt_out),
        torch.from_numpy(mask),
        [int(i) for i in indices],
        int(mask.sum()),
    )


def gather(store: PairStore, indices: Sequence[int] | NDArray[np.integer]) -> Batch:
    """Return the batch of the pairs with these indices."""
    return make_batch([store.src[i] for i in indices], [store.tgt[i] for i in indices], list(indices))


def split_sorted(
    order: NDArray[np.integer], lengths: NDArray[np.int64], unit: BatchUnit, size: int
) -> Iterator[NDArray[np.integer]]:
    """Split sorted pairs into batches of `size` sentences, or of at most `size` padded tokens (but at least one pair).

    Args:
        order: indices of pairs, sorted by length.
        lengths: number of tokens of the longer side of each of these pairs.
        unit: unit of `size`.
        size: maximum size of a batch.
    """
    if unit == BatchUnit.sentences:
        yield from (order[start : start + size] for start in range(0, len(order), size))
        return
    start, longest = 0, 0
    for end, length in enumerate(lengths.tolist()):
        longest = max(longest, length)
        if end > start and longest * (end - start + 1) > size:
            yield order[start:end]
            start, longest = end, length
    if start < len(order):
        yield order[start:]


def batches_by_length(store: PairStore, size: int) -> Iterator[Batch]:
    """Yield every pair once, shortest first, in batches of `size` sentences, for validation."""
    order = np.lexsort((store.src.lengths(), store.tgt.lengths()))
    for start in range(0, len(order), size):
        yield gather(store, order[start : start + size])


class TrainingBatches:
    """Endless batches of a store. Each epoch is shuffled by (seed, epoch) alone, so (epoch, index) is a full position.

    The pairs of an epoch are shuffled and split into pools. A pool is sorted by length and split into batches. The
    batches of a window of pools, about `WINDOW` pairs, are shuffled. Batches hold sentences of similar length, with
    little padding, in random order. Memory holds one window, and up to four bytes of the order per pair of the corpus.
    """

    def __init__(
        self,
        store: PairStore,
        unit: BatchUnit,
        size: int,
        pool_batches: int,
        seed: int,
        sampling: SubwordSampling | None = None,
        share: tuple[int, int] = (0, 1),
        both_directions: int = 0,
        shares: Sequence[tuple[Sequence[range], int]] = (),
    ) -> None:
        """
        Args:
            store: the pairs.
            unit: unit of `size`.
            size: size of a batch.
            pool_batches: number of batches in a pool.
            seed: seed of the order.
            sampling: subword sampling in each epoch; batches are still formed by the lengths of the stored pieces.
            share: (rank, world size); sentences rank, rank + world size, ... of each batch are returned.
            both_directions: number of initial epochs in which source and target are swapped in every other batch.
            shares: ranges of pairs, and the number of pairs that are drawn from these in an epoch; none: every pair
                once.
        """
        self.store = store
        self.sampling = sampling
        self.unit = unit
        self.seed = seed
        self.share = share
        self.both_directions = both_directions
        self.shares = shares
        self.pool_batches = pool_batches
        self.resize(size)

    def resize(self, size: int) -> None:
        """Change the size of batches and return to the start."""
        if type(size) is not int or size < 1:
            raise ValueError(f"batch size {size!r} is not a positive integer")
        self.size = size
        in_sentences = size if self.unit == BatchUnit.sentences else max(1, int(size / mean_length(self.store)))
        self.pool = in_sentences * self.pool_batches
        """Number of pairs that are sorted together."""
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Move to the start of an epoch."""
        self.epoch = epoch
        self.index = 0
        """Number of batches of this epoch already returned."""
        self.windows = self.windows_of(epoch)
        self.window: list[NDArray[np.integer]] = []
        self.before = 0
        """Number of batches of this epoch before the window."""

    def windows_of(self, epoch: int) -> Iterator[list[NDArray[np.integer]]]:
        """Yield the batches of an epoch as arrays of indices, one window at a time."""
        random = np.random.default_rng((self.seed, epoch))
        order = self.epoch_pairs(random)
        random.shuffle(order)
        pairs = len(order)
        window = max(1, WINDOW // self.pool) * self.pool
        for start in range(0, pairs, window):
            pairs_in_window = order[start : start + window]
            lengths = [side.lengths(pairs_in_window) + 1 for side in (self.store.src, self.store.tgt)]
            batches: list[NDArray[np.integer]] = []
            for pool in (slice(i, i + self.pool) for i in range(0, len(pairs_in_window), self.pool)):
                src_lengths, tgt_lengths = (side_lengths[pool] for side_lengths in lengths)
                by_length = np.lexsort((src_lengths, tgt_lengths))
                longer = np.maximum(src_lengths, tgt_lengths)
                sorted_pairs = pairs_in_window[pool][by_length]
                batches.extend(split_sorted(sorted_pairs, longer[by_length], self.unit, self.size))
            yield [batches[i] for i in random.permutation(len(batches))]

    def epoch_pairs(self, random: np.random.Generator) -> NDArray[np.integer]:
        """Return the pairs of an epoch: every pair once, or the number of each share, each pair equally often."""
        pairs = len(self.store)
        dtype = np.min_scalar_type(pairs)
        if not self.shares:
            return np.arange(pairs, dtype=dtype)
        drawn = []
        for ranges, count in self.shares:
            members = np.concatenate([np.arange(part.start, part.stop, dtype=dtype) for part in ranges])
            random.shuffle(members)
            drawn.append(np.resize(members, count))  # repeats the members
        return np.concatenate(drawn)

    @property
    def finished_epochs(self) -> int:
        """Number of epochs whose batches were all returned."""
        return self.epoch + self.at_epoch_end()

    def at_epoch_end(self) -> bool:
        """Return whether the epoch has no further batch; load the window of the next batch if it has one."""
        while self.index >= self.before + len(self.window):
            if not (window := next(self.windows, [])):
                return True
            self.before += len(self.window)
            self.window = window
        return False

    def next(self) -> Batch:
        """Return the next batch and advance the position."""
        while self.at_epoch_end():
            self.begin(self.epoch + 1)
        self.index += 1
        rank, world_size = self.share
        indices = self.window[self.index - 1 - self.before][rank::world_size]
        pairs = [self.pair(number) for number in indices.tolist()]
        if self.epoch < self.both_directions and self.index % 2 == 0:
            pairs = [(tgt, src) for src, tgt in pairs]
        return make_batch([src for src, _ in pairs], [tgt for _, tgt in pairs], indices.tolist())

    def pair(self, number: int) -> tuple[Line, Line]:
        """Return source and target ids of a pair, sampled for this epoch if subword sampling is on."""
        if self.sampling is None:
            return self.store.src[number], self.store.tgt[number]
        return self.sampling.pair(self.epoch, number)

    def seek(self, epoch: int, index: int) -> None:
        """Move to a position: the next batch is batch `index` of this epoch, counted from 0.

        Raises:
            ValueError: epoch or index is not a non-negative integer.
        """
        if not (type(epoch) is type(index) is int and min(epoch, index) >= 0):
            raise ValueError(f"epoch {epoch!r}, index {index!r} is not a position in the data")
        if epoch != self.epoch or index < self.before:
            self.begin(epoch)
        self.index = index


def temperature_shares(groups: Sequence[Sequence[range]], temperature: float) -> list[tuple[Sequence[range], int]]:
    """Return the number of pairs to draw from each group, proportional to size^(1 / temperature).

    The numbers add up to about the total number of pairs (Arivazhagan et al. 2019, 4.2).
    """
    sizes = [sum(map(len, ranges)) for ranges in groups]
    weights = [size ** (1 / temperature) for size in sizes]
    total = sum(sizes) / sum(weights)
    return [
        (ranges, max(1, round(weight * total)))
        for ranges, weight, size in zip(groups, weights, sizes, strict=True)
        if size
    ]


def mean_length(store: PairStore) -> float:
    """Return the mean number of tokens, including eos, of the longer side of a pair; it is summed in parts."""
    parts = [slice(start, start + WINDOW) for start in range(0, len(store), WINDOW)]
    longer = (np.maximum(store.src.lengths(part), store.tgt.lengths(part)) + 1 for part in parts)
    return sum(int(lengths.sum()) for lengths in longer) / len(store)
