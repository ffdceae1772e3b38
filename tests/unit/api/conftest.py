"""A run that is trained from Python: in a thread, while an event loop runs, in a program with other settings."""

import asyncio
import logging
import signal
import sys
from pathlib import Path

import pytest
import torch

import nmt
from nmt.run import RunDirectory

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP)


def process_state() -> list[object]:
    """Return the settings of the process that a library should not change."""
    loggers = [logging.getLogger(name) for name in (None, "nmt")]
    return [
        [signal.getsignal(number) for number in HANDLED],
        [(list(logger.handlers), logger.level, logger.disabled, logger.propagate) for logger in loggers],
        logging.raiseExceptions,
        list(sys.argv),
        Path.cwd(),
        torch.get_rng_state().tolist(),
    ]


async def in_thread(overrides: list[str]) -> RunDirectory:
    """Train in a thread while the event loop of this thread runs."""
    training = asyncio.create_task(asyncio.to_thread(nmt.train, "debug", overrides))
    while not training.done():
        await asyncio.sleep(0.01)
    return training.result()


@pytest.fixture(scope="session")
def run(own_environment: None, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Train the experiment `debug`, whose training must not change the process."""
    folder = tmp_path_factory.mktemp("api") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["notebook", "--option-of-another-program"])
        before = process_state()
        overrides = [f"hydra.run.dir={folder}", "tracking.mode=disabled", "machine.threads=1"]
        run = asyncio.run(in_thread(overrides))
        assert process_state() == before
    return run


@pytest.fixture(scope="session")
def translator(run: RunDirectory) -> nmt.RunTranslator:
    return nmt.load(run.path, threads=1)
