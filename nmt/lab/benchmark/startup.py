"""Time from the start of the translation command to its first translation."""

import subprocess
import sys

from nmt.errors import UserError
from nmt.lab.benchmark.figures import Figures, timed

SENTENCE = "Where is the station?\n"


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
