"""Stores: ids written in blocks are read back from files of the right width; damage raises an error."""

import gc
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config import BatchUnit
from nmt.data import PairStore, TrainingBatches
from nmt.data.store import SIDES, NumbersFile, StoreWriter, shard_name
from nmt.errors import UserError

Lines = list[list[int]]

SRC: Lines = [[5, 6, 7], [], [8], [9, 10, 11, 12]]
TGT: Lines = [[20], [21, 22], [23, 24, 25], []]
FILES = [f"train.{side}.{kind}" for side in ("src", "tgt") for kind in ("ids", "offsets")]


def written(
    folder: Path, src: Lines = SRC, tgt: Lines = TGT, block: int = 3, src_size: int = 100, tgt_size: int = 100
) -> Path:
    with StoreWriter(folder, "train", src_size, tgt_size) as writer:
        for start in range(0, len(src), block):
            writer.append(src[start : start + block], tgt[start : start + block])
    return folder


def as_lists(store: PairStore) -> tuple[Lines, Lines]:
    src, tgt = ([[int(piece) for piece in side[i]] for i in range(len(store))] for side in (store.src, store.tgt))
    return src, tgt


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        PairStore.open(folder, "train")
    assert "\n" not in str(caught.value)
    return str(caught.value)


SENTENCE = st.lists(st.integers(0, 65_535), max_size=5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(SENTENCE, SENTENCE), max_size=9), st.integers(1, 4), st.sampled_from([65_536, 65_537]))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[list[int], list[int]]], block: int, size: int
) -> None:
    src, tgt = [src for src, _ in pairs], [tgt for _, tgt in pairs]
    store = PairStore.open(written(tmp_path_factory.getbasetemp(), src, tgt, block, size), "train")
    assert len(store) == len(pairs)
    assert as_lists(store) == (src, tgt)
    assert store.src.lengths().tolist() == [len(line) for line in src]
    assert store.tgt.lengths().tolist() == [len(line) for line in tgt]


def test_a_store_in_memory_is_the_same(tmp_path: Path) -> None:
    in_memory = PairStore.of(SRC, TGT)
    assert as_lists(in_memory) == (SRC, TGT) == as_lists(PairStore.open(written(tmp_path), "train"))


@pytest.mark.parametrize(("size", "width"), [(8, 2), (2**16, 2), (2**16 + 1, 4), (250_000, 4)])
def test_an_id_takes_two_bytes_if_the_vocabulary_fits_and_otherwise_four(tmp_path: Path, size: int, width: int) -> None:
    src = [[4, size - 1], [size - 1]]
    store = PairStore.open(written(tmp_path, src, [[4], [5, 6]], src_size=size, tgt_size=100), "train")
    assert as_lists(store) == (src, [[4], [5, 6]])
    assert (tmp_path / "train.src.ids").stat().st_size == 3 * width
    assert (tmp_path / "train.tgt.ids").stat().st_size == 3 * 2  # depends on the vocabulary of the side


def test_what_is_read_cannot_be_written(tmp_path: Path) -> None:
    store = PairStore.open(written(tmp_path), "train")
    for array in (store.src[0], store.tgt[0], store.src.offsets, store.tgt.offsets):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").split("\n")
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what is in memory")
def test_ids_stay_on_disk(tmp_path: Path) -> None:
    line = list(range(50_000))
    store = PairStore.open(written(tmp_path, [line] * 100, [line] * 100, 10, 60_000, 60_000), "train")
    before = resident()
    assert sum(int(store.src[i].sum()) + int(store.tgt[i].sum()) for i in range(100)) == 200 * sum(line)
    assert resident() < before + 5_000_000  # of 20 million


def test_files_are_closed(tmp_path: Path) -> None:
    store = PairStore.open(written(tmp_path), "train")
    assert isinstance(store.src.ids, NumbersFile)
    file = store.src.ids.file
    assert os.fstat(file).st_size == 2 * 8
    del store
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_lengths_of_some(tmp_path: Path) -> None:
    side = PairStore.open(written(tmp_path), "train").src
    assert side.lengths().tolist() == [3, 0, 1, 4]
    assert side.lengths(np.array([3, 0, 3], dtype=np.uint8)).tolist() == [4, 3, 4]
    assert side.lengths(slice(1, 3)).tolist() == [0, 1]


PARTS = [3, 0, 1, 1, 4]  # pairs of each shard


def joined(folder: Path) -> tuple[PairStore, Lines, Lines]:
    """Return a store of several shards, one of them empty, and the pairs written to it."""
    source = random.Random(5)
    lines = [[[source.randrange(4, 99) for _ in range(source.randrange(5))] for _ in range(sum(PARTS))] for _ in SIDES]
    at = 0
    for number, size in enumerate(PARTS):
        with StoreWriter(folder, shard_name("train", number), 100, 100) as writer:
            writer.append(lines[0][at : at + size], lines[1][at : at + size])
        at += size
    shards = [shard_name("train", number) for number in range(len(PARTS))]
    return PairStore.open(folder, *shards), lines[0], lines[1]


def test_shards_are_one_store(tmp_path: Path) -> None:
    store, src, tgt = joined(tmp_path)
    assert len(store) == 9
    assert as_lists(store) == (src, tgt)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 8), max_size=20), st.integers(0, 10), st.integers(0, 10))
def test_lengths_over_shards(tmp_path_factory: pytest.TempPathFactory, some: list[int], start: int, stop: int) -> None:
    store, src, tgt = joined(tmp_path_factory.getbasetemp())
    for side, lines in ((store.src, src), (store.tgt, tgt)):
        assert side.lengths().tolist() == [len(line) for line in lines]
        assert side.lengths(slice(start, stop)).tolist() == [len(line) for line in lines[start:stop]]
        assert side.lengths(np.array(some, dtype=np.uint8)).tolist() == [len(lines[i]) for i in some]


@pytest.mark.parametrize(("unit", "size"), [(BatchUnit.sentences, 2), (BatchUnit.tokens, 9)])
def test_shards_change_no_batch(tmp_path: Path, unit: BatchUnit, size: int) -> None:
    store, src, tgt = joined(tmp_path)
    many, one = (TrainingBatches(pairs, unit, size, 2, seed=3) for pairs in (store, PairStore.of(src, tgt)))
    for _ in range(40):
        batch, expected = many.next(), one.next()
        assert batch.indices == expected.indices
        assert batch.src.tolist() == expected.src.tolist()
        assert batch.tgt_out.tolist() == expected.tgt_out.tolist()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux tells what is mapped")
def test_offsets_that_were_looked_at_are_given_back(tmp_path: Path) -> None:
    for number in range(2):
        with StoreWriter(tmp_path, shard_name("train", number), 100, 100) as writer:
            writer.append([[4]] * 50_000, [[4]] * 50_000)

    def mapped() -> int:
        """Return the KiB of offset files in memory."""
        parts = Path("/proc/self/smaps").read_text(encoding="utf-8").split("VmFlags")
        return sum(int(re.findall(r"Rss:\s+(\d+)", part)[0]) for part in parts if f"{tmp_path}/train" in part)

    store = PairStore.open(tmp_path, shard_name("train", 0), shard_name("train", 1))
    assert mapped() == 0
    assert store.src.lengths().sum() + store.tgt.lengths(np.arange(100_000)).sum() == 200_000
    assert [int(store.src[i][0]) for i in range(0, 100_000, 97)] == [4] * 1031
    assert mapped() == 0
    alone = PairStore.open(tmp_path, shard_name("train", 0))
    assert [int(alone.src[i][0]) for i in range(0, 50_000, 97)] == [4] * 516
    assert mapped() == 0
    assert alone.src.lengths().sum() + alone.tgt.lengths().sum() == 100_000
    assert 700 < mapped() < 900  # with a single shard, they stay in memory


def test_the_limit_of_open_files_is_raised_or_reported(tmp_path: Path) -> None:
    for number in range(120):
        written_shard(tmp_path, number)
    names = [shard_name("train", number) for number in range(120)]
    code = (
        "import resource, sys; from pathlib import Path; from nmt.data import PairStore\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[2])))\n"
        "print(len(PairStore.open(Path(sys.argv[1]), *sys.argv[3:])))"
    )
    for hard, said in (
        (1000, "120\n"),
        (100, "raise `ulimit -n`, or prepare the corpus with a larger data.shard_pairs\n"),
    ):
        command = [sys.executable, "-c", code, str(tmp_path), str(hard), *names]
        run = subprocess.run(command, capture_output=True, text=True)
        assert (run.stdout + run.stderr).endswith(said)


def written_shard(folder: Path, number: int) -> None:
    with StoreWriter(folder, shard_name("train", number), 100, 100) as writer:
        writer.append([[4]], [[5]])


def test_splits_lie_side_by_side(tmp_path: Path) -> None:
    written(tmp_path)
    with StoreWriter(tmp_path, "valid", 100, 100) as writer:
        writer.append([[30]], [[31]])
    assert as_lists(PairStore.open(tmp_path, "valid")) == ([[30]], [[31]])
    assert as_lists(PairStore.open(tmp_path, "train")) == (SRC, TGT)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    (written(tmp_path) / name).unlink()
    assert f"{tmp_path / name} " in refusal(tmp_path)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "without its last byte": lambda content: content[:-1],
    "cut in half": lambda content: content[: len(content) // 2],
    "cut to a quarter": lambda content: content[: len(content) // 4],
    "too long": lambda content: content + b"\1" * 8,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file(tmp_path: Path, name: str, damage: str) -> None:
    file = written(tmp_path) / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    message = refusal(tmp_path)
    # A side without its last sentences is detected by comparison with the other side.
    assert f"{file} " in message or f"{tmp_path / 'train'}.*: " in message
    assert re.search(rf"delete (the folder )?{re.escape(str(tmp_path))}$", message)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("offsets")])
def test_offsets_of_zeros_as_a_power_cut_leaves_them(tmp_path: Path, name: str) -> None:
    file = written(tmp_path) / name
    file.write_bytes(bytes(file.stat().st_size))
    assert str(file) in refusal(tmp_path)


@pytest.mark.parametrize("part", [1, 2, 3, 100])
def test_offsets_that_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr("nmt.data.store.PART", part)
    file = written(tmp_path) / "train.src.offsets"
    PairStore.open(tmp_path, "train")
    np.array([0, 5, 3, 4, 8], dtype=np.int64).tofile(file)
    assert str(file) in refusal(tmp_path)


def test_sides_of_different_stores(tmp_path: Path) -> None:
    longer, shorter = tmp_path / "longer", tmp_path / "shorter"
    longer.mkdir()
    shorter.mkdir()
    written(longer)
    written(shorter, SRC[:2], TGT[:2])
    for kind in ("ids", "offsets"):
        os.replace(shorter / f"train.tgt.{kind}", longer / f"train.tgt.{kind}")
    assert "4 source and 2 target sentences" in refusal(longer)


def test_ids_that_are_cut_off_while_they_are_read_are_noticed(tmp_path: Path) -> None:
    store = PairStore.open(written(tmp_path, [[1, 2, 3], [4, 5]], [[6], [7, 8]]), "train")
    os.truncate(tmp_path / "train.src.ids", 8)
    assert list(store.src[0]) == [1, 2, 3]
    with pytest.raises(UserError, match=r"train\.src\.ids became shorter while it was read; delete the folder"):
        store.src[1]
