"""Job of a multirun, in the process where it runs."""

import os
import signal
import sys
import time
from typing import Any

from nmt.config import Queue
from nmt.errors import Interrupted

LONGEST_GRACE = 3600
"""Longest time in seconds that a stopped job waits for Slurm to end it."""


class TrainJob:
    """The train command in one or more processes, with the exit behaviour that a queue expects."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments

    def __call__(self) -> None:
        queue = join_job_processes()
        if queue == Queue.local:
            # submitit ignores SIGTERM; the command must not. Ctrl-C reaches the launcher alone.
            os.setpgrp()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        from nmt.cli import train  # not earlier: the import takes seconds, during which SIGTERM would be lost

        sys.argv = ["train.py", *self.arguments]
        try:
            train.main()
        except SystemExit as end:
            requeued, displaced = (Interrupted(number).exit_code for number in (signal.SIGUSR2, signal.SIGTERM))
            if end.code == requeued:
                signal.raise_signal(signal.SIGUSR2)  # submitit's handler: rank 0 requeues the job, and exits
            if queue == Queue.slurm and end.code in (requeued, displaced):
                # Slurm requeues a displaced job only if Slurm has to end it. A process that exits with an error can
                # also end rank 0.
                time.sleep(LONGEST_GRACE)
            raise

    def checkpoint(self) -> Any:
        """Return the job that submitit requeues: the same command, which continues its run."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def join_job_processes() -> str:
    """Set torch's environment variables if the job has several processes, and return the name of the queue."""
    import submitit

    job = submitit.JobEnvironment()
    if job.num_tasks > 1:
        submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        if job.num_nodes == 1:  # some machines cannot resolve their own name
            os.environ["MASTER_ADDR"] = "127.0.0.1"
    return str(job.cluster)
