"""What tests share: an environment that touches nothing of the user's, and a small corpus with its tokenizer."""

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
    """The cache in a temporary folder, and wandb without account or network, whatever the user has set."""
    folder = tmp_path_factory.mktemp("environment")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        patch.setenv("NMT_CACHE", str(folder / "cache"))
        patch.setenv("WANDB_MODE", "offline")
        for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
            patch.setenv(name, str(folder / "wandb"))
        torch.set_num_threads(1)  # for what the first module prepares
        yield


@pytest.fixture(autouse=True)
def numbers_near_zero() -> Iterator[None]:
    """Commands have the processor take them for zero; hypothesis refuses to draw numbers where it does."""
    yield
    torch.set_flush_denormal(False)


def pytest_collection_finish() -> None:
    """What the imports have made stays to the end: the garbage collector need not look through it again and again."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_store() -> Iterator[None]:
    """Hydra copies all schemas for each composition, a fifth of its time, and changes no copy of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigStore, "__deepcopy__", lambda store, memo: store, raising=False)
        yield


@pytest.fixture(scope="module")
def composing() -> Iterator[None]:
    """Hydra with the shipped files and the schemas of all commands, for `hydra.compose`."""
    with composing_in(conf_dir()):
        yield


@pytest.fixture
def terminal() -> Iterator[None]:
    """SIGHUP is heard, as at a terminal, also where nohup has the tests ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """More threads would change the order of sums, and with it the last bits; also of what the next module prepares."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def phrases() -> list[Pair]:
    return list(pairs(300, seed=1))


@pytest.fixture(scope="session")
def tokenizer(phrases: list[Pair]) -> Tokenizer:
    """One vocabulary for both languages."""
    return Tokenizer(train_tokenizer((line for pair in phrases for line in pair), TokenizerConfig(vocab_size=200)))
