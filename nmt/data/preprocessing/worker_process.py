"""Main loop of a worker process: read tasks from standard input, perform them, answer on standard output."""

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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the one that asks ends the others
    folder = Path(sys.argv[1])
    tasks: SimpleQueue[str] = SimpleQueue()
    Thread(target=receive, args=(tasks,), daemon=True).start()
    with suppress(BrokenPipeError):  # whoever asked has ended in this moment
        while True:
            say(answer(folder, *json.loads(tasks.get())))
    os._exit(0)


def receive(tasks: SimpleQueue[str]) -> None:
    """Ends this process in the midst of its work when the one that gives it tasks has ended."""
    for line in sys.stdin:
        tasks.put(line)
    os._exit(0)


def say(something: dict[str, Any]) -> None:
    print(json.dumps(something), flush=True)


def answer(folder: Path, step: str, number: int, given: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": perform(folder, step, number, given, lambda count: say({"advance": count}))}
    except UserError as error:
        return {"error": str(error), "unfinished": isinstance(error, Unfinished)}
