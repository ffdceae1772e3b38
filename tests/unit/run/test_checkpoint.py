"""Checkpoints: exact, atomic, and refused in one line after any damage on the disk."""

import json
import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

from nmt.errors import UserError
from nmt.run import Checkpoint, checkpoint, load_checkpoint, load_weights, save_checkpoint

FILES = ["manifest.json", "model.safetensors", "state.json", "state.safetensors"]
OLD, NEW = 7, 8


def made(step: int) -> Checkpoint:
    """Return a checkpoint whose parts all depend on its step."""
    generator = torch.Generator().manual_seed(step)
    weights = {
        "embedding": torch.randn(5, 3, generator=generator),
        "transposed": torch.randn(4, 6, generator=generator).t(),
        "half": torch.randn(3, generator=generator).bfloat16(),
        "odd": torch.tensor([float("nan"), float("-inf"), -0.0, 1e-45]),
    }
    tensors = {"optimizer.0.step": torch.tensor(float(step)), "random.cpu": generator.get_state()}
    return Checkpoint(step, weights, tensors, {"progress": {"step": step, "best": 0.1 + step, "stopped": False}})


def bits(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().flatten().view(torch.uint8).numpy())


def assert_equal(actual: Checkpoint, expected: Checkpoint) -> None:
    assert (actual.step, actual.state) == (expected.step, expected.state)
    for mine, theirs in ((actual.weights, expected.weights), (actual.tensors, expected.tensors)):
        assert mine.keys() == theirs.keys()
        for name in theirs:
            assert (mine[name].dtype, mine[name].shape) == (theirs[name].dtype, theirs[name].shape)
            assert bits(mine[name]) == bits(theirs[name])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def target(folder: Path, link: str = "last") -> str:
    return os.readlink(folder / link)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one checkpoint, to which both links point."""
    save_checkpoint(tmp_path / "checkpoints", made(OLD), ["last", "best"])
    return tmp_path / "checkpoints"


def test_what_is_saved_is_loaded_bit_for_bit(folder: Path) -> None:
    assert_equal(load_checkpoint(folder, "last"), made(OLD))
    assert_equal(load_checkpoint(folder, "best"), made(OLD))
    step, weights = load_weights(folder, "best")
    assert_equal(Checkpoint(step, weights), Checkpoint(OLD, made(OLD).weights))


def test_the_same_state_gives_the_same_bytes_at_another_time_and_place(folder: Path, tmp_path: Path) -> None:
    time.sleep(0.01)
    save_checkpoint(tmp_path / "elsewhere", made(OLD), ["last"])
    assert names(folder / "last") == FILES
    for name in FILES:
        assert (tmp_path / "elsewhere" / "last" / name).read_bytes() == (folder / "last" / name).read_bytes()


def test_links_move_and_a_checkpoint_that_none_points_to_is_deleted(folder: Path) -> None:
    history = []
    for step, links in ((8, ["last"]), (9, ["last"]), (10, ["last", "best"]), (11, ["last"])):
        save_checkpoint(folder, made(step), links)
        history.append((target(folder, "best"), target(folder, "last"), len(names(folder))))
    assert history == [
        ("step-00000007", "step-00000008", 4),
        ("step-00000007", "step-00000009", 4),
        ("step-00000010", "step-00000010", 3),
        ("step-00000010", "step-00000011", 4),
    ]
    assert_equal(load_checkpoint(folder, "best"), made(10))


def test_a_copy_that_turned_links_into_folders_is_read_and_continued(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, symlinks=False)
    assert_equal(load_checkpoint(copy, "last"), made(OLD))
    save_checkpoint(copy, made(NEW), ["last"])
    assert_equal(load_checkpoint(copy, "last"), made(NEW))
    assert_equal(load_checkpoint(copy, "best"), made(OLD))


def test_a_checkpoint_is_flushed_to_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, unflushed, replace = set(), [], os.replace

    def checking(source: Path, goal: Path) -> None:
        if not source.is_symlink():
            unflushed.append([path.name for path in (source, *source.iterdir()) if path.stat().st_ino not in flushed])
        replace(source, goal)

    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.add(os.fstat(descriptor).st_ino))
    monkeypatch.setattr(os, "replace", checking)
    save_checkpoint(tmp_path, made(OLD), ["last"])
    assert unflushed == [[]]
    assert tmp_path.stat().st_ino in flushed


class Killed(BaseException):
    """Stand-in for SIGKILL that no `except` of the tested code catches."""


@contextmanager
def killed_at_line(number: int) -> Iterator[None]:
    """Raise `Killed` before checkpoint.py executes its line `number`, counted in order of execution."""
    left = number

    def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        nonlocal left
        if frame.f_code.co_filename != checkpoint.__file__:
            return None
        left -= event == "line"
        if left < 0:
            raise Killed
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(("step", "expected"), [(NEW, {(OLD, OLD), (OLD, NEW), (NEW, NEW)}), (OLD, {(OLD, OLD)})])
def test_killed_at_any_line_of_a_save_a_whole_checkpoint_is_left(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, expected: set[tuple[int, int]]
) -> None:
    """Check that the old or the new checkpoint is intact, and that the next save works with any leftovers."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # slow, and without effect when a process is killed
    outcomes = set()
    for number in range(1000):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy, symlinks=True)
        try:
            with killed_at_line(number):
                save_checkpoint(copy, made(step), ["best", "last"])
        except Killed:
            actual = {link: load_checkpoint(copy, link) for link in ("last", "best")}
            for read in actual.values():
                assert_equal(read, made(read.step))
            outcomes.add((actual["last"].step, actual["best"].step))
            save_checkpoint(copy, made(NEW + 1), ["last", "best"])
            assert_equal(load_checkpoint(copy, "last"), made(NEW + 1))
            assert names(copy) == ["best", "last", f"step-{NEW + 1:08d}"]
        else:
            break
    assert number > 20, "the save was not killed at many places"
    assert outcomes == expected


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Limit the size of files, so that writing really fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 100, 400, 1000])
def test_a_full_disk_is_reported_in_one_line_and_leaves_the_old_checkpoint(folder: Path, size: int) -> None:
    with disk_of(size), pytest.raises(UserError) as error:
        save_checkpoint(folder, made(NEW), ["last", "best"])
    assert_one_line(error.value, str(folder))
    assert_equal(load_checkpoint(folder, "last"), made(OLD))
    save_checkpoint(folder, made(NEW), ["last", "best"])
    assert_equal(load_checkpoint(folder, "last"), made(NEW))


def assert_one_line(error: UserError, named: str) -> None:
    assert "\n" not in str(error)
    assert named in str(error)


def assert_refused(folder: Path, link: str = "last", named: str | None = None) -> None:
    with pytest.raises(UserError) as error:
        load_checkpoint(folder, link)
    assert_one_line(error.value, named or str(folder))


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_byte_is_noticed(folder: Path, name: str) -> None:
    file = folder / "last" / name
    whole = file.read_bytes()
    random_source = random.Random(1)
    for position in range(0, len(whole), max(1, len(whole) // 150)):
        if name == "manifest.json" and whole[position] in b" \n":
            continue  # white space has no meaning there, and no checksum covers it
        flipped = bytearray(whole)
        flipped[position] ^= 1 << random_source.randrange(8)
        file.write_bytes(flipped)
        assert_refused(folder)
    file.write_bytes(whole)
    assert_equal(load_checkpoint(folder, "last"), made(OLD))


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_noticed(folder: Path, name: str) -> None:
    file = folder / "last" / name
    whole = file.read_bytes()
    for size in {*range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1}:
        file.write_bytes(whole[:size])
        assert_refused(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_noticed(folder: Path, name: str) -> None:
    (folder / "last" / name).unlink()
    assert_refused(folder)
    (folder / "last" / name).mkdir()
    assert_refused(folder)


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Replace content and update its checksum, as another program could."""
    (folder / "last" / name).write_bytes(content)
    manifest = json.loads((folder / "last" / "manifest.json").read_text())
    manifest["sha256"][name] = sha256(content).hexdigest()
    seal(folder, manifest)


def seal(folder: Path, manifest: Any) -> None:
    """Write a manifest with a correct checksum."""
    if isinstance(manifest, dict):
        manifest = {key: value for key, value in manifest.items() if key != "checksum"}
        manifest["checksum"] = checkpoint.checksum(manifest)
    (folder / "last" / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 100, b'{"a":\n'])
def test_foreign_content_with_a_right_checksum_is_refused(folder: Path, name: str, content: bytes) -> None:
    rewrite(folder, name, content)
    assert_refused(folder)


WRONG = [{"format": 2}, {"format": None}, {"step": OLD + 1}, {"step": "7"}, {"sha256": []}, {"sha256": {}}]


@pytest.mark.parametrize("text", ["[]", "7", "null", '""', "{}", '{"format": 1}', '{"format": 1, "step": 7}', *WRONG])
def test_a_manifest_of_another_format_or_shape_is_refused(folder: Path, text: str | dict[str, Any]) -> None:
    file = folder / "last" / "manifest.json"
    seal(folder, json.loads(text) if isinstance(text, str) else json.loads(file.read_text()) | text)
    assert_refused(folder)
    with pytest.raises(UserError):
        load_weights(folder, "last")


@pytest.mark.parametrize("points_to", ["../elsewhere", "..", ".", "/", "last", "step-00000099"])
def test_a_link_out_of_the_folder_to_itself_or_to_nothing_is_refused(folder: Path, points_to: str) -> None:
    shutil.copytree(folder / "last", folder.parent / "elsewhere")
    (folder / "last").unlink()
    (folder / "last").symlink_to(points_to)
    assert_refused(folder)


def test_a_run_without_checkpoint_is_reported(tmp_path: Path) -> None:
    assert_refused(tmp_path / "checkpoints", named="no checkpoint yet")
