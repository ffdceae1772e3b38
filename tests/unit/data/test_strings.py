"""Corpus of random strings: pairs obey the task, splits are disjoint, lengths are uniform, the seed decides all."""

from collections import Counter
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from composing import composing_in
from hydra import compose

from nmt.config import (
    DataConfig,
    DirectionConfig,
    PhrasebookConfig,
    PrepareConfig,
    StringsConfig,
    StringTask,
    conf_dir,
    from_hydra,
)
from nmt.config.checks import problems_in
from nmt.data import prepare
from nmt.data.preprocessing.sources import locate
from nmt.data.preprocessing.strings import string_pairs

SMALL = StringsConfig(symbols=5, train=700, valid=30, test=200, train_lengths=[7, 9], test_lengths=[8, 12])


def drawn(config: StringsConfig) -> dict[str, list[tuple[str, str]]]:
    return {split: list(pairs) for split, pairs in string_pairs(config).items()}


@pytest.mark.parametrize("task", StringTask)
def test_each_pair_obeys_the_task_and_the_limits(task: StringTask) -> None:
    splits = drawn(replace(SMALL, task=task))
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 700, "valid": 30, "test": 200}
    for split, pairs in splits.items():
        low, high = (8, 12) if split == "test" else (7, 9)
        for source, target in pairs:
            symbols, wanted = source.split(" "), target.split(" ")
            assert low <= len(symbols) <= high
            assert set(symbols) <= set("abcde")
            assert len(wanted) == len(symbols)
            last = len(symbols) - 1
            assert all(
                wanted[place] == symbols[place if task == StringTask.copy else last - place]
                for place in range(len(symbols))
            )
    assert {symbol for source, _ in splits["train"] for symbol in source.split(" ")} == set("abcde")


def test_no_string_is_twice_in_the_corpus() -> None:
    sources = [source for pairs in drawn(SMALL).values() for source, _ in pairs]
    assert len(set(sources)) == len(sources) == 930


def test_all_lengths_are_equally_frequent() -> None:
    """Each length has n/k strings, with the standard deviation of a binomial distribution."""
    config = StringsConfig(train=6000, valid=1, test=4000, test_lengths=[5, 24])
    for split, low, high in (("train", 4, 20), ("test", 5, 24)):
        counts = Counter(len(source.split(" ")) for source, _ in drawn(config)[split])
        share, size = 1 / (high - low + 1), getattr(config, split)
        assert set(counts) == set(range(low, high + 1))
        assert all(abs(count - size * share) < 4 * sqrt(size * share * (1 - share)) for count in counts.values())


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    def written(folder: str, seed: int) -> dict[str, bytes]:
        data = DataConfig(src_lang="a", tgt_lang="b", strings=replace(SMALL, seed=seed), cache=str(tmp_path / folder))
        sources = locate(data)
        return {path.name: path.read_bytes() for source in sources.values() for path in source.paths()}

    first = written("one", 1)
    assert set(first) == {f"{split}.{side}" for split in ("train", "valid", "test") for side in "ab"}
    assert written("two", 1) == first
    assert all(written("one", 2)[name] != content for name, content in first.items())
    assert first["train.a"].decode().split("\n")[:-1] == [source for source, _ in drawn(SMALL)["train"]]


@pytest.mark.parametrize("task", StringTask)
def test_the_shipped_corpus_is_prepared_without_losing_a_pair(task: StringTask, tmp_path: Path) -> None:
    sizes = [f"data.strings.{split}={size}" for split, size in (("train", 300), ("valid", 20), ("test", 20))]
    with composing_in(conf_dir()):
        cfg = compose("prepare", overrides=["data=strings", f"data.strings.task={task}", *sizes])
    data = from_hydra(PrepareConfig, cfg).data
    prepared = prepare(replace(data, cache=str(tmp_path)))
    assert len(prepared.store("train").src.lengths()) == 300
    assert prepared.tokenizer("src").size == 30
    assert list(prepared.tokenizer("src").encode(["a b c"])[0]) == list(prepared.tokenizer("tgt").encode(["a b c"])[0])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"train_lengths": [3, 20]}, "strings.train_lengths begins with 3, but 26 symbols have too few strings"),
        ({"test_lengths": [9, 8]}, "strings.test_lengths is [9, 8]; allowed: the smallest and the largest length"),
        ({"test_lengths": [9]}, "strings.test_lengths is [9]; allowed"),
        ({"symbols": 27}, "strings.symbols is 27; allowed: from 2 to 26"),
    ],
)
def test_impossible_strings_are_refused(changes: dict[str, Any], complaint: str) -> None:
    (found,) = problems_in(DataConfig(strings=StringsConfig(**changes)))
    assert complaint in found


def test_strings_are_the_only_origin_in_one_direction() -> None:
    both = DataConfig(strings=SMALL, phrasebook=PhrasebookConfig(), directions=[DirectionConfig("de", "en")])
    found = "\n".join(problems_in(both))
    assert "phrasebook is given together with data.strings" in found
    assert "directions is given together with data.strings, which has one direction" in found
