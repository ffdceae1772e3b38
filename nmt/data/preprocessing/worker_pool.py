"""Processes that do steps of preparation beside each other.

Each is a Python of its own that reads a task a line and answers with lines, both JSON. Not multiprocessing: a fork of
a process that has started torch's threads may hang, and a spawned one runs the caller's script again, torch's import
included. Standard input ends when the process that writes to it does, however that was killed: none is left behind.
And whoever goes on with its work waits for a lock that they all hold: none of them may write a moment longer.
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
class Task:
    """What `perform` is asked for."""

    step: str
    number: int
    given: dict[str, Any]
    size: int
    """What `perform` advances by in the whole, if it does not find the step done already."""


class Meter:
    """Tells how far all tasks are."""

    def __init__(self, tasks: Sequence[Task], advance: Advance) -> None:
        self.left = [task.size for task in tasks]
        self.advance = advance

    def part(self, index: int, count: int) -> None:
        self.left[index] -= count
        self.advance(count)

    def rest(self, index: int) -> None:
        self.part(index, self.left[index])


class Workers:
    """Performs tasks, in as many processes as there is work for; what one alone can do is done in this process."""

    def __init__(self, folder: Path, most: int | None) -> None:
        """
        Args:
            folder: of the corpus.
            most: processes; None: as many as there are cores.
        """
        self.folder = folder
        self.most = most or available_cores()
        self.processes: list[Process] = []
        self.readers: list[Thread] = []
        self.lines: SimpleQueue[tuple[Process, str]] = SimpleQueue()

    def run(self, tasks: Sequence[Task], advance: Advance, alone: bool = False) -> list[Result]:
        """Returns the results in the order of the tasks.

        Args:
            tasks: what to do.
            advance: told how far they are.
            alone: whether to do them all in this process.

        Raises:
            UserError: what the tasks read is wrong.
            Unfinished: a process was killed, or cannot write.
        """
        meter = Meter(tasks, advance)
        results: dict[int, Result] = {}
        if alone or min(self.most, len(tasks)) < 2:
            for index, task in enumerate(tasks):
                part = partial(meter.part, index)
                results[index] = perform(self.folder, task.step, task.number, task.given, part)
                meter.rest(index)
            return list(results.values())
        self.start(min(self.most, len(tasks)))
        waiting = iter(enumerate(tasks))
        busy: dict[Process, int] = {}
        for process in self.processes:
            self.give(process, waiting, busy)
        while busy:
            process, line = self.lines.get()
            answer = self.understood(process, line)
            if "advance" in answer:
                meter.part(busy[process], answer["advance"])
                continue
            index = busy.pop(process)
            results[index] = answer["result"]
            meter.rest(index)
            self.give(process, waiting, busy)
        return [results[index] for index in range(len(tasks))]

    def start(self, count: int) -> None:
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
            self.readers.append(Thread(target=self.listen, args=(process,), daemon=True))
            self.readers[-1].start()

    def listen(self, process: Process) -> None:
        """Puts what a process says where all is read, and in the end what is no line."""
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.put((process, line))
        self.lines.put((process, ""))

    def give(self, process: Process, waiting: Iterable[tuple[int, Task]], busy: dict[Process, int]) -> None:
        """Gives a process the next task, if one is left."""
        for index, task in waiting:
            assert process.stdin is not None
            busy[process] = index
            try:
                process.stdin.write(f"{json.dumps([task.step, task.number, task.given])}\n")
                process.stdin.flush()
            except BrokenPipeError:
                raise self.lost(process) from None
            return

    def understood(self, process: Process, line: str) -> dict[str, Any]:
        if not line.endswith("\n"):
            raise self.lost(process)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise (Unfinished if answer["unfinished"] else UserError)(answer["error"])
        return answer

    def lost(self, process: Process) -> Unfinished:
        code = process.wait()
        return Unfinished(
            f"a process of the preparation ended with code {code}, perhaps for want of memory; the same command goes on"
            " from what is finished, with data.workers=1 in less memory"
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
                with suppress(BrokenPipeError):  # of what it was given and has not read
                    assert pipe is not None
                    pipe.close()
            process.wait()
        os.close(self.lock)
