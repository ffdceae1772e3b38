"""Malicious runs and checkpoints: they are refused with one line."""

import json
import os
import pickle
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import hostile_run
import pytest
import tiny_training
import torch
from hostile_run import change_record, change_tensors, copy, forge, payload, use

from nmt.data import Prepared
from nmt.errors import UserError
from nmt.run import Checkpoint, RunDirectory, load_average, save_checkpoint
from nmt.training.checkpoint_state import to_checkpoint

STEP = "checkpoints/step-00000010"
DEEP = b"[" * 200_000


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_run.make(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    return copy(original, tmp_path / "run")


def refused(run: Path) -> str:
    with pytest.raises(UserError) as error:
        use(run)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_honest_run_is_used(run: Path) -> None:
    forge(run)
    assert use(run).translate(["The tea is hot."])


@pytest.mark.parametrize(
    "name",
    [
        *("run.json", "config.yaml", "tokenizer/src.model", "tokenizer/tgt.model", "data/words.json", "data/test.src"),
        *(f"{STEP}/{name}" for name in ("manifest.json", *hostile_run.FILES)),
    ],
)
def test_a_pickle_under_any_name_is_not_unpickled(run: Path, name: str, tmp_path: Path) -> None:
    content = payload(tmp_path / "made")
    pickle.loads(content)  # the payload itself works
    (tmp_path / "made").rmdir()
    (run / name).write_bytes(content)
    forge(run)
    refused(run)
    assert not (tmp_path / "made").exists()


def test_a_pickle_in_a_prepared_corpus_is_not_unpickled(original: Path, tmp_path: Path) -> None:
    (prepared,) = (path for path in (original.parent / "cache" / "prepared").iterdir() if path.is_dir())
    folder = copy(prepared, tmp_path / "prepared")
    content = payload(tmp_path / "made")
    content += b"\x00" * (-len(content) % 8)
    for name in ("train-00000.src.offsets", "src.model"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        with pytest.raises(UserError):
            Prepared(folder).check()
        read = Prepared(folder).store if name.startswith("train") else Prepared(folder).tokenizer
        with pytest.raises(UserError):
            read("train" if name.startswith("train") else "src")
        (folder / name).write_bytes(whole)
    (folder / "train-00000.src.ids").write_bytes(content)
    with pytest.raises(UserError):
        Prepared(folder).store("train")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "data/../../other", "/dev/zero", "no\x00name"])
def test_the_record_names_no_file_outside_the_run(run: Path, name: str) -> None:
    (run.parent / "other").write_text("secret")
    record = RunDirectory(run).record()
    change_record(run, sha256=record["sha256"] | {name: "0" * 64})
    assert "run.json" in refused(run)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sha256": 7}, "run.json"),
        ({"sha256": {}}, "run.json"),
        ({"identity": ["x"]}, "run.json"),
        ({"starts": 7}, "run.json"),
        ({"starts": [7]}, "run.json"),
        ({"starts": [{"overrides": [7]}]}, "run.json"),
        ({"facts": {"seconds": "many"}}, "run.json"),
        ({"facts": 7}, "run.json"),
        ({"format": {"a": 1}}, "format"),
    ],
)
def test_a_record_of_other_types_is_refused(run: Path, changes: dict[str, Any], word: str) -> None:
    change_record(run, **changes)
    assert word in refused(run)


@pytest.mark.parametrize("name", ["run.json", "data/words.json", f"{STEP}/manifest.json", f"{STEP}/state.json"])
@pytest.mark.parametrize("bomb", [DEEP, b'{"a":' * 100_000, b"9" * 10_000, b"\xff\xfe", b"null"], ids=range(5))
def test_json_that_is_deep_long_or_nothing_is_refused(run: Path, name: str, bomb: bytes) -> None:
    (run / name).write_bytes(bomb)
    forge(run)
    if (name, bomb) != (
        f"{STEP}/state.json",
        b"null",
    ):  # an empty state is not refused here, but when the run is resumed
        refused(run)


@pytest.mark.parametrize(
    "name",
    [
        *("data/test.src", "tokenizer/src.model", "checkpoints/last", "checkpoints/best", f"{STEP}/model.safetensors"),
        *("scores", "plots", "wandb", "metrics.jsonl", "train.log", ".lock", "checkpoints", "scores/test.hyp"),
    ],
)
@pytest.mark.parametrize("relative", [False, True])
def test_a_link_out_of_the_run_is_refused(run: Path, name: str, relative: bool) -> None:
    """Reading such a link would disclose the target; writing would change it."""
    outside = run.parent / "outside"
    outside.mkdir()
    link = run / name
    link.parent.mkdir(exist_ok=True)
    if link.is_dir() and not link.is_symlink():
        link.rename(run.parent / "moved")
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(outside, link.parent) if relative else outside)
    assert f"{link} points out of the run directory" in refused(run)
    assert list(outside.iterdir()) == []


def test_links_inside_a_run_and_to_a_run_are_fine(run: Path) -> None:
    (run / "scores").symlink_to("data")
    (run / "loop").symlink_to("loop")
    (run.parent / "link").symlink_to(run)
    use(run.parent / "link")


def test_a_pipe_in_a_run_is_refused(run: Path) -> None:
    os.mkfifo(run / "data" / "more")
    assert "neither a file nor a folder" in refused(run)


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        safetensors(b"{}", length=2**63),
        safetensors(b"{}", length=3),
        safetensors(b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}'),
        safetensors(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,8]}}', bytes(8)),
        safetensors(b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}', bytes(8)),
        safetensors(b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'),
        safetensors(b'{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
        safetensors(b'{"a":' * 10_000),
        safetensors(b'{"../a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
        safetensors(b'{"a":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]}}'),
        safetensors(b'{"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}'),
        safetensors(b'{"a":{"dtype":"F4","shape":[0],"data_offsets":[0,0]}}'),
        safetensors(b'{"a":{"dtype":"F8_E8M0","shape":[0],"data_offsets":[0,0]}}'),
    ],
    ids=range(14),
)
def test_safetensors_that_lie_about_their_sizes_are_refused(run: Path, content: bytes) -> None:
    (run / STEP / "model.safetensors").write_bytes(content)
    forge(run)
    refused(run)
    opened = RunDirectory.open(str(run))
    with suppress(UserError):  # the average of empty tensors is empty, too, and does not fit any model
        load_average(opened.checkpoints, 1, opened.identity)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64, torch.bool, torch.complex64])
def test_weights_of_another_type_are_refused(run: Path, dtype: torch.dtype) -> None:
    change_tensors(run, "model.safetensors", output_bias=torch.ones(150).to(dtype))
    assert "output_bias" in refused(run)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(run: Path, value: float) -> None:
    change_tensors(run, "model.safetensors", output_bias=torch.full((150,), value))
    assert "not finite" in refused(run)


@pytest.mark.parametrize("key", ["hidden_size", "embed_size", "direction_size"])
def test_a_huge_model_is_refused_before_it_takes_memory(run: Path, key: str) -> None:
    path = run / "config.yaml"
    text, changed = re.subn(rf"^( +{key}:) .*$", r"\1 65536", path.read_text(), flags=re.MULTILINE)
    assert changed == 1
    path.write_text(text)
    forge(run)
    assert "larger" in refused(run)


def test_averages_of_different_models_are_refused(run: Path) -> None:
    opened = RunDirectory.open(str(run))
    other = Checkpoint(11, {"a": torch.zeros(2)}, {}, {}, opened.identity)
    save_checkpoint(opened.checkpoints, other, [], keep=5)
    with pytest.raises(UserError, match="different models"):
        load_average(opened.checkpoints, 2, opened.identity)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    trainer = tiny_training.build(tmp_path_factory.mktemp("trained"))
    trainer.train()
    return to_checkpoint(trainer.state_dict(), scheduled=True, run_id="")


MOMENT = "optimizer.0.exp_avg"


@pytest.mark.parametrize(
    ("tensors", "state"),
    [
        ({MOMENT: torch.full((16, 8), float("nan"))}, {}),
        ({MOMENT: torch.zeros(1)}, {}),
        ({MOMENT: torch.zeros(160_000, 8)}, {}),
        ({MOMENT: torch.zeros(16, 8, dtype=torch.float64)}, {}),
        ({"optimizer.999.exp_avg": torch.zeros(2)}, {}),
        ({"optimizer.x.exp_avg": torch.zeros(2)}, {}),
        ({"elsewhere.x": torch.zeros(2)}, {}),
        ({"nothing": torch.zeros(2)}, {}),
        ({"random.cpu": torch.zeros(3, dtype=torch.uint8)}, {}),
        ({"random.cpu": torch.zeros(5056)}, {}),
        ({}, {"position": {"epoch": -1, "index": 0}}),
        ({}, {"position": {"epoch": 0, "index": -7}}),
        ({}, {"position": {"epoch": 0.5, "index": 0}}),
        ({}, {"position": {"epoch": 0}}),
        ({}, {"position": {"epoch": 0, "index": 0, "more": 1}}),
        ({}, {"position": None}),
        ({}, {"processes": 0}),
        ({}, {"processes": 1.5}),
        ({}, {"schedule": {"lowered": float("nan"), "since_best": 0}}),
        ({}, {"schedule": {"lowered": "much", "since_best": 0}}),
        ({}, {"schedule": {}}),
        ({}, {"progress": {"step": float("inf")}}),
        ({}, {"progress": {"stop": 1}}),
        ({}, {"progress": []}),
        ({}, {"a\nb": None}),
    ],
    ids=range(25),
)
def test_a_state_that_no_training_wrote_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, tensors: dict[str, Any], state: dict[str, Any]
) -> None:
    trainer = tiny_training.build(tmp_path)
    assert checkpoint.tensors[MOMENT].shape == (16, 8)
    trainer.load_checkpoint(checkpoint)
    forged = Checkpoint(checkpoint.step, checkpoint.weights, checkpoint.tensors | tensors, checkpoint.state | state)
    before = json.dumps(checkpoint.state)
    with pytest.raises(UserError, match="does not fit") as error:
        trainer.load_checkpoint(forged)
    assert "\n" not in str(error.value)
    assert json.dumps(checkpoint.state) == before
