"""Shared fixtures: an isolated environment, and a small corpus with its tokenizer."""

import gc
import os
import signal
from collections.abc import Iterator

import pytest
import torch
from composing import composing_in
from hydra.core.config_store import ConfigStore

from nmt.config import TokenizerConfig, conf_dir
from nmt.data import Tokenizer
from nmt.data.tokenizer import train_tokenizer
from nmt.phrasebook import Pair, pairs


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put the cache into a temporary folder and wandb offline, regardless of the user's environment."""
    folder = tmp_path_factory.mktemp("environment")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        patch.setenv("NMT_CACHE", str(folder / "cache"))
        patch.setenv("WANDB_MODE", "offline")
        for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
            patch.setenv(name, str(folder / "wandb"))
        torch.set_num_threads(1)  # for the module fixtures of the first module
        yield


@pytest.fixture(autouse=True)
def numbers_near_zero() -> Iterator[None]:
    """Turn off flushing of denormal numbers, which commands turn on and hypothesis refuses."""
    yield
    torch.set_flush_denormal(False)


def pytest_collection_finish() -> None:
    """Exempt the imported objects, which live to the end, from garbage collection."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_store() -> Iterator[None]:
    """Do not copy Hydra's schema store for each composition: the copy takes a fifth of the time and is not changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigStore, "__deepcopy__", lambda store, memo: store, raising=False)
        yield


@pytest.fixture(scope="module")
def composing() -> Iterator[None]:
    """Set up `hydra.compose` with the shipped files and the schemas of all commands."""
    with composing_in(conf_dir()):
        yield


@pytest.fixture
def terminal() -> Iterator[None]:
    """Restore the default handling of SIGHUP, as at a terminal, where nohup made the tests ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread, also for the fixtures of the next module: more threads change the order of sums and the bits."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def phrases() -> list[Pair]:
    return list(pairs(300, seed=1))


@pytest.fixture(scope="session")
def tokenizer(phrases: list[Pair]) -> Tokenizer:
    """Train one tokenizer for both languages."""
    return Tokenizer(train_tokenizer((line for pair in phrases for line in pair), TokenizerConfig(vocab_size=200)))
