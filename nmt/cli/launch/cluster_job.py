"""A job of a multirun, where it runs."""

import os
import signal
import sys
import time
from typing import Any

from nmt.config import Queue
from nmt.errors import Interrupted

LONGEST_GRACE = 3600
"""Seconds that a stopped job waits for Slurm to end it."""


class Job:
    """What a job does: the train command, in one or more processes, and what a queue expects at the end."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments

    def __call__(self) -> None:
        queue = share_a_training()
        if queue == Queue.local:
            # As the command itself, where submitit would ignore SIGTERM. Ctrl-C is heard by who sent the job, alone.
            os.setpgrp()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        from nmt.cli import train  # not before: it takes seconds, in which SIGTERM would be lost

        sys.argv = ["train.py", *self.arguments]
        try:
            train.main()
        except SystemExit as end:
            told, displaced = (Interrupted(number).exit_code for number in (signal.SIGUSR2, signal.SIGTERM))
            if end.code == told:
                signal.raise_signal(signal.SIGUSR2)  # submitit's turn: the first process puts the job back, and exits
            if queue == Queue.slurm and end.code in (told, displaced):
                # Slurm may put a displaced job back only if it has to end it itself; and a process that exits with an
                # error may take the first one with it.
                time.sleep(LONGEST_GRACE)
            raise

    def checkpoint(self) -> Any:
        """What submitit puts back into the queue: the same command, which goes on with its run."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def share_a_training() -> str:
    """Tells torch of the other processes of this job, if there are any; returns the queue's name."""
    import submitit

    job = submitit.JobEnvironment()
    if job.num_tasks > 1:
        submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        if job.num_nodes == 1:  # not every machine can resolve its own name
            os.environ["MASTER_ADDR"] = "127.0.0.1"
    return str(job.cluster)
