"""Batches: like lengths together, shuffled by seed and epoch, at a position that can be resumed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.config import BatchUnit
from nmt.data.store import PairStore
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID


@dataclass
class Batch:
    """B sentence pairs, time-major."""

    src: Tensor
    """Source ids that end in eos, padded on the left, (S, B)."""
    src_mask: Tensor
    """True on real source tokens, (S, B)."""
    tgt_in: Tensor
    """bos and the target ids, padded at the end, (T, B)."""
    tgt_out: Tensor
    """The target ids and eos, padded at the end, (T, B)."""
    tgt_mask: Tensor
    """True on real target tokens, (T, B)."""
    indices: list[int]
    """Which pairs of the corpus these are."""
    tokens: int
    """Real target tokens, eos counted."""

    def to(self, device: torch.device) -> "Batch":
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

    def halves(self) -> "list[Batch]":
        """The same pairs in two batches, for one that does not fit into memory."""
        middle = len(self.indices) // 2
        return [self.columns(slice(0, middle)), self.columns(slice(middle, None))]

    def columns(self, which: slice) -> "Batch":
        """The batch of some of its pairs, padded as they are."""
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


def source_tensors(lines: Sequence[Sequence[int] | NDArray[np.unsignedinteger]]) -> tuple[Tensor, Tensor]:
    """Ids and mask, (S, B), padded on the left, each line followed by eos."""
    longest = max(len(line) for line in lines) + 1
    src = np.full((longest, len(lines)), PAD_ID, dtype=np.int64)
    mask = np.zeros((longest, len(lines)), dtype=bool)
    for column, line in enumerate(lines):
        src[longest - 1 - len(line) : longest - 1, column] = line
        mask[longest - 1 - len(line) :, column] = True
    src[-1] = EOS_ID
    return torch.from_numpy(src), torch.from_numpy(mask)


def make_batch(
    src: Sequence[Sequence[int] | NDArray[np.unsignedinteger]],
    tgt: Sequence[Sequence[int] | NDArray[np.unsignedinteger]],
    indices: Sequence[int],
) -> Batch:
    """Pads lines of ids (without bos and eos) to one batch."""
    source, source_mask = source_tensors(src)
    longest = max(len(line) for line in tgt) + 1
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


def gather(store: PairStore, indices: Sequence[int] | NDArray[np.int64]) -> Batch:
    """The batch of these pairs."""
    return make_batch([store.src[i] for i in indices], [store.tgt[i] for i in indices], list(indices))


def split_sorted(
    order: NDArray[np.int64], lengths: NDArray[np.int64], unit: BatchUnit, size: int
) -> Iterator[NDArray[np.int64]]:
    """Cuts an order of pairs into batches of `size` sentences, or of at most `size` padded tokens (one pair at least).

    Args:
        order: indices of pairs, those of like length next to each other.
        lengths: tokens of each pair's longer side, by index.
    """
    if unit == BatchUnit.sentences:
        yield from (order[start : start + size] for start in range(0, len(order), size))
        return
    start, longest = 0, 0
    for end, index in enumerate(order):
        longest = max(longest, int(lengths[index]))
        if end > start and longest * (end - start + 1) > size:
            yield order[start:end]
            start, longest = end, int(lengths[index])
    if start < len(order):
        yield order[start:]


def in_length_order(store: PairStore, size: int) -> Iterator[Batch]:
    """Every pair once, shortest first, in batches of `size` sentences: for validation."""
    order = np.lexsort((store.src.lengths(), store.tgt.lengths()))
    for start in range(0, len(order), size):
        yield gather(store, order[start : start + size])


class TrainingBatches:
    """Endless batches of a store. Shuffled anew each epoch by (seed, epoch) alone, so a position is two numbers.

    An epoch's order is shuffled and cut into pools; a pool is sorted by length and cut into batches; the batches of
    the epoch are shuffled. So batches hold sentences of like length, of which little is padding, in random order.
    """

    def __init__(self, store: PairStore, unit: BatchUnit, size: int, pool_batches: int, seed: int) -> None:
        self.store = store
        self.unit = unit
        self.size = size
        self.pool_batches = pool_batches
        self.seed = seed
        self.epoch = 0
        self.index = 0
        """Batches of this epoch already given."""
        self.src_lengths = store.src.lengths() + 1
        self.tgt_lengths = store.tgt.lengths() + 1
        self.batches = self.order(0)

    def order(self, epoch: int) -> list[NDArray[np.int64]]:
        """The batches of an epoch, as indices."""
        random = np.random.default_rng((self.seed, epoch))
        shuffled = random.permutation(len(self.store))
        longer = np.maximum(self.src_lengths, self.tgt_lengths)
        in_sentences = self.size if self.unit == BatchUnit.sentences else max(1, int(self.size / longer.mean()))
        pool = in_sentences * self.pool_batches
        batches: list[NDArray[np.int64]] = []
        for start in range(0, len(shuffled), pool):
            part = shuffled[start : start + pool]
            by_length = part[np.lexsort((self.src_lengths[part], self.tgt_lengths[part]))]
            batches.extend(split_sorted(by_length, longer, self.unit, self.size))
        return [batches[i] for i in random.permutation(len(batches))]

    def next(self) -> Batch:
        if self.index >= len(self.batches):
            self.seek(self.epoch + 1, 0)
        self.index += 1
        return gather(self.store, self.batches[self.index - 1])

    def seek(self, epoch: int, index: int) -> None:
        """Goes to a position: the next batch is number `index` of this epoch."""
        if epoch != self.epoch:
            self.epoch, self.batches = epoch, self.order(epoch)
        self.index = index
