"""Counters of the server in Prometheus's text format."""

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 320.0)


@dataclass
class Histogram:
    """Counts of values per interval, with their sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str) -> list[str]:
        """Return the samples of the histogram."""
        lines, below = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            below += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {below}')
        return [*lines, f"{name}_sum {self.total:.6f}", f"{name}_count {below}"]


class Metrics:
    """Numbers of requests, characters, batches and refusals since the start."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: Counter[tuple[str, int]] = Counter()
        """Number of requests by path and status."""
        self.seconds = Histogram(SECONDS)
        self.batches = Histogram(SIZES)
        self.characters = 0

    def observe_request(self, path: str, status: int, seconds: float) -> None:
        """Count a finished request."""
        with self.lock:
            self.requests[path, status] += 1
            self.seconds.observe(seconds)

    def observe_batch(self, size: int) -> None:
        """Count a batch of the model."""
        with self.lock:
            self.batches.observe(size)

    def add_characters(self, count: int) -> None:
        """Count accepted characters of source text."""
        with self.lock:
            self.characters += count

    def text(self, waiting: int) -> str:
        """Return all metrics.

        Args:
            waiting: number of sentences in the queue.
        """
        with self.lock:
            requests = [
                f'nmt_requests_total{{path="{path}",status="{status}"}} {count}'
                for (path, status), count in sorted(self.requests.items())
            ]
            groups = [
                ("nmt_requests_total", "counter", "Requests by path and status.", requests),
                ("nmt_request_seconds", "histogram", "Time per request.", self.seconds.lines("nmt_request_seconds")),
                ("nmt_batch_size", "histogram", "Sentences per batch.", self.batches.lines("nmt_batch_size")),
                ("nmt_characters_total", "counter", "Source characters.", [f"nmt_characters_total {self.characters}"]),
                ("nmt_waiting_sentences", "gauge", "Waiting sentences.", [f"nmt_waiting_sentences {waiting}"]),
            ]
        lines = [
            line
            for name, kind, meaning, samples in groups
            for line in (f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", *samples)
        ]
        return "\n".join(lines) + "\n"
