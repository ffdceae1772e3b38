"""Throughput of preparation (lines/s), time of a second preparation from the cache, and start-up of translation."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

from nmt.config import Config
from nmt.data import Prepared, locate
from nmt.errors import UserError
from nmt.lab.benchmark.figures import Figures, timed

POLL_SECONDS = 0.01
"""Interval between two polls of a process, and thereby the resolution of its time."""
SENTENCE = "Where is the station?\n"


class PreparationBenchmark:
    """Time of the preparation command with a new cache, and of a second call with that cache, including start-up.

    Downloads and generated files exist before the first measurement.
    """

    def __init__(self, config: Config) -> None:
        sources = locate(replace(config.data, directions=[]))  # of a multilingual corpus, its first direction
        self.data = replace(config.data, directions=[], download=None, mirror=None, phrasebook=None, strings=None)
        self.data.root = str(sources["train"].folder)
        for split, source in sources.items():
            setattr(self.data, split, source.files)
        self.bytes = sum(path.stat().st_size for path in sources["train"].paths())

    def repeat(self) -> Figures:
        """Run the command twice with a new cache."""
        with tempfile.TemporaryDirectory(prefix="nmt-benchmark-") as cache:
            command = [sys.executable, "-m", "nmt.cli.prepare", "data=files"]
            command += overrides("data", replace(self.data, cache=cache))
            peaks: list[float] = []
            seconds, again = (timed(lambda: peaks.append(run(command))) for _ in range(2))
            (folder,) = (path for path in (Path(cache) / "prepared").iterdir() if path.is_dir())
            lines = json.loads((folder / "report.json").read_text(encoding="utf-8"))["read"]
            Prepared(folder).check()
            kept = sum(file.stat().st_size for file in Path(cache).rglob("*") if file.is_file())
        return {
            "lines_per_second": lines / seconds,
            "mib_per_second": self.bytes / 2**20 / seconds,
            "seconds": seconds,
            "seconds_second_time": again,
            "cache_bytes": kept,
            "peak_rss_bytes": max(peaks),
        }


class StartupBenchmark:
    """Time in which the translation command translates one sentence with a run."""

    def __init__(self, run: str) -> None:
        self.command = [sys.executable, "-m", "nmt.cli.translate", f"run={run}"]

    def repeat(self) -> Figures:
        """Run the command once.

        Raises:
            UserError: the command failed.
        """

        def translate() -> None:
            done = subprocess.run(self.command, input=SENTENCE, capture_output=True, text=True, check=False)
            if done.returncode != 0 or not done.stdout.endswith("\n"):
                raise UserError(f"translate cannot be measured: {done.stderr.strip()}")

        return {"seconds_to_first_translation": timed(translate)}


def overrides(prefix: str, config: Any) -> Iterator[str]:
    """Yield a part of the configuration as overrides of the command line."""
    for name, value in vars(config).items():
        if is_dataclass(value):
            yield from overrides(f"{prefix}.{name}", value)
        else:
            yield f"{prefix}.{name}={json.dumps(value, ensure_ascii=False)}"


def run(command: list[str]) -> float:
    """Run a command and return the sum of the peak memory of its process and the processes it started, in bytes.

    The peaks are read from /proc while the processes run. Their resource usage would include the memory of the process
    from which they were forked.

    Raises:
        UserError: the command failed.
    """
    peaks: dict[str, float] = {}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        while process.poll() is None:
            for number in (str(process.pid), *started_by(process.pid)):
                with suppress(OSError):  # the process has ended
                    status = Path(f"/proc/{number}/status").read_text(encoding="utf-8")
                    if peak := re.search(r"VmHWM:\s*(\d+) kB", status):  # absent for a process that has ended
                        peaks[number] = float(peak[1]) * 1024
            time.sleep(POLL_SECONDS)
        if process.returncode != 0:
            errors.seek(0)
            raise UserError(f"prepare cannot be measured: {errors.read().strip()}")
    return sum(peaks.values())


def started_by(process: int) -> list[str]:
    """Return the ids of the child processes of a process."""
    try:
        return Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()
    except OSError:
        return []
