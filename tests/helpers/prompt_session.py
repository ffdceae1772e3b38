"""The prompt of the translate command in a terminal of its own."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

from command import ROOT


class PromptSession:
    """Process of `translate` that shows its prompt; `close` ends it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.terminal, self.child = pty.openpty()
        command = [sys.executable, str(ROOT / "scripts" / "translate.py"), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder), "TERM": "dumb"}
        pipes = {"stdin": self.child, "stdout": self.child, "stderr": self.child}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, **pipes)
        self.read_until("> ")

    def read_until(self, word: str) -> None:
        """Read the terminal until it shows a word, at most 60 seconds."""
        seen, deadline = b"", time.monotonic() + 60
        while word.encode() not in seen:  # bytes, because a read can end within a character
            assert time.monotonic() < deadline, seen
            seen += os.read(self.terminal, 4096)

    def write(self, typed: str) -> None:
        """Type a line."""
        os.write(self.terminal, typed.encode() + b"\n")

    def type(self, typed: str, expected: str) -> None:
        """Type a line and read until the terminal shows a word."""
        self.write(typed)
        self.read_until(expected)

    def close(self) -> None:
        """Wait for the end of the process, which must be a success."""
        assert self.process.wait(timeout=30) == 0
        os.close(self.child)
        os.close(self.terminal)
