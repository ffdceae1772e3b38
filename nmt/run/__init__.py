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
from nmt.run.provenance import provenance

__all__ = [
    "Checkpoint",
    "RunDirectory",
    "folder_name",
    "go_back",
    "identity",
    "load_average",
    "load_checkpoint",
    "load_weights",
    "newest_unfinished",
    "newest_whole",
    "provenance",
    "save_checkpoint",
]
