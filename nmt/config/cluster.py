"""Configuration of the launchers that run a multirun as jobs of a queue."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.checks import number

NAME = re.compile(r"[A-Za-z0-9_(\[][A-Za-z0-9_.,:+@&|*()\[\]-]*", re.ASCII)
"""Names that are allowed in a batch script. A line feed would start a new line there, which the shell would execute."""


class Queue(StrEnum):
    """Queues for jobs."""

    slurm = "slurm"
    local = "local"


@dataclass
class ClusterConfig:
    """`hydra.launcher` of `hydra/launcher=slurm` and `hydra/launcher=local`."""

    queue: Queue = Queue.local
    """Queue. slurm: Slurm; local: processes on this machine, `parallel` at a time."""
    name: str = "nmt"
    """Name of the jobs in the queue."""
    minutes: int = 1440
    """Time limit of a job, in minutes."""
    notice_seconds: int = 120
    """Time before the limit, in seconds, at which a job finishes its step, writes a checkpoint and is requeued."""
    requeue: int = 20
    """Maximum number of times a job is requeued at its time limit. Preempted jobs are always requeued."""
    parallel: int | None = None
    """Maximum number of jobs that run at the same time; null: no limit (local: all)."""
    nodes: int = 1
    """Nodes per job."""
    tasks_per_node: int = 1
    """Processes per node, which train one model by distributed data parallelism, as under torchrun."""
    cpus: int | None = None
    """Cores per process, also used as the number of threads unless machine.threads is set; null: default of the
    queue."""
    gpus: int | None = None
    """GPUs per node, one per process; null: none requested."""
    memory_gb: int | None = None
    """Memory per node, in GB; null: default of the queue."""
    partition: str | None = None
    """Partition of Slurm; null: its default."""
    account: str | None = None
    """Account of Slurm to charge; null: the default of the user."""
    qos: str | None = None
    """Quality of service of Slurm; null: its default."""
    constraint: str | None = None
    """Required node features in Slurm's syntax, such as a100|h100."""

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
            yield "nodes", f"is {self.nodes}; allowed with queue=local: 1"
        if self.queue == Queue.local and self.gpus and self.parallel != 1:
            yield (
                "gpus",
                f"is {self.gpus}, but concurrent jobs would all get the same GPUs; set parallel=1, or gpus=null",
            )
        for field in ("name", "partition", "account", "qos", "constraint"):
            value = getattr(self, field)
            if value is not None and not NAME.fullmatch(value):
                yield field, f"is {value!r}; allowed: letters, digits and _ . , : + @ & | * ( ) [ ] -"
