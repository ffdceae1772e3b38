"""Pool of worker processes that run steps of preparation in parallel.

Each worker is a separate Python process that reads one task per line and answers with lines, both in JSON.
multiprocessing is not used: a fork of a process that has started torch's threads may hang, and a spawned process runs
the caller's script, with its import of torch, again. The standard input of a worker ends when the parent process ends,
even if the parent is killed, so no worker is left behind. All workers hold a lock, and a preparation that continues the
work acquires this lock first, so that no old worker writes at the same time.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from nmt.data.preprocessing.shard_boundaries import WORK, Result
from nmt.data.preprocessing.shard_steps import Advance, perform
from nmt.errors import Unfinished, UserError
from nmt.processor import available_cores

COMMAND = "from nmt.data.preprocessing.worker_process import main; main()"
Process = subprocess.Popen[str]


@dataclass(frozen=True)
class ShardTask:
    """Arguments of `perform`."""

    step: str
    number: int
    given: dict[str, Any]
    size: int
    """Total progress that `perform` reports, unless the step is already finished."""


class ProgressMeter:
    """Progress of all tasks."""

    def __init__(self, tasks: Sequence[ShardTask], advance: Advance) -> None:
        self.left = [task.size for task in tasks]
        self.advance = advance

    def add(self, index: int, count: int) -> None:
        """Add progress of a task."""
        self.left[index] -= count
        self.advance(count)

    def complete(self, index: int) -> None:
        """Add the remaining progress of a task that has ended."""
        self.add(index, self.left[index])


class Workers:
    """Pool of at most one process per task. A single task is performed in this process."""

    def __init__(self, folder: Path, most: int | None) -> None:
        """Take the folder of the corpus and the maximum number of processes; None: the number of cores."""
        self.folder = folder
        self.most = most or available_cores()
        self.processes: list[Process] = []
        self.readers: list[Thread] = []
        self.lines: SimpleQueue[tuple[Process, str]] = SimpleQueue()

    def run(self, tasks: Sequence[ShardTask], advance: Advance, alone: bool = False) -> list[Result]:
        """Perform tasks and return their results in the order of the tasks.

        With `alone`, all tasks are performed in this process.

        Raises:
            UserError: the input of a task is not valid.
            Unfinished: a process was killed, or output cannot be written.
        """
        meter = ProgressMeter(tasks, advance)
        results: dict[int, Result] = {}
        if alone or min(self.most, len(tasks)) < 2:
            for index, task in enumerate(tasks):
                results[index] = perform(self.folder, task.step, task.number, task.given, partial(meter.add, index))
                meter.complete(index)
            return list(results.values())
        self.start(min(self.most, len(tasks)))
        waiting = iter(enumerate(tasks))
        busy: dict[Process, int] = {}
        for process in self.processes:
            self.send_task(process, waiting, busy)
        while busy:
            process, line = self.lines.get()
            answer = self.parse_answer(process, line)
            if "advance" in answer:
                meter.add(busy[process], answer["advance"])
                continue
            index = busy.pop(process)
            results[index] = answer["result"]
            meter.complete(index)
            self.send_task(process, waiting, busy)
        return [results[index] for index in range(len(tasks))]

    def start(self, count: int) -> None:
        """Start processes until there are `count`."""
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-P", "-c", COMMAND, str(self.folder)]
        while len(self.processes) < count:
            process = subprocess.Popen(
                command,
                env=environment,
                encoding="utf-8",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(self.lock,),
            )
            self.processes.append(process)
            self.readers.append(Thread(target=self.read_answers, args=(process,), daemon=True))
            self.readers[-1].start()

    def read_answers(self, process: Process) -> None:
        """Queue the lines that a process writes, and an empty string when it ends."""
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.put((process, line))
        self.lines.put((process, ""))

    def send_task(self, process: Process, waiting: Iterable[tuple[int, ShardTask]], busy: dict[Process, int]) -> None:
        """Send the next waiting task, if any, to a process."""
        for index, task in waiting:
            assert process.stdin is not None
            busy[process] = index
            try:
                process.stdin.write(f"{json.dumps([task.step, task.number, task.given])}\n")
                process.stdin.flush()
            except BrokenPipeError:
                raise self.process_error(process) from None
            return

    def parse_answer(self, process: Process, line: str) -> dict[str, Any]:
        """Return an answer of a process; raise its error, or Unfinished if the process has ended."""
        if not line.endswith("\n"):
            raise self.process_error(process)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise (Unfinished if answer["unfinished"] else UserError)(answer["error"])
        return answer

    def process_error(self, process: Process) -> Unfinished:
        """Return the error for a process that ended unexpectedly."""
        code = process.wait()
        return Unfinished(
            f"a process of the preparation ended with code {code}, perhaps because of too little memory; "
            "the same command continues from the finished parts, and data.workers=1 needs less memory"
        )

    def __enter__(self) -> "Workers":
        self.lock = os.open(self.folder / WORK / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        for process, reader in zip(self.processes, self.readers, strict=True):
            process.kill()
            reader.join()
            for pipe in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):  # closing flushes a task that the process has not read
                    assert pipe is not None
                    pipe.close()
            process.wait()
        os.close(self.lock)
