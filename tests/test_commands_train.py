"""The real train command: it learns, is tracked, can be killed and continued, and sweeps."""

import hashlib
import json
import signal
import time
from pathlib import Path

import pytest
from command import SMALL, call, start

pytestmark = pytest.mark.commands


def weights(run: Path, name: str = "last") -> str:
    return hashlib.sha256((run / "checkpoints" / name / "model.safetensors").read_bytes()).hexdigest()


def train(folder: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    return call(
        "train", *SMALL, "train.max_steps=30", f"hydra.run.dir={folder}", *arguments, cwd=folder.parent, code=code
    )


def steps(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().split("\n") if line]


def without_times(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().split("\n") if line]
    return [{key: value for key, value in line.items() if "second" not in key} for line in lines]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of 30 steps."""
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
    assert {"score", "signature"} == set(scores["bleu"]) == set(scores["chrf"]) == set(scores["ter"])


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(plain: Path, tmp_path: Path) -> None:
    train(tmp_path / "again")
    train(tmp_path / "other", "seed=2")
    assert weights(tmp_path / "again") == weights(plain)
    assert weights(tmp_path / "other") != weights(plain)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_stopped_run_continues_to_the_same_bits(plain: Path, tmp_path: Path, number: int, code: int) -> None:
    run = tmp_path / "run"
    arguments = (*SMALL, "train.max_steps=30", f"hydra.run.dir={run}", "train.resume=auto")
    process = start("train", *arguments, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() or max(steps(run), default=0) < 8:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    if process.returncode != 0:  # else it was done before the signal came
        assert process.returncode == code
        assert "Traceback" not in error
        assert (run / "checkpoints" / "last").is_symlink()
        call("train", *arguments, cwd=tmp_path)
    assert weights(run) == weights(plain)
    assert weights(run, "best") == weights(plain, "best")
    assert without_times(run) == without_times(plain)


def test_resuming_a_finished_run_changes_nothing(plain: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in plain.rglob("*") if path.is_file()}
    output, _ = train(plain, "train.resume=auto")
    assert output.strip().split("\n")[-1] == str(plain)
    assert {path: path.stat().st_mtime_ns for path in plain.rglob("*") if path.is_file()} == before


def test_resuming_by_name_takes_the_runs_own_configuration(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start("train", *SMALL, "train.max_steps=1000000", f"hydra.run.dir={run}", cwd=tmp_path)
    while not (run / "checkpoints" / "last").is_symlink():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    step = max(steps(run))
    output, _ = call("train", f"train.resume={run}", f"train.max_steps={step + 20}", cwd=tmp_path)
    assert output.strip().split("\n")[-1] == str(run)
    assert max(steps(run)) == step + 20
    assert not (tmp_path / "runs").exists()


def test_a_sweep_is_a_run_for_each_job(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    call(
        "train",
        "-m",
        *SMALL,
        "train.max_steps=4",
        "model.attention=additive,null",
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


def test_the_demo_model_learns_the_grammar(tmp_path: Path) -> None:
    """After little more than half of the demo, which reaches 90 and more."""
    run = tmp_path / "run"
    call(
        "train",
        "experiment=phrasebook",
        "train.max_steps=800",
        f"hydra.run.dir={run}",
        "tracking.mode=disabled",
        cwd=tmp_path,
    )
    scores = json.loads((run / "scores" / "test.json").read_text())
    assert scores["bleu"]["score"] > 60
