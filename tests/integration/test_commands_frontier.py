"""The frontier command: points in a file and on the command line, with a run and its export, and refused input."""

import json
from pathlib import Path

import pytest
from command import SMALL, call, refused

pytestmark = pytest.mark.commands
CORPUS = [word for word in SMALL if word.startswith(("data.phrasebook", "data.tokenizer"))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frontier") / "run"
    call("train", *SMALL, "train.max_steps=10", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


def test_points_of_a_file_are_drawn(run: Path, tmp_path: Path) -> None:
    call("export", f"run={run}", f"output={tmp_path / 'exported'}", cwd=tmp_path)
    (tmp_path / "frontier").mkdir()
    points = f"""# @package _global_
points:
  - {{label: "LSTM, beam 2", run: {run}, beam_size: 2}}
  - {{label: ONNX, run: exported, beam_size: 2}}
"""
    (tmp_path / "frontier" / "mine.yaml").write_text(points, encoding="utf-8")
    words = ["--config-dir", str(tmp_path), "+frontier=mine", "data=phrasebook", *CORPUS, "repeats=1", "threads=1"]
    output, log = call("frontier", *words, "output=found", cwd=tmp_path)
    assert output.startswith("test set, 20 sentences\n")
    assert "warm-up, LSTM, beam 2: sentences per second = " in log
    assert "repetition 1 of 1, ONNX: sentences per second = " in log
    record = json.loads((tmp_path / "found" / "frontier.json").read_text(encoding="utf-8"))
    one, other = record["points"]
    assert (one["label"], one["beam_size"], other["label"]) == ("LSTM, beam 2", 2, "ONNX")
    assert one["bleu"]["signature"] == other["bleu"]["signature"]
    assert one["bleu"]["score"] == pytest.approx(other["bleu"]["score"], abs=0.1)  # the hypotheses are close to ties
    assert (tmp_path / "found" / "frontier.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["output=new"], "points is empty"),
        (["points=[{label:A,run:RUN}]"], "output is missing"),
        (["points=[{label:A}]", "output=new"], "points[0].run"),
        (["points=[{label:A,run:nowhere}]", "output=new"], "points: A: run=nowhere does not exist"),
        (["points=[{label: A, run: RUN}, {label: A, run: RUN}]", "output=new"], "points has the label 'A' twice"),
        (["points=[{label:A,run:RUN,precison:int8}]", "output=new"], "Key 'precison' not in"),
        (["points=[{label:A,run:RUN}]", "output=."], "output=. exists already"),
        (
            ["points=[{label:A,run:RUN}]", "output=new", "split=talks"],
            "points: A: the corpus phrasebook has no test set",
        ),
    ],
)
def test_refusals_are_one_line(run: Path, tmp_path: Path, words: list[str], message: str) -> None:
    assert message in refused("frontier", *(word.replace("RUN", str(run)) for word in words), cwd=tmp_path)
    assert not (tmp_path / "new").exists()
