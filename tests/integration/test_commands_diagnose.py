"""Integration tests of the diagnose command on barely trained models."""

import json
import shutil
from pathlib import Path

import pytest
from command import SMALL, call

pytestmark = pytest.mark.commands

SENTENCE = "Where is it, the key: {here}, $5, or 'there'?"
CORPUS = ("data.phrasebook.train=600", "data.phrasebook.valid=80", "data.phrasebook.test=20", "machine.threads=1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diagnose") / "run"
    call("train", *SMALL, "train.max_steps=20", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_attention_of_a_sentence_of_any_signs(run: Path, tmp_path: Path) -> None:
    args = (f"run={run}", f"sentence={SENTENCE}", "search.n_best=2", f"ensemble=[{run}]")
    output, _ = call("diagnose", "attention", *args, "output=shown", cwd=tmp_path)
    assert output.count("attention, in percent") == 2
    assert output.endswith("shown\n")
    assert files(tmp_path / "shown") == ["attention.json", "attention_1.png", "attention_2.png"]
    record = json.loads((tmp_path / "shown" / "attention.json").read_text())
    assert record["sentence"] == SENTENCE
    for translation in record["translations"]:
        assert all(abs(sum(row) - 1) < 1e-4 for row in translation["attention"]["weights"])
    _, error = call("diagnose", "attention", *args, "output=shown", cwd=tmp_path, code=2)
    assert error == "nmt: output=shown exists already; choose another name or delete it\n"


@pytest.mark.parametrize("side", ["encoder", "encoder_backward", "decoder"])
def test_gates(run: Path, tmp_path: Path, side: str) -> None:
    output, _ = call("diagnose", "gates", f"run={run}", f"sentence={SENTENCE}", f"side={side}", cwd=tmp_path)
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("gates_")
    assert output.endswith(f"{folder.relative_to(tmp_path)}\n")
    assert files(folder) == ["gates.json", "gates.png"]
    record = json.loads((folder / "gates.json").read_text())
    assert {len(values) for values in record["gates"].values()} == {len(record["pieces"])}
    assert record["largest_difference_of_logits"] < 1e-5


def test_calibration_is_stored_with_the_run_and_used(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    output, _ = call("diagnose", "calibration", f"run={copy}", "output=shown", cwd=tmp_path)
    assert "expected calibration error" in output
    assert files(tmp_path / "shown") == ["calibration.json", "calibration.png"]
    assert (copy / "calibration.json").is_file()
    line, _ = call("translate", f"run={copy}", "output_format=jsonl", cwd=tmp_path, given="The bread is fresh.\n")
    row = json.loads(line)
    assert len(row["word_confidence"]) == len(row["word_probability"]) == len(row["words"])
    _, error = call("diagnose", "calibration", f"run={copy}", "output=again", cwd=tmp_path, code=2)
    assert "calibration.json exists already; delete it" in error


def test_gradients(run: Path, tmp_path: Path) -> None:
    args = ("distance=6", "steps=3", "cells=[rnn,lstm]", "scales=[1]", f"run={run}", "data.tokenizer.vocab_size=300")
    output, _ = call("diagnose", "gradients", *CORPUS, *args, "output=shown", cwd=tmp_path)
    assert files(tmp_path / "shown") == ["gradients.json", "gradients.png"]
    record = json.loads((tmp_path / "shown" / "gradients.json").read_text())
    assert list(record["models"]) == ["new, recurrent matrix times 1", "trained: run"]
    for decays in record["models"].values():
        assert all(len(decay["hidden"]) == 7 for decay in decays.values())
    assert len(record["training"]["clipped"]["norms"]) == 3
    assert "clipped: largest norm" in output


def test_memory_trains_once_and_then_compares(tmp_path: Path) -> None:
    small = (*CORPUS, "data.tokenizer.vocab_size=300", "model.embed_size=16", "model.hidden_size=16")
    args = ("memory", *small, "cells=[gru]", "steps=6", "sentences=3", "trainings=trained")
    output, error = call("diagnose", *args, "output=shown", cwd=tmp_path)
    assert "2 trainings of 6 steps: at most about " in error
    assert output.endswith("shown\n")
    assert files(tmp_path / "shown") == ["memory.json", "memory.png"]
    record = json.loads((tmp_path / "shown" / "memory.json").read_text())
    assert list(record["accuracy"]) == ["gru without attention", "gru with attention"]
    assert {value["of"] for values in record["accuracy"].values() for value in values} == {3}
    runs = files(tmp_path / "trained")
    assert len(runs) == 2
    _, error = call("diagnose", *args, "output=again", cwd=tmp_path)
    assert "trainings of" not in error
    given = ",".join(str(tmp_path / "trained" / name) for name in runs)
    call("diagnose", "memory", f"runs=[{given}]", "sentences=3", "output=given", "machine.threads=1", cwd=tmp_path)
    accuracy = json.loads((tmp_path / "given" / "memory.json").read_text())["accuracy"]
    assert sorted(map(str, accuracy.values())) == sorted(map(str, record["accuracy"].values()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("attention", "sentence=The key."), "run is missing; attention needs one: run=..."),
        (("gates", "run=nowhere", "sentence=The key."), "run=nowhere does not exist"),
        (("colours",), "configuration key task: "),
        (("gradients", "scales=[0]"), "scales is [0.0]; allowed: numbers above 0, up to 100"),
        (("gradients", "optim.clip_norm=0"), "optim.clip_norm is 0, which disables clipping"),
        (("memory", "model.decoder.attention=null"), "model.decoder.attention is null, but memory compares models"),
        (("memory", "data.phrasebook.depth=0"), "data.phrasebook.depth is 0, which gives no nested"),
        (("memory", "data.src_lang=de", "data.tgt_lang=en"), "data is not the phrasebook with German as target"),
        (("memory", "run=nowhere"), "run=nowhere does not exist"),
        (("memory", "runs=[nowhere]"), "run=nowhere does not exist"),
        (("memory", "sentnces=3"), "unknown configuration key sentnces; did you mean sentences?"),
        ((), "the task is missing; give one as the first word: gradients, memory"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    output, error = call("diagnose", *arguments, cwd=tmp_path, code=2)
    assert output == ""
    assert error.startswith("nmt: ")
    assert error.count("\n") == 1
    assert said in error
    assert not list(tmp_path.iterdir())


def test_a_run_that_has_not_what_is_asked_for(run: Path, tmp_path: Path) -> None:
    args = (f"run={run}", "sentence=The key.")
    _, error = call("diagnose", "gates", *args, "layer=3", cwd=tmp_path, code=2)
    assert "side=encoder layer=3: the model has 1 layer(s) on this side" in error
    assert not list(tmp_path.iterdir())
