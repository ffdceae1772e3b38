"""Composition from Python: the same configuration as the command line, and no lasting global state."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hydra._internal.hydra
import hydra.core.override_parser.overrides_parser as parser
import pytest
from composing import composing_in
from hydra import compose, version
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from omegaconf import OmegaConf

from nmt.cli import app
from nmt.cli.app.composing import composed
from nmt.cli.app.typed_text import TextVisitor
from nmt.config import Config, conf_dir, from_hydra
from nmt.errors import UserError


def global_state() -> dict[str, Any]:
    """Return what Hydra keeps in global variables."""
    return {
        "instances": {kind: id(instance) for kind, instance in Singleton._instances.items()},
        "config": HydraConfig.instance().cfg,
        "initialized": GlobalHydra.instance().is_initialized(),
        "version": version.getbase(),
        "sources": dict(SourcesRegistry.instance().types),
        "schemas": sorted(ConfigStore.instance().repo),
        "groups": {name: sorted(node) for name, node in ConfigStore.instance().repo.items() if isinstance(node, dict)},
        "readers": (hydra._internal.hydra.ConfigLoaderImpl, parser.HydraOverrideVisitor, TextVisitor.schema),
        "resolvers": {name: OmegaConf.has_resolver(name) for name in ("now", "hydra", "python_version")},
    }


@pytest.fixture(autouse=True)
def loaded_plugins() -> None:
    """Make the objects that Hydra makes at their first use."""
    Plugins.instance()
    global_state()


OVERRIDES = ["experiment=phrasebook", "model=lstm_tiny", "train.max_steps=7", "tracking.name=1.20", "seed=3"]


def test_the_composition_is_that_of_hydra_with_the_same_overrides() -> None:
    with composing_in(conf_dir()):
        expected = from_hydra(Config, compose("train", overrides=[*OVERRIDES[:3], "tracking.name='1.20'", "seed=3"]))
    with composed("train", OVERRIDES) as cfg:
        config = from_hydra(Config, cfg)
        assert app.overrides() == OVERRIDES
        assert app.choices()["model"] == "lstm_tiny"
        assert app.value_overrides() == {"train.max_steps": 7, "tracking.name": "1.20", "seed": 3}
        assert app.run_dir().parent == Path.cwd() / "runs"
    assert config == expected


def test_the_global_variables_of_hydra_are_put_back(tmp_path: Path) -> None:
    before = global_state()
    for overrides in (OVERRIDES, ["train.max_step=3"], ["experiment=nothing"]):
        try:
            with composed("train", overrides):
                pass
        except UserError:
            pass
        assert global_state() == before
    with pytest.raises(RuntimeError, match="of the caller"), composed("train", []):
        raise RuntimeError("of the caller")
    assert global_state() == before


def test_a_program_with_a_hydra_configuration_of_its_own_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("size: 3\n", encoding="utf-8")
    with composing_in(str(tmp_path)):
        before = global_state()
        assert compose("own", overrides=["size=4"]).size == 4
        with composed("train", ["seed=5"]) as cfg:
            with composed("evaluate", ["run=somewhere"]) as inner:
                assert inner.run == "somewhere"
            assert from_hydra(Config, cfg).seed == 5
            assert app.overrides() == ["seed=5"]
        assert compose("own").size == 3
        assert global_state() == before


def test_threads_compose_one_after_the_other() -> None:
    def steps(number: int) -> tuple[int, list[str]]:
        with composed("train", [f"train.max_steps={number}"]) as cfg:
            return from_hydra(Config, cfg).train.max_steps, app.overrides()

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(steps, range(1, 7)))
    assert results == [(number, [f"train.max_steps={number}"]) for number in range(1, 7)]


def test_a_further_folder_of_configuration_files_is_searched(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text("# @package _global_\nseed: 11\n", encoding="utf-8")
    with composed("train", ["experiment=own"], tmp_path) as cfg:
        assert from_hydra(Config, cfg).seed == 11
    with pytest.raises(UserError, match="is not a folder; name one that holds configuration files"):
        composed("train", [], tmp_path / "nothing").__enter__()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["hydra.searchpath=[pkg://os]"], "hydra.searchpath is set"),
        (["+hydra.callbacks.x._target_=os.system"], "hydra.callbacks"),
        (["+hydra.job.env_set.A=b"], "hydra.job.env_set is set"),
        (["experiment=../../x"], "experiment"),
        (["--config-dir=/"], "'--config-dir=/' is not an override"),
        ([3], "3 is not an override"),
        (["data.directions.src_lang=de"], "is set below a key that is a list, such as data.directions"),
    ],
)
def test_what_the_command_line_refuses_is_refused(overrides: list[Any], said: str) -> None:
    with pytest.raises(UserError) as caught, composed("train", overrides):
        pass
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
