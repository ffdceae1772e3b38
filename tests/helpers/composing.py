"""Hydra composition from a folder of configuration files, as in the commands."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser import overrides_parser
from hydra.core.override_parser.overrides_visitor import HydraOverrideVisitor
from hydra.core.plugins import Plugins

from nmt.cli.app import hydra_guard, register_schemas


@contextmanager
def composing_in(folder: str) -> Iterator[None]:
    """Set up `hydra.compose` with the files of a folder and the schemas of all commands."""
    register_schemas()
    try:
        with initialize_config_dir(config_dir=folder, version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().clear()


@contextmanager
def restored_readers() -> Iterator[None]:
    """Restore Hydra's readers of configuration, which `hydra_guard.install` replaces, at the end."""
    Plugins.instance()  # lists the sources of configuration files
    loader, visitor = hydra_guard.hydra._internal.hydra.ConfigLoaderImpl, overrides_parser.HydraOverrideVisitor
    files = hydra_guard.SourcesRegistry.instance().types["file"]
    assert visitor is HydraOverrideVisitor
    yield
    hydra_guard.hydra._internal.hydra.ConfigLoaderImpl = loader
    overrides_parser.HydraOverrideVisitor = visitor
    hydra_guard.SourcesRegistry.instance().types["file"] = files
