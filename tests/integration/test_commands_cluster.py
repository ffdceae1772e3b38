"""Integration tests of multiruns as jobs, on this machine and on a simulated Slurm queue."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from command import ROOT, SMALL, assert_same_run, call, start, steps, weights
from test_commands_processes import train_by

pytest.importorskip("submitit", reason="needs the extra cluster: pip install 'nmt-recurrent[cluster]'")
pytestmark = pytest.mark.commands

COMMON = (*SMALL, "train.max_steps=40", "model.dropout=0.2")
HERE = ("-m", *COMMON, "hydra/launcher=local", "hydra.launcher.cpus=1")
PATIENCE = 180


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train one uninterrupted run without a launcher."""
    run = tmp_path_factory.mktemp("plain") / "run"
    call("train", *COMMON, f"hydra.run.dir={run}", cwd=run.parent)
    return run


def wait_for(step: int, run: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (run / "metrics.jsonl").exists() or max(steps(run), default=0) < step:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def reached(run: Path) -> int:
    """Return the step of the last checkpoint."""
    return int((run / "checkpoints" / "last").resolve().name.removeprefix("step-"))


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8")
    return [int(number) for number in text.split()]


def test_jobs_of_this_machine_train_as_the_command_itself(plain: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    output, error = call("train", *HERE, "seed=1,2", f"hydra.sweep.dir={sweep}", cwd=tmp_path)
    assert output == f"{sweep}\n"
    assert error.count(" trains ") == 2
    assert_same_run(sweep / "0", plain)
    assert weights(sweep / "1") != weights(plain)
    for number in (0, 1):
        config = yaml.safe_load((sweep / str(number) / "config.yaml").read_text())
        assert (config["seed"], config["tracking"]["group"]) == (number + 1, "sweep")
    table, _ = call("compare", str(sweep), cwd=tmp_path)
    assert "seeds" in table


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_multirun_that_is_stopped_goes_on_by_the_same_command(
    plain: Path, tmp_path: Path, number: int, code: int
) -> None:
    sweep = tmp_path / "sweep"
    arguments = (*HERE, "seed=1", f"hydra.sweep.dir={sweep}")
    multirun = start("train", *arguments, cwd=tmp_path, start_new_session=True)
    wait_for(8, sweep / "0", multirun)
    if number == signal.SIGTERM:
        multirun.send_signal(number)
    else:
        os.killpg(multirun.pid, number)  # as a terminal does at Ctrl-C, and when it is closed
    _, error = multirun.communicate(timeout=PATIENCE)
    assert multirun.returncode == code
    assert f"stopped by {signal.Signals(number).name}; the same command with hydra.sweep.dir={sweep} continues" in error
    assert "Traceback" not in error
    (run,) = (path.parent for path in sweep.glob("*/run.json"))
    assert 8 <= reached(run) < 40
    call("train", *arguments, cwd=tmp_path)
    assert_same_run(run, plain)


def catches(process: int, number: int) -> bool:
    """Return True if the process has a handler for the signal."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8").split("\n")
    (caught,) = (line.split()[1] for line in status if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> number - 1 & 1)


def test_a_job_that_is_about_to_start_is_stopped_too(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    multirun = start("train", *HERE, "seed=1", f"hydra.sweep.dir={sweep}", cwd=tmp_path)
    deadline = time.monotonic() + PATIENCE
    jobs: list[int] = []
    while not jobs:
        assert multirun.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
        below = [job for controller in children(multirun.pid) for job in children(controller)]
        jobs = [job for job in below if catches(job, signal.SIGUSR2)]
    time.sleep(0.2)  # submitit has loaded the job, which imports torch now
    multirun.send_signal(signal.SIGTERM)
    _, error = multirun.communicate(timeout=PATIENCE)
    assert multirun.returncode == 143
    assert "Traceback" not in error
    assert not (sweep / "0" / "metrics.jsonl").exists()
    assert not Path(f"/proc/{jobs[0]}").exists()


def test_a_job_whose_time_is_nearly_over_goes_back_and_on(plain: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    multirun = start("train", *HERE, "seed=1", f"hydra.sweep.dir={sweep}", cwd=tmp_path)
    wait_for(8, sweep / "0", multirun)
    (controller,) = children(multirun.pid)
    (job,) = children(controller)
    os.kill(job, signal.SIGUSR2)
    _, error = multirun.communicate(timeout=PATIENCE)
    assert multirun.returncode == 0, error
    (said,) = (sweep / "jobs").glob("*.err")
    assert "continuing at step" in said.read_text()
    assert "stopped by SIGUSR2" in said.read_text()
    assert_same_run(sweep / "0", plain)


def test_the_processes_of_a_job_train_one_model(tmp_path: Path) -> None:
    sweep, expected = tmp_path / "sweep", tmp_path / "expected"
    train_by(2, *COMMON, f"hydra.run.dir={expected}", cwd=tmp_path)
    call("train", *HERE, "hydra.launcher.tasks_per_node=2", "seed=1", f"hydra.sweep.dir={sweep}", cwd=tmp_path)
    assert_same_run(sweep / "0", expected)


def test_jobs_that_fail_are_named(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    gone = tmp_path / "gone"
    files = ("data=files", f"data.root={gone}", "data.src_lang=en", "data.tgt_lang=de")
    _, error = call("train", "-m", "hydra/launcher=local", *files, f"hydra.sweep.dir={sweep}", cwd=tmp_path, code=2)
    assert "Traceback" not in error
    assert f"1 of 1 jobs did not finish their training ({sweep / '0'})" in error
    (said,) = (sweep / "jobs").glob("*.err")
    assert str(gone) in said.read_text()


SBATCH = """#!/bin/sh
cp "$1" "$QUEUE/job.sh"
echo "Submitted batch job 4242"
"""
SRUN = """#!/bin/sh
while :; do
    case "$1" in
        --output|--error) shift 2;;
        -*) shift;;
        *) break;;
    esac
done
exec "$@"
"""
SCONTROL = """#!/bin/sh
echo "$@" >> "$QUEUE/requests"
"""


class Slurm:
    """Simulated Slurm: accepts jobs, and runs one only when the test starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", SCONTROL)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "QUEUE": str(folder),
        }

    def begin(self, number: int) -> subprocess.Popen[str]:
        """Start one job of the array."""
        job = {"SLURM_JOB_ID": "4250", "SLURM_ARRAY_JOB_ID": "4242", "SLURM_ARRAY_TASK_ID": str(number)}
        task = {"SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = ["bash", str(self.folder / "job.sh")]
        return subprocess.Popen(command, cwd=self.folder.parent, env=self.environment | job | task, **pipes)


def test_slurm_gets_an_array_whose_jobs_survive_what_slurm_does_to_them(plain: Path, tmp_path: Path) -> None:
    slurm, sweep = Slurm(tmp_path / "queue"), tmp_path / "sweep"
    options = ("partition=long", "gpus=2", "parallel=3", "minutes=90", "name=tiny", "cpus=1", "constraint='a|b'")
    settings = ("hydra/launcher=slurm", *(f"hydra.launcher.{setting}" for setting in options))
    given = ("-m", *COMMON, "seed=1,2", *settings, f"hydra.sweep.dir={sweep}")
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *given]
    sent = subprocess.run(command, cwd=tmp_path, env=slurm.environment, capture_output=True, text=True)
    assert (sent.returncode, sent.stdout) == (0, f"{sweep}\n"), sent.stderr
    assert f"job 4242_1 trains {sweep / '1'}" in sent.stderr
    assert not list(sweep.glob("*/run.json"))  # the submitting process trained nothing

    lines = (slurm.folder / "job.sh").read_text().split("\n")
    demanded = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH --")}
    expected = {"partition=long", "gpus-per-node=2", "array=0-1%2", "time=90", "job-name=tiny", "cpus-per-task=1"}
    expected |= {"constraint='a|b'", "mem=16G", "signal=USR2@120", "nodes=1", "ntasks-per-node=1", "requeue"}
    assert expected <= demanded
    assert not any(line.startswith("wckey") for line in demanded)
    assert f"output={sweep}/jobs/%A_%a_0_log.out" in demanded
    (last,) = (line for line in lines if line.startswith("srun "))
    assert "--cpus-per-task=1" in last
    assert last.endswith(f"{sys.executable} -u -m submitit.core._submit {sweep}/jobs")

    run = sweep / "0"
    job = slurm.begin(0)  # displaced by another user's: SIGTERM, and SIGKILL a while later
    wait_for(8, run, job)
    (process,) = children(job.pid)
    os.kill(process, signal.SIGTERM)
    read = ""
    while "stopped by SIGTERM" not in read:
        read = job.stdout.readline()
        assert read, "the job has ended"
    time.sleep(0.5)
    assert job.poll() is None
    os.kill(process, signal.SIGKILL)
    job.communicate(timeout=PATIENCE)
    first = reached(run)

    job = slurm.begin(0)  # the signal before the time limit
    wait_for(first + 8, run, job)
    os.kill(children(job.pid)[0], signal.SIGUSR2)
    output, _ = job.communicate(timeout=PATIENCE)
    assert f"continuing at step {first}\n" in output
    assert (slurm.folder / "requests").read_text() == "requeue 4242_0\n"

    job = slurm.begin(0)
    output, _ = job.communicate(timeout=PATIENCE)
    assert job.returncode == 0, output
    assert_same_run(run, plain)


def test_a_refusal_by_slurm_is_one_line_of_error(tmp_path: Path) -> None:
    slurm = Slurm(tmp_path / "queue")
    (slurm.folder / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition specified: x' >&2\nexit 1\n"
    )
    arguments = ("-m", *COMMON, "seed=1,2", "hydra/launcher=slurm", "hydra.launcher.partition=x")
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *arguments]
    sent = subprocess.run(command, cwd=tmp_path, env=slurm.environment, capture_output=True, text=True)
    assert sent.returncode == 2
    assert sent.stderr == "nmt: sbatch refused the jobs: sbatch: error: invalid partition specified: x\n"
