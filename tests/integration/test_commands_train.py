"""Integration tests of the train command: learning, tracking, seeds, multiruns, the debug experiment."""

import json
import resource
from pathlib import Path

import pytest
from command import SMALL, call, steps, weights

pytestmark = pytest.mark.commands


def train(folder: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    return call(
        "train", *SMALL, "train.max_steps=30", f"hydra.run.dir={folder}", *arguments, cwd=folder.parent, code=code
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train an uninterrupted run of 30 steps."""
    run = tmp_path_factory.mktemp("plain") / "run"
    train(run)
    return run


def test_a_run_prints_its_scores_and_last_its_directory_and_leaves_all_files(tmp_path: Path) -> None:
    output, error = train(tmp_path / "run")
    lines = output.strip().split("\n")
    assert lines[-1] == str(tmp_path / "run")
    assert lines[0].startswith("BLEU = ")
    assert "version:" in lines[1]
    assert "valid perplexity" in error
    for name in ("config.yaml", "run.json", "train.log", "metrics.jsonl", "plots/learning_curves.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    for name in ("best", "last"):
        assert (tmp_path / "run" / "checkpoints" / name / "model.safetensors").is_file()
    scores = json.loads((tmp_path / "run" / "scores" / "test.json").read_text())
    assert {"score", "signature", "interval"} == set(scores["bleu"]) == set(scores["chrf"]) == set(scores["ter"])
    facts = json.loads((tmp_path / "run" / "run.json").read_text())["facts"]
    assert facts["parameters"] > 300 * 16  # the embeddings alone
    assert 0 < facts["seconds"] < 600
    assert 2**26 < facts["peak_memory_bytes"] < 2**34


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(plain: Path, tmp_path: Path) -> None:
    train(tmp_path / "again")
    train(tmp_path / "other", "seed=2")
    assert weights(tmp_path / "again") == weights(plain)
    assert weights(tmp_path / "other") != weights(plain)


def test_a_sweep_is_a_run_for_each_job(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    call(
        "train",
        "-m",
        *SMALL,
        "train.max_steps=4",
        "model.decoder.attention=additive,null",
        "seed=1,2",
        f"hydra.sweep.dir={sweep}",
        cwd=tmp_path,
    )
    runs = sorted(path.parent for path in sweep.glob("*/run.json"))
    assert len(runs) == 4
    assert len({weights(run) for run in runs}) == 4


def test_tracking_is_on_offline_by_default_and_prints_nothing_on_standard_output(tmp_path: Path) -> None:
    arguments = [given for given in SMALL if not given.startswith("tracking")]
    run = tmp_path / "run"
    output, _ = call("train", *arguments, "train.max_steps=4", f"hydra.run.dir={run}", cwd=tmp_path)
    assert list((run / "wandb").glob("offline-run-*"))
    assert "wandb" not in output


def test_the_debug_experiment_runs_every_part_in_seconds(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    output, error = call("train", "experiment=debug", "hydra.run.dir=run", cwd=tmp_path)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 60
    run = tmp_path / "run"
    assert max(steps(run)) == 20
    assert error.count("valid perplexity") == 2
    assert output.startswith("BLEU = ")
    assert {"step-00000015", "step-00000020", "best", "last"} <= {path.name for path in (run / "checkpoints").iterdir()}
    assert (run / "plots" / "learning_curves.png").is_file()
    assert len((run / "scores" / "test.hyp").read_text().split("\n")) == 21
    assert list((run / "wandb").glob("offline-run-*"))


def test_the_help_begins_with_three_examples(tmp_path: Path) -> None:
    output, _ = call("train", "--help", cwd=tmp_path)
    title, blank, *examples, end = output.split("\n")[:6]
    assert title.startswith("nmt-train: ")
    assert blank == end == ""
    assert all(example.startswith("  nmt-train ") for example in examples)
    assert not list(tmp_path.iterdir())


def test_the_demo_model_learns_the_grammar(tmp_path: Path) -> None:
    """Train two thirds of the demo, which reaches BLEU 90."""
    run = tmp_path / "run"
    call(
        "train",
        "experiment=phrasebook",
        "train.max_steps=800",
        "machine.threads=1",  # two threads are many times slower on a busy machine
        f"hydra.run.dir={run}",
        "tracking.mode=disabled",
        cwd=tmp_path,
    )
    scores = json.loads((run / "scores" / "test.json").read_text())
    assert scores["bleu"]["score"] > 60
