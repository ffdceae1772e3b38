"""Run directory, which holds everything needed to use the run on another machine.

config.yaml  run.json       composed configuration; record of every start
tokenizer/   data/          both tokenizers in their formats; validation and test text, and counts of their words
checkpoints/ metrics.jsonl  last and best checkpoint; one line per set of metrics
scores/ plots/ wandb/ train.log
shortlist/                 tables of `search.shortlist`, built at its first use
report.html   model_card.md  appendix.md  appendix.tex  written by `report`, which overwrites them
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nmt.config import SPLITS, Config, DataConfig, TokenizerConfig, load_config, save_config, user_path
from nmt.data import (
    Prepared,
    Tokenizer,
    load_tokenizer,
    locked,
    read_all,
    read_for_scoring,
    read_json,
    sha256_of,
    write_json,
    write_tokenizer,
)
from nmt.errors import UserError
from nmt.run.checkpoint import checksum
from nmt.run.records import read_metrics, refuse_links_out, well_formed

FORMAT = 1
SIDES = ("src", "tgt")
CORPUS_PLACES = ("root", "mirror", "cache")
"""Keys of `data` with the locations of files."""
CORPUS_PREPARATION = ("workers", "shard_pairs")
"""Keys of `data` about the preparation that do not change its result."""
ADDED_TOKENIZER_SETTINGS = ("user_symbols", "byte_fallback", "split_digits", "file", "src_file", "tgt_file")
"""Keys of `data.tokenizer` that older runs do not have."""


class RunDirectory:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """Folder of the run."""

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    @classmethod
    def open(cls, path: str) -> "RunDirectory":
        """Open an existing run after verifying its record and the checksums of its files.

        Raises:
            UserError: the folder is not a run, or the run is damaged or of another version.
        """
        run = cls(user_path(path))
        if not run.path.is_dir():
            raise UserError(f"run={path} does not exist; name the run directory that training printed last")
        if not run.exists:
            raise UserError(f"run={path} is not a run directory: it has no config.yaml and run.json")
        try:
            record = run.record()
            if record["format"] != FORMAT:
                raise UserError(
                    f"{path} is a run of format {record['format']}, this version reads {FORMAT}; use the nmt it is from"
                )
            if record.pop("checksum") != checksum(record) or not well_formed(record):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UserError(f"{run.record_path} is damaged; the run cannot be used") from None
        refuse_links_out(run.path)
        for name, digest in record["sha256"].items():
            run.check(name, digest)
        return run

    def check(self, name: str, digest: str) -> None:
        """Verify the checksum of a file.

        Raises:
            UserError: the file has changed since the run was created.
        """
        if "\0" in name or not Path(os.path.realpath(self.path / name)).is_relative_to(self.path.resolve()):
            raise UserError(
                f"{self.record_path} names {name!r}, which is not a file of the run; the run cannot be used"
            )
        try:
            if sha256_of(self.path / name) != digest:
                raise UserError(
                    f"{self.path / name} was changed or is damaged (its checksum is wrong); put the file back that the "
                    "run was made with, and give other settings on the command line"
                )
        except OSError as error:
            raise UserError(f"{self.path / name} cannot be read: {error.strerror}; the run is incomplete") from None

    @property
    def exists(self) -> bool:
        return self.config_path.is_file() and self.record_path.is_file()

    @property
    def config_path(self) -> Path:
        return self.path / "config.yaml"

    @property
    def record_path(self) -> Path:
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def folder(self, name: str) -> Path:
        """Return a folder of the run, creating it if needed."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def config(self, overrides: Mapping[str, Any] | None = None) -> Config:
        """Return the configuration with all changes of continuations, and with `overrides` by dotted key."""
        return load_config(Config, self.config_path, {**self.changes, **(overrides or {})})

    def first_config(self) -> Config:
        """Return the configuration that the run was started with."""
        return load_config(Config, self.config_path)

    @property
    def changes(self) -> dict[str, Any]:
        """Values by dotted key that continuations of the run have changed."""
        changed: dict[str, Any] = self.record().get("changed", {}) if self.record_path.is_file() else {}
        return changed

    def take_up(self, changes: Mapping[str, Any]) -> None:
        """Record the values that differ from `config.yaml`, and mark the run as not finished."""
        record = self.record()
        if record.get("changed", {}) != changes or self.finished:
            self.write_record(record | {"changed": dict(changes), "finished": False})

    def create(self, config: Config, prepared: Prepared) -> None:
        """Create the run's files. `run.json` comes last: without it the folder is not a run.

        Raises:
            UserError: another process has created the run, or is training it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self.locked():
            if self.exists:
                raise UserError(f"{self.path} was created by another process; choose another folder")
            self.write_files(config, prepared)

    def write_files(self, config: Config, prepared: Prepared) -> None:
        """Write the files of a new run."""
        for name in ("tokenizer", "data"):  # may hold files of an attempt that was killed
            shutil.rmtree(self.path / name, ignore_errors=True)
        save_config(config, self.config_path)
        for side in SIDES:
            write_tokenizer(self.folder("tokenizer"), side, prepared.tokenizer(side))
            for split in prepared.held_out:
                shutil.copyfile(f"{prepared.text(split)}.{side}", self.folder("data") / f"{split}.{side}")
        for name in ("report.json", "words.json"):
            shutil.copyfile(prepared.folder / name, self.folder("data") / name)
        made = [self.config_path, *self.folder("tokenizer").iterdir(), *self.folder("data").iterdir()]
        digests = {path.relative_to(self.path).as_posix(): sha256_of(path) for path in sorted(made)}
        self.write_record({"format": FORMAT, "identity": identity(config), "sha256": digests, "starts": []})

    def checkpoint_link(self, name: str) -> str:
        """Return `name`, or `last` in place of `best` if the run was stopped before its first validation."""
        links = [os.path.lexists(self.checkpoints / link) for link in ("best", "last")]
        return "last" if name == "best" and links == [False, True] else name

    @property
    def identity(self) -> str:
        """Hash that the run's checkpoints store."""
        return str(self.record()["identity"])

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = read_json(self.record_path)
        return record

    def write_record(self, record: dict[str, Any]) -> None:
        record = {key: value for key, value in record.items() if key != "checksum"}
        record["checksum"] = checksum(record)
        write_json(self.record_path, record)

    def add_start(self, start: dict[str, Any]) -> None:
        record = self.record()
        record["starts"].append(start)
        self.write_record(record)

    @property
    def finished(self) -> bool:
        """True if training has ended and the test set is scored."""
        return bool(self.record().get("finished"))

    def finish(self) -> None:
        self.write_record(self.record() | {"finished": True})

    def locked(self) -> AbstractContextManager[None]:
        """Return a lock of the run against training by another process; it raises `UserError` if one trains the run."""
        return locked(self.path / ".lock", f"{self.path} is being trained by another process")

    @property
    def in_use(self) -> bool:
        try:
            with self.locked():
                return False
        except UserError:
            return True

    def add_facts(self, parameters: int, seconds: float, cpu_seconds: float, peak_memory_bytes: int) -> None:
        """Record the cost of training over all starts: elapsed and processor time, and the highest memory."""
        record = self.record()
        before = record.get("facts", {}).get("peak_memory_bytes", 0)
        record["facts"] = {
            "parameters": parameters,
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "peak_memory_bytes": max(before, peak_memory_bytes),
        }
        self.write_record(record)

    def add_initial_weights(self, facts: Mapping[str, Any]) -> None:
        """Record which run and files the initial weights are from."""
        self.write_record(self.record() | {"initial_weights": dict(facts)})

    @property
    def facts(self) -> dict[str, float]:
        """Values that `add_facts` recorded last; empty in a run of an older version."""
        facts: dict[str, float] = self.record().get("facts", {})
        return facts

    @property
    def adapted(self) -> dict[str, Any]:
        """Record of the corrections that an adapted run has learned from; empty in other runs."""
        adapted: dict[str, Any] = self.record().get("adapted", {})
        return adapted

    def word_counts(self, side: str) -> dict[str, int] | None:
        """Return the frequencies in one side of the training data of the held-out sets' words; None in older runs.

        Raises:
            UserError: the file is damaged.
        """
        path = self.path / "data" / "words.json"
        if not path.is_file():
            return None
        try:
            counts: dict[str, int] = read_json(path)[side]
            if not all(type(count) is int for count in counts.values()):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path} is damaged; the run cannot be compared") from None
        return counts

    def metrics(self) -> list[dict[str, float]]:
        """Return the lines of metrics.jsonl."""
        return read_metrics(self.metrics_path)

    def tokenizer(self, side: str) -> Tokenizer:
        return load_tokenizer(self.path / "tokenizer", side)

    def tokenizers(self) -> dict[str, Tokenizer]:
        return {side: self.tokenizer(side) for side in SIDES}

    def has_split(self, split: str) -> bool:
        return (self.path / "data" / f"{split}.src").is_file()

    def text(self, split: str) -> tuple[list[str], list[str]]:
        """Return source and reference lines of a held-out split, references as `read_for_scoring` does.

        Raises:
            UserError: the run has no such split.
        """
        if not self.has_split(split):
            raise UserError(f"{self.path} has no {split} set; give your own files by src=FILE ref=FILE")
        folder = self.path / "data"
        return read_all(folder / f"{split}.src"), read_for_scoring(folder / f"{split}.tgt")


def corpus_settings(data: DataConfig) -> dict[str, Any]:
    """Return the settings that determine the pairs and their order.

    Locations, ways of preparation, further test sets and checksums of unused files are left out, and so are the
    settings of the tokenizer that were added later, at their defaults, so that older runs keep their identity.
    """
    defaults = TokenizerConfig()
    tokenizer = {
        key: value
        for key, value in asdict(data.tokenizer).items()
        if key not in ADDED_TOKENIZER_SETTINGS or value != getattr(defaults, key)
    }
    settings = asdict(data) | dict.fromkeys(CORPUS_PLACES) | {"tokenizer": tokenizer}
    if data.download is not None:
        used = set(data.paths(*SPLITS))
        digests = {path: digest for path, digest in data.download.sha256.items() if path in used}
        settings["download"] = asdict(data.download) | {"sha256": digests}
    unused = {"tests"} | {key for key in ("directions", "factors", "strings") if not settings[key]}
    unused |= set() if data.factors else {"factor_values"}
    return {key: value for key, value in settings.items() if key not in CORPUS_PREPARATION and key not in unused}


def identity(config: Config) -> str:
    """Return a hash of the settings that must not change within a run: corpus (without locations), model and seed."""
    model = asdict(config.model)
    if config.model.factor_size is None:
        del model["factor_size"]
    parts = [corpus_settings(config.data), model, config.seed]
    if config.train.init_from is not None:  # its tokenizers come from another run
        parts.append("fine-tuned")
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def newest_unfinished(records: Iterable[Path], config: Config) -> RunDirectory | None:
    """Return the newest run of this configuration that is neither finished nor in training; None if there is none.

    Args:
        records: `run.json` of the runs to choose from.
        config: composed configuration; locations of files, tracking and the keys of resuming may differ.
    """

    def settings(config: Config) -> list[Any]:
        train = replace(config.train, resume=None, resume_step=None)
        return [identity(config), asdict(train), asdict(config.optim), asdict(config.search)]

    for record in sorted(records, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        with suppress(UserError):
            run = RunDirectory.open(str(record.parent))
            if not run.finished and settings(run.config()) == settings(config) and not run.in_use:
                return run
    return None
