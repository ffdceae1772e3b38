"""Number of cores and threads, and OpenMP settings, for hand-written files and environments."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nmt.config import MachineConfig
from nmt.processor import ContentionMeter, available_cores, cpu_quota, limit_spinning, requested_threads
from nmt.runtime import number_of_threads
from nmt.training.contention import ContentionMonitor


def groups(folder: Path, cgroup: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Write a process's list of control groups and the groups' files; return both folders."""
    process, root = folder / "proc", folder / "cgroup"
    process.mkdir()
    (process / "cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return process, root


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a\n", {"unified/a/cpu.max": "300000 100000\n"}, 3.0),
        ("4:cpu,cpuacct:/a\n", {"cpu,cpuacct/a/cpu.cfs_quota_us": "20", "cpu,cpuacct/a/cpu.cfs_period_us": "10"}, 2.0),
        ("4:cpu:/a\n", {"cpu/cpu.cfs_quota_us": "10", "cpu/cpu.cfs_period_us": "10"}, 1.0),
        ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "10"}, None),
        ("4:cpuset:/a\n", {"cpuset/a/cpu.max": "10 10"}, None),
        ("", {}, None),
        ("nonsense\n0::relative\n", {"cpu.max": "what is this"}, None),
    ],
)
def test_the_quota_is_the_smallest_of_the_groups(
    tmp_path: Path, cgroup: str, files: dict[str, str], expected: float | None
) -> None:
    assert cpu_quota(*groups(tmp_path, cgroup, files)) == expected


@pytest.mark.parametrize(("quota", "cores"), [(None, 4), (1.5, 1), (0.2, 1), (2.9, 2), (64.0, 4)])
def test_cores_are_limited_by_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr("nmt.processor.cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    assert available_cores() == cores


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({}, None),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "many"}, None),
        ({"OMP_NUM_THREADS": "0"}, None),
        ({"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "x"}, None),
        ({"OMP_NUM_THREADS": "2", "TORCHELASTIC_RUN_ID": "x"}, 2),
    ],
)
def test_the_environment_sets_the_number_of_threads(environment: dict[str, str], threads: int | None) -> None:
    assert requested_threads(environment) == threads


def test_the_configuration_overrides_the_environment_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert number_of_threads(MachineConfig()) == 3
    assert caplog.text == ""
    assert number_of_threads(MachineConfig(threads=2)) == 2
    assert "machine.threads=2 overrides OMP_NUM_THREADS=3" in caplog.text


def test_spinning_settings_of_the_user_are_kept() -> None:
    for settings in ({"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7", "KMP_BLOCKTIME": "0"}):
        environment = dict(settings)
        limit_spinning(environment)
        assert environment == settings
    environment = {}
    limit_spinning(environment)
    assert set(environment) == {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"}


def test_every_command_limits_spinning_before_torch_is_loaded() -> None:
    code = "import sys, nmt.cli, os; print('torch' in sys.modules, os.environ['GOMP_SPINCOUNT'])"
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded, count = done.stdout.split()
    assert loaded == "False"
    assert 0 < int(count) <= 10_000


def test_waiting_is_summed_over_threads(tmp_path: Path) -> None:
    def write(thread: int, waited: int) -> None:
        (tmp_path / str(thread)).mkdir(exist_ok=True)
        (tmp_path / str(thread) / "schedstat").write_text(f"123 {waited} 7\n")

    write(1, 0)
    write(2, 1_000_000_000)
    meter = ContentionMeter(tmp_path)
    write(1, 500_000_000)
    write(2, 2_500_000_000)
    assert meter.share(seconds=4.0, threads=2) == pytest.approx((0.5 + 1.5) / 8)
    assert meter.share(seconds=4.0, threads=2) == 0
    write(1, 9_000_000_000)  # background threads wait too
    assert meter.share(seconds=4.0, threads=1) == 1
    assert ContentionMeter(tmp_path / "not there").share(1.0, 1) == 0


class Waiting(ContentionMeter):
    """Meter of threads that wait 40 % of the time."""

    def share(self, seconds: float, threads: int) -> float:
        return 0.4


def test_a_starved_training_gets_one_warning_with_the_share_of_waiting(caplog: pytest.LogCaptureFixture) -> None:
    monitor = ContentionMonitor(Waiting())
    with caplog.at_level(logging.WARNING):
        monitor.check(1.0)
        monitor.check(1.0)
    assert len(caplog.records) == 1
    assert f"its {torch.get_num_threads()} threads waited for a processor 40 % of the time" in caplog.text


@pytest.mark.parametrize(("threads", "fewer"), [(1, False), (2, True)])
def test_fewer_threads_are_a_remedy_for_several_threads_only(
    threads: int, fewer: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    with caplog.at_level(logging.WARNING):
        ContentionMonitor(Waiting()).check(1.0)
    assert "stop them" in caplog.text
    assert ("machine.threads" in caplog.text) == fewer
