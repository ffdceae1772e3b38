"""Integration tests of the recipes of docs/training.md: distillation, fine-tuning, ensembles, averaging."""

from pathlib import Path

import pytest
from command import SMALL, call, refused, weights

from nmt.phrasebook import splits

pytestmark = pytest.mark.commands

# Another corpus, with the shape of the model in SMALL.
FILES = (
    "data=files",
    "data.src_lang=en",
    "data.tgt_lang=de",
    "data.cleaning.drop_identical=false",
    "data.cleaning.max_ratio=1000",
    "model=lstm_small",
    *[given for given in SMALL if not given.startswith(("experiment", "data"))],
    "train.max_steps=10",
)
SHORT = ("search=greedy", "search.max_length_ratio=0", "search.max_length_offset=4")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Train two runs with different seeds and attention, with averaged weights."""
    folder = tmp_path_factory.mktemp("recipes")
    for seed, more in ((1, "train.ema_decay=0.9"), (2, "model.decoder.attention=dot")):
        run = f"hydra.run.dir={folder / str(seed)}"
        call("train", *SMALL, "train.max_steps=10", f"seed={seed}", more, "train.keep_checkpoints=2", run, cwd=folder)
    return [folder / "1", folder / "2"]


def test_runs_together_and_averages_score_beside_the_runs_own_scores(runs: list[Path], tmp_path: Path) -> None:
    before = (runs[0] / "scores" / "test.json").read_bytes()
    call("evaluate", f"run={runs[0]}", f"ensemble=[{runs[1]}]", *SHORT, cwd=tmp_path)
    assert (runs[0] / "scores" / "test.json").read_bytes() == before
    (record,) = (runs[0] / "scores").glob("test.ensemble.*.json")
    assert str(runs[1]) in record.read_text()
    call("evaluate", f"run={runs[0]}", "checkpoint=average:2", "split=valid", *SHORT, cwd=tmp_path)
    assert '"checkpoint": "average:2"' in (runs[0] / "scores" / "valid.json").read_text()
    assert "keep_checkpoints=3" in refused("evaluate", f"run={runs[0]}", "checkpoint=average:3", cwd=tmp_path)


def test_a_teacher_writes_a_corpus_that_a_student_trains_on(runs: list[Path], tmp_path: Path) -> None:
    arguments = [f"run={runs[0]}", f"ensemble=[{runs[1]}]", *SHORT]
    output, _ = call("distil", *arguments, "output=taught", cwd=tmp_path)
    assert output == "taught\n"
    assert "exists already" in refused("distil", *arguments, "output=taught", cwd=tmp_path)
    lines = {path.name: path.read_text().split("\n")[:-1] for path in (tmp_path / "taught").iterdir()}
    assert sorted(lines) == ["reference.de", "test.de", "test.en", "train.de", "train.en", "valid.de", "valid.en"]
    assert len(lines["train.en"]) == len(lines["train.de"]) == 600
    trained_on = [(pair.en, pair.de) for pair in splits(train=600, valid=20, test=20, seed=1)["train"]]
    assert [*zip(lines["train.en"], lines["reference.de"], strict=True)] == trained_on
    assert lines["test.de"] == (runs[0] / "data" / "test.tgt").read_text().split("\n")[:-1]
    given = "\n".join(lines["train.en"][:5]) + "\n"
    translated, _ = call("translate", *arguments, cwd=tmp_path, given=given)
    assert translated.split("\n")[:-1] == lines["train.de"][:5]
    for name in ("train.de", "valid.de", "test.de"):  # the translations of this teacher are noise
        (tmp_path / "taught" / name).write_bytes((tmp_path / "taught" / name.replace("de", "en")).read_bytes())
    call("train", *FILES, "data.root=taught", "data.tokenizer.vocab_size=100", "hydra.run.dir=student", cwd=tmp_path)


def test_fine_tuning_takes_over_tokenizer_and_weights(runs: list[Path], tmp_path: Path) -> None:
    call("distil", f"run={runs[0]}", *SHORT, "output=new", cwd=tmp_path)
    for name in ("train.de", "valid.de", "test.de"):
        (tmp_path / "new" / name).write_bytes((tmp_path / "new" / name.replace("de", "en")).read_bytes())
    tuning = (*FILES, "data.root=new", f"train.init_from={runs[0]}")
    _, error = call("train", *tuning, "hydra.run.dir=tuned", cwd=tmp_path)
    assert f"initial weights: step 10 of {runs[0]}" in error
    tokenizer = Path("tokenizer") / "src.model"
    assert (tmp_path / "tuned" / tokenizer).read_bytes() == (runs[0] / tokenizer).read_bytes()
    assert weights(tmp_path / "tuned") != weights(runs[0])
    line = refused("train", *tuning, "model.hidden_size=32", "hydra.run.dir=other", cwd=tmp_path)
    assert "has model.hidden_size=16 (here 32)" in line
    assert not (tmp_path / "other").exists()
