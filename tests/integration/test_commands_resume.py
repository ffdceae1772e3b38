"""Integration tests of resuming: stopped, killed and damaged runs end with the bits of the uninterrupted run."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from command import SMALL, assert_same_run, call, start, steps

pytestmark = pytest.mark.commands

ARGUMENTS = (*SMALL, "train.max_steps=30", "train.accumulate=2", "model.dropout=0.2", "model.word_dropout=0.1")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train an uninterrupted run of 30 steps."""
    run = tmp_path_factory.mktemp("plain") / "run"
    call("train", *ARGUMENTS, f"hydra.run.dir={run}", cwd=run.parent)
    return run


def stop_after(step: int, run: Path, number: int, *arguments: str) -> tuple[int, str]:
    """Start training, send a signal when the metrics reach a step, and return exit code and standard error."""
    process = start("train", *arguments, cwd=run.parent)
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() or max(steps(run), default=0) < step:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    return process.returncode, error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_step_and_keeps_a_checkpoint(plain: Path, tmp_path: Path, number: int, code: int) -> None:
    run = tmp_path / "run"
    arguments = (*ARGUMENTS, f"hydra.run.dir={run}", "train.resume=auto")
    found, error = stop_after(8, run, number, *arguments)
    if found != 0:  # otherwise training ended before the signal
        assert found == code
        assert "Traceback" not in error
        assert "train.resume" in error
        assert (run / "checkpoints" / "last").is_symlink()
        call("train", *arguments, cwd=tmp_path)
    assert_same_run(run, plain)


def kill_often(folder: Path, expected: Path, kills: int, seed: int) -> None:
    """Kill the command at random times, including during preparation and checkpoints; restart after a completed run."""
    source = random.Random(seed)
    run, cache = folder / "run", folder / "cache"
    arguments = (*ARGUMENTS, f"hydra.run.dir={run}", f"data.cache={cache}", "train.resume=auto")
    begin = time.monotonic()
    call("train", *arguments, cwd=folder)
    longest = time.monotonic() - begin
    killed = 0
    while killed < kills:
        assert_same_run(run, expected)
        shutil.rmtree(run)
        shutil.rmtree(cache)
        while killed < kills:
            process = start("train", *arguments, cwd=folder)
            time.sleep(source.uniform(0.3, 1.0) * longest)
            process.kill()
            _, error = process.communicate()
            assert "Traceback" not in error, error
            if process.returncode == 0:
                break
            killed += 1
        call("train", *arguments, cwd=folder)
    assert_same_run(run, expected)


def test_killed_a_few_times_it_ends_with_the_same_bits(plain: Path, tmp_path: Path) -> None:
    kill_often(tmp_path, plain, kills=4, seed=1)


@pytest.mark.slow
def test_killed_a_hundred_times_it_ends_with_the_same_bits(plain: Path, tmp_path: Path) -> None:
    kill_often(tmp_path, plain, kills=100, seed=2)


def test_the_same_command_continues_the_newest_unfinished_run_of_its_configuration(plain: Path, tmp_path: Path) -> None:
    """A preempted job of a cluster is restarted with the same command, without a run directory."""
    call("train", *ARGUMENTS, "seed=7", "train.resume=auto", cwd=tmp_path)
    (other,) = (tmp_path / "runs").iterdir()
    process = start("train", *ARGUMENTS, "train.resume=auto", cwd=tmp_path)
    while not (runs := [path for path in (tmp_path / "runs").glob("*/checkpoints/last") if other not in path.parents]):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.kill()
    process.communicate()
    (run,) = (path.parent.parent for path in runs)
    output, error = call("train", *ARGUMENTS, "train.resume=auto", cwd=tmp_path)
    assert (
        output.strip().split("\n")[-1] == str(run.relative_to(tmp_path)) or Path(output.strip().split("\n")[-1]) == run
    )
    assert f"continuing {run.name}" in error.replace(f"{run.parent}/", "").replace("runs/", "")
    assert set((tmp_path / "runs").iterdir()) == {run, other}
    assert_same_run(run, plain)


def test_two_processes_never_train_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    endless = (*SMALL, "train.max_steps=1000000", f"hydra.run.dir={run}", "train.resume=auto")
    process = start("train", *endless, cwd=tmp_path)
    while not (run / "checkpoints" / "last").is_symlink():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    _, error = call("train", *endless, cwd=tmp_path, code=2)
    assert "is being trained by another process" in error
    process.kill()
    process.communicate()


def test_a_damaged_checkpoint_is_named_and_the_newest_whole_one_offered(plain: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = (*ARGUMENTS, f"hydra.run.dir={run}", "train.resume=auto")
    if stop_after(18, run, signal.SIGKILL, *arguments)[0] == 0:
        pytest.skip("training was done before the signal came")
    last = (run / "checkpoints" / "last").resolve()
    (last / "state.safetensors").write_bytes((last / "state.safetensors").read_bytes()[:-9])
    _, error = call("train", *arguments, cwd=tmp_path, code=2)
    (line,) = (line for line in error.split("\n") if line.startswith("nmt: "))
    assert str(last / "state.safetensors") in line
    offered = line.partition("train.resume_step=")[2].split()[0]
    assert int(offered) < int(last.name.removeprefix("step-"))
    call("train", *arguments, f"train.resume_step={offered}", cwd=tmp_path)
    assert_same_run(run, plain)


def test_another_number_of_threads_is_told_and_training_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = (*ARGUMENTS, f"hydra.run.dir={run}", "train.resume=auto")
    if stop_after(8, run, signal.SIGTERM, *arguments)[0] == 0:
        pytest.skip("training was done before the signal came")
    _, error = call("train", *arguments, "machine.threads=2", cwd=tmp_path)
    assert "trained with 1 threads and continues with 2" in error
    assert "machine.threads=1 keeps them" in error
    assert max(steps(run)) == 30


def test_resuming_a_finished_run_changes_nothing(plain: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in plain.rglob("*") if path.is_file()}
    output, _ = call("train", *ARGUMENTS, f"hydra.run.dir={plain}", "train.resume=auto", cwd=plain.parent)
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
    words = (f"train.resume={run}", f"train.max_steps={step + 20}", "model=lstm_tiny")
    output, error = call("train", *words, cwd=tmp_path)
    assert "model=lstm_tiny has no effect" in error
    assert output.strip().split("\n")[-1] == str(run)
    assert max(steps(run)) == step + 20
    assert not (tmp_path / "runs").exists()
