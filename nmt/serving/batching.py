"""Queue that decodes sentences of many requests together, and the threads that serve it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from nmt.config import SearchConfig
from nmt.decoding import Candidate, TargetConstraints
from nmt.decoding.hypothesis import HYPOTHESES
from nmt.serving.metrics import Metrics
from nmt.serving.model import Model
from nmt.serving.threads import compute_on_one_thread

log = logging.getLogger(__name__)


class QueueFull(Exception):
    """Refusal of sentences that the queue has no room for."""


class ShuttingDown(Exception):
    """Refusal of sentences that arrive after the queue is closed."""


@dataclass(eq=False)
class Job:
    """Sentence to translate, or a function to call in a model thread."""

    model: Model
    search: SearchConfig
    line: str
    constraints: TargetConstraints
    function: Callable[[], Any] | None = None
    """Function to call in place of a translation."""
    future: Future[Any] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)

    def fits(self, other: "Job") -> bool:
        """Return whether two jobs can be decoded in one batch."""
        if self.function is not None or other.function is not None:
            return False
        return self.model is other.model and self.search == other.search


class BatchQueue:
    """Queue of sentences. Each thread takes the oldest job and those that fit it as one batch.

    A sentence waits for a few milliseconds so that others can join its batch, unless the batch is full earlier.
    """

    def __init__(self, threads: int, max_waiting: int, wait_seconds: float, metrics: Metrics) -> None:
        self.max_waiting = max_waiting
        self.wait_seconds = wait_seconds
        self.metrics = metrics
        self.waiting: deque[Job] = deque()
        self.changed = threading.Condition()
        self.closed = False
        self.threads = [threading.Thread(target=self.work, name=f"model {i}", daemon=True) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Add all of these jobs, or none.

        Raises:
            QueueFull: there is no room for all of them.
            ShuttingDown: the queue is closed.
        """
        with self.changed:
            if self.closed:
                raise ShuttingDown
            self.waiting = deque(job for job in self.waiting if not job.future.cancelled())
            if len(self.waiting) + len(jobs) > self.max_waiting:
                raise QueueFull
            self.waiting.extend(jobs)
            self.changed.notify_all()

    def close(self) -> None:
        """Finish the accepted jobs and end the threads."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join()

    def work(self) -> None:
        """Decode batches until the queue is closed and empty."""
        compute_on_one_thread()
        while batch := self.take():
            running = [job for job in batch if job.future.set_running_or_notify_cancel()]
            if running:
                self.metrics.observe_batch(len(running))
                self.run(running)

    def take(self) -> list[Job]:
        """Return the next batch; an empty list if the queue is closed and empty."""
        with self.changed:
            while True:
                if not self.waiting:
                    if self.closed:
                        return []
                    self.changed.wait()
                    continue
                first = self.waiting[0]
                limit = max(1, HYPOTHESES // first.search.width)
                batch = [first, *(job for job in list(self.waiting)[1:] if first.fits(job))][:limit]
                rest = first.arrived + self.wait_seconds - time.monotonic()
                if first.function is None and len(batch) < limit and rest > 0 and not self.closed:
                    self.changed.wait(rest)
                    continue
                taken = set(map(id, batch))
                self.waiting = deque(job for job in self.waiting if id(job) not in taken)
                return batch

    def run(self, batch: Sequence[Job]) -> None:
        """Compute the results of a batch. If it fails, its jobs run one by one, and only the failing ones fail."""
        try:
            results = compute(batch)
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    self.run([job])
            else:
                batch[0].future.set_exception(error)
            return
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)


def compute(batch: Sequence[Job]) -> list[Any]:
    """Return the result of each job: its candidates, or what its function returns."""
    first = batch[0]
    if first.function is not None:
        return [first.function()]
    translations: list[list[Candidate]] = first.model.with_search(first.search).translate(
        [job.line for job in batch],
        constraints=[job.constraints for job in batch],
        places=["a sentence of a request"] * len(batch),
    )
    return translations
