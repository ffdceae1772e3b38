"""The serve command as a process of its own."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from command import start


class Server:
    """Server as a process, whose log is a file."""

    def __init__(self, run: Path, log: Path, *arguments: str) -> None:
        self.log = log
        settings = ("machine.threads=1", "requests_per_minute=0", "search.max_length_ratio=1.0")
        with log.open("w") as file:
            self.process: subprocess.Popen[str] = start(
                "serve", f"run={run}", "port=0", *settings, *arguments, cwd=log.parent, stderr=file
            )
        end = time.monotonic() + 120
        while "listening on " not in log.read_text():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        self.url = log.read_text().partition("listening on ")[2].split()[0]
        self.port = int(self.url.rpartition(":")[2])

    def post(self, path: str, data: bytes, timeout: float = 60) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def translate(self, text: str) -> tuple[int, Any]:
        return self.post("/translate", json.dumps({"q": text, "source": "en", "target": "de"}).encode())

    def stop(self, number: int = signal.SIGTERM) -> int:
        os.kill(self.process.pid, number)
        return self.process.wait(timeout=60)
