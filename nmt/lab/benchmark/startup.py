"""Seconds from the command to the first translation."""

import subprocess
import sys

from nmt.errors import UserError
from nmt.lab.benchmark.figures import Figures, timed

SENTENCE = "Where is the station?\n"


class StartupBenchmark:
    def __init__(self, run: str) -> None:
        self.command = [sys.executable, "-m", "nmt.cli.translate", f"run={run}"]

    def repeat(self) -> Figures:
        def translate() -> None:
            done = subprocess.run(self.command, input=SENTENCE, capture_output=True, text=True, check=False)
            if done.returncode != 0 or not done.stdout.endswith("\n"):
                raise UserError(f"translate cannot be measured: {done.stderr.strip()}")

        return {"seconds_to_first_translation": timed(translate)}
