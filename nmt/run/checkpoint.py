"""Checkpoints: weights in safetensors and the trainer's whole state beside them; nothing is ever unpickled.

    checkpoints/step-00000250/   model.safetensors  state.safetensors  state.json  manifest.json
    checkpoints/last, best       links to such a folder

A checkpoint is written under another name, flushed to the disk and renamed, and a link is replaced in one go: whoever
kills the process at any moment leaves the old checkpoint or the new one, never half of one.
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

from nmt.data import read_json, sha256_of
from nmt.errors import UserError, first_line

FORMAT = 1
WEIGHTS, TENSORS, STATE, MANIFEST = "model.safetensors", "state.safetensors", "state.json", "manifest.json"
LINKS = ("last", "best")
UNREADABLE = (OSError, ValueError, KeyError, TypeError, OverflowError, RuntimeError, SafetensorError)
"""What a reader of tensors may say of a file that no training wrote."""


@dataclass
class Checkpoint:
    """All that training needs to go on as if it had never stopped."""

    step: int
    weights: dict[str, Tensor]
    """Each parameter once, by name; shared weights under the first of their names."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """The optimizer's moments and the random generators' states."""
    state: dict[str, Any] = field(default_factory=dict)
    """The rest, as JSON has it."""
    run: str = ""
    """Identity of the run it belongs to."""


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, links: Collection[str], keep: int = 1, superseded: Collection[int] = ()
) -> None:
    """Writes a checkpoint and points `links` (of `last` and `best`) to it in order.

    What no link points to is deleted, but for the `keep` newest that are not among the steps of `superseded`.

    Raises:
        UserError: the disk is full, or not writable; what was there before is intact.
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
            point(folder / link, target.name)
        sync(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder}: step {checkpoint.step} cannot be saved: {error}; mend that, the one before is whole"
        ) from None
    newest = [step for step in steps(folder) if step == checkpoint.step or step not in superseded][:keep]
    kept = {*linked(folder).values(), *map(folder_name, newest)}
    for old in folder.glob("step-*"):
        if old.name not in kept:
            shutil.rmtree(old, ignore_errors=True)


def steps(folder: Path) -> list[int]:
    """Steps of the checkpoints that are there, newest first, whole or not."""
    names = [path.name.removeprefix("step-") for path in folder.glob("step-*")]
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def newest_whole(folder: Path, run: str) -> int | None:
    """Step of the newest checkpoint that can be loaded."""
    for step in steps(folder):
        with suppress(UserError):
            return load_checkpoint(folder, folder_name(step), run).step
    return None


def go_back(folder: Path, step: int) -> None:
    """Makes the checkpoint of this step the last one, and drops those after it."""
    point(folder / "last", folder_name(step))
    for newer in steps(folder):
        if newer > step:
            shutil.rmtree(folder / folder_name(newer), ignore_errors=True)
    if not (folder / "best").exists():  # it was newer; the best before it is gone, and training finds the same again
        point(folder / "best", folder_name(step))
    sync(folder)


def point(link: Path, target: str) -> None:
    """Makes or moves a link in one go."""
    temporary = link.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    if link.is_dir() and not link.is_symlink():  # the run was copied by a program that follows links
        shutil.rmtree(link)
    os.replace(temporary, link)


def write_files(folder: Path, checkpoint: Checkpoint) -> None:
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
    """Reads the checkpoint that a link points to, or the folder of a step, after checking its checksums.

    Raises:
        UserError: it is missing, damaged, of another format or of another run.
    """
    source, manifest = checked(folder, link, (WEIGHTS, TENSORS, STATE), run)
    try:
        state = read_json(source / STATE)
        return Checkpoint(manifest["step"], load_file(source / WEIGHTS), load_file(source / TENSORS), state, run)
    except UNREADABLE as error:
        raise UserError(f"{source}: the checkpoint cannot be read: {first_line(error)}") from None


def load_state(folder: Path, link: str, run: str = "") -> tuple[int, dict[str, Any]]:
    """Return step and counts of a checkpoint, without its tensors.

    Raises:
        UserError: as `load_checkpoint`.
    """
    source, manifest = checked(folder, link, (STATE,), run)
    try:
        return manifest["step"], dict(read_json(source / STATE))
    except UNREADABLE as error:
        raise UserError(f"{source / STATE}: cannot be read: {first_line(error)}") from None


def load_weights(folder: Path, link: str, run: str = "") -> tuple[int, dict[str, Tensor]]:
    """Step and weights of a checkpoint, for translation.

    Raises:
        UserError: as `load_checkpoint`.
    """
    source, manifest = checked(folder, link, (WEIGHTS,), run)
    try:
        return manifest["step"], load_file(source / WEIGHTS)
    except UNREADABLE as error:
        raise UserError(f"{source / WEIGHTS}: cannot be read: {first_line(error)}") from None


def load_average(folder: Path, count: int, run: str = "") -> tuple[int, dict[str, Tensor]]:
    """The newest step, and the mean weights of the `count` newest checkpoints (Junczys-Dowmunt et al. 2016).

    Raises:
        UserError: there are fewer, or as `load_checkpoint`.
    """
    newest = steps(folder)[:count]
    if len(newest) < count:
        raise UserError(f"checkpoint=average:{count} asks for more than the {len(newest)} checkpoints in {folder}")
    total: dict[str, Tensor] = {}
    for step in newest:
        weights = load_weights(folder, folder_name(step), run)[1]
        if total and [(name, w.shape) for name, w in weights.items()] != [(name, w.shape) for name, w in total.items()]:
            raise UserError(f"{folder}: the newest {count} checkpoints are of different models; use checkpoint=last")
        try:
            for name, weight in weights.items():
                total[name] = weight.double() + total[name] if name in total else weight.double()
            mean = {name: (weight / count).float() for name, weight in total.items()}
        except RuntimeError as error:  # shapes that no memory is reserved for
            raise UserError(f"{folder / folder_name(step)}: cannot be averaged: {first_line(error)}") from None
    return newest[0], mean


def checked(folder: Path, link: str, names: Collection[str], run: str) -> tuple[Path, dict[str, Any]]:
    """The folder a link points to, and its manifest, once the checksums of these files hold."""
    source = Path(os.path.realpath(folder / link))  # unlike resolve(), it goes through a link to itself
    if source.parent != folder.resolve():
        raise UserError(f"{folder / link} points out of the run directory; the run was tampered with")
    if not source.is_dir():
        raise UserError(f"{folder / link} does not exist; the run has no checkpoint yet")
    try:
        manifest: dict[str, Any] = read_json(source / MANIFEST)
        found = manifest["format"]
        if found != FORMAT:
            raise UserError(
                f"{source} has checkpoint format {found}, this version reads {FORMAT}; use the nmt it is from"
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
    """The name of a leaf of a checkpoint's state that is no finite number, empty if there is none.

    The best score and its perplexity may be null: before there is one, or where perplexity is not finite.
    """
    if isinstance(state, dict):
        found = (not_finite(child, str(key)) for key, child in state.items())
        return next(filter(None, found), "")
    if name in ("best", "best_perplexity") and state is None:
        return ""
    return "" if isinstance(state, (int, float)) and math.isfinite(state) else name


def checksum(record: dict[str, Any]) -> str:
    """SHA-256 of a record that holds checksums itself, so that nothing in it changes unseen."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def folder_name(step: int) -> str:
    return f"step-{step:08d}"


def linked(folder: Path) -> dict[str, str]:
    """What the links point to."""
    return {link: os.readlink(folder / link) for link in LINKS if (folder / link).is_symlink()}


def sync(path: Path) -> None:
    """Flushes a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
