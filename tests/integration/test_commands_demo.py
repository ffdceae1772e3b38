"""Integration test of scripts/demo.py with a short training."""

import os
import pty
import re
import threading
from pathlib import Path

import pytest
from command import SMALL, start

pytestmark = pytest.mark.commands


def read_terminal(descriptor: int, output: list[bytes]) -> None:
    """Collect the output of a pseudo-terminal until its other end is closed."""
    while True:
        try:
            data = os.read(descriptor, 1 << 16)
        except OSError:
            return
        if not data:
            return
        output.append(data)


def test_the_demo_shows_its_progress_and_ends_with_sentences_scores_and_next_steps(tmp_path: Path) -> None:
    arguments = [word for word in SMALL if not word.startswith("experiment")]
    terminal, slave = pty.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=read_terminal, args=(terminal, shown))
    process = start("demo", *arguments, "train.max_steps=10", cwd=tmp_path, stderr=slave)
    os.close(slave)
    reader.start()
    output, _ = process.communicate("", timeout=900)
    reader.join()
    os.close(terminal)
    progress = b"".join(shown).decode()
    assert process.returncode == 0, progress
    assert re.search(r"training .*/10.* left ", progress)

    (run,) = (tmp_path / "runs").glob("demo_*")
    positions = [
        output.index(text) for text in ("source       ", "translation  ", "reference    ", "BLEU = ", "chrF = ")
    ]
    assert positions == sorted(positions)
    assert output.count("translation  ") == 5
    *_, title, report, translate, train = output.rstrip("\n").split("\n")
    assert title == "What to do next:"
    assert report.endswith(f"runs/{run.name}/report.html")
    assert translate.endswith(f"scripts/translate.py run=runs/{run.name}")
    assert train.endswith("scripts/train.py experiment=multi30k_en_de_fast")
    for name in ("report.html", "model_card.md", "plots/attention.png"):
        assert (run / name).is_file()
