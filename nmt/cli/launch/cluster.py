"""Launcher of the jobs of a multirun, on Slurm or on this machine, through submitit.

submitit passes a job as a pickle, which it loads where the job runs. The pickles hold the name of the class `TrainJob`
and the words of a command line. They are in the folder `jobs` of the multirun, and no command of nmt reads them.
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
from nmt.cli.launch.cluster_job import TrainJob
from nmt.cli.launch.local_jobs import UNQUOTABLE, path_override
from nmt.config import ClusterConfig, Config, Queue, conf_dir, from_hydra, user_path
from nmt.errors import Interrupted, UserError
from nmt.processor import available_cores
from nmt.run import RunDirectory
from nmt.training import StopSignals

UNFIT_IN_A_SCRIPT = UNQUOTABLE | frozenset('"%')
"""Characters with a meaning in a batch script or in an override. The path of a run must not contain them."""

PAUSE = 0.2  # seconds between two checks of the jobs on this machine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedJob:
    """Job before it is submitted."""

    run: Path
    """Directory of the run to train."""
    arguments: list[str]
    """Arguments of the train command."""


def launch(
    loader: ConfigLoader,
    config: DictConfig,
    settings: Mapping[str, Any],
    overrides: Sequence[Sequence[str]],
    first: int,
) -> list[JobReturn]:
    """Submit the jobs of a multirun to Slurm, or run them on this machine until all have ended.

    `loader` composes the configuration of a job. `settings` are those of `hydra.launcher`. The jobs are numbered from
    `first`.

    Raises:
        UserError: a job is not valid, in which case none is submitted; or a job failed on this machine.
        Interrupted: a signal was received.
    """
    cluster = from_hydra(ClusterConfig, dict(settings), prefix="hydra.launcher.")
    launcher = f"hydra/launcher={cluster.queue}"
    if config.hydra.job.config_name != "train":
        raise UserError(f"{launcher} supports trainings alone; use it with train.py -m")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(f"{launcher} does not support torchrun; use hydra.launcher.tasks_per_node=N instead")
    multirun = Path(str(config.hydra.sweep.dir))
    folder = multirun.absolute() / "jobs"
    threads = threads_per_process(cluster, len(overrides))
    jobs = [plan_job(loader, config, multirun, words, first + index, threads) for index, words in enumerate(overrides)]
    at_a_time = cluster.parallel or len(jobs)
    executor = create_executor(cluster, folder, at_a_time)
    if cluster.queue == Queue.slurm:
        submit_array(executor, jobs, folder)
    else:
        with app.interruptible(f"the same command with hydra.sweep.dir={multirun} continues"):
            run_local_jobs(executor, jobs, at_a_time)
        if missing := [str(job.run) for job in jobs if not is_finished(job.run)]:
            raise UserError(
                f"{len(missing)} of {len(jobs)} jobs did not finish their training ({', '.join(missing)}); the reasons "
                f"are in {folder}/*.err; the same command with hydra.sweep.dir={multirun} continues"
            )
    print(multirun)
    done = JobReturn(status=JobStatus.COMPLETED)
    done.return_value = None
    return [done] * len(jobs)


def plan_job(
    loader: ConfigLoader, config: DictConfig, multirun: Path, overrides: Sequence[str], number: int, threads: int | None
) -> PlannedJob:
    """Return the command of a job: the overrides of the multirun, those of this job, and the directory of its run.

    `train.resume=auto` is added, so that a requeued job and a multirun that is submitted again continue their runs.

    Raises:
        UserError: the configuration is not valid, or the path of the run has characters that a script cannot hold.
    """
    composed = loader.load_sweep_config(config, list(overrides))
    with open_dict(composed):
        composed.hydra.job.num = number
    job_config = from_hydra(Config, OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"]))
    run = multirun / str(composed.hydra.sweep.subdir)
    if UNFIT_IN_A_SCRIPT & set(str(run.absolute())) or not str(run.absolute()).isprintable():
        raise UserError(
            f"the folder {run} has characters that a batch script cannot hold; choose another hydra.sweep.dir"
        )
    arguments = [*config_places(config), *overrides, "hydra.mode=RUN", path_override("hydra.run.dir", run)]
    if job_config.train.resume is None:
        arguments.append("train.resume=auto")
    if job_config.tracking.group is None:
        arguments.append(f"tracking.group='{multirun.name}'")
    if job_config.machine.threads is None and threads is not None:
        arguments.append(f"machine.threads={threads}")
    return PlannedJob(
        run if job_config.train.resume in (None, "auto") else user_path(job_config.train.resume), arguments
    )


def config_places(config: DictConfig) -> Iterator[str]:
    """Yield the options for folders of configuration files that the command line gave."""
    paths = {source.provider: source.path for source in config.hydra.runtime.config_sources}
    if paths["main"] != conf_dir():
        yield f"--config-path={Path(paths['main']).absolute()}"
    if "command-line" in paths:
        yield f"--config-dir={Path(paths['command-line']).absolute()}"


def threads_per_process(cluster: ClusterConfig, jobs: int) -> int | None:
    """Return the number of threads per process, one per core; None: the process decides."""
    if cluster.cpus is not None or cluster.queue == Queue.slurm:
        return cluster.cpus
    at_a_time = min(cluster.parallel or jobs, jobs)
    return max(1, available_cores() // (at_a_time * cluster.tasks_per_node))


def create_executor(cluster: ClusterConfig, folder: Path, at_a_time: int) -> Any:
    """Return submitit's executor for the queue.

    Raises:
        UserError: submitit or Slurm's commands are not installed, or the machine has too few devices.
    """
    if cluster.queue == Queue.slurm and (shutil.which("sbatch") is None or shutil.which("srun") is None):
        raise UserError(
            "hydra/launcher=slurm needs sbatch and srun, which are not installed; start it on a login node of the "
            "cluster, or use hydra/launcher=local"
        )
    # The signal that a training handles. submitit reads the variable when it is imported; the user's value is replaced.
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR2"
    try:
        import submitit
    except ImportError as error:
        raise UserError(
            f"hydra/launcher={cluster.queue} needs a package that is not installed ({error}); run: "
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
    settings = {
        "job_name": cluster.name,
        "time": cluster.minutes,
        "signal_delay_s": cluster.notice_seconds,
        "array_parallelism": at_a_time,  # 256 by submitit's default
        "nodes": cluster.nodes,
        "ntasks_per_node": cluster.tasks_per_node,
        "cpus_per_task": cluster.cpus,
        # since version 22.05, srun does not inherit --cpus-per-task from sbatch
        "srun_args": cluster.cpus and [f"--cpus-per-task={cluster.cpus}"],
        "gpus_per_node": cluster.gpus or None,
        "mem": cluster.memory_gb and f"{cluster.memory_gb}G",
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "additional_parameters": {"requeue": True},
    }
    chosen = {key: value for key, value in settings.items() if value is not None}
    executor.update_parameters(**chosen, wckey=None)  # clusters that check wckeys refuse submitit's default
    return executor


def visible_gpus(count: int) -> tuple[int, ...]:
    """Return the devices of CUDA_VISIBLE_DEVICES; empty if it is not set: submitit then counts from device 0.

    Raises:
        UserError: there are fewer than `count` devices, or they are not numbers, the only form submitit supports.
    """
    variable = os.environ.get("CUDA_VISIBLE_DEVICES")
    if variable is None or not count:
        return ()
    devices = variable.split(",")
    if len(devices) < count or not all(device.strip().isdecimal() for device in devices):
        raise UserError(
            f"hydra.launcher.gpus is {count}, and the environment has CUDA_VISIBLE_DEVICES={variable!r}; "
            f"set it to the numbers of at least {count} devices, such as 0,1"
        )
    return tuple(int(device) for device in devices)


def submit_array(executor: Any, jobs: list[PlannedJob], folder: Path) -> None:
    """Submit one array of jobs to Slurm.

    Raises:
        UserError: Slurm refuses the jobs.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        with redirect_stderr(io.StringIO()), executor.batch():  # submitit prints the message of sbatch too
            handles = [executor.submit(TrainJob(job.arguments)) for job in jobs]
    except (FailedJobError, FailedSubmissionError) as error:
        raise UserError(f"sbatch refused the jobs: {error}") from None
    for handle, job in zip(handles, jobs, strict=True):
        log.info("job %s trains %s", handle.job_id, job.run)
    log.info("logs are in %s; squeue lists the jobs, scancel %s ends them", folder, handles[0].job_id.split("_")[0])


def run_local_jobs(executor: Any, jobs: list[PlannedJob], at_a_time: int) -> None:
    """Run the jobs on this machine, and return when all have ended.

    Raises:
        Interrupted: a signal was received. The jobs got SIGTERM, and have ended with a checkpoint.
    """
    waiting = list(jobs)
    running: list[Any] = []
    with StopSignals(hangup=True) as signals:
        try:
            while (waiting or running) and not signals.received:
                while waiting and len(running) < at_a_time and not signals.received:
                    job = waiting.pop(0)
                    with block_terminal_signals():
                        running.append(executor.submit(TrainJob(job.arguments)))
                    log.info("job %s trains %s", running[-1].job_id, job.run)
                time.sleep(PAUSE)
                running = [handle for handle in running if not handle.done()]
        finally:
            for handle in running:
                if not handle.done():
                    os.kill(int(handle.job_id), signal.SIGTERM)  # submitit forwards it to the processes of the job
            while not all(handle.done() for handle in running):
                time.sleep(PAUSE)
    if signals.received:
        raise Interrupted(signals.received)


@contextmanager
def block_terminal_signals() -> Iterator[None]:
    """Block SIGINT and SIGHUP in the processes started while entered; the signals would end them without a checkpoint.

    A signal that arrives during that time is delivered to this process afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_finished(path: Path) -> bool:
    run = RunDirectory(path)
    return run.exists and run.finished
