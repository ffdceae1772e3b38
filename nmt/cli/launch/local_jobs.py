"""Commands in separate processes, several at a time. A failed command does not affect the others."""

import logging
import math
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.errors import Interrupted, UserError
from nmt.training import StopSignals

UNQUOTABLE = frozenset("'\\$")
"""Characters with a meaning in a quoted override."""
PAUSE = 0.1  # seconds between two checks of the processes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalJob:
    """Command to run in a process."""

    name: str
    """Name of the job and of its log."""
    command: list[str]
    always: bool = False
    """Start the job after the time limit too."""


def run_jobs(
    jobs: Sequence[LocalJob],
    at_once: int,
    logs: Path,
    on_success: Callable[[LocalJob], Sequence[LocalJob] | None] = lambda job: None,
    until: float = math.inf,
) -> dict[str, str]:
    """Run the jobs in order.

    At most `at_once` jobs run at a time. The standard error of a job is written to NAME.log in `logs`. `on_success` is
    called with each job that exits with 0, and may return jobs, which are started before the waiting ones. After the
    time `until` of `time.monotonic`, only jobs marked `always` are started; jobs that run are not stopped.

    Returns:
        The last line of the log of each failed job, by its name.

    Raises:
        Interrupted: a signal was received. The jobs got SIGTERM and have ended.
    """
    logs.mkdir(parents=True, exist_ok=True)
    waiting, running, failed = list(jobs), dict[subprocess.Popen[bytes], LocalJob](), dict[str, str]()
    with StopSignals(hangup=True) as signals:
        try:
            while (waiting or running) and not signals.received:
                if time.monotonic() >= until:
                    waiting = [job for job in waiting if job.always]
                while waiting and len(running) < at_once and not signals.received:
                    job = waiting.pop(0)
                    running[start_process(job, logs)] = job
                for process in [process for process in running if process.poll() is not None]:
                    job = running.pop(process)
                    if process.returncode:
                        failed[job.name] = last_line(logs / f"{job.name}.log") or f"exit code {process.returncode}"
                        log.warning("%s failed: %s", job.name, failed[job.name])
                    else:
                        waiting = [*(on_success(job) or ()), *waiting]
                time.sleep(PAUSE)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
    if signals.received:
        raise Interrupted(signals.received)
    return failed


def start_process(job: LocalJob, logs: Path) -> subprocess.Popen[bytes]:
    """Start the job in a new session, so that Ctrl-C on the terminal reaches it once, through this process."""
    with (logs / f"{job.name}.log").open("wb") as file:
        return subprocess.Popen(
            job.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True
        )


def last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def path_override(key: str, path: Path | str) -> str:
    """Return the override KEY='PATH', in which commas and brackets are literal.

    Raises:
        UserError: the path has characters that have a meaning in quotes too.
    """
    if UNQUOTABLE & set(str(path)):
        raise UserError(f"the folder {path} has one of {' '.join(sorted(UNQUOTABLE))} in its name; choose another")
    return f"{key}='{path}'"
