"""Tests of local jobs: starting and ending processes, here without training, and their devices."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.cli.app import interruptible
from nmt.cli.launch.cluster import PlannedJob, create_executor, run_local_jobs
from nmt.config import ClusterConfig
from nmt.errors import Interrupted, UserError

EXTRA = "needs the extra cluster: pip install 'nmt-recurrent[cluster]'"
STAYS = """
import os, pathlib, signal, time
def stopped(number, frame):
    pathlib.Path("{0}.stopped").touch()
    raise SystemExit
signal.signal(signal.SIGTERM, stopped)
os.kill(os.getpid(), signal.SIGINT)
os.kill(os.getpid(), signal.SIGHUP)
pathlib.Path("{0}.up").touch()
time.sleep(60)
"""
"""Script of a job that ends on SIGTERM, and would end at once if SIGINT or SIGHUP reached it."""
ENDS = """
import pathlib, time
while not pathlib.Path("{0}.up").exists():
    time.sleep(0.01)
"""
"""Script of a job that ends when another one has started."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the environment variables that `create_executor` sets."""
    monkeypatch.setenv("SUBMITIT_PREEMPT_SIGNAL", "USR2")


class Sent:
    """Handle of a job as submitit returns it, with a script instead of a training."""

    def __init__(self, script: str, looked_at: Callable[[subprocess.Popen[bytes]], None]) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", script])
        self.job_id = str(self.process.pid)
        self.looked_at = looked_at

    def done(self) -> bool:
        ended = self.process.poll() is not None
        self.looked_at(self.process)
        return ended


class Executor:
    """Executor that starts scripts in order, and sends signals in between."""

    def __init__(
        self,
        *scripts: str,
        started: Callable[[], None] = lambda: None,
        looked_at: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
    ) -> None:
        self.scripts = list(scripts)
        self.started = started
        self.looked_at = looked_at
        self.sent: list[Sent] = []

    def submit(self, job: object) -> Sent:
        self.sent.append(Sent(self.scripts.pop(0), self.looked_at))
        self.started()
        return self.sent[-1]


def run_scripts(executor: Executor, folder: Path) -> Interrupted:
    """Run all jobs at a time, as `launch` does, and return the error that stopped it."""
    jobs = [PlannedJob(folder / str(number), []) for number in range(len(executor.scripts))]
    try:
        with pytest.raises(Interrupted) as stopped, interruptible("again"):
            run_local_jobs(executor, jobs, len(jobs))
        assert all(sent.process.returncode is not None for sent in executor.sent)
    finally:
        for sent in executor.sent:
            sent.process.kill()
    return stopped.value


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_between_the_start_of_a_job_and_its_handle_ends_it_too(tmp_path: Path, number: signal.Signals) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def started() -> None:
        wait_for(first.with_suffix(".up"))
        signal.raise_signal(number)

    executor = Executor(STAYS.format(first), STAYS.format(second), started=started)
    stopped = run_scripts(executor, tmp_path)
    assert (str(stopped), stopped.exit_code, stopped.remedy) == (number.name, 128 + number, "again")
    assert first.with_suffix(".stopped").exists()
    assert len(executor.sent) == 1


def test_a_signal_while_a_job_is_found_to_have_ended_is_handed_on_to_the_others(tmp_path: Path) -> None:
    stays = tmp_path / "stays"
    signalled: list[int] = []

    def looked_at(process: subprocess.Popen[bytes]) -> None:
        if process.returncode is not None and not signalled:
            signalled.append(process.pid)
            signal.raise_signal(signal.SIGTERM)

    executor = Executor(ENDS.format(stays), STAYS.format(stays), looked_at=looked_at)
    stopped = run_scripts(executor, tmp_path)
    assert stopped.exit_code == 143
    assert signalled == [executor.sent[0].process.pid]
    assert stays.with_suffix(".stopped").exists()


@pytest.mark.parametrize(
    ("environment", "gpus", "expected"),
    [(None, 2, "0,1"), ("2,5, 7", 2, "2,5"), ("2,5", 2, "2,5"), ("2,5", None, ""), ("GPU-12ab", None, "")],
)
def test_a_local_job_gets_the_devices_that_its_user_may_see(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: str | None, gpus: int | None, expected: str
) -> None:
    local = pytest.importorskip("submitit.local.local", reason=EXTRA)
    if environment is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", environment)
    seen: list[str] = []

    class Nothing:
        pid = 1

        def poll(self) -> int:
            return 0

    def start_controller(cuda_devices: str, **settings: object) -> Nothing:
        seen.append(cuda_devices)
        return Nothing()

    monkeypatch.setattr(local, "start_controller", start_controller)
    create_executor(ClusterConfig(gpus=gpus, parallel=1), tmp_path, 1).submit(print)
    assert seen == [expected]


@pytest.mark.parametrize("environment", ["", "3", "0,GPU-12ab", "0,-1", "-1"])
def test_missing_devices_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: str) -> None:
    pytest.importorskip("submitit", reason=EXTRA)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", environment)
    with pytest.raises(UserError, match=f"hydra.launcher.gpus is 2, .* CUDA_VISIBLE_DEVICES='{environment}'; set it"):
        create_executor(ClusterConfig(gpus=2, parallel=1), tmp_path, 1)
