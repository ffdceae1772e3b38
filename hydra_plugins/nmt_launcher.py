"""Plugin through which Hydra finds the launchers of nmt/cli/launch/cluster.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from nmt.config import ClusterConfig


class ClusterLauncher(Launcher):
    """Launcher of `hydra/launcher=slurm` and `hydra/launcher=local`."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context = hydra_context
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from nmt.cli.launch.cluster import launch  # not earlier: Hydra imports this file at the start of each command

        return launch(self.context.config_loader, self.config, self.settings, job_overrides, initial_job_idx)


@dataclass
class ClusterNode(ClusterConfig):
    """Keys of `hydra.launcher`, with the class that Hydra instantiates."""

    _target_: str = f"{__name__}.{ClusterLauncher.__name__}"


ConfigStore.instance().store(group="hydra/launcher", name="nmt_cluster", node=ClusterNode, provider="nmt")
