"""Number of usable processors, and the waiting policy of OpenMP's threads. It runs before heavy imports.

OpenMP's threads meet at a barrier after each parallel region. By default a thread that arrives early spins for
milliseconds before it sleeps. If another thread has lost its processor to another process, the spinning thread
occupies the processor that the other thread needs.
"""

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

SPIN_COUNT = 1000
"""Iterations that a thread of libgomp spins before it sleeps; docs/speed.md has the measurement behind the value."""
BLOCK_TIME = 1
"""Milliseconds that a thread of libomp or of Intel's runtime spins before it sleeps; their default is 200."""


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Shorten the time that OpenMP's threads spin, unless the user has set it. Has no effect once torch is imported."""
    if "OMP_WAIT_POLICY" in environment:
        return
    if "GOMP_SPINCOUNT" not in environment:
        environment["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
    if "KMP_BLOCKTIME" not in environment:
        environment["KMP_BLOCKTIME"] = str(BLOCK_TIME)


def available_cores() -> int:
    """Return the number of cores that this process may use: its affinity, and the quota of its control group.

    A quota of 1.5 cores counts as one: of two threads, each would be stopped for a quarter of the time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_quota(process: Path = Path("/proc/self"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the smallest quota of the process's control groups (version 1 or 2) in cores; None without one."""
    quotas = [quota for folder in _control_groups(process, root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _control_groups(process: Path, root: Path) -> Iterator[Path]:
    """Yield the folders of the groups that limit a process's time, from its own up to the root."""
    for line in _read(process / "cgroup").split("\n"):
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not group.startswith("/"):
            continue
        if controllers and "cpu" not in controllers.split(","):
            continue
        for top in (root, root / "unified") if not controllers else (root / controllers, root / "cpu"):
            folder = top / group[1:]
            yield from (parent for parent in (folder, *folder.parents) if parent.is_relative_to(top))


def _quota(folder: Path) -> float | None:
    """Return one group's quota in cores."""
    limit, period = (_read(folder / "cpu.max").split() or ["max", "1"])[:2]  # version 2
    if limit == "max":
        limit, period = _read(folder / "cpu.cfs_quota_us") or "-1", _read(folder / "cpu.cfs_period_us") or "1"
    try:
        cores = int(limit) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def requested_threads(environment: MutableMapping[str, str] = os.environ) -> int | None:
    """Return the number of threads in OMP_NUM_THREADS; None if it is unset or was set by torchrun.

    torchrun sets it to 1 for each of several processes unless the user has set it.
    """
    first = environment.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    threads = int(first) if first.isascii() and first.isdigit() else 0
    by_torchrun = threads == 1 and "TORCHELASTIC_RUN_ID" in environment
    return None if by_torchrun or threads < 1 else threads


class ContentionMeter:
    """Share of its time that this process's threads were ready to run but had no processor, as Linux counts it."""

    def __init__(self, tasks: Path = Path("/proc/self/task")) -> None:
        self.tasks = tasks
        self.waited = self._waited()

    def share(self, seconds: float, threads: int) -> float:
        """Return the share since the last call: waiting time over `seconds * threads`, at most 1; 0 if unknown."""
        before, self.waited = self.waited, self._waited()
        return min(1.0, max(0.0, self.waited - before) / max(seconds * threads, 1e-9))

    def _waited(self) -> float:
        """Return the seconds that all threads have waited: the second field of schedstat, in nanoseconds."""
        fields = [_read(task / "schedstat").split() for task in self.tasks.glob("*")]
        return sum(int(field[1]) for field in fields if len(field) == 3) / 1e9
