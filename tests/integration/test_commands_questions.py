"""Integration test of the questions command: two trainings, another search, the page, and no repeated work."""

import json
from pathlib import Path

import pytest
from command import SMALL, call

pytestmark = pytest.mark.commands


def test_two_trainings_become_a_page(tmp_path: Path) -> None:
    given = [word for word in SMALL if not word.startswith(("machine.", "tracking."))]
    rows = [
        {"label": "LSTM"},
        {"label": "greedy", "search": ["search=greedy"]},
        {"label": "GRU", "overrides": ["model/encoder=gru", "model.decoder.cell=gru"]},
        {"label": "too many pieces", "overrides": ["data.tokenizer.vocab_size=90000"]},
    ]
    part = {"name": "Words", "overrides": [*given, "train.max_steps=20"], "minutes": 0.1, "rows": rows}
    question = {"title": "Cells", "question": "Which?", "seeds": [1], "parts": [part]}
    (tmp_path / "questions").mkdir()
    (tmp_path / "questions" / "cells.yaml").write_text(json.dumps(question))
    command = ("folder=questions", "runs=runs", "page=docs/page.md", "jobs=2")
    listed, _ = call("questions", *command, "dry=true", cwd=tmp_path)
    assert listed.count("seed=1") == 3
    assert not (tmp_path / "runs").exists()
    _, error = call("questions", *command, cwd=tmp_path, code=2)
    assert "1 of the runs failed" in error.split("\n")[-2]
    page = (tmp_path / "docs" / "page.md").read_text()
    assert "2 of 3 trainings are done" in page
    assert "| too many pieces | " in page
    assert page.count("not measured yet") == 1
    runs = sorted((tmp_path / "runs").glob("*/run.json"))
    before = [path.read_bytes() for path in runs]
    assert len(before) == 2
    call("questions", *command, cwd=tmp_path, code=2)
    assert [path.read_bytes() for path in runs] == before
    assert (tmp_path / "docs" / "page.md").read_text() == page
    assert (tmp_path / "docs" / "pictures" / "questions" / "cells.png").is_file()
    files = sorted((tmp_path / "docs" / "measurements" / "questions").glob("*.json"))
    assert len(files) == 3
    assert not any(json.loads(path.read_text())["speed"] for path in files)
    call("questions", *command, "measure=true", cwd=tmp_path)
    assert [len(list(path.parent.glob("speed/*.json"))) for path in runs] in ([1, 2], [2, 1])
    measured = (tmp_path / "docs" / "page.md").read_text()
    assert measured != page
    assert all(json.loads(path.read_text())["speed"]["sentences_per_second"] > 0 for path in files)
    call("questions", *command, "measure=true", cwd=tmp_path)
    assert (tmp_path / "docs" / "page.md").read_text() == measured
