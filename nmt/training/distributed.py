"""Data-parallel training of one run by several processes, as torchrun starts them.

This is the only file that imports torch.distributed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed.nn.functional  # its defaults keep the process group that exists at its first import
from torch import Tensor, distributed, nn

from nmt.errors import UserError, first_line

TIMEOUT = timedelta(hours=12)
"""Longest time that a collective waits for another rank, which may be preparing a corpus. A rank that dies is noticed
at once: torchrun stops the others, and its connections close."""
T = TypeVar("T")


@dataclass(frozen=True)
class DistributedContext:
    """Rank and world size of this process. Every rank must call the collectives in the same order."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """True on rank 0, which alone writes the run directory, checkpoints and tracking."""
        return self.rank == 0

    def all_reduce_sum(self, *numbers: float) -> list[float]:
        """Return the sum of each number over the ranks in double precision, with the same bits on every rank."""
        if self.world_size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64)
        with reraise_on_all_ranks():
            distributed.all_reduce(total)
        return [float(number) for number in total]

    def all_reduce_max(self, number: int) -> int:
        """Return the largest of the ranks' numbers."""
        if self.world_size == 1:
            return number
        largest = torch.tensor(number)
        with reraise_on_all_ranks():
            distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)

    def broadcast_parameters(self, model: nn.Module) -> None:
        """Overwrite every rank's weights with those of rank 0; other hardware may have drawn other initial weights."""
        if self.world_size == 1:
            return
        with torch.no_grad(), reraise_on_all_ranks():
            for parameter in model.parameters():
                distributed.broadcast(parameter, src=0)

    def all_reduce_gradients(self, model: nn.Module) -> None:
        """Replace every rank's gradients by their sum over the ranks, in one all-reduce of one flat vector."""
        if self.world_size == 1:
            return
        for parameter in model.parameters():
            if parameter.grad is None and parameter.requires_grad:  # a rank that got no sentence of a small batch
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
        """Return the JSON value of rank 0. It travels as text, so that nothing is unpickled."""
        if self.world_size == 1:
            return value
        text = torch.tensor(list(json.dumps(value).encode() if self.is_main else b""), dtype=torch.uint8)
        size = torch.tensor(len(text))
        with reraise_on_all_ranks():
            distributed.broadcast(size, src=0)
            text = text if self.is_main else torch.empty(int(size), dtype=torch.uint8)
            distributed.broadcast(text, src=0)
        received: T = json.loads(bytes(text.tolist()))
        return received

    def all_gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the ranks' tensors in order of rank. All are CPU tensors of one shape."""
        if self.world_size == 1:
            return [tensor]
        tensors = [torch.empty_like(tensor) for _ in range(self.world_size)]
        with reraise_on_all_ranks():
            distributed.all_gather(tensors, tensor)
        return tensors


SINGLE_PROCESS = DistributedContext()


@contextmanager
def reraise_on_all_ranks() -> Iterator[None]:
    """Turn the failure of a collective into one line of error.

    Raises:
        UserError: another process has died or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:  # gloo raises RuntimeError itself, nccl a subclass
        reason = first_line(error)
        raise UserError(f"another process of this training has ended, so this one ends too ({reason})") from None


@contextmanager
def join_process_group() -> Iterator[DistributedContext]:
    """Join the processes that torchrun, or anything that sets its environment variables, has started together.

    CUDA tensors travel by nccl, CPU tensors by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "MASTER_ADDR" not in os.environ:
        yield DistributedContext()
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, rank, world_size = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
    # torchrun's store outlives a restart, and with it the addresses of processes that have ended.
    store = distributed.PrefixStore(f"start_{restart_count()}", store)  # type: ignore[attr-defined]
    distributed.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=TIMEOUT)
    try:
        yield DistributedContext(rank, world_size)
    finally:
        distributed.destroy_process_group()


def restart_count() -> int:
    """Return how often torchrun has restarted these processes because one of them died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
