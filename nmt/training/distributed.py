"""The processes that train one run together, as torchrun starts them. The only file that imports torch.distributed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed.nn.functional  # its functions' defaults keep the group that there is when it is first imported
from torch import Tensor, distributed, nn

from nmt.errors import UserError, first_line

PATIENCE = timedelta(hours=12)
"""How long a process waits for another, which may be preparing a corpus. One that dies is noticed at once all the
same: torchrun stops the others, and its connections close."""
T = TypeVar("T")


@dataclass(frozen=True)
class DistributedContext:
    """What one of the processes knows of all. What they do together each must do, in the same order."""

    rank: int = 0
    """Which one this is."""
    count: int = 1
    """How many there are."""

    @property
    def first(self) -> bool:
        """Whether this is the one that writes: run directory, checkpoints, tracking."""
        return self.rank == 0

    def sum(self, *numbers: float) -> list[float]:
        """The sum of each number over the processes, in double precision; the same bits in each of them."""
        if self.count == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64)
        with reraise_on_all_ranks():
            distributed.all_reduce(total)
        return [float(number) for number in total]

    def largest(self, number: int) -> int:
        """The largest of the processes' numbers."""
        if self.count == 1:
            return number
        largest = torch.tensor(number)
        with reraise_on_all_ranks():
            distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)

    def broadcast_parameters(self, model: nn.Module) -> None:
        """Gives each process the first one's weights: another kind of processor may have drawn others."""
        if self.count == 1:
            return
        with torch.no_grad(), reraise_on_all_ranks():
            for parameter in model.parameters():
                distributed.broadcast(parameter, src=0)

    def all_reduce_gradients(self, model: nn.Module) -> None:
        """Gives each process the sum of all gradients, which travel as one vector, once a step."""
        if self.count == 1:
            return
        for parameter in model.parameters():
            if parameter.grad is None:  # a process that got no sentence of a small batch
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with reraise_on_all_ranks():
            distributed.all_reduce(flat)
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def broadcast_object(self, value: T) -> T:
        """The first process' value, made of what JSON knows; it travels as text, so that nothing is unpickled."""
        if self.count == 1:
            return value
        text = torch.tensor(list(json.dumps(value).encode() if self.first else b""), dtype=torch.uint8)
        size = torch.tensor(len(text))
        with reraise_on_all_ranks():
            distributed.broadcast(size, src=0)
            text = text if self.first else torch.empty(int(size), dtype=torch.uint8)
            distributed.broadcast(text, src=0)
        received: T = json.loads(bytes(text.tolist()))
        return received

    def all_gather(self, tensor: Tensor) -> list[Tensor]:
        """The processes' tensors, all of one shape on the processor, in order of rank."""
        if self.count == 1:
            return [tensor]
        tensors = [torch.empty_like(tensor) for _ in range(self.count)]
        with reraise_on_all_ranks():
            distributed.all_gather(tensors, tensor)
        return tensors


SINGLE_PROCESS = DistributedContext()


@contextmanager
def reraise_on_all_ranks() -> Iterator[None]:
    """
    Raises:
        UserError: another process has died, or could not be reached.
    """
    try:
        yield
    except RuntimeError as error:  # of gloo a plain one, of nccl a subclass
        reason = first_line(error)
        raise UserError(f"another process of this training has ended, so this one ends too ({reason})") from None


@contextmanager
def joined() -> Iterator[DistributedContext]:
    """The processes that were started together with this one: by torchrun, or by whatever sets its variables.

    Tensors on CUDA travel by nccl, those on the processor by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "MASTER_ADDR" not in os.environ:
        yield DistributedContext()
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, rank, count = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
    # torchrun's store outlives a restart, and with it the addresses of processes that are gone.
    store = distributed.PrefixStore(f"start_{restart_count()}", store)  # type: ignore[attr-defined]
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
    try:
        yield DistributedContext(rank, count)
    finally:
        distributed.destroy_process_group()


def restart_count() -> int:
    """How often torchrun has started these processes before, until one of them died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
