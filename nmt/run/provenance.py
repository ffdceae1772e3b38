"""Provenance of a run: code, libraries, machine and command."""

import os
import platform
import resource
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import nmt

LIBRARIES = (
    "torch",
    "sentencepiece",
    "tokenizers",
    "sacrebleu",
    "pytorch-ignite",
    "hydra-core",
    "omegaconf",
    "numpy",
    "safetensors",
    "wandb",
    "trackio",
    "tensorboard",
    "optuna",
)


def provenance(overrides: list[str], command: list[str] | None = None) -> dict[str, Any]:
    """Return what is needed to repeat a start of a run.

    `command` has the words of the command; None: those of the command line.
    """
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]] if command is None else command,
        "overrides": overrides,
        "nmt": nmt.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "libraries": {name: installed(name) for name in LIBRARIES},
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),  # set by torchrun
    }


def installed(library: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Return the commit of the checkout that the code runs from, with `+` if it has changes; None in a wheel."""
    folder = Path(nmt.__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10)
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "") or None


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes, since `forget_peak_memory` on Linux."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak_memory() -> None:
    """Reset the peak memory on Linux: the jobs of a multirun share one process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
