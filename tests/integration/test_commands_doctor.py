"""Integration tests of the doctor command: exit codes, output and files."""

import json
from pathlib import Path

import pytest
from command import call, refused
from damaged_corpus import TRAIN, config

pytestmark = pytest.mark.commands


def arguments(folder: Path) -> tuple[str, ...]:
    root, size = f"data.root={folder}", "data.tokenizer.vocab_size=300"
    return "data=files", root, "data.src_lang=en", "data.tgt_lang=de", size, "overfit_steps=0", "machine.threads=1"


def test_exit_codes_and_files(tmp_path: Path) -> None:
    config(tmp_path)
    output, _ = call("doctor", *arguments(tmp_path), cwd=tmp_path)
    assert "28 ok, 0 look, 0 bad" in output
    config(tmp_path, [(tgt, src) for src, tgt in TRAIN])
    output, _ = call("doctor", *arguments(tmp_path), "output=found", cwd=tmp_path, code=1)
    assert "swap src and tgt of data.train" in output
    saved = json.loads((tmp_path / "found" / "doctor.json").read_text(encoding="utf-8"))
    assert "swapped sides" in [entry["check"] for entry in saved["findings"] if entry["verdict"] == "bad"]
    assert "| swapped sides | bad |" in (tmp_path / "found" / "doctor.md").read_text(encoding="utf-8")
    assert "output=found" in refused("doctor", *arguments(tmp_path), "output=found", cwd=tmp_path)
    (tmp_path / "valid.de").unlink()
    assert "valid.de" in refused("doctor", *arguments(tmp_path), cwd=tmp_path)
