"""Tests of commands in separate processes: number at a time, failures, interruption."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from nmt.cli.launch.local_jobs import LocalJob, run_jobs
from nmt.errors import Interrupted

pytestmark = pytest.mark.commands


def shell(name: str, script: str) -> LocalJob:
    return LocalJob(name, ["sh", "-c", script])


def test_what_fails_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    ended: list[LocalJob] = []
    first, last = shell("first", "exit 0"), shell("last", "exit 0")
    jobs = [first, shell("loud", "echo early >&2; echo why >&2; exit 2"), shell("mute", "exit 3"), last]
    assert run_jobs(jobs, 1, tmp_path / "logs", ended.append) == {"loud": "why", "mute": "exit code 3"}
    assert ended == [first, last]
    assert (tmp_path / "logs" / "loud.log").read_text() == "early\nwhy\n"


@pytest.mark.parametrize("at_once", [1, 2])
def test_so_many_run_at_a_time(tmp_path: Path, at_once: int) -> None:
    """Each job records the number of running jobs, and then sleeps."""
    script = f"cd {tmp_path}; touch here.$$; sleep 0.2; ls here.* | wc -l >> seen; sleep 0.2; rm here.$$"
    assert run_jobs([shell(str(at), script) for at in range(4)], at_once, tmp_path / "logs") == {}
    assert max(map(int, (tmp_path / "seen").read_text().split())) == at_once


def test_a_signal_is_handed_on_and_all_have_ended(tmp_path: Path) -> None:
    script = f"trap 'echo stopped > {tmp_path}/signal; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.05; done"

    def stop() -> None:
        while not (tmp_path / "up").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    never = shell("never", f"touch {tmp_path}/never")
    with pytest.raises(Interrupted) as caught:
        run_jobs([shell("long", script), never], 1, tmp_path / "logs")
    thread.join()
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert (tmp_path / "signal").read_text() == "stopped\n"
    assert not (tmp_path / "never").exists()


def test_jobs_that_a_job_returns_run_before_the_waiting_ones(tmp_path: Path) -> None:
    ended: list[str] = []

    def after(job: LocalJob) -> list[LocalJob]:
        ended.append(job.name)
        return [shell("next", "true")] if job.name == "first" else []

    assert run_jobs([shell("first", "true"), shell("last", "true")], 1, tmp_path / "logs", after) == {}
    assert ended == ["first", "next", "last"]


def test_after_the_time_limit_only_marked_jobs_start(tmp_path: Path) -> None:
    ended: list[str] = []
    marked = LocalJob("marked", ["true"], always=True)
    jobs = [shell("other", "true"), marked]
    assert run_jobs(jobs, 1, tmp_path / "logs", lambda job: ended.append(job.name), time.monotonic()) == {}
    assert ended == ["marked"]
