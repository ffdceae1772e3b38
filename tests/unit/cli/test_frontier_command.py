"""The command `frontier` on an untrained run and its export: files, scores as those of `evaluate`, and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from exported import export
from omegaconf import OmegaConf
from shapes import model_config

from nmt.cli.frontier import command
from nmt.config import (
    Config,
    DataConfig,
    FrontierConfig,
    FrontierPoint,
    PhrasebookConfig,
    Precision,
    SearchConfig,
    TokenizerConfig,
)
from nmt.data import prepare
from nmt.decoding import load_translator
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, score_translations
from nmt.models import Vocabulary, build_model
from nmt.run import Checkpoint, RunDirectory, save_checkpoint

SEARCH = SearchConfig(max_length_ratio=0.0, max_length_offset=6)
PEER = {"peer": "one", "stage": "decode", "beam": 5, "batch": 64, "n": 6, "decode_s": 0.1, "out_pieces": 90, "bleu": 3}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    corpus = PhrasebookConfig(train=150, valid=4, test=6)
    cache = tmp_path_factory.mktemp("cache")
    return DataConfig(phrasebook=corpus, tokenizer=TokenizerConfig(vocab_size=150), cache=str(cache))


@pytest.fixture(scope="module")
def run(data: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run of an untrained model."""
    config = Config(data=data, model=model_config(embed_size=8, hidden_size=8), search=SEARCH)
    run = RunDirectory(tmp_path_factory.mktemp("frontier") / "run")
    run.create(config, prepare(data))
    torch.manual_seed(1)
    size = run.tokenizer("src").size
    model = build_model(config.model, Vocabulary(size, size))
    save_checkpoint(run.checkpoints, Checkpoint(1, dict(model.named_parameters()), run=run.identity), ["best"])
    return run


@pytest.fixture(scope="module")
def exported(run: RunDirectory) -> Path:
    folder = run.path.parent / "exported"
    export(load_translator(run, "best", SEARCH, torch.device("cpu"))[0], folder)
    return folder


def draw(output: Path, points: list[FrontierPoint], data: DataConfig, **settings: Any) -> None:
    command(OmegaConf.structured(FrontierConfig(str(output), points, data=data, threads=1, repeats=1, **settings)))


def test_a_run_and_its_export_are_measured_scored_and_drawn(
    run: RunDirectory, exported: Path, data: DataConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [
        FrontierPoint("LSTM", str(run.path)),
        FrontierPoint("shortlist", str(run.path), shortlist=64),
        FrontierPoint("ONNX", str(exported), Precision.auto),
    ]
    (tmp_path / "measurements.jsonl").write_text(json.dumps(PEER) + "\n", encoding="utf-8")
    draw(tmp_path / "new" / "folder", points, data, peers=str(tmp_path))
    files = {path.name: path for path in (tmp_path / "new" / "folder").iterdir()}
    assert sorted(files) == ["frontier.json", "frontier.md", "frontier.png"]
    record = json.loads(files["frontier.json"].read_text(encoding="utf-8"))
    settings = [(point["label"], point["precision"], point["shortlist"]) for point in record["points"]]
    assert settings == [("LSTM", "float32", None), ("shortlist", "float32", 64), ("ONNX", "float32", None)]
    assert record["made_by"]["threads"] == 1
    assert [peer["label"] for peer in record["peers"]["points"]] == ["one"]
    assert files["frontier.png"].read_bytes().startswith(b"\x89PNG")
    output = capsys.readouterr().out
    assert all(point["sentences_per_second"] > 0 and point["label"] in output for point in record["points"])
    for point, shortlist in ((record["points"][0], None), (record["points"][1], 64)):
        search = SearchConfig(max_length_ratio=0.0, max_length_offset=6, shortlist=shortlist)
        translator, step = load_translator(run, "best", search, torch.device("cpu"))
        scores = score_translations(EvaluationSet.of_run(run, "test"), translator, step, run.config()).scores
        assert point["bleu"] == json.loads(json.dumps(scores["bleu"].record()))


def test_the_validation_set_of_an_export_is_that_of_the_corpus(run: RunDirectory, data: DataConfig) -> None:
    assert EvaluationSet.of_corpus(data, "valid") == EvaluationSet.of_run(run, "valid")
    with pytest.raises(UserError, match="the corpus corpus has no test set 'talks'"):
        EvaluationSet.of_corpus(data, "talks")
    with pytest.raises(UserError, match="has no train set; it has: valid, test"):
        EvaluationSet.of_corpus(data, "train")


def test_points_that_cannot_be_measured_are_named(
    run: RunDirectory, exported: Path, data: DataConfig, tmp_path: Path
) -> None:
    good = FrontierPoint("LSTM", str(run.path))
    for point, message in (
        (FrontierPoint("GRU", "nowhere"), "points: GRU: run=nowhere does not exist"),
        (
            FrontierPoint("ONNX", str(exported), Precision.bfloat16),
            f"points: ONNX: precision is bfloat16, but {exported} was exported in float32; use auto or float32",
        ),
        (FrontierPoint("ONNX", str(exported), shortlist=64), "points: ONNX: .*search.shortlist"),
    ):
        with pytest.raises(UserError, match=message) as raised:
            draw(tmp_path / "folder", [good, point], data)
        assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match=r"points has the label 'LSTM' twice"):
        draw(tmp_path / "folder", [good, good], data)
    with pytest.raises(UserError, match=f"output={tmp_path} exists already"):
        draw(tmp_path, [good], data)
    with pytest.raises(UserError, match=r"has no measurements\.jsonl"):
        draw(tmp_path / "folder", [good], data, peers=str(tmp_path))
    assert not (tmp_path / "folder").exists()


def test_peers_without_bleu_are_reported_and_not_drawn(
    run: RunDirectory, data: DataConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "measurements.jsonl").write_text(json.dumps(PEER | {"bleu": None}) + "\n", encoding="utf-8")
    draw(tmp_path / "folder", [FrontierPoint("LSTM", str(run.path))], data, peers=str(tmp_path), split="valid")
    assert "has no decoding with beam 5 with the keys bleu and n" in caplog.text
    record = json.loads((tmp_path / "folder" / "frontier.json").read_text(encoding="utf-8"))
    assert (record["peers"]["points"], record["test_set"]["name"]) == ([], "valid")
