"""Tests of the planned jobs of a multirun, without a queue; test_commands_cluster.py has tests with one.

Tests of running and stopping local jobs are in test_cluster_local.py.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from hydra.conf import ConfigSourceInfo
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from nmt.cli.launch.cluster import PlannedJob, create_executor, launch, plan_job, threads_per_process
from nmt.config import ClusterConfig, Config, Queue, from_hydra
from nmt.errors import UserError
from nmt.processor import available_cores

pytestmark = pytest.mark.usefixtures("composing")


def multirun(*overrides: str, command: str = "train") -> DictConfig:
    """Return the configuration that Hydra passes to a launcher."""
    loader = GlobalHydra.instance().config_loader()
    cfg = loader.load_configuration(command, list(overrides), run_mode=RunMode.MULTIRUN, from_shell=False)
    cfg.hydra.job.config_name = command
    return cfg


def plan(*overrides: str, number: int = 0, threads: int | None = None, given: tuple[str, ...] = ()) -> PlannedJob:
    config = multirun(*given)
    folder = Path(config.hydra.sweep.dir)
    return plan_job(GlobalHydra.instance().config_loader(), config, folder, overrides, number, threads)


def checked(**settings: Any) -> ClusterConfig:
    return from_hydra(ClusterConfig, settings, prefix="hydra.launcher.")


def test_the_shipped_launchers_have_the_keys_of_the_configuration_and_pass_its_checks() -> None:
    for queue in Queue:
        settings = dict(multirun(f"hydra/launcher={queue}").hydra.launcher)
        assert settings.pop("_target_") == "hydra_plugins.nmt_launcher.ClusterLauncher"
        assert checked(**settings).queue == queue
        assert set(settings) == {field.name for field in dataclasses.fields(ClusterConfig)}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"minutes": 0}, "hydra.launcher.minutes is 0; allowed: at least 1"),
        ({"minutes": 2}, "hydra.launcher.notice_seconds is 120; allowed: less than the 2 minutes of a job"),
        ({"requeue": -1}, "hydra.launcher.requeue is -1; allowed: at least 0"),
        ({"gpus": 2, "tasks_per_node": 3, "queue": "slurm"}, "hydra.launcher.gpus is 2; allowed: one for each"),
        ({"nodes": 2}, "hydra.launcher.nodes is 2; allowed with queue=local: 1"),
        ({"gpus": 1, "parallel": 2}, "set parallel=1"),
        ({"partion": "long"}, "hydra.launcher.partion: Key 'partion' not in 'ClusterConfig'"),
        ({"setup": ["rm -r ~"]}, "hydra.launcher.setup: Key 'setup' not in 'ClusterConfig'"),
        ({"additional_parameters": {"wrap": "rm -r ~"}}, "Key 'additional_parameters' not in 'ClusterConfig'"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as refusal:
        checked(**settings)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("field", ["name", "partition", "account", "qos", "constraint"])
@pytest.mark.parametrize(
    "value", ["x\ntouch y\n#", "x\n", "$(touch y)", "`touch y`", "x;y", "-x", "--wrap=y", "x y", "é", ""]
)
def test_no_name_can_bring_a_command_into_a_batch_script(field: str, value: str) -> None:
    with pytest.raises(UserError, match=f"hydra.launcher.{field} is "):
        checked(**{field: value})


@pytest.mark.parametrize("value", ["gpu", "a100|h100", "[rack1*2&rack2]", "team_4.b", "long,short", "nmt-1"])
def test_names_as_slurm_writes_them_pass(value: str) -> None:
    assert checked(queue="slurm", constraint=value).constraint == value


def test_a_job_composes_to_what_was_asked_of_the_multirun() -> None:
    job = plan("experiment=phrasebook", "seed=3", "model.dropout=0.25", number=2, threads=4)
    overrides = [given for given in job.arguments if not given.startswith("hydra.")]
    composed = from_hydra(Config, compose("train", overrides=overrides))
    expected = from_hydra(Config, compose("train", overrides=["experiment=phrasebook", "seed=3", "model.dropout=0.25"]))
    train = dataclasses.replace(expected.train, resume="auto")
    machine = dataclasses.replace(expected.machine, threads=4)
    tracking = dataclasses.replace(expected.tracking, group=job.run.parent.name)
    assert composed == dataclasses.replace(expected, train=train, machine=machine, tracking=tracking)
    assert job.run.name == "2"
    assert job.run.parent.parent == Path("runs/multirun")


def test_the_folder_of_a_run_is_fixed_before_the_job_starts() -> None:
    job = plan(
        "seed=1", number=5, given=("hydra.sweep.dir='some where/(x)=1,2'", "hydra.sweep.subdir=n${hydra.job.num}")
    )
    assert job.run == Path("some where/(x)=1,2/n5")
    loader = GlobalHydra.instance().config_loader()
    composed = loader.load_configuration("train", job.arguments, run_mode=RunMode.RUN, from_shell=False)
    assert composed.hydra.run.dir == "some where/(x)=1,2/n5"
    assert composed.hydra.mode == RunMode.RUN


def test_what_the_user_has_set_stays() -> None:
    job = plan("train.resume=runs/old", "tracking.group=own", "machine.threads=2", threads=8)
    assert job.run == Path("runs/old")
    added = [given for given in job.arguments if given.startswith(("train.", "tracking.", "machine."))]
    assert added == ["train.resume=runs/old", "tracking.group=own", "machine.threads=2"]


def test_folders_of_configuration_go_with_the_job(tmp_path: Path) -> None:
    config = multirun()
    folder = ConfigSourceInfo(path=str(tmp_path), schema="file", provider="command-line")
    config.hydra.runtime.config_sources = [*config.hydra.runtime.config_sources, folder]
    job = plan_job(GlobalHydra.instance().config_loader(), config, Path("sweep"), ["seed=1"], 0, None)
    assert job.arguments[0] == f"--config-dir={tmp_path}"
    assert plan("seed=1").arguments[0] == "seed=1"


def test_a_mistake_in_any_job_is_found_before_one_is_sent() -> None:
    config = multirun("hydra/launcher=local")
    settings = {key: value for key, value in config.hydra.launcher.items() if key != "_target_"}
    jobs = [["train.batch_size=16"], ["train.batch_size=0"]]
    with pytest.raises(UserError, match=r"train.batch_size is 0"):
        launch(GlobalHydra.instance().config_loader(), config, settings, jobs, 0)


@pytest.mark.parametrize("folder", ["a\nb", "a$b", "a%jb", "it's", 'a"b', "a\\b"])
def test_a_folder_that_a_batch_script_cannot_hold_is_refused(folder: str) -> None:
    config = multirun("hydra/launcher=local")
    config.hydra.sweep.dir = folder
    with pytest.raises(UserError, match="has characters that a batch script cannot hold"):
        launch(GlobalHydra.instance().config_loader(), config, {"queue": "local"}, [["seed=1"]], 0)


def test_other_commands_are_refused() -> None:
    config = multirun("run=runs/one", command="evaluate")
    with pytest.raises(UserError, match="hydra/launcher=local supports trainings alone"):
        launch(GlobalHydra.instance().config_loader(), config, {"queue": "local"}, [["seed=1"]], 0)


def test_under_torchrun_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="does not support torchrun"):
        launch(GlobalHydra.instance().config_loader(), multirun(), {"queue": "local"}, [["seed=1"]], 0)


def test_without_the_package_its_name_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'nmt-recurrent\[cluster\]'$"):
        create_executor(ClusterConfig(), tmp_path, 1)


def test_where_slurm_is_not_the_other_queue_is_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"use hydra/launcher=local$"):
        create_executor(ClusterConfig(queue=Queue.slurm), tmp_path, 1)


def test_no_limit_is_no_limit_of_submitits_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="needs the extra cluster: pip install 'nmt-recurrent[cluster]'")
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SUBMITIT_PREEMPT_SIGNAL", "USR2")  # is set by the function, and put back by the fixture
    settings = {"queue": "slurm"}
    jobs = [["seed=1"]] * 300
    seen = []

    def send(executor: Any, jobs: list[PlannedJob], folder: Path) -> None:
        seen.append(executor.parameters["array_parallelism"])

    monkeypatch.setattr("nmt.cli.launch.cluster.submit_array", send)
    monkeypatch.setattr("nmt.cli.launch.cluster.plan_job", lambda *given: PlannedJob(tmp_path, []))
    config = multirun("hydra/launcher=slurm")
    config.hydra.sweep.dir = str(tmp_path / "sweep")
    loader = GlobalHydra.instance().config_loader()
    launch(loader, config, settings, jobs, 0)
    launch(loader, config, settings | {"parallel": 3}, jobs, 0)
    assert seen == [300, 3]


def test_jobs_of_one_machine_share_its_cores() -> None:
    cores = available_cores()
    assert threads_per_process(ClusterConfig(parallel=1), 7) == cores
    assert threads_per_process(ClusterConfig(parallel=cores), 7 * cores) == 1
    assert threads_per_process(ClusterConfig(parallel=100), 1) == cores
    assert threads_per_process(ClusterConfig(parallel=1, tasks_per_node=cores), 7) == 1
    assert threads_per_process(ClusterConfig(cpus=3), 7) == 3
    assert threads_per_process(ClusterConfig(queue=Queue.slurm), 7) is None
