"""States of torch's random generators, which draw the dropout. Every rank has its own."""

import torch
from torch import Tensor

from nmt.training.distributed import DistributedContext


def random_states(device: torch.device, distributed: DistributedContext) -> dict[str, Tensor]:
    """Return the generator states of all ranks by name: of the CPU, and of the device if it is CUDA."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return {
        state_name(kind, rank): gathered
        for kind, state in states.items()
        for rank, gathered in enumerate(distributed.all_gather(state))
    }


def set_random_states(states: dict[str, Tensor], device: torch.device, rank: int) -> None:
    """Restore the generator states of a rank. A rank that did not exist when they were saved keeps its own."""
    if (state := states.get(state_name("cpu", rank))) is not None:
        torch.set_rng_state(state)
    if device.type == "cuda" and (state := states.get(state_name("cuda", rank))) is not None:
        torch.cuda.set_rng_state(state, device)


def state_name(kind: str, rank: int) -> str:
    """Return the name in a checkpoint; that of rank 0 is the name of a single process."""
    return f"{kind}.{rank}" if rank else kind
