"""Run directories: complete for use elsewhere, and refused in one line if damaged."""

import json
import mmap
import os
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from shapes import model_config

import nmt
from nmt.config import Config, DataConfig, PhrasebookConfig, TokenizerConfig
from nmt.data import Prepared, prepare
from nmt.errors import UserError
from nmt.run import RunDirectory, forget_peak_memory, newest_unfinished, peak_memory, provenance


def config(cache: Path) -> Config:
    corpus = PhrasebookConfig(train=150, valid=5, test=7)
    data = DataConfig(phrasebook=corpus, cache=str(cache), tokenizer=TokenizerConfig(vocab_size=150))
    return Config(data=data, model=model_config(hidden_size=16), seed=42)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(config(tmp_path_factory.mktemp("cache")).data)


@pytest.fixture
def run(tmp_path: Path, prepared: Prepared) -> RunDirectory:
    """Return a run that was only created."""
    made = RunDirectory(tmp_path / "run")
    made.create(config(tmp_path / "cache"), prepared)
    return made


def assert_refused(path: Path, *parts: str) -> None:
    """Check that opening the run and reading its configuration fails with one line that has these parts."""
    with pytest.raises(UserError) as error:
        RunDirectory.open(str(path)).config()
    assert_one_line(error.value, *parts)


def assert_one_line(error: UserError, *parts: str) -> None:
    assert "\n" not in str(error)
    for part in parts:
        assert part in str(error)


def test_a_created_run_gives_back_its_configuration(run: RunDirectory, tmp_path: Path) -> None:
    opened = RunDirectory.open(str(run.path))
    assert opened.config() == config(tmp_path / "cache")
    assert opened.config({"seed": 7, "optim.learning_rate": 0.5}).seed == 7
    assert opened.config({"optim.learning_rate": 0.5}).optim.learning_rate == 0.5


def test_changed_settings_hold_and_the_first_ones_are_kept(run: RunDirectory, tmp_path: Path) -> None:
    run.finish()
    run.take_up({"train.max_steps": 9000, "optim.betas": [0.8, 0.9], "train.scheduled_sampling": None})
    opened = RunDirectory.open(str(run.path))
    assert not opened.finished
    assert (opened.config().train.max_steps, opened.config().optim.betas) == (9000, [0.8, 0.9])
    assert opened.config({"train.max_steps": 9}).train.max_steps == 9
    assert opened.first_config() == config(tmp_path / "cache")
    opened.take_up({})
    assert opened.config() == config(tmp_path / "cache")


@pytest.mark.parametrize(
    "changed",
    [
        {"data.root": "/"},
        {"tracking.mode": "online"},
        {"seed": 3},
        {"train.init_from": "${oc.env:HOME}"},
        {"train.max_steps": {"a": 1}},
        {"train.max_steps": [[1]]},
        {"train.max_steps": 10**400},
        [],
    ],
)
def test_changes_that_no_continuation_writes_are_refused(run: RunDirectory, changed: object) -> None:
    run.write_record(run.record() | {"changed": changed})
    assert_refused(run.path, "run.json is damaged")


def test_a_change_of_the_wrong_kind_is_refused(run: RunDirectory) -> None:
    run.write_record(run.record() | {"changed": {"train.max_steps": "many"}})
    assert_refused(run.path, "train.max_steps")


def test_a_run_without_best_has_its_last_checkpoint(run: RunDirectory) -> None:
    assert run.checkpoint_link("best") == "best"  # there is no record
    run.folder("checkpoints")
    (run.checkpoints / "last").symlink_to("step-00000005")
    assert [run.checkpoint_link(name) for name in ("best", "last", "average:2")] == ["last", "last", "average:2"]
    (run.checkpoints / "best").symlink_to("step-00000004")  # a damaged file differs from a missing one
    assert run.checkpoint_link("best") == "best"


def test_a_created_run_has_text_and_tokenizers_of_its_own(
    run: RunDirectory, prepared: Prepared, tmp_path: Path
) -> None:
    moved = RunDirectory(tmp_path / "elsewhere")
    shutil.move(run.path, moved.path)
    for split, size in (("valid", 5), ("test", 7)):
        assert moved.has_split(split)
        src, tgt = moved.text(split)
        assert (len(src), len(tgt)) == (size, size)
        assert "".join(f"{line}\n" for line in src) == Path(f"{prepared.text(split)}.src").read_text(encoding="utf-8")
        assert "".join(f"{line}\n" for line in tgt) == Path(f"{prepared.text(split)}.tgt").read_text(encoding="utf-8")
    for side in ("src", "tgt"):
        assert moved.tokenizer(side).model == prepared.tokenizer(side).model


def test_the_record_keeps_every_start_and_the_end(run: RunDirectory) -> None:
    assert not run.finished
    run.add_start({"commit": "a", "name": "Grüße"})
    run.add_start({"commit": "b"})
    run.finish()
    record = RunDirectory.open(str(run.path)).record()
    assert record["starts"] == [{"commit": "a", "name": "Grüße"}, {"commit": "b"}]
    assert record["finished"] is True
    assert RunDirectory.open(str(run.path)).finished


def test_the_cost_of_training_is_recorded_over_all_starts(run: RunDirectory) -> None:
    assert run.facts == {}
    run.add_facts(parameters=900, seconds=10.5, cpu_seconds=20.0, peak_memory_bytes=7_000)
    run.add_facts(parameters=900, seconds=31.0, cpu_seconds=60.0, peak_memory_bytes=5_000)
    actual = RunDirectory.open(str(run.path)).facts
    assert actual == {"parameters": 900, "seconds": 31.0, "cpu_seconds": 60.0, "peak_memory_bytes": 7_000}


def test_the_peak_of_memory_can_be_reset() -> None:
    with mmap.mmap(-1, 100_000_000) as block:  # memory that is returned at once; an allocator may keep it
        for _ in range(100):
            block.write(bytes(1_000_000))
        high = peak_memory()
    forget_peak_memory()
    assert 0 < peak_memory() <= high
    if sys.platform == "linux":
        assert peak_memory() < high - 50_000_000


def test_folders_are_created_on_demand(run: RunDirectory) -> None:
    assert not (run.path / "plots").exists()
    assert run.folder("plots") == run.folder("plots") == run.path / "plots"
    assert (run.path / "plots").is_dir()


def test_a_home_directory_may_be_given_by_its_sign(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(run.path.parent))
    assert RunDirectory.open("~/run").path == run.path


def test_a_missing_directory_a_file_and_a_foreign_folder_are_no_runs(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere", f"run={tmp_path / 'nowhere'}", "does not exist")
    (tmp_path / "file").write_text("")
    assert_refused(tmp_path / "file", f"run={tmp_path / 'file'}")
    assert_refused(tmp_path, f"run={tmp_path}", "not a run directory")


@pytest.mark.parametrize("name", ["config.yaml", "run.json"])
def test_a_run_without_configuration_or_record_is_incomplete(run: RunDirectory, name: str) -> None:
    (run.path / name).unlink()
    assert not run.exists
    assert_refused(run.path, str(run.path), "not a run directory")


def test_creation_that_broke_off_leaves_no_run(
    tmp_path: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(OSError, match="No space"):
        RunDirectory(tmp_path / "run").create(config(tmp_path), prepared)
    assert not RunDirectory(tmp_path / "run").exists


@pytest.mark.parametrize("version", [2, 0, "1.0", None])
def test_a_run_of_another_format_is_refused(run: RunDirectory, version: object) -> None:
    run.write_record({"format": version, "starts": []})
    assert_refused(run.path, str(run.path), f"format {version}", "reads 1")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"null", b'"format"', b"{}", b"\xff\xfe", b'{"format": 1}', b'{"format": 1, "starts": 3}'],
)
def test_a_damaged_record_is_refused(run: RunDirectory, content: bytes) -> None:
    run.record_path.write_bytes(content)
    assert_refused(run.path, str(run.record_path), "damaged")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b"\0", b"seed: [", b"seed: many\n", b"sead: 1\n", b"model: 3\n"],
)
def test_a_damaged_configuration_is_refused(run: RunDirectory, content: bytes) -> None:
    run.config_path.write_bytes(content)
    assert_refused(run.path, str(run.config_path))


def test_every_truncation_of_the_record_is_refused(run: RunDirectory) -> None:
    run.add_start({"commit": "a"})
    whole = run.record_path.read_bytes()
    for size in range(len(whole)):
        run.record_path.write_bytes(whole[:size])
        assert_refused(run.path, str(run.record_path))


@pytest.mark.parametrize("name", ["config.yaml", "run.json"])
def test_random_damage_gives_a_run_or_one_line_that_names_the_file(run: RunDirectory, name: str) -> None:
    file = run.path / name
    whole = file.read_bytes()
    refused = 0
    for seed in range(40):
        random_source = random.Random(seed)
        content = bytearray(whole)
        start = random_source.randrange(len(content))
        content[start : start + random_source.choice([1, 8, 300])] = random_source.randbytes(
            random_source.choice([1, 8])
        )
        file.write_bytes(content)
        try:
            opened = RunDirectory.open(str(run.path))
            opened.config()
            opened.add_start({})
        except UserError as error:
            refused += 1
            assert_one_line(error, str(run.path))
    assert refused > 25


@pytest.mark.parametrize("side", ["src", "tgt"])
@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_a_missing_or_damaged_tokenizer_is_named(run: RunDirectory, side: str, content: bytes | None) -> None:
    file = run.path / "tokenizer" / f"{side}.model"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(UserError) as error:
        run.tokenizer(side)
    assert_one_line(error.value, str(file))


def test_a_split_that_the_run_has_not_is_named_with_the_remedy(run: RunDirectory) -> None:
    (run.path / "data" / "test.src").unlink()
    assert not run.has_split("test")
    with pytest.raises(UserError, match="no test set; give your own files by src=FILE ref=FILE"):
        run.text("test")


def test_provenance_says_what_a_start_ran_on() -> None:
    actual = provenance(["seed=3"])
    assert json.loads(json.dumps(actual)) == actual
    assert actual["overrides"] == ["seed=3"]
    assert actual["nmt"] == nmt.__version__
    assert actual["libraries"]["torch"] == torch.__version__
    assert actual["threads"] == 1
    root = Path(nmt.__file__).parent.parent
    if (root / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        assert actual["commit"].rstrip("+") == head.stdout.strip()


def test_the_newest_unfinished_run_of_a_configuration_is_found(tmp_path: Path, prepared: Prepared) -> None:
    same, cache = config(tmp_path), tmp_path / "cache"
    slower = replace(same, optim=replace(same.optim, learning_rate=1e-4))
    for name, settings in (("1", same), ("2", same), ("3", same), ("4", slower), ("5", replace(same, seed=7))):
        RunDirectory(tmp_path / name).create(settings, prepared)
        os.utime(tmp_path / name / "run.json", ns=(0, int(name)))
    records = list(tmp_path.glob("*/run.json"))

    def actual(wanted: Config) -> str | None:
        run = newest_unfinished(records, wanted)
        return None if run is None else run.path.name

    elsewhere = replace(same.data, cache=str(cache), workers=3, shard_pairs=9)  # locations and ways of preparation
    moved = replace(same, data=elsewhere, train=replace(same.train, resume="auto"))
    assert (actual(same), actual(moved), actual(slower), actual(replace(same, seed=9))) == ("3", "3", "4", None)
    with RunDirectory(tmp_path / "3").locked():
        assert actual(same) == "2"
    assert actual(same) == "3"
    (tmp_path / "3" / "config.yaml").write_text("seed: 1\n")
    assert actual(same) == "2"
    RunDirectory(tmp_path / "2").finish()
    assert actual(same) == "1"


def test_a_run_is_locked_once(run: RunDirectory) -> None:
    with run.locked():
        assert run.in_use
        with pytest.raises(UserError, match="being trained by another process"), RunDirectory(run.path).locked():
            pass
    assert not run.in_use
