"""The states of torch's generators, which draw the dropout: each process has its own."""

import torch
from torch import Tensor

from nmt.training.distributed import DistributedContext


def random_states(device: torch.device, processes: DistributedContext) -> dict[str, Tensor]:
    """All processes' states, of the processor's generator and of the device's where it has its own, by name."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return {
        name_of(kind, rank): state
        for kind, own in states.items()
        for rank, state in enumerate(processes.all_gather(own))
    }


def set_random_states(states: dict[str, Tensor], device: torch.device, rank: int) -> None:
    """Puts back a process' states; one that had no part in the run before keeps what it has."""
    if (state := states.get(name_of("cpu", rank))) is not None:
        torch.set_rng_state(state)
    if device.type == "cuda" and (state := states.get(name_of("cuda", rank))) is not None:
        torch.cuda.set_rng_state(state, device)


def name_of(kind: str, rank: int) -> str:
    """In a checkpoint, the first process' states are called as if it were alone."""
    return f"{kind}.{rank}" if rank else kind
