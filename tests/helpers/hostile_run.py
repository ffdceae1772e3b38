"""Runs as an attacker would forge them: changed, with all checksums recomputed."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from shapes import model_config

from nmt.config import Config, DataConfig, PhrasebookConfig, SearchConfig, SearchKind, TokenizerConfig
from nmt.data import prepare, sha256_of
from nmt.decoding import Translator, load_translator
from nmt.models import Vocabulary, build_model
from nmt.run import Checkpoint, RunDirectory, load_checkpoint, save_checkpoint
from nmt.run.checkpoint import checksum

FILES = ("model.safetensors", "state.safetensors", "state.json")
SEARCH = SearchConfig(kind=SearchKind.greedy, max_length_ratio=0.0, max_length_offset=4)


class Payload:
    """Object that creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def payload(folder: Path) -> bytes:
    return pickle.dumps(Payload(folder))


def settings(cache: Path) -> Config:
    corpus = PhrasebookConfig(train=150, valid=4, test=4)
    data = DataConfig(phrasebook=corpus, cache=str(cache), tokenizer=TokenizerConfig(vocab_size=150))
    return Config(data=data, model=model_config(embed_size=4, hidden_size=4))


def make(folder: Path) -> Path:
    """Make a run with one checkpoint in `folder/run`, with its cache in `folder/cache`."""
    config = settings(folder / "cache")
    run = RunDirectory(folder / "run")
    run.create(config, prepare(config.data))
    torch.manual_seed(1)
    model = build_model(config.model, Vocabulary(150, 150))
    tensors = {"random.cpu": torch.get_rng_state()}
    state = {"progress": {"step": 10}}
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    save_checkpoint(run.checkpoints, Checkpoint(10, weights, tensors, state, run.identity), ["last", "best"])
    return run.path


def copy(original: Path, folder: Path) -> Path:
    shutil.copytree(original, folder, symlinks=True)
    return folder


def forge(run: Path) -> None:
    """Recompute all checksums of a run; unreadable records remain as they are."""
    forge_checkpoint(run / "checkpoints" / "step-00000010")
    try:
        record = json.loads((run / "run.json").read_text())
        record["sha256"] = {name: sha256_of(run / name) for name in record["sha256"]}
        RunDirectory(run).write_record(record)
    except (ValueError, TypeError, RecursionError):
        pass


def forge_checkpoint(folder: Path) -> None:
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["sha256"] = {name: sha256_of(folder / name) for name in FILES}
        del manifest["checksum"]
        (folder / "manifest.json").write_text(json.dumps(manifest | {"checksum": checksum(manifest)}))
    except (ValueError, TypeError, RecursionError):
        pass


def change_record(run: Path, **changes: Any) -> None:
    """Change entries of run.json."""
    run_directory = RunDirectory(run)
    run_directory.write_record(run_directory.record() | changes)


def change_tensors(run: Path, file: str, **changes: Any) -> None:
    """Change tensors of the checkpoint and recompute the checksums."""
    path = run / "checkpoints" / "step-00000010" / file
    save_file(load_file(path) | changes, path)
    forge(run)


def use(run: Path) -> Translator:
    """Read all files of a run that evaluation, translation, comparison and resumed training read."""
    opened = RunDirectory.open(str(run))
    opened.config()
    for split in ("valid", "test"):
        opened.text(split)
    for side in ("src", "tgt"):
        opened.word_counts(side)
    opened.metrics()
    load_checkpoint(opened.checkpoints, "last", opened.identity)
    translator, _ = load_translator(opened, "best", SEARCH, torch.device("cpu"))
    return translator
