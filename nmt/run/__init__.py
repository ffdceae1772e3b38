"""Run directory, checkpoints and provenance."""

from nmt.run.checkpoint import (
    Checkpoint,
    folder_name,
    go_back,
    load_average,
    load_checkpoint,
    load_state,
    load_tensors,
    load_weights,
    newest_intact,
    not_finite,
    save_checkpoint,
    save_tensors,
    steps,
)
from nmt.run.directory import (
    CORPUS_PLACES,
    CORPUS_PREPARATION,
    RunDirectory,
    corpus_settings,
    identity,
    newest_unfinished,
)
from nmt.run.prepared_corpus import base_vocabulary, prepare_corpus
from nmt.run.provenance import forget_peak_memory, installed, peak_memory, processor, provenance
from nmt.run.records import CHANGEABLE, is_number, read_metrics, refuse_links_out

__all__ = [
    "CHANGEABLE",
    "CORPUS_PLACES",
    "CORPUS_PREPARATION",
    "Checkpoint",
    "RunDirectory",
    "base_vocabulary",
    "corpus_settings",
    "folder_name",
    "forget_peak_memory",
    "go_back",
    "identity",
    "installed",
    "is_number",
    "load_average",
    "load_checkpoint",
    "load_state",
    "load_tensors",
    "load_weights",
    "newest_intact",
    "newest_unfinished",
    "not_finite",
    "peak_memory",
    "prepare_corpus",
    "processor",
    "provenance",
    "read_metrics",
    "refuse_links_out",
    "save_checkpoint",
    "save_tensors",
    "steps",
]
