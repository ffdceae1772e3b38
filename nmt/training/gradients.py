"""The gradient of one step, over all its batches, whether or not they fit into memory."""

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
class Sums:
    """Sums over the real target tokens of some batches."""

    tokens: int = 0
    loss: float = 0.0
    nll: float = 0.0

    def add(self, other: "Sums") -> None:
        self.tokens += other.tokens
        self.loss += other.loss
        self.nll += other.nll


class BatchOutOfMemory(Exception):
    """A batch that there is no memory for."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def accumulate_gradients(
    model: Seq2Seq,
    objective: Objective,
    batches: Sequence[Batch],
    bfloat16: bool,
    processes: DistributedContext = SINGLE_PROCESS,
    mean_over: BatchUnit = BatchUnit.tokens,
) -> Sums:
    """Adds the gradient of the mean loss, of all processes' batches, to the parameters' of each process.

    The mean is over target tokens or over sentences.

    A batch that there is no memory for is split in two, and the step begun again: what a broken-off backward pass
    had added is dropped. The gradient is the same but for rounding and the dropout drawn.

    Raises:
        UserError: there is no memory for a single pair.
    """
    parts = list(batches)
    counts = sum(batch.tokens for batch in batches), sum(len(batch.indices) for batch in batches)
    tokens, sentences = map(int, processes.sum(*counts))
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
    processes.all_reduce_gradients(model)
    return Sums(tokens, *processes.sum(sums.loss, sums.nll))


def forward_backward(
    model: Seq2Seq, objective: Objective, batches: Sequence[Batch], divisor: int, bfloat16: bool
) -> Sums:
    """Add the gradient of these batches' summed loss divided by `divisor`, and return the loss and nll."""
    sums = Sums()
    device = next(model.parameters()).device
    for number, batch in enumerate(batches):
        if not batch.indices:  # a batch of fewer sentences than processes
            continue
        try:
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                loss, _, logs = objective(model, batch)
            (loss / divisor).backward()  # type: ignore[no-untyped-call]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise BatchOutOfMemory(number) from None
        sums.loss += loss.item()
        sums.nll += logs["nll"].item()
    return sums


def out_of_memory(error: Exception) -> bool:
    """Whether memory is what was missing: CUDA has a class for it, the processor's allocator only a sentence."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
