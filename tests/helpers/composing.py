"""Hydra composition from a folder of configuration files, as in the commands."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from nmt.cli.app import register_schemas


@contextmanager
def composing_in(folder: str) -> Iterator[None]:
    """Set up `hydra.compose` with the files of a folder and the schemas of all commands."""
    register_schemas()
    try:
        with initialize_config_dir(config_dir=folder, version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().clear()
