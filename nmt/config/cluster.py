"""A multirun as jobs of a queue: what each job asks for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.checks import number

NAME = re.compile(r"[A-Za-z0-9_(\[][A-Za-z0-9_.,:+@&|*()\[\]-]*", re.ASCII)
"""What a name in a batch script may be. A line feed would begin a line of its own there, which the shell runs."""


class Queue(StrEnum):
    slurm = "slurm"
    local = "local"


@dataclass
class ClusterConfig:
    """`hydra.launcher` of `hydra/launcher=slurm` and `hydra/launcher=local`."""

    queue: Queue = Queue.local
    """slurm: each job waits in Slurm's queue; local: processes on this machine, `parallel` at a time."""
    name: str = "nmt"
    """What the queue calls the jobs."""
    minutes: int = 1440
    """Longest time of a job."""
    notice_seconds: int = 120
    """So long before its time is over a job ends its step, writes a checkpoint, and goes back into the queue."""
    requeue: int = 20
    """How often a job goes back into the queue because its time was over; one that others displaced always does."""
    parallel: int | None = None
    """Jobs that run at the same time, at the most; null: as many as there is room for (local: all)."""
    nodes: int = 1
    """Machines a job."""
    tasks_per_node: int = 1
    """Processes a machine, which train one model together, as torchrun's do."""
    cpus: int | None = None
    """Cores a process, and its threads unless machine.threads says otherwise; null: as the queue sees fit."""
    gpus: int | None = None
    """Devices a machine, one for each process; null: none is asked for."""
    memory_gb: int | None = None
    """Memory a machine; null: as the queue sees fit."""
    partition: str | None = None
    """Slurm's partition; null: its default."""
    account: str | None = None
    """Whose time is used, as Slurm calls it; null: that of the user."""
    qos: str | None = None
    """Slurm's quality of service; null: its default."""
    constraint: str | None = None
    """Features that a machine must have, as Slurm writes them, such as a100|h100."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for field in ("minutes", "notice_seconds", "parallel", "nodes", "tasks_per_node", "cpus", "memory_gb"):
            yield from number(self, field, 1)
        yield from number(self, "requeue", 0)
        yield from number(self, "gpus", 0)
        if self.notice_seconds >= 60 * self.minutes:
            yield "notice_seconds", f"is {self.notice_seconds}; allowed: less than the {self.minutes} minutes of a job"
        if self.gpus and self.gpus < self.tasks_per_node:
            yield "gpus", f"is {self.gpus}; allowed: one for each of the {self.tasks_per_node} processes, or null"
        if self.queue == Queue.local and self.nodes > 1:
            yield "nodes", f"is {self.nodes}; allowed on one machine: 1"
        if self.queue == Queue.local and self.gpus and self.parallel != 1:
            yield (
                "gpus",
                f"is {self.gpus}, and all jobs at a time would get the same ones; set parallel=1, or leave it null",
            )
        for field in ("name", "partition", "account", "qos", "constraint"):
            value = getattr(self, field)
            if value is not None and not NAME.fullmatch(value):
                yield field, f"is {value!r}; allowed: letters, digits and _ . , : + @ & | * ( ) [ ] -"
