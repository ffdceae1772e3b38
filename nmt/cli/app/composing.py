"""Composition of a command's configuration from Python, as the command line does it.

Hydra and this package keep readers of configuration, schemas and the last configuration in global variables. Here they
are set while a configuration is composed and put back afterwards, so that a program with a Hydra configuration of its
own can compose ours as well.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import hydra._internal.hydra
import hydra.core.override_parser.overrides_parser
from hydra import version
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from nmt.cli.app import SCHEMAS, register_schemas, user_message
from nmt.cli.app.hydra_guard import CheckedLoader, install
from nmt.cli.app.typed_text import TextVisitor
from nmt.config import conf_dir, user_path
from nmt.errors import UserError

VERSION = "1.3"
"""Version of Hydra whose behaviour the commands ask for."""
RESOLVERS = ("now", "hydra", "python_version")
"""Resolvers of references that Hydra registers in OmegaConf."""
LOCK = RLock()
"""Lock of the global variables; another thread that composes waits for it."""


@contextmanager
def composed(name: str, overrides: Sequence[str], config_dir: str | Path | None = None) -> Iterator[DictConfig]:
    """Compose the configuration of a command; while entered, the functions of this package see it.

    Args:
        name: name of the command.
        overrides: overrides as on the command line.
        config_dir: further folder of configuration files, as with the option --config-dir.

    Raises:
        UserError: an override or a file is wrong.
    """
    if isinstance(overrides, str):
        raise UserError(f"overrides={overrides!r} is a text; give a list: overrides=[{overrides!r}]")
    for override in overrides:
        if not isinstance(override, str) or override.startswith("-"):
            raise UserError(
                f"{override!r:.80} is not an override; write key=value, without options of the command line"
            )
    with LOCK, separate_hydra(SCHEMAS[name]):
        try:
            cfg = load(name, overrides, config_dir)
        except Exception as error:
            message = user_message(error, SCHEMAS[name])
            if message is None:
                raise
            raise UserError(message) from None
        yield cfg


def load(name: str, overrides: Sequence[str], config_dir: str | Path | None) -> DictConfig:
    """Return the composed configuration, and set Hydra's own part of it as its commands do."""
    JobRuntime.instance().set("name", name)
    search_path = create_config_search_path(conf_dir())
    if config_dir is not None:
        folder = user_path(str(config_dir)).absolute()
        if not folder.is_dir():
            raise UserError(f"config_dir={config_dir} is not a folder; name one that holds configuration files")
        search_path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    cfg: DictConfig = CheckedLoader(search_path).load_configuration(
        name, list(overrides), run_mode=RunMode.RUN, from_shell=False
    )
    HydraConfig.instance().set_config(cfg)
    with read_write(cfg.hydra), open_dict(cfg.hydra):
        cfg.hydra.mode = RunMode.RUN
        cfg.hydra.runtime.output_dir = str(Path(cfg.hydra.run.dir).absolute())
    HydraConfig.instance().set_config(cfg)
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


@contextmanager
def separate_hydra(schema: type) -> Iterator[None]:
    """Give Hydra the readers and schemas of this package and no earlier state, and put everything back afterwards."""
    Plugins.instance()  # fills the registry of sources and is kept: it takes most of the time of a composition
    parser = hydra.core.override_parser.overrides_parser
    readers = hydra._internal.hydra.ConfigLoaderImpl, parser.HydraOverrideVisitor, TextVisitor.schema
    sources, schemas = SourcesRegistry.instance().types, ConfigStore.instance().repo
    instances, resolvers = Singleton._instances, [name for name in RESOLVERS if OmegaConf.has_resolver(name)]
    own = (HydraConfig, JobRuntime, GlobalHydra, version.VersionBase)
    try:
        Singleton._instances = {kind: instance for kind, instance in instances.items() if kind not in own}
        SourcesRegistry.instance().types, ConfigStore.instance().repo = dict(sources), copy_of_folders(schemas)
        version.setbase(VERSION)
        install(schema)
        setup_globals()
        register_schemas()
        yield
    finally:
        Singleton._instances = instances
        SourcesRegistry.instance().types, ConfigStore.instance().repo = sources, schemas
        hydra._internal.hydra.ConfigLoaderImpl, parser.HydraOverrideVisitor, TextVisitor.schema = readers
        for name in RESOLVERS:
            if name not in resolvers:
                OmegaConf.clear_resolver(name)


def copy_of_folders(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of Hydra's store, in which dictionaries are folders; the files are not copied."""
    return {name: copy_of_folders(node) if isinstance(node, dict) else node for name, node in tree.items()}
