"""The Python API against the commands, and the code of docs/api.md, run in order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, SMALL, assert_same_run, call, refused

import nmt
from nmt.config import CELLS

pytestmark = pytest.mark.commands

SECTIONS = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").split("\n## ")
SCRIPT = "Parts of your own in the commands"


def blocks(section: str) -> list[str]:
    """Return the indented blocks of a section, without their indentation."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section + "\n", re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n" for block in found]


@pytest.fixture
def no_cells() -> None:
    CELLS.registered.clear()


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_cells: None) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    count = 0
    for section in SECTIONS:
        for block in blocks(section) if not section.startswith(SCRIPT) else []:
            exec(compile(block, section.partition("\n")[0], "exec"), names)
            count += 1
    assert count >= 9
    assert (tmp_path / "attention.png").stat().st_size > 1000
    for run in ("first", "second", "coupled", "words"):
        assert nmt.load(f"runs/{run}").step > 0
    assert re.search("^    cell: coupled_lstm$", Path("runs/coupled/config.yaml").read_text("utf-8"), re.MULTILINE)
    error = refused("translate", "run=runs/words", cwd=tmp_path)
    assert "model.encoder.kind is words; allowed: recurrent, transformer, convolutional" in error
    assert "import the module that calls nmt.register_encoder('words', ...)" in error
    error = refused("translate", "run=runs/coupled", cwd=tmp_path)
    assert "model.encoder.cell is 'coupled_lstm', which is neither built in" in error
    assert "import the module that calls nmt.register_cell('coupled_lstm', ...)" in error


def test_the_script_of_the_page_trains_a_registered_cell_from_the_command_line(tmp_path: Path) -> None:
    (section,) = [section for section in SECTIONS if section.startswith(SCRIPT)]
    (own,) = [section for section in SECTIONS if section.startswith("Parts of your own\n")]
    module = blocks(own)[0].partition("nmt.register_cell")[0]
    (tmp_path / "coupled.py").write_text(module, encoding="utf-8")
    (tmp_path / "train_coupled.py").write_text(blocks(section)[0], encoding="utf-8")
    overrides = [*SMALL, "train.max_steps=4", "model.encoder.cell=coupled_lstm", "hydra.run.dir=run"]
    script = subprocess.run(
        [sys.executable, "train_coupled.py", *overrides],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert script.returncode == 0, script.stderr
    assert script.stdout.strip().split("\n")[-1] == str(tmp_path / "run")
    assert "cell: coupled_lstm" in (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")


def test_a_training_from_python_is_that_of_the_command(tmp_path: Path) -> None:
    overrides = [*SMALL, "train.max_steps=20", "search.beam_size=2"]
    call("train", *overrides, "hydra.run.dir=command", cwd=tmp_path)
    experiment, *others = overrides
    run = nmt.train(experiment.partition("=")[2], [*others, f"hydra.run.dir={tmp_path / 'api'}"])
    assert_same_run(run.path, tmp_path / "command")
    for name in ("config.yaml", "scores/test.hyp"):
        assert (run.path / name).read_bytes() == (tmp_path / "command" / name).read_bytes()
