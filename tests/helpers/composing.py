"""Hydra's configuration of a folder, as the commands have it."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra

from nmt.cli.app import SCHEMAS


@contextmanager
def composing_in(folder: str) -> Iterator[None]:
    """While entered, `hydra.compose` reads the files of the folder and knows the schemas of all commands."""
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)
    try:
        with initialize_config_dir(config_dir=folder, version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().clear()
