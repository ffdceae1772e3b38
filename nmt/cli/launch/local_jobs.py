"""Commands in processes of their own, a few at a time: what becomes of one is no matter to the others."""

import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.errors import Interrupted, UserError
from nmt.training import StopSignals

UNFIT = frozenset("'\\$")
"""Characters that mean something in a quoted override."""
PAUSE = 0.1  # seconds between looks at the processes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    name: str
    """Of its log, too."""
    command: list[str]


def run_jobs(
    jobs: Sequence[Job], at_once: int, logs: Path, ended: Callable[[Job], None] = lambda job: None
) -> dict[str, str]:
    """Runs all of them in order.

    Args:
        jobs: what to run.
        at_once: how many at a time.
        logs: folder for what each writes on standard error, as NAME.log.
        ended: is told of each that ended well.

    Returns:
        Of each job that failed, by its name, the last line it wrote.

    Raises:
        Interrupted: by a signal, which was handed on; all have ended.
    """
    logs.mkdir(parents=True, exist_ok=True)
    waiting, running, failed = list(jobs), dict[subprocess.Popen[bytes], Job](), dict[str, str]()
    with StopSignals(hangup=True) as signals:
        try:
            while (waiting or running) and not signals.received:
                while waiting and len(running) < at_once and not signals.received:
                    job = waiting.pop(0)
                    running[started(job, logs)] = job
                for process in [each for each in running if each.poll() is not None]:
                    job = running.pop(process)
                    if process.returncode:
                        failed[job.name] = last_line(logs / f"{job.name}.log") or f"exit code {process.returncode}"
                        log.warning("%s failed: %s", job.name, failed[job.name])
                    else:
                        ended(job)
                time.sleep(PAUSE)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
    if signals.received:
        raise Interrupted(signals.received)
    return failed


def started(job: Job, logs: Path) -> subprocess.Popen[bytes]:
    """Its process, in a session of its own: Ctrl-C on the terminal reaches it once, through this one."""
    with (logs / f"{job.name}.log").open("wb") as file:
        return subprocess.Popen(
            job.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True
        )


def last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def set_path(key: str, path: Path | str) -> str:
    """KEY='PATH', as hydra's grammar has it, whatever it would make of a comma or a bracket.

    Raises:
        UserError: what the path has in it means something even there.
    """
    if UNFIT & set(str(path)):
        raise UserError(f"the folder {path} has one of {' '.join(sorted(UNFIT))} in its name; give another")
    return f"{key}='{path}'"
