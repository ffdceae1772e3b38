"""Integration test of the check of a device: a few steps of a tiny model on this CPU."""

import json
from pathlib import Path

import pytest
from command import call

pytestmark = pytest.mark.commands


def test_the_check_of_the_cpu_writes_its_tables(tmp_path: Path) -> None:
    sizes = ("phrasebook_steps=4", "batch_size=8", "hidden_size=16", "decode_batches=[1,8]", "decode_seconds=0")
    given = ("data=phrasebook", "output=check", "threads=1", *sizes)
    printed, _ = call("device_check", *given, cwd=tmp_path)
    check = json.loads((tmp_path / "check" / "device_check.json").read_text())
    assert printed == (tmp_path / "check" / "device_check.md").read_text()
    assert [row["precision"] for row in check["training"]] == ["float32", "bfloat16"]
    assert check["instructions"]["all"]["kernels"]
    assert not check["failures"]
    _, error = call("device_check", *given, cwd=tmp_path, code=2)
    assert "output=check exists already" in error
