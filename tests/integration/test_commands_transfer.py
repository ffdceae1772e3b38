"""Integration test of transfer: a vocabulary extended for new text, frozen parts, pretrained embeddings."""

import json
import shutil
from pathlib import Path

import pytest
from command import SMALL, call, refused
from safetensors.torch import load_file
from torch import Tensor, equal

pytestmark = pytest.mark.commands

NEW_TEXT = ("data.phrasebook.depth=3", "data.phrasebook.seed=8", "data.tokenizer.vocab_size=220")
FREEZE = "train.freeze=[encoder,decoder.layers.*]"


def tensors(run: Path) -> dict[str, Tensor]:
    return load_file(run / "checkpoints" / "last" / "model.safetensors")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transfer")
    call("train", *SMALL, "train.max_steps=6", "hydra.run.dir=base", cwd=folder)
    return folder / "base"


def test_a_run_is_tuned_on_new_text_with_an_extended_vocabulary_and_frozen_parts(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base", symlinks=True)
    tuning = [*SMALL, *NEW_TEXT, FREEZE, "train.max_steps=6", "train.checkpoint_every=3", "train.keep_checkpoints=9"]
    extending = ["train.init_from=base", "train.init_vocabulary=extend"]
    line = refused("train", *tuning, "train.init_from=base", cwd=tmp_path)
    assert "vocab_size=220 has no effect" in line
    assert "train.init_vocabulary=extend or corpus" in line
    line = refused("train", *tuning, *extending, "train.freeze=[encoder,lexicon]", cwd=tmp_path)
    assert "train.freeze has 'lexicon'" in line
    line = refused("train", *tuning, *extending, "model.hidden_size=32", cwd=tmp_path)
    assert "add train.init_partial=true" in line
    _, error = call("train", *tuning, *extending, "hydra.run.dir=tuned", cwd=tmp_path)
    tuned = tmp_path / "tuned"
    record = json.loads((tuned / "run.json").read_text())["initial_weights"]["base"]
    assert record["pieces"]["src"]["new"] > 0 == record["pieces"]["src"]["dropped"]
    assert f"{record['pieces']['src']['new']} new pieces" in error
    assert "are frozen" in error
    before, after = tensors(base), tensors(tuned)
    assert len(after["output_weight"]) == len(before["output_weight"]) + record["pieces"]["tgt"]["new"]
    frozen = {name for name in after if name.startswith(("encoder.", "decoder.layers.")) and "embedding" not in name}
    assert frozen
    assert {name for name in after if before[name].shape == after[name].shape and equal(before[name], after[name])} == (
        frozen
    )
    shutil.rmtree(tmp_path / "base")
    shutil.copytree(tuned, tmp_path / "again", symlinks=True)
    call("train", "train.resume=again", "train.resume_step=3", cwd=tmp_path)
    again = tensors(tmp_path / "again")
    assert all(equal(again[name], after[name]) for name in after)
    states = (load_file(run / "checkpoints" / "last" / "state.safetensors") for run in (tuned, tmp_path / "again"))
    first, second = states
    assert first.keys() == second.keys()
    assert all(equal(first[name], second[name]) for name in first)
    output, _ = call("translate", "run=tuned", "search=greedy", cwd=tmp_path, given="the house\n")
    assert output.count("\n") == 1


def test_a_run_begins_with_pretrained_embeddings(base: Path, tmp_path: Path) -> None:
    pieces = tensors(base)["output_weight"]
    width = pieces.shape[1]
    numbers = " ".join(["0.25", "-0.5"] * (width // 2))
    (tmp_path / "vectors.vec").write_text(f"3 {width}\nthe {numbers}\nand {numbers}\nqqq {numbers}\n")
    file = "train.pretrained_embeddings.src.file=vectors.vec"
    word = "train.pretrained_embeddings.src.lookup=word"
    line = refused("train", *SMALL, file, word, "model.embed_size=2", cwd=tmp_path)
    assert f"has vectors of width {width}, but the source embeddings have 2; set model.embed_size={width}" in line
    once = ["train.max_steps=1", "train.freeze=[embeddings,output]", "hydra.run.dir=run"]
    _, error = call("train", *SMALL, *once, file, word, cwd=tmp_path)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())["initial_weights"]["src_embeddings"]
    assert facts["pieces"] > 0
    assert f"{100 * facts['share_of_text']:.1f} % of the training text" in error
    table = tensors(tmp_path / "run")["output_weight"]
    unit = table / table.norm(dim=1, keepdim=True)
    expected = table.new_tensor([0.25, -0.5]).repeat(width // 2)
    matches = (unit - expected / expected.norm()).abs().amax(dim=1) < 1e-5
    assert int(matches.sum()) == facts["pieces"]
