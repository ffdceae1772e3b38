"""Parallel preparation: identical bytes, and errors of worker processes."""

import fcntl
import resource
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread

import pytest
from dirty_corpus import PAIRS, corpus, files, write

from nmt.config import TextFiles
from nmt.config.data import CleaningConfig
from nmt.data import SourceForm, prepare
from nmt.data.preprocessing.shard_boundaries import shards_of
from nmt.data.preprocessing.sources import Source
from nmt.data.preprocessing.worker_pool import ShardTask, Workers
from nmt.errors import Unfinished, UserError

pytestmark = pytest.mark.commands


def test_processes_write_what_one_alone_writes(tmp_path: Path) -> None:
    config = corpus(tmp_path / "corpus", shard_pairs=20)
    alone = prepare(config)
    together = prepare(replace(config, workers=2, cache=str(tmp_path / "other")))
    assert together.folder.name == alone.folder.name
    assert files(together.folder) == files(alone.folder)


def test_a_mistake_in_a_later_shard_is_reported_with_its_line(tmp_path: Path) -> None:
    for workers in (1, 2):
        config = corpus(tmp_path / f"{workers}", shard_pairs=20, workers=workers)
        file = Path(config.root or "") / "0.en"
        lines = file.read_bytes().split(b"\n")
        lines[46] = b"caf\xe9"
        file.write_bytes(b"\n".join(lines))
        with pytest.raises(UserError, match=r"0\.en: line 47 is not UTF-8 \(0xe9 at byte 4"):
            prepare(config)
        assert not list(Path(config.cache or "").glob("prepared/*.tmp"))


def test_a_killed_worker_is_reported_and_its_finished_steps_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = corpus(tmp_path / "corpus", shard_pairs=20, workers=2)
    with monkeypatch.context() as patch:
        patch.setattr("nmt.data.preprocessing.worker_pool.COMMAND", "import os; os.kill(os.getpid(), 9)")
        with pytest.raises(
            Unfinished, match="ended with code -9, perhaps because of too little memory; the same command"
        ):
            prepare(config)
    assert list(Path(config.cache or "").glob("prepared/*.tmp"))
    assert len(prepare(config).store("train")) > 70


@pytest.mark.parametrize(("workers", "most"), [(1, 100), (1, 900), (1, 1500), (2, 900)])
def test_a_full_disk_is_reported_and_finished_steps_are_kept(tmp_path: Path, workers: int, most: int) -> None:
    """The limit of file sizes fails, like a full disk, when bytes are written."""
    config = corpus(tmp_path / "corpus", shard_pairs=30, workers=workers)
    expected = files(prepare(replace(config, cache=str(tmp_path / "other"))).folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "corpus" / "cache").mkdir()
    known = (tmp_path / "other" / "fingerprints.json").read_bytes()
    (tmp_path / "corpus" / "cache" / "fingerprints.json").write_bytes(known)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        with pytest.raises(Unfinished, match=r"\.tmp.*: File too large; fix that and run the same command again"):
            prepare(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(Path(config.cache or "").glob("prepared/*.tmp"))
    assert files(prepare(config).folder) == expected


def test_it_waits_for_processes_that_a_killed_one_left(tmp_path: Path) -> None:
    config = corpus(tmp_path / "corpus", shard_pairs=30)
    expected = files(prepare(replace(config, cache=str(tmp_path / "other"))).folder)
    (whole,) = (path for path in (tmp_path / "other" / "prepared").iterdir() if path.is_dir())
    work = Path(config.cache or "") / "prepared" / f"{whole.name}.tmp" / "work"
    work.mkdir(parents=True)
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = Thread(target=prepare, args=(config,))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert [path.name for path in work.parent.iterdir()] == ["work"]
    thread.join(20)
    assert files(work.parent.with_suffix("")) == expected


@pytest.mark.parametrize("together", [1, 2])
def test_the_bar_ends_at_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    monkeypatch.setattr("nmt.data.preprocessing.shard_steps.BLOCK", 7)
    name = write(tmp_path / "a.tsv", [f"{src}\t{tgt}" for src, tgt in PAIRS])
    packed = write(tmp_path / "b.tsv", [f"{src}\t{tgt}" for src, tgt in PAIRS], packed=True)
    (tmp_path / "work").mkdir()
    progress: list[int] = []
    size = {file: (tmp_path / file).stat().st_size for file in (name, packed)}
    with Workers(tmp_path, together) as workers:
        tasks = [
            ShardTask("cut", i, {"file": str(tmp_path / file), "every": 50}, size[file]) for i, file in enumerate(size)
        ]
        cuts = workers.run(tasks, progress.append)
        assert sum(progress) == sum(size.values())
        progress.clear()
        source = Source(TextFiles(tsv=list(size)), tmp_path)
        parts = shards_of(source, cuts, 50, tmp_path)
        given = {"cleaning": asdict(CleaningConfig()), "held_out": [], "compared": False, "form": asdict(SourceForm())}
        tasks = [ShardTask("clean", i, part | given, part["src"]["lines"]) for i, part in enumerate(parts)]
        for left in (True, False):
            workers.run(tasks, progress.append)
            assert sum(progress) == 2 * len(PAIRS)
            assert len(progress) == (28 if left and together == 1 else 4)  # worker processes use larger blocks
            progress.clear()
