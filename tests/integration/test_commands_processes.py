"""Integration tests of training under torchrun: two processes against one, interruptions, other world sizes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import ROOT, SMALL, call, steps, weights, without_times

pytestmark = pytest.mark.commands

TRAIN = ROOT / "scripts" / "train.py"
COMMON = (*SMALL, "train.max_steps=20", "model.word_dropout=0")
PLAIN = (*COMMON, "model.dropout=0")  # what is dropped depends on the process


def torchrun(
    processes: int, *arguments: str, cwd: Path, restarts: int = 0, script: Path = TRAIN
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += [f"--max-restarts={restarts}", str(script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=cwd, env=environment, **pipes)


def train_by(processes: int, *arguments: str, cwd: Path, script: Path = TRAIN) -> str:
    """Train to the end, and return the output."""
    job = torchrun(processes, *arguments, cwd=cwd, script=script)
    output, _ = job.communicate(timeout=300)
    assert job.returncode == 0, output
    return output


def workers(job: subprocess.Popen[str]) -> list[int]:
    """Return the processes that torchrun started."""
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text(encoding="utf-8")
    return [int(number) for number in children.split()]


def wait_for(step: int, run: Path, job: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() or max(steps(run), default=0) < step:
        assert time.monotonic() < deadline
        assert job.poll() is None, job.communicate()
        time.sleep(0.005)


def assert_same_curve(found: Path, expected: Path) -> None:
    """Compare two runs up to rounding."""
    curves = [without_times(run) for run in (found, expected)]
    assert len(curves[0]) == len(curves[1]) > 10
    for one, other in zip(*curves, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    call("train", *PLAIN, "train.batch_size=32", f"hydra.run.dir={run}", cwd=run.parent)
    return run


def test_two_processes_train_as_one_with_the_doubled_batch(alone: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    output = train_by(2, *PLAIN, "train.batch_size=16", f"hydra.run.dir={run}", cwd=tmp_path)
    assert_same_curve(run, alone)
    assert output.count("BLEU = ") == 1  # one of them scores and prints


def test_no_thread_of_the_group_outlives_it(tmp_path: Path) -> None:
    """A group that exists at the exit of Python can abort the process, as about one in 100 trainings did."""
    script = tmp_path / "script.py"
    script.write_text(
        """
from pathlib import Path
import torch
from nmt.training.distributed import join_process_group
def threads():
    return [name for path in Path("/proc/self/task").glob("*/comm") if "gloo" in (name := path.read_text())]
with join_process_group() as distributed:
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.sum().backward()
    torch.optim.Adam([weight]).step()  # imports much of torch
    distributed.all_reduce_sum(1.0)
    assert threads()
assert not threads(), threads()
"""
    )
    train_by(2, script=script, cwd=tmp_path)


@pytest.mark.parametrize("processes", [1, 3])
def test_another_number_of_processes_goes_on_with_the_same_batches(alone: Path, tmp_path: Path, processes: int) -> None:
    run = tmp_path / "run"
    arguments = (*PLAIN, "train.batch_size=16", f"hydra.run.dir={run}", "train.resume=auto")
    job = torchrun(2, *arguments, cwd=tmp_path)
    wait_for(6, run, job)
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=60)
    train_by(processes, *arguments, cwd=tmp_path)
    assert_same_curve(run, alone)


def test_a_killed_worker_ends_the_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    job = torchrun(2, *COMMON, "train.max_steps=100000", f"hydra.run.dir={run}", cwd=tmp_path)
    wait_for(6, run, job)
    others = workers(job)
    assert len(others) == 2
    os.kill(others[1], signal.SIGKILL)
    job.communicate(timeout=60)
    assert job.returncode != 0
    assert not any(Path(f"/proc/{number}").exists() for number in others)


def test_an_elastic_restart_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, restarted = tmp_path / "whole", tmp_path / "restarted"
    train_by(2, *COMMON, "model.dropout=0.3", f"hydra.run.dir={whole}", cwd=tmp_path)
    arguments = (*COMMON, "model.dropout=0.3", f"hydra.run.dir={restarted}")
    job = torchrun(2, *arguments, cwd=tmp_path, restarts=1)
    wait_for(10, restarted, job)
    os.kill(workers(job)[0], signal.SIGKILL)
    output, _ = job.communicate(timeout=300)
    assert job.returncode == 0, output
    assert "continuing at step" in output
    assert weights(restarted) == weights(whole)
    assert without_times(restarted) == without_times(whole)
