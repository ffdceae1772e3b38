"""Gradient of one step over all its batches; a batch that does not fit into memory is split."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nmt.config import BatchUnit
from nmt.data import Batch
from nmt.errors import UserError
from nmt.models import Seq2Seq
from nmt.training.distributed import SINGLE_PROCESS, DistributedContext
from nmt.training.objectives.likelihood import Objective

log = logging.getLogger(__name__)


@dataclass
class LossSums:
    """Sums over the real target tokens of some batches."""

    tokens: int = 0
    loss: float = 0.0
    nll: float = 0.0

    def add(self, other: "LossSums") -> None:
        self.tokens += other.tokens
        self.loss += other.loss
        self.nll += other.nll


class BatchOutOfMemory(Exception):
    """Failure to allocate memory for a batch."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def accumulate_gradients(
    model: Seq2Seq,
    objective: Objective,
    batches: Sequence[Batch],
    bfloat16: bool,
    distributed: DistributedContext = SINGLE_PROCESS,
    mean_over: BatchUnit = BatchUnit.tokens,
) -> LossSums:
    """Add the gradient of the mean loss over all ranks' batches to the parameters' gradients on each rank.

    The mean is over target tokens or over sentences.

    A batch that does not fit into memory is split in two and the step is repeated: gradients of the interrupted
    backward pass are dropped. The result is the same except for rounding and the dropout masks.

    Returns:
        the sums of loss and nll, and the number of tokens, over all ranks.

    Raises:
        UserError: a single pair does not fit into memory.
    """
    parts = list(batches)
    counts = sum(batch.tokens for batch in batches), sum(len(batch.indices) for batch in batches)
    tokens, sentences = map(int, distributed.all_reduce_sum(*counts))
    divisor = tokens if mean_over == BatchUnit.tokens else sentences
    while True:
        try:
            sums = forward_backward(model, objective, parts, divisor, bfloat16)
            break
        except BatchOutOfMemory as error:
            number = error.number
        model.zero_grad(set_to_none=True)
        too_large = parts[number]
        pairs = len(too_large.indices)
        size = f"{pairs} pairs of {len(too_large.src)} source and {len(too_large.tgt_in)} target tokens"
        if pairs == 1:
            raise UserError(f"no memory for a batch of {size}; lower data.max_pieces or the model's size")
        log.warning("no memory for a batch of %s: split in two; a lower train.batch_size would train faster", size)
        parts[number : number + 1] = too_large.halves()
    distributed.all_reduce_gradients(model)
    return LossSums(tokens, *distributed.all_reduce_sum(sums.loss, sums.nll))


def forward_backward(
    model: Seq2Seq, objective: Objective, batches: Sequence[Batch], divisor: int, bfloat16: bool
) -> LossSums:
    """Add the gradient of these batches' summed loss divided by `divisor`, and return the loss and nll.

    Raises:
        BatchOutOfMemory: a batch does not fit into memory.
    """
    sums = LossSums()
    device = next(model.parameters()).device
    for number, batch in enumerate(batches):
        if not batch.indices:  # there are fewer sentences than ranks
            continue
        try:
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                output = objective(model, batch)
            (output.loss / divisor).backward()  # type: ignore[no-untyped-call]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise BatchOutOfMemory(number) from None
        sums.loss += output.loss.item()
        sums.nll += output.nll.item()
    return sums


def out_of_memory(error: Exception) -> bool:
    """Return whether an allocation failed. CUDA raises a class of its own, the CPU allocator only a message."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
