"""Examples of docs/adding.md, added to a copy of the code and run through the tests of every member."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shapes import RECURRENT_DECODERS

from nmt.config import ENCODERS, AttentionKind, CellKind

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
MEMBERS = [*CellKind, *RECURRENT_DECODERS, *(path.stem for path in ROOT.glob("conf/model/*20??.yaml"))]


def examples(section: str) -> list[str]:
    """Return the indented blocks of a section, without their indentation."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n" for block in blocks]


def put_before(path: Path, mark: str, block: str, indent: int = 0) -> None:
    """Insert a block, indented, before the first line of a file that begins with the mark."""
    text = path.read_text(encoding="utf-8")
    at = text.index(f"\n{' ' * indent}{mark}") + 1
    lines = "".join(" " * indent + line if line.strip() else line for line in re.findall(".*\n", block))
    path.write_text(text[:at] + lines + text[at:], encoding="utf-8")


@pytest.mark.commands
def test_the_examples_of_a_cell_an_attention_and_a_decoder_pass_the_tests_of_every_member(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "nmt", tmp_path / "nmt", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").mkdir()
    for name in ("helpers/family.py", "helpers/shapes.py", "unit/models/test_family.py", "unit/models/test_cells.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests")
    models, config = tmp_path / "nmt" / "models", tmp_path / "nmt" / "config"

    name, definition, choice, test = examples("Adding a cell")
    put_before(config / "side.py", "lstm =", name, indent=4)
    put_before(models / "layers" / "cells.py", "def cell_type", definition + "\n\n")
    put_before(models / "layers" / "cells.py", "case CellKind.lstm", choice, indent=8)
    with (tmp_path / "tests" / "test_cells.py").open("a", encoding="utf-8") as file:
        file.write("\n\n" + test)
    name, definition, choice = examples("Adding an attention")
    put_before(config / "decoder.py", "additive =", name, indent=4)
    put_before(models / "attention.py", "def build_attention", definition + "\n\n")
    put_before(models / "attention.py", "case AttentionKind.additive", choice, indent=8)
    keys, kind, definition, import_line, choice = examples("Adding a decoder")
    put_before(config / "decoder.py", "@dataclass\nclass TransformerDecoderConfig", keys + "\n\n")
    put_before(config / "decoder.py", '"gnmt":', kind, indent=4)
    decoders = models / "decoders"
    (decoders / "context_gate.py").write_text(definition, encoding="utf-8")
    put_before(decoders / "__init__.py", "from nmt.models.decoders.convolutional", import_line)
    put_before(decoders / "__init__.py", '"gnmt":', choice, indent=4)

    short = "coupled or ((cosine or context_gate) and (in_a_row or alone or finite_differences))"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "tests", "-k", short],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    passed = [line for line in run.stdout.split("\n") if "PASSED" in line]
    counts = {word: sum(word in line for line in passed) for word in ("coupled", "cosine", "context_gate")}
    # MEMBERS has two lists over Cell, one over AttentionKind and nine over the decoders (three tests each).
    assert counts == {"coupled": 22, "cosine": 3, "context_gate": 27}


@pytest.mark.parametrize("word", MEMBERS)
def test_a_table_of_the_models_names_every_member(word: str) -> None:
    pages = [ROOT / "docs" / name for name in ("models.md", "recurrences.md", "decoders.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert re.search(rf"^\| `{word}`", text, re.MULTILINE)


@pytest.mark.parametrize("word", [*AttentionKind, *ENCODERS])
def test_the_table_of_attentions_names_every_attention_and_kind_of_encoder(word: str) -> None:
    page = (ROOT / "docs" / "attention.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{word}`", page, re.MULTILINE)
