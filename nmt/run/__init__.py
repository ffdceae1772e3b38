"""A run on disk."""

from nmt.run.checkpoint import (
    Checkpoint,
    folder_name,
    go_back,
    load_average,
    load_checkpoint,
    load_weights,
    newest_whole,
    save_checkpoint,
)
from nmt.run.directory import RunDirectory, identity, newest_unfinished
from nmt.run.provenance import forget_peak_memory, peak_memory, provenance

__all__ = [
    "Checkpoint",
    "RunDirectory",
    "folder_name",
    "forget_peak_memory",
    "go_back",
    "identity",
    "load_average",
    "load_checkpoint",
    "load_weights",
    "newest_unfinished",
    "newest_whole",
    "peak_memory",
    "provenance",
    "save_checkpoint",
]
