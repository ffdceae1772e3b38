"""Checks that keep Hydra from running code that a configuration names.

Independently of any application, Hydra instantiates objects under some of its own keys (callbacks, loggers, launchers),
imports the packages that it searches for files, and can load a pickle. A file in a folder given by --config-dir, or a
line copied to the command line, could use that. Therefore the search path is checked first, and each configuration is
checked directly after it is composed, before Hydra uses it.
"""

import re
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import hydra._internal.hydra
import hydra.core.override_parser.overrides_parser
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from nmt.cli.app.typed_text import TextVisitor, root_of
from nmt.config import RecurrentEncoderConfig, restore_text, side_paths
from nmt.config.checks import texts_in, value_at
from nmt.errors import UserError, first_line

CORE = "hydra._internal.core_plugins"
PLUGINS = {
    "launcher": (f"{CORE}.basic_launcher.BasicLauncher", "hydra_plugins.nmt_launcher.ClusterLauncher"),
    "sweeper": (f"{CORE}.basic_sweeper.BasicSweeper",),
}
"""Classes that Hydra is allowed to instantiate, by key."""
EMPTY = ("callbacks", "job.env_set", "job.env_copy", "searchpath", "output_subdir")
LOGGING = ("job_logging", "hydra_logging")
HARMLESS = {"version", "disable_existing_loggers"}
"""Keys of the standard library's logging configuration that import nothing."""
CALLS = ("._target_", ".()")  # keys of a callable: Hydra's, and that of logging
FOLDERS = ("main", "command-line")
"""Hydra's names for --config-path and --config-dir. Hydra also searches its own packages and those of plugins."""


def install(schema: type) -> None:
    """Replace Hydra's readers of configuration by the checked ones, for a command with this schema."""
    TextVisitor.schema = schema
    hydra._internal.hydra.ConfigLoaderImpl = CheckedLoader
    hydra.core.override_parser.overrides_parser.HydraOverrideVisitor = TextVisitor


@contextmanager
def reading(schema: type) -> Iterator[None]:
    """Read configurations of another command's schema than that of `install`."""
    installed = TextVisitor.schema
    TextVisitor.schema = schema
    try:
        yield
    finally:
        TextVisitor.schema = installed


class CheckedLoader(ConfigLoaderImpl):  # type: ignore[misc]  # mypy does not read hydra
    """Hydra's loader with checks of the search path and of the composed configuration."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        """
        Raises:
            UserError: the search path names a package, which Hydra would import.
        """
        for place in config_search_path.get_path():
            if place.provider in FOLDERS and "://" in place.path.removeprefix("file://"):
                raise UserError(f"{place.path} is not a folder; give a folder with --config-path or --config-dir")
        SourcesRegistry.instance().types[CheckedFiles.scheme()] = CheckedFiles
        super().__init__(config_search_path)

    def _process_config_searchpath(self, config_name: str | None, parsed_overrides: list[Any], repo: Any) -> None:
        """Refuse `hydra.searchpath`: Hydra would import a package that it names."""
        primary = None if config_name is None else repo.load_config(config_path=config_name)  # cached by Hydra
        keys = [override.get_key_element() for override in parsed_overrides]
        in_file = None if primary is None else OmegaConf.select(primary.config, "hydra.searchpath")
        if in_file or any(key.lstrip("+~") == "hydra.searchpath" for key in keys):
            raise UserError("hydra.searchpath is set; give a folder with --config-dir instead")

    def _load_single_config(self, default: ResultDefault, repo: Any) -> Any:
        """Load one file and keep its text values literal; refuse a defaults list that leads out of the folder."""
        if not default.primary and default.config_path is not None:
            refuse_outside_path(default.config_path, default.config_path)
        loaded = super()._load_single_config(default, repo)
        if loaded.path.startswith("file://"):
            file = file_of(loaded.path, str(default.config_path))
            written = file.read_text(encoding="utf-8") if file.is_file() else ""
            package = loaded.header["package"] if default.package is None else default.package
            restore_text(root_of(TextVisitor.schema), loaded.config, written, package or "")
            self.drop_keys_of_other_kinds(loaded.config)
        return loaded

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: Any) -> DictConfig:
        """Remember the chosen encoder and decoder while the files are loaded."""
        self.chosen: dict[str, Any] = {}
        for path, kinds in side_paths(root_of(TextVisitor.schema)).items():
            for default in defaults:
                group, _, name = str(default.config_path).rpartition("/")
                if group == path.replace(".", "/"):  # other names are those of cells
                    self.chosen[path] = kinds.get(name, RecurrentEncoderConfig), kinds
        composed: DictConfig = super()._compose_config_from_defaults_list(defaults, repo)
        return composed

    def drop_keys_of_other_kinds(self, loaded: DictConfig) -> None:
        """Drop a file's keys that the chosen encoder or decoder lacks and another kind has, so that presets combine."""
        for path, (side, kinds) in self.chosen.items():
            known = {key for kind in kinds.values() for key in kind.__dataclass_fields__}
            node = OmegaConf.select(loaded, path)
            for key in list(node) if isinstance(node, DictConfig) else []:
                if key in known and key not in side.__dataclass_fields__:
                    del node[key]

    def _load_configuration_impl(self, *args: Any, **kwargs: Any) -> DictConfig:
        """Compose a configuration. All public and private methods of Hydra 1.3 and 1.4 that compose end here.

        Raises:
            UserError: the configuration names something to call, import or put into the environment.
        """
        try:
            composed: DictConfig = super()._load_configuration_impl(*args, **kwargs)
        except OmegaConfBaseException:  # some are also one of the errors below; Hydra converts them
            raise
        except (
            YAMLError,
            AttributeError,
            AssertionError,
            LookupError,
            TypeError,
            RecursionError,
            UnicodeError,
        ) as error:  # not converted by Hydra
            raise UserError(f"the configuration cannot be composed: {error}") from None
        except ValueError as error:
            name = re.fullmatch(r"invalid literal for int\(\) with base 10: (.*)", str(error))
            if name is None:
                raise
            raise UserError(
                f"{name[1]} is set below a key that is a list, such as data.directions; give the whole list: "
                "'KEY=[{...}]'"
            ) from None
        refuse_code(composed)
        return composed


class CheckedFiles(FileConfigSource):  # type: ignore[misc]
    """Hydra's reader of configuration files, with one line of error for a file that is not a mapping."""

    def load_config(self, config_path: str) -> ConfigResult:
        """
        Raises:
            UserError: the file is not a mapping, or an experiment lacks its package line.
        """
        file = file_of(f"file://{self.path}", config_path)
        try:
            result = super().load_config(config_path)
        except (OSError, TypeError, ValueError, YAMLError) as error:
            if isinstance(error, OSError) and error.filename:
                raise
            reason = " ".join(str(error).split()) if isinstance(error, YAMLError) else first_line(error)
            raise UserError(f"{file} cannot be read as a configuration: {reason}") from None
        if not isinstance(result.config, DictConfig):
            raise UserError(f"{file} holds a list; a configuration file holds keys: write key: value")
        if config_path.startswith("experiment/") and result.header.get("package") is None:
            raise UserError(f"{file}: the first line of an experiment has to be '# @package _global_'; add it")
        return result


def file_of(folder: str, config_path: str) -> Path:
    """Return the file of a configuration in a folder that Hydra searches."""
    name = config_path if config_path.endswith(".yaml") else f"{config_path}.yaml"
    return Path(folder.removeprefix("file://")) / name


def options_first(words: Sequence[str]) -> list[str]:
    """Return the command line with its options before the overrides, as Hydra's parser requires.

    Raises:
        UserError: an option does not exist or lacks its value.
    """
    parser = args_parser()
    actions = parser._option_string_actions
    options: list[str] = []
    overrides: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("-") or word == "-":
            overrides.append(word)
            continue
        options.append(word)
        name, equals, _ = word.partition("=")
        near = [action for option, action in actions.items() if option.startswith(name) and name.startswith("--")]
        action = actions.get(name) or next(iter(near), None)
        if action is None or equals or not waiting:
            continue
        if (action.nargs is None and not waiting[0].startswith("-")) or waiting[0] in (action.choices or ()):
            options.append(waiting.pop(0))
        elif action.nargs == "?":
            options.append(action.const)
    parser.parse_args([*options, *overrides])
    return [*options, *overrides]


def args_parser() -> ArgumentParser:
    """Return Hydra's parser of options. It raises `UserError` instead of printing several lines."""
    parser: Any = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; write key=value for settings, see --help")

    parser.error = refuse
    return parser  # type: ignore[no-any-return]


def refuse_pickles(words: Sequence[str]) -> None:
    """Refuse Hydra's option to load a job from a pickle.

    Raises:
        UserError: the option is on the command line.
    """
    if args_parser().parse_known_args(words)[0].experimental_rerun is not None:
        raise UserError("--experimental-rerun loads a pickle, which can run any code; use train.resume=RUN")


def refuse_code(composed: DictConfig) -> None:
    """Refuse a configuration that names something to call, import or put into the environment.

    Raises:
        UserError: the configuration does so.
    """
    tree: Any = OmegaConf.to_container(composed)  # unresolved: a reference can give another value later
    settings = tree["hydra"]
    for key in (*EMPTY, *LOGGING, *PLUGINS):
        if any("${" in text for text in texts_in(value_at(settings, key))):
            raise UserError(f"hydra.{key} holds a reference; write its value")
    for key in EMPTY:
        if value_at(settings, key):
            raise UserError(f"hydra.{key} is set; it can run, load or overwrite any file, and has to stay empty here")
    for group, choice in settings["runtime"]["choices"].items():
        for name in choice if isinstance(choice, list) else [choice]:
            refuse_outside_path(f"{group}={name}", str(name))
    for name in LOGGING:
        logging = settings[name] or {}
        if not isinstance(logging, dict) or any(logging[key] for key in logging.keys() - HARMLESS):
            raise UserError(f"hydra.{name} is set; loggers can be any class, and it has to stay empty here")
    if not isinstance(settings["verbose"], (bool, str)):
        raise UserError("hydra.verbose is a list; give true, false or the name of one logger")
    for plugin, allowed in PLUGINS.items():
        node = settings[plugin] if isinstance(settings[plugin], dict) else {}
        targets = [node.pop(key) for key in list(node) if f".{key}" in CALLS]
        if len(targets) != 1 or targets[0] not in allowed:
            raise UserError(f"hydra.{plugin} is none of {', '.join(allowed)}; leave hydra/{plugin} out")
    for key in nested_keys(tree):
        if f".{key}".endswith(CALLS):
            raise UserError(f"{key} names something to call; configurations cannot do that here, leave it out")


def refuse_outside_path(label: str, path: str) -> None:
    """Refuse the path of a configuration file that leads out of its folder.

    Raises:
        UserError: the path does so; the message begins with `label`.
    """
    if ".." in path.split("/") or path.startswith("/"):
        raise UserError(f"{label} leads out of its folder; give the name of a file, and --config-dir")


def nested_keys(tree: Any, prefix: str = "") -> Iterator[str]:
    """Yield all dotted keys of nested dictionaries and lists."""
    if isinstance(tree, (dict, list)):
        for name, child in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield f"{prefix}{name}"
            yield from nested_keys(child, f"{prefix}{name}.")
