"""A run on disk."""

from nmt.run.checkpoint import Checkpoint, load_checkpoint, load_weights, save_checkpoint
from nmt.run.directory import RunDirectory
from nmt.run.provenance import provenance

__all__ = ["Checkpoint", "RunDirectory", "load_checkpoint", "load_weights", "provenance", "save_checkpoint"]
