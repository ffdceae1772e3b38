"""Sends the jobs of a multirun to a queue, through submitit, which only this file and job.py import.

submitit hands a job over as a pickle, which it loads itself where the job runs. Ours hold the name of `Job` and the
words of a command line, and lie in the folder `jobs` of the multirun. No command of nmt reads them.
"""

import io
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict

from nmt.cli import app
from nmt.cli.launch.cluster_job import Job
from nmt.cli.launch.local_jobs import UNFIT, set_path
from nmt.config import ClusterConfig, Config, Queue, conf_dir, from_hydra, path_of
from nmt.errors import Interrupted, UserError
from nmt.processor import available_cores
from nmt.run import RunDirectory
from nmt.training import StopSignals

UNFIT_IN_A_SCRIPT = UNFIT | frozenset('"%')
"""Characters that mean something in a batch script or in an override, and are not allowed in the folder's path."""

PAUSE = 0.2  # seconds between looks at the jobs of this machine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """A job before it is sent."""

    run: Path
    """The run that it trains."""
    arguments: list[str]
    """Of the train command."""


def launch(
    loader: ConfigLoader,
    config: DictConfig,
    settings: Mapping[str, Any],
    overrides: Sequence[Sequence[str]],
    first: int,
) -> list[JobReturn]:
    """Sends the jobs of a multirun: to Slurm, which takes it from there, or to this machine, until all have ended.

    Args:
        loader: composes a job's configuration.
        config: of the multirun.
        settings: `hydra.launcher`.
        overrides: of each job.
        first: number of the first one.

    Raises:
        UserError: something is wrong with a job, which is seen before any is sent; or a job failed on this machine.
        Interrupted: a signal asked to stop.
    """
    cluster = from_hydra(ClusterConfig, dict(settings), prefix="hydra.launcher.")
    launcher = f"hydra/launcher={cluster.queue}"
    if config.hydra.job.config_name != "train":
        raise UserError(f"{launcher} sends trainings alone; it goes with train.py -m")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(f"{launcher} does not go with torchrun; hydra.launcher.tasks_per_node=N has the same effect")
    multirun = Path(str(config.hydra.sweep.dir))
    folder = multirun.absolute() / "jobs"
    threads = threads_of_a_process(cluster, len(overrides))
    jobs = [planned(loader, config, multirun, given, first + index, threads) for index, given in enumerate(overrides)]
    at_a_time = cluster.parallel or len(jobs)
    executor = executor_of(cluster, folder, at_a_time)
    if cluster.queue == Queue.slurm:
        send(executor, jobs, folder)
    else:
        with app.interruptible(f"the same command with hydra.sweep.dir={multirun} goes on"):
            run_here(executor, jobs, at_a_time)
        if missing := [str(job.run) for job in jobs if not finished(job.run)]:
            raise UserError(
                f"{len(missing)} of {len(jobs)} jobs did not end their training ({', '.join(missing)}); why is in "
                f"{folder}/*.err; the same command with hydra.sweep.dir={multirun} goes on"
            )
    print(multirun)
    done = JobReturn(status=JobStatus.COMPLETED)
    done.return_value = None
    return [done] * len(jobs)


def planned(
    loader: ConfigLoader,
    config: DictConfig,
    multirun: Path,
    overrides: Sequence[str],
    number: int,
    threads: int | None,
) -> Planned:
    """The command of a job: what was given to the multirun, with the values of this job, and the folder of its run.

    `train.resume=auto` is added: a job that goes back into the queue goes on, and so does a multirun sent again.

    Raises:
        UserError: the configuration has mistakes, or the folder's name would mean something else elsewhere.
    """
    composed = loader.load_sweep_config(config, list(overrides))
    with open_dict(composed):
        composed.hydra.job.num = number
    given = from_hydra(Config, OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"]))
    run = multirun / str(composed.hydra.sweep.subdir)
    if UNFIT_IN_A_SCRIPT & set(str(run.absolute())) or not str(run.absolute()).isprintable():
        raise UserError(
            f"the folder {run} has characters that a batch script cannot hold; give another hydra.sweep.dir"
        )
    arguments = [*places(config), *overrides, "hydra.mode=RUN", set_path("hydra.run.dir", run)]
    if given.train.resume is None:
        arguments.append("train.resume=auto")
    if given.tracking.group is None:
        arguments.append(f"tracking.group='{multirun.name}'")
    if given.machine.threads is None and threads is not None:
        arguments.append(f"machine.threads={threads}")
    return Planned(run if given.train.resume in (None, "auto") else path_of(given.train.resume), arguments)


def places(config: DictConfig) -> Iterator[str]:
    """Where the configuration files are, as far as that was said on the command line."""
    paths = {source.provider: source.path for source in config.hydra.runtime.config_sources}
    if paths["main"] != conf_dir():
        yield f"--config-path={Path(paths['main']).absolute()}"
    if "command-line" in paths:
        yield f"--config-dir={Path(paths['command-line']).absolute()}"


def threads_of_a_process(cluster: ClusterConfig, jobs: int) -> int | None:
    """One for each of its cores; None: as many as it finds."""
    if cluster.cpus is not None or cluster.queue == Queue.slurm:
        return cluster.cpus
    at_a_time = min(cluster.parallel or jobs, jobs)
    return max(1, available_cores() // (at_a_time * cluster.tasks_per_node))


def executor_of(cluster: ClusterConfig, folder: Path, at_a_time: int) -> Any:
    """submitit's way to the queue.

    Raises:
        UserError: submitit is not installed, this is no machine that Slurm takes jobs from, or it has too few devices.
    """
    if cluster.queue == Queue.slurm and (shutil.which("sbatch") is None or shutil.which("srun") is None):
        raise UserError(
            "hydra/launcher=slurm needs sbatch and srun, which are not here; start it on a login node of the cluster, "
            "or take hydra/launcher=local"
        )
    # The signal that a training hears, whatever else a user's environment asks submitit for. Read at the import.
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR2"
    try:
        import submitit
    except ImportError as error:
        raise UserError(
            f"hydra/launcher={cluster.queue} needs a package that is not here ({error}): "
            "pip install 'nmt-recurrent[cluster]'"
        ) from None
    if cluster.queue == Queue.local:
        executor: Any = submitit.LocalExecutor(folder, max_num_timeout=cluster.requeue)
        executor.update_parameters(
            timeout_min=cluster.minutes,
            signal_delay_s=cluster.notice_seconds,
            tasks_per_node=cluster.tasks_per_node,
            gpus_per_node=cluster.gpus or 0,
            visible_gpus=visible_gpus(cluster.gpus or 0),
        )
        return executor
    executor = submitit.SlurmExecutor(folder, max_num_timeout=cluster.requeue)
    wanted = {
        "job_name": cluster.name,
        "time": cluster.minutes,
        "signal_delay_s": cluster.notice_seconds,
        "array_parallelism": at_a_time,  # 256 by submitit's default
        "nodes": cluster.nodes,
        "ntasks_per_node": cluster.tasks_per_node,
        "cpus_per_task": cluster.cpus,
        # since version 22.05, srun does not know what sbatch was asked for
        "srun_args": cluster.cpus and [f"--cpus-per-task={cluster.cpus}"],
        "gpus_per_node": cluster.gpus or None,
        "mem": cluster.memory_gb and f"{cluster.memory_gb}G",
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "additional_parameters": {"requeue": True},
    }
    chosen = {key: value for key, value in wanted.items() if value is not None}
    executor.update_parameters(**chosen, wckey=None)  # submitit's own word there is refused where such keys are checked
    return executor


def visible_gpus(wanted: int) -> tuple[int, ...]:
    """The devices that CUDA_VISIBLE_DEVICES leaves to the jobs of this machine; none: as many as wanted, from 0 on.

    Raises:
        UserError: it leaves less than `wanted`, or names them otherwise than by numbers, all that submitit knows.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None or not wanted:
        return ()
    devices = given.split(",")
    if len(devices) < wanted or not all(device.strip().isdecimal() for device in devices):
        raise UserError(
            f"hydra.launcher.gpus is {wanted}, and the environment has CUDA_VISIBLE_DEVICES={given!r}; "
            "set it to the numbers of at least so many devices, such as 0,1"
        )
    return tuple(int(device) for device in devices)


def send(executor: Any, jobs: list[Planned], folder: Path) -> None:
    """One array of jobs for Slurm.

    Raises:
        UserError: Slurm does not take them.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        with redirect_stderr(io.StringIO()), executor.batch():  # submitit prints what sbatch says, too
            sent = [executor.submit(Job(job.arguments)) for job in jobs]
    except (FailedJobError, FailedSubmissionError) as error:
        raise UserError(f"sbatch did not take the jobs: {error}") from None
    for handle, job in zip(sent, jobs, strict=True):
        log.info("job %s trains %s", handle.job_id, job.run)
    log.info("what they say is in %s; squeue shows them, scancel %s ends them", folder, sent[0].job_id.split("_")[0])


def run_here(executor: Any, jobs: list[Planned], at_a_time: int) -> None:
    """Runs the jobs on this machine, and returns when all have ended.

    Raises:
        Interrupted: by a signal, which was handed on as SIGTERM; all have ended, with checkpoints.
    """
    waiting = list(jobs)
    running: list[Any] = []
    with StopSignals(hangup=True) as signals:
        try:
            while (waiting or running) and not signals.received:
                while waiting and len(running) < at_a_time and not signals.received:
                    job = waiting.pop(0)
                    with deaf_to_the_terminal():
                        running.append(executor.submit(Job(job.arguments)))
                    log.info("job %s trains %s", running[-1].job_id, job.run)
                time.sleep(PAUSE)
                running = [handle for handle in running if not handle.done()]
        finally:
            for handle in running:
                if not handle.done():
                    os.kill(int(handle.job_id), signal.SIGTERM)  # submitit passes it on to the processes of the job
            while not all(handle.done() for handle in running):
                time.sleep(PAUSE)
    if signals.received:
        raise Interrupted(signals.received)


@contextmanager
def deaf_to_the_terminal() -> Iterator[None]:
    """What starts meanwhile hears neither Ctrl-C nor a hang-up, which would end it before the checkpoint.

    They are blocked, not ignored: one that comes meanwhile is heard here afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def finished(path: Path) -> bool:
    run = RunDirectory(path)
    return run.exists and run.finished
