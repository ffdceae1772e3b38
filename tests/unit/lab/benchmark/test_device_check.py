"""The check of a device, on tiny models: what it compares, what it leaves out, and when it fails."""

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from nmt.cli import device_check
from nmt.config import DataConfig, DeviceCheckConfig, PhrasebookConfig, TokenizerConfig
from nmt.config.data import DownloadConfig
from nmt.lab.benchmark.device import TimeBudget, TrainedSteps, loss_difference, share_of_equal
from nmt.lab.benchmark.instructions import kernels_in

LOG = [
    "onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with AMX",
    "onednn_verbose,v1,primitive,exec,cpu,matmul,brg_matmul:avx10_1_512_amx,undef,src:bf16::blocked:ab::f0,,,8x8,0.1",
    "onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::blocked:ab::f0,,,8x8,0.1",
]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A small corpus, no large products, and one network address that does not answer."""
    corpus = DataConfig(
        name="phrasebook",
        phrasebook=PhrasebookConfig(train=150, valid=4, test=6),
        tokenizer=TokenizerConfig(vocab_size=150),
        cache=str(tmp_path_factory.mktemp("cache")),
    )
    monkeypatch.setattr(device_check, "PHRASEBOOK", corpus)
    monkeypatch.setattr(device_check, "matmul_peak", lambda dtype: 1e12)
    monkeypatch.setattr(device_check, "int8_peak", lambda: 2e12)
    peaks = {"float32": 1e12, "bfloat16": 2e12, "int8": 3e12}
    monkeypatch.setattr(device_check, "probe", lambda isa: {"peaks": peaks, "isa": str(isa), "kernels": ["one"]})


def run_check(folder: Path, **changes: Any) -> dict[str, Any]:
    settings = {"phrasebook_steps": 3, "steps": 3, "batch_size": 8, "hidden_size": 8, "beam_size": 1}
    settings |= {"decode_batches": [1, 4], "decode_seconds": 0, "threads": 1, "minutes": 5}
    settings |= {"data": DataConfig(phrasebook=PhrasebookConfig())}
    device_check.command(OmegaConf.structured(DeviceCheckConfig(output=str(folder / "out"), **settings | changes)))
    record: dict[str, Any] = json.loads((folder / "out" / "device_check.json").read_text())
    return record


def test_a_check_has_all_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = run_check(tmp_path)
    assert [(row["precision"], row["steps"]) for row in check["training"]] == [("float32", 3), ("bfloat16", 3)]
    assert check["training"][0]["difference"] is None
    assert 0 <= check["training"][1]["difference"] < 0.05
    assert check["training"][1]["versus"] == "cpu float32"
    rows = [(row["precision"], row["batch"]) for row in check["decoding"]]
    assert rows[:4] == [("float32", 1), ("float32", 4), ("bfloat16", 1), ("bfloat16", 4)]
    assert check["decoding"][0]["equal_to_float32"] == 1
    assert all(row["sentences_per_second"] > 0 for row in check["decoding"])
    assert check["failures"] == []
    table = capsys.readouterr().out
    assert table == (tmp_path / "out" / "device_check.md").read_text()
    assert "| ratio of all to without AMX | 1.00 | 1.00 | 1.00 |" in table
    assert "All comparisons are within the bound." in table


def test_parts_after_the_time_are_left_out_with_a_note(tmp_path: Path) -> None:
    check = run_check(tmp_path, minutes=0)
    assert not check["training"]
    assert any("training and decoding of phrasebook: left out" in note for note in check["notes"])
    budget = TimeBudget(1, iter([0.0, 59.0, 60.0]).__next__)
    assert [budget.used_up, budget.used_up] == [False, True]


def test_a_corpus_that_cannot_be_had_is_left_out_with_a_note(tmp_path: Path) -> None:
    data = DataConfig(name="absent", mirror=str(tmp_path / "mirror"), cache=str(tmp_path / "cache"))
    data.download = DownloadConfig("https://example.invalid", {"a.en": "0" * 64, "a.de": "0" * 64})
    for split in (data.train, data.valid, data.test):
        split.src, split.tgt = ["a.en"], ["a.de"]
    check = run_check(tmp_path, data=data)
    assert {row["corpus"] for row in check["training"]} == {"phrasebook"}
    assert any(note.startswith("absent: left out, because its files cannot be had") for note in check["notes"])


def test_losses_that_differ_more_than_the_bound_exit_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = device_check.train_steps

    def worse(*given: Any) -> Any:
        trainer, trained = steps(*given)
        factor = 1.2 if trained.precision == "bfloat16" else 1
        losses = [factor * loss for loss in trained.losses]
        return trainer, TrainedSteps(trained.device, trained.precision, losses, trained.tokens_per_second)

    monkeypatch.setattr(device_check, "train_steps", worse)
    with pytest.raises(SystemExit) as error:
        run_check(tmp_path)
    assert error.value.code == 1
    check = json.loads((tmp_path / "out" / "device_check.json").read_text())
    assert "differ by 20" in check["failures"][0] or "differ by 19" in check["failures"][0]
    assert "**Failed: " in (tmp_path / "out" / "device_check.md").read_text()


def test_losses_are_compared_over_the_last_common_steps() -> None:
    assert loss_difference([9.0] * 8 + [1.0, 3.0], [5.0] * 8 + [2.0, 2.0, 7.0]) == 0
    assert loss_difference([3.0], [2.0, 2.0]) == 0.5
    assert share_of_equal(["a", "b"], ["a", "c"]) == 0.5


def test_the_kernels_are_read_from_the_log_of_onednn() -> None:
    found = kernels_in(LOG)
    assert found == {"isa": "Intel AVX-512 with AMX", "kernels": ["bf16 brg_matmul:avx10_1_512_amx"]}
