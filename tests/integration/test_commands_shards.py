"""Integration tests of preparation in shards, killed at random times and restarted."""

import os
import random
import time
from pathlib import Path

import pytest
from command import call, start

pytestmark = pytest.mark.commands

ARGUMENTS = (
    "data=phrasebook",
    "data.phrasebook.train=4000",
    "data.tokenizer.vocab_size=300",
    "data.shard_pairs=300",
    "data.workers=2",
)


def files(cache: Path) -> dict[str, bytes]:
    folders = [path for path in (cache / "prepared").iterdir() if path.is_dir()]
    return {path.relative_to(cache).as_posix(): path.read_bytes() for folder in folders for path in folder.iterdir()}


def working_in(folder: Path) -> list[str]:
    """Return the preparation processes that have this folder among their arguments."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    return [
        line.decode()
        for line in lines
        if b"nmt.data.preprocessing.worker_process" in line and str(folder).encode() in line
    ]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="Linux tells what processes there are")
def test_killed_at_random_moments_it_writes_the_same_bytes(tmp_path: Path) -> None:
    caches = {name: tmp_path / name for name in ("whole", "killed")}
    began = time.monotonic()
    call("prepare", *ARGUMENTS, f"data.cache={caches['whole']}", cwd=tmp_path)
    longest = time.monotonic() - began
    source = random.Random(1)
    ended = 0
    for _ in range(12):
        process = start("prepare", *ARGUMENTS, f"data.cache={caches['killed']}", cwd=tmp_path)
        time.sleep(source.uniform(0.2, 0.9) * longest)
        process.kill()
        _, error = process.communicate(timeout=60)
        assert "Traceback" not in error
        ended += process.returncode == 0
        deadline = time.monotonic() + 10
        while working_in(caches["killed"]):  # no worker process is left, not even within a shard
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert ended < 12
    call("prepare", *ARGUMENTS, f"data.cache={caches['killed']}", cwd=tmp_path)
    assert files(caches["killed"]) == files(caches["whole"])
    assert len(files(caches["whole"])) > 14 * 4
