"""Main loop of a worker process, which reads tasks from standard input and writes answers to standard output."""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from nmt.data.preprocessing.shard_steps import perform
from nmt.errors import Unfinished, UserError


def main() -> None:
    """Perform tasks until the parent process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends SIGINT to all; the parent ends the workers
    folder = Path(sys.argv[1])
    tasks: SimpleQueue[str] = SimpleQueue()
    Thread(target=receive_tasks, args=(tasks,), daemon=True).start()
    with suppress(BrokenPipeError):  # the parent has just ended
        while True:
            send(perform_task(folder, *json.loads(tasks.get())))
    os._exit(0)


def receive_tasks(tasks: SimpleQueue[str]) -> None:
    """Queue incoming tasks, and end this process, even during a task, when the parent has ended."""
    for line in sys.stdin:
        tasks.put(line)
    os._exit(0)


def send(message: dict[str, Any]) -> None:
    """Write a message to the parent as one line of JSON."""
    print(json.dumps(message), flush=True)


def perform_task(folder: Path, step: str, number: int, given: dict[str, Any]) -> dict[str, Any]:
    """Perform a task and return its result, or its error, as a message."""
    try:
        return {"result": perform(folder, step, number, given, lambda count: send({"advance": count}))}
    except UserError as error:
        return {"error": str(error), "unfinished": isinstance(error, Unfinished)}
