"""Checkpoints: weights in safetensors and the trainer's state beside them. Nothing is unpickled.

    checkpoints/step-00000250/   model.safetensors  state.safetensors  state.json  manifest.json
    checkpoints/last, best       links to such a folder

A checkpoint is written under a temporary name, flushed to the disk and renamed, and links are replaced atomically. If
the process is killed at any moment, the old checkpoint or the new one remains intact.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nmt.data import read_json, sha256_of, write_json
from nmt.errors import UserError, first_line

FORMAT = 1
WEIGHTS, TENSORS, STATE, MANIFEST = "model.safetensors", "state.safetensors", "state.json", "manifest.json"
LINKS = ("last", "best")
UNREADABLE = (OSError, ValueError, KeyError, TypeError, OverflowError, RuntimeError, SafetensorError)
"""Errors that reading a damaged or forged file may raise."""


@dataclass
class Checkpoint:
    """Everything that training needs to continue with the same bits."""

    step: int
    weights: dict[str, Tensor]
    """Each parameter once, by name; shared weights have the first of their names."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """Moments of the optimizer and states of the random generators."""
    state: dict[str, Any] = field(default_factory=dict)
    """Remaining state as JSON values."""
    run: str = ""
    """Identity of the run."""


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, links: Collection[str], keep: int = 1, superseded: Collection[int] = ()
) -> None:
    """Write a checkpoint, point links to it and delete old checkpoints.

    Args:
        folder: folder of the checkpoints.
        checkpoint: state to write.
        links: `last`, `best` or both, in the order in which to replace them.
        keep: number of newest checkpoints to keep, beside those that a link points to.
        superseded: steps of checkpoints to delete even if they are among the newest.

    Raises:
        UserError: the disk is full or not writable; the checkpoints before are intact.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / folder_name(checkpoint.step)
        if target.name not in linked(folder).values():
            partial = folder / f"{target.name}.tmp"
            for leftover in (partial, target):
                shutil.rmtree(leftover, ignore_errors=True)
            partial.mkdir()
            write_files(partial, checkpoint)
            os.replace(partial, target)
            sync(folder)
        for link in links:
            replace_link(folder / link, target.name)
        sync(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder}: cannot save the checkpoint of step {checkpoint.step}: {error}. The previous one is intact"
        ) from None
    newest = [step for step in steps(folder) if step == checkpoint.step or step not in superseded][:keep]
    kept = {*linked(folder).values(), *map(folder_name, newest)}
    for old in folder.glob("step-*"):
        if old.name not in kept:
            shutil.rmtree(old, ignore_errors=True)


def steps(folder: Path) -> list[int]:
    """Return the steps of all checkpoints, newest first, including damaged ones."""
    names = [path.name.removeprefix("step-") for path in folder.glob("step-*")]
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def newest_intact(folder: Path, run: str) -> int | None:
    """Return the step of the newest checkpoint that can be loaded; None if there is none."""
    for step in steps(folder):
        with suppress(UserError):
            return load_checkpoint(folder, folder_name(step), run).step
    return None


def go_back(folder: Path, step: int) -> None:
    """Make the checkpoint of this step the last one, and delete newer ones."""
    replace_link(folder / "last", folder_name(step))
    for newer in steps(folder):
        if newer > step:
            shutil.rmtree(folder / folder_name(newer), ignore_errors=True)
    if not (folder / "best").exists():  # it was newer and is deleted; training will find the same best one again
        replace_link(folder / "best", folder_name(step))
    sync(folder)


def replace_link(link: Path, target: str) -> None:
    """Create or replace a symbolic link atomically."""
    temporary = link.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    if link.is_dir() and not link.is_symlink():  # the run was copied by a program that follows links
        shutil.rmtree(link)
    os.replace(temporary, link)


def write_files(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the files of a checkpoint with their checksums, and flush them to the disk."""
    save_file({name: tensor.detach().contiguous() for name, tensor in checkpoint.weights.items()}, folder / WEIGHTS)
    save_file({name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}, folder / TENSORS)
    (folder / STATE).write_text(json.dumps(checkpoint.state, indent=1), encoding="utf-8")
    digests = {name: sha256_of(folder / name) for name in (WEIGHTS, TENSORS, STATE)}
    manifest = {"format": FORMAT, "step": checkpoint.step, "run": checkpoint.run, "sha256": digests}
    manifest["checksum"] = checksum(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for name in (WEIGHTS, TENSORS, STATE, MANIFEST):
        sync(folder / name)
    sync(folder)


def load_checkpoint(folder: Path, link: str, run: str = "") -> Checkpoint:
    """Load the checkpoint that a link or the name of a step's folder names, after verifying its checksums.

    Raises:
        UserError: the checkpoint is missing, damaged, of another format or of another run.
    """
    source, manifest = verified_manifest(folder, link, (WEIGHTS, TENSORS, STATE), run)
    try:
        state = read_json(source / STATE)
        return Checkpoint(manifest["step"], load_file(source / WEIGHTS), load_file(source / TENSORS), state, run)
    except UNREADABLE as error:
        raise UserError(f"{source}: the checkpoint cannot be read: {first_line(error)}") from None


def load_state(folder: Path, link: str, run: str = "") -> tuple[int, dict[str, Any]]:
    """Load the step and the JSON state of a checkpoint, without its tensors.

    Raises:
        UserError: as `load_checkpoint`.
    """
    source, manifest = verified_manifest(folder, link, (STATE,), run)
    try:
        return manifest["step"], dict(read_json(source / STATE))
    except UNREADABLE as error:
        raise UserError(f"{source / STATE}: cannot be read: {first_line(error)}") from None


def load_weights(folder: Path, link: str, run: str = "") -> tuple[int, dict[str, Tensor]]:
    """Load the step and the weights of a checkpoint, for translation.

    Raises:
        UserError: as `load_checkpoint`.
    """
    source, manifest = verified_manifest(folder, link, (WEIGHTS,), run)
    try:
        return manifest["step"], load_file(source / WEIGHTS)
    except UNREADABLE as error:
        raise UserError(f"{source / WEIGHTS}: cannot be read: {first_line(error)}") from None


def load_average(folder: Path, count: int, run: str = "") -> tuple[int, dict[str, Tensor]]:
    """Return the newest step and the mean weights of the `count` newest checkpoints (Junczys-Dowmunt et al. 2016).

    Raises:
        UserError: there are fewer checkpoints, or as `load_checkpoint`.
    """
    newest = steps(folder)[:count]
    if len(newest) < count:
        raise UserError(f"checkpoint=average:{count} needs {count} checkpoints, and {folder} has {len(newest)}")
    total: dict[str, Tensor] = {}
    for step in newest:
        weights = load_weights(folder, folder_name(step), run)[1]
        if total and [(name, w.shape) for name, w in weights.items()] != [(name, w.shape) for name, w in total.items()]:
            raise UserError(f"{folder}: the newest {count} checkpoints are of different models; use checkpoint=last")
        try:
            for name, weight in weights.items():
                total[name] = weight.double() + total[name] if name in total else weight.double()
            mean = {name: (weight / count).float() for name, weight in total.items()}
        except RuntimeError as error:  # forged shapes that cannot be allocated
            raise UserError(f"{folder / folder_name(step)}: cannot be averaged: {first_line(error)}") from None
    return newest[0], mean


def save_tensors(folder: Path, name: str, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write tensors and a record of them, with checksums, as NAME.safetensors and NAME.json.

    The record is written last, atomically, and has the checksum of the tensors. A process killed in between leaves
    files that do not belong together, which `load_tensors` refuses.

    Raises:
        OSError: the files cannot be written.
    """
    path, temporary = folder / f"{name}.safetensors", folder / f"{name}.{os.getpid()}.tmp"
    try:
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, temporary)
        record = record | {"format": FORMAT, "sha256": sha256_of(temporary)}
        os.replace(temporary, path)
    except SafetensorError as error:  # for example, the disk is full
        raise OSError(0, first_line(error)) from None
    finally:
        temporary.unlink(missing_ok=True)
    write_json(folder / f"{name}.json", record | {"checksum": checksum(record)})


def load_tensors(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the record that `save_tensors` wrote.

    Raises:
        ValueError: the files are damaged, of another format, or do not belong together.
        OSError: a file cannot be read.
    """
    path = folder / f"{name}.safetensors"
    try:
        record: dict[str, Any] = read_json(folder / f"{name}.json")
        given = record.pop("checksum")
        if given != checksum(record) or record["format"] != FORMAT or sha256_of(path) != record["sha256"]:
            raise ValueError(f"{path} does not have the checksum of its record")
        return load_file(path), record
    except OSError:
        raise
    except UNREADABLE as error:
        raise ValueError(first_line(error)) from None


def verified_manifest(folder: Path, link: str, names: Collection[str], run: str) -> tuple[Path, dict[str, Any]]:
    """Return the folder that a link points to and its manifest, after verifying the checksums of these files.

    Raises:
        UserError: as `load_checkpoint`.
    """
    source = Path(os.path.realpath(folder / link))  # unlike resolve(), it accepts a link to itself
    if source.parent != folder.resolve():
        raise UserError(f"{folder / link} points out of the run directory; the run was tampered with")
    if not source.is_dir():
        raise UserError(f"{folder / link} does not exist; the run has no checkpoint yet")
    try:
        manifest: dict[str, Any] = read_json(source / MANIFEST)
        if (version := manifest["format"]) != FORMAT:
            raise UserError(
                f"{source} has checkpoint format {version}, this version reads {FORMAT}; use the nmt it is from"
            )
        if manifest.pop("checksum") != checksum(manifest):
            raise ValueError
        if manifest["run"] != run:
            raise UserError(f"{source} belongs to another run; use a checkpoint of this one")
        if source.name != folder_name(manifest["step"]) and not (link in LINKS and source.name == link):
            raise UserError(f"{source} is damaged (it says it is step {manifest['step']}); use another checkpoint")
        for name in names:
            if sha256_of(source / name) != manifest["sha256"][name]:
                raise UserError(f"{source / name} is damaged (its checksum is wrong); use another checkpoint")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{source} is incomplete or damaged; use another checkpoint of {folder}") from None
    return source, manifest


def not_finite(state: Any, name: str = "state") -> str:
    """Return the name of a value in a checkpoint's state that is not a finite number; empty if there is none.

    The best score and its perplexity may be null: before the first validation, or if perplexity is not finite.
    """
    if isinstance(state, dict):
        names = (not_finite(child, str(key)) for key, child in state.items())
        return next(filter(None, names), "")
    if name in ("best", "best_perplexity") and state is None:
        return ""
    return "" if isinstance(state, (int, float)) and math.isfinite(state) else name


def checksum(record: dict[str, Any]) -> str:
    """Return the SHA-256 of a record, which reveals any change of its values."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def folder_name(step: int) -> str:
    return f"step-{step:08d}"


def linked(folder: Path) -> dict[str, str]:
    """Return the target of each link."""
    return {link: os.readlink(folder / link) for link in LINKS if (folder / link).is_symlink()}


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
