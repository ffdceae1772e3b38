"""Sharded preparation: the pairs do not depend on shards and processes, and finished steps are not repeated."""

import importlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dirty_corpus import DIRTY, PAIRS, SMALL, corpus, files, write

from nmt.config import TextFiles
from nmt.config.data import CleaningConfig
from nmt.data import PairStore, Prepared, prepare
from nmt.data.preprocessing import shard_steps, vocabularies
from nmt.data.preprocessing.duplicates import find_repeated, read_repeated, write_digests
from nmt.data.preprocessing.parallel_text import read_shard
from nmt.data.preprocessing.shard_boundaries import cut, shards_of
from nmt.data.preprocessing.sources import Source
from nmt.data.text_files import LineRange, read_line_range, read_lines
from nmt.errors import UserError

MODULE = importlib.import_module("nmt.data.preprocessing.prepare")


def content(prepared: Prepared) -> dict[str, object]:
    """Return the content of a prepared corpus, independent of its shards."""
    store = prepared.store("train")
    names = ("src.model", "tgt.model", "report.json", "report.txt", "words.json", "valid.src", "valid-00000.tgt.ids")
    return {
        "pairs": [(store.src[i].tolist(), store.tgt[i].tolist()) for i in range(len(store))],
        **{name: (prepared.folder / name).read_bytes() for name in names},
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return content(prepare(corpus(tmp_path_factory.mktemp("whole") / "corpus")))


def test_one_shard_is_the_cleaned_corpus(tmp_path: Path) -> None:
    prepared = prepare(corpus(tmp_path / "corpus", tokenizer=replace(SMALL, max_lines=1000)))
    assert [path.name for path in prepared.folder.glob("train-*.src.ids")] == ["train-00000.src.ids"]
    store, tokenizer = prepared.store("train"), prepared.tokenizer("src")
    first = dict.fromkeys((src.strip(), tgt) for src, tgt in DIRTY if tgt and (src, tgt) not in PAIRS[80:])
    assert [tokenizer.decode([store.src[i].tolist()])[0] for i in range(len(store))] == [src for src, _ in first]
    report = json.loads((prepared.folder / "report.json").read_text(encoding="utf-8"))
    assert (report["read"], report["kept"], report["altered"]) == (len(DIRTY), len(first), 30)
    assert report["dropped"] == {
        "empty": 1,
        "too_long": 0,
        "ratio": 0,
        "identical": 0,
        "in_test": 1,
        "source_in_test": 0,
        "duplicate": 22,
    }


@pytest.mark.parametrize(("parts", "packed", "every"), [(1, False, 7), (1, True, 40), (3, False, 1), (4, True, 1000)])
def test_the_same_pairs_however_they_are_cut(
    tmp_path: Path, whole: dict[str, object], parts: int, packed: bool, every: int
) -> None:
    prepared = prepare(corpus(tmp_path / "corpus", parts, packed, shard_pairs=every))
    size = -(-len(DIRTY) // parts)
    number = sum(-(-min(size, len(DIRTY) - start) // every) for start in range(0, len(DIRTY), size))
    assert len(list(prepared.folder.glob("train-*.src.ids"))) == number > 1
    assert content(prepared) == whole


def test_duplicates_may_stay(tmp_path: Path) -> None:
    kept = CleaningConfig(drop_duplicates=False)
    one, many = (prepare(corpus(tmp_path / f"{n}", shard_pairs=n, cleaning=kept)) for n in (1000, 9))
    assert content(one) == content(many)
    assert len(one.store("train")) == len(DIRTY) - 2


class Killed(BaseException):
    pass


def test_finished_steps_are_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step runs once, although each step is interrupted, and the bytes equal those of an uninterrupted run."""
    config = corpus(tmp_path / "corpus", 2, True, shard_pairs=30)
    expected = files(prepare(replace(config, cache=str(tmp_path / "other"))).folder)
    done: list[str] = []
    finish: Callable[..., None] = shard_steps.finish

    def stop(folder: Path, name: str, *rest: object) -> None:
        finish(folder, name, *rest)
        done.append(name)
        raise Killed

    monkeypatch.setattr(shard_steps, "finish", stop)
    monkeypatch.setattr(vocabularies, "finish", stop)
    prepared = None
    while prepared is None:
        try:
            prepared = prepare(config)
        except Killed:
            assert len(done) < 50
    assert files(prepared.folder) == expected
    steps = [name.split("-")[0] for name in done]
    assert sorted(set(steps)) == ["clean", "cut", "encode", "tokenizer"]
    assert len(done) == len(set(done)) == 4 + 4 + 1 + 4


@pytest.mark.parametrize("pattern", ["clean-00001.src.txt", "clean-00001.positions", "clean-00001.mark", "cut-*.txt"])
def test_a_finished_step_whose_files_were_damaged_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    config = corpus(tmp_path / "corpus", packed=True, shard_pairs=30)
    expected = files(prepare(replace(config, cache=str(tmp_path / "other"))).folder)
    with monkeypatch.context() as patch:
        patch.setattr(MODULE, "find_repeated", lambda _: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            prepare(config)
    (half,) = Path(config.cache or "").glob("prepared/*.tmp")
    file = next((half / "work").glob(pattern))
    file.write_bytes(file.read_bytes()[:-2] + b"x\n")
    assert files(prepare(config).folder) == expected


def test_the_result_of_a_step_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    shard_steps.finish(tmp_path, "clean-00000", [], {"kept": 123})
    assert shard_steps.finished(tmp_path, "clean-00000") == {"kept": 123}
    mark = tmp_path / "work" / "clean-00000.mark"
    content = mark.read_bytes()
    for damaged in (content.replace(b"123", b"133"), content[:-1], content[70:], b"", b"\n", b"{}"):
        mark.write_bytes(damaged)
        assert shard_steps.finished(tmp_path, "clean-00000") is None


def test_stopped_as_it_takes_its_work_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = corpus(tmp_path / "corpus", shard_pairs=30)
    expected = files(prepare(replace(config, cache=str(tmp_path / "other"))).folder)

    def stop(work: Path) -> None:
        (work / "clean-00000.mark").unlink()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(MODULE.shutil, "rmtree", stop)
        with pytest.raises(Killed):
            prepare(config)
    monkeypatch.setattr("nmt.data.preprocessing.shard_steps.clean_shard", lambda *_, **__: pytest.fail("cleaned again"))
    assert files(prepare(config).folder) == expected


@pytest.mark.parametrize("every", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("text", [b"", b"a\n", b"a\nb", b"a\nb\n\n", b"\n\n\nc\nd", b"a" * 9 + b"\n" + b"b\r\n" * 5])
@pytest.mark.parametrize("block", [1, 4, 1 << 20])
def test_a_file_is_split_after_a_fixed_number_of_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, every: int, block: int
) -> None:
    monkeypatch.setattr("nmt.data.text_files._BLOCK", block)
    (tmp_path / "text").write_bytes(text)
    _, result = cut(tmp_path, 0, str(tmp_path / "text"), every, [].append)
    lines = text.split(b"\n")[: None if not text.endswith(b"\n") and text else -1]
    assert result["lines"] == len(lines) == len(list(read_lines(tmp_path / "text")))
    assert result["starts"] == [len(b"".join(line + b"\n" for line in lines[:i])) for i in range(0, len(lines), every)]


def test_shards_are_read_as_the_whole_is(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    name = write(tmp_path / "a.tsv", ["\ufeffthe house\tdas Haus", "the garden\tder Garten\tx", "the door"])
    source = Source(TextFiles(tsv=[name]), tmp_path)
    _, result = cut(tmp_path, 0, str(tmp_path / name), 1, [].append)
    first, second, third = (LineRange(**shard["src"]) for shard in shards_of(source, [result], 1, tmp_path))
    assert list(read_shard(first, None)) == [("the house", "das Haus")]
    assert list(read_shard(second, None)) == [("the garden", "der Garten")]
    with pytest.raises(UserError, match=r"a\.tsv: line 3 has no tab"):
        list(read_shard(third, None))
    with pytest.raises(UserError, match=r"a\.tsv became shorter while it was read"):
        list(read_line_range(replace(first, lines=4)))


@pytest.mark.parametrize("together", [1, 10, 10_000])
def test_repeated_digests_are_those_of_an_earlier_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr("nmt.data.preprocessing.duplicates.RANGE_DIGESTS", together)
    source = random.Random(3)
    numbers = [0, 2**64 - 1, *(source.getrandbits(64) for _ in range(60))]
    parts = [source.sample(numbers, size) for size in (20, 0, 30, 1, 25)]
    stems = [tmp_path / str(part) for part in range(len(parts))]
    for stem, part in zip(stems, parts, strict=True):
        write_digests(stem, np.array(part, dtype=np.uint64))
    seen: set[int] = set()
    expected = []
    for part in parts:
        expected.append([position for position, number in enumerate(part) if number in seen])
        seen.update(part)
    assert find_repeated(stems) == sum(map(len, expected)) > 20
    assert [sorted(read_repeated(stem).tolist()) for stem in stems] == expected


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    prepared = prepare(corpus(tmp_path / "corpus", shard_pairs=30))
    (prepared.folder / "train-00001.tgt.ids").unlink()
    with pytest.raises(UserError, match=r"train-00001\.tgt\.ids and .* are missing or damaged"):
        PairStore.open(prepared.folder, "train-00000", "train-00001")
