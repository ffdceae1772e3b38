"""Threads of the models."""

import sys


def compute_on_one_thread() -> None:
    """Compute on the calling thread alone. An exported model does so without torch, which is then not imported."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
