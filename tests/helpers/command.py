"""Calls of the real commands, each in a separate process."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SMALL = (
    "experiment=phrasebook",
    "data.phrasebook.train=600",
    "data.phrasebook.valid=20",
    "data.phrasebook.test=20",
    "data.tokenizer.vocab_size=300",
    "model.embed_size=16",
    "model.hidden_size=16",
    "train.batch_size=16",
    "train.validate_every=10",
    "train.checkpoint_every=5",
    "train.log_every=2",
    "optim.warmup_steps=5",
    "machine.threads=1",
    "tracking.mode=disabled",
)
"""Overrides for a training of a few seconds, which learns almost nothing."""


def start(script: str, *arguments: str, cwd: Path, **options: object) -> subprocess.Popen[str]:
    """Start `scripts/SCRIPT.py` in a folder."""
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=cwd, env=environment, **{**pipes, **options})


def call(script: str, *arguments: str, cwd: Path, code: int = 0, given: str | None = None) -> tuple[str, str]:
    """Run a command, check its exit code, and return its standard output and error."""
    process = start(script, *arguments, cwd=cwd)
    output, error = process.communicate(given, timeout=900)
    assert process.returncode == code, f"exit code {process.returncode}\n{output}\n{error}"
    return output, error


def refused(script: str, *arguments: str, cwd: Path) -> str:
    """Run a command that must end with exit code 2 and one line on standard error; return that line."""
    output, error = call(script, *arguments, cwd=cwd, code=2, given="")
    lines = [line for line in error.split("\n") if line]
    assert output == ""
    assert len(lines) == 1, error
    assert lines[0].startswith("nmt: ")
    return lines[0]


def weights(run: Path, name: str = "last") -> str:
    """Return the digest of the weights of a checkpoint."""
    return hashlib.sha256((run / "checkpoints" / name / "model.safetensors").read_bytes()).hexdigest()


def steps(run: Path) -> list[int]:
    """Return the steps in metrics.jsonl."""
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().split("\n") if line]


def without_times(run: Path) -> list[dict[str, float]]:
    """Return metrics.jsonl without measured times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().split("\n") if line]
    return [{key: value for key, value in line.items() if "second" not in key} for line in lines]


def assert_same_run(run: Path, expected: Path) -> None:
    """Assert that the weights and metrics of two runs are equal to the bit."""
    for name in ("last", "best"):
        assert weights(run, name) == weights(expected, name)
    assert without_times(run) == without_times(expected)
