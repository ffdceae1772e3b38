"""Word translation model compared with expectation maximisation over all alignments, one by one."""

import itertools
import math

import numpy as np
import pytest

from nmt.data import PairStore
from nmt.data import word_translation as module
from nmt.data.word_translation import ROUNDS, train_translations

SRC = [[4, 5], [4, 6, 7], [5, 7], [8], [4, 8, 6]]
TGT = [[9, 10], [9, 11], [10, 12, 13], [14, 4], [14, 9]]
SIZE = 15


def enumerated(src: list[list[int]], tgt: list[list[int]]) -> dict[tuple[int, int], float]:
    """Return t(f|e) after `ROUNDS` iterations in which the probability of every whole alignment is computed."""
    table = {(e, f): 1.0 for es, fs in zip(src, tgt, strict=True) for e in es for f in fs}
    for _ in range(ROUNDS):
        counts = dict.fromkeys(table, 0.0)
        for es, fs in zip(src, tgt, strict=True):
            alignments = list(itertools.product(es, repeat=len(fs)))
            weights = [math.prod(table[e, f] for e, f in zip(alignment, fs, strict=True)) for alignment in alignments]
            for alignment, weight in zip(alignments, weights, strict=True):
                for e, f in zip(alignment, fs, strict=True):
                    counts[e, f] += weight / sum(weights)
        totals = {e: sum(count for (other, _), count in counts.items() if other == e) for e, _ in counts}
        table = {(e, f): count / totals[e] for (e, f), count in counts.items()}
    return table


def test_the_table_is_that_of_the_enumeration_and_sorted() -> None:
    model = train_translations(PairStore.of(SRC, TGT), SIZE, SIZE)
    expected = enumerated(SRC, TGT)
    found = {
        (e, int(f)): float(t)
        for e in range(SIZE)
        for f, t in zip(model.ids[e], model.probabilities[e], strict=True)
        if t > 0
    }
    assert found == pytest.approx({key: value for key, value in expected.items() if value > 0}, abs=1e-6)
    assert (np.diff(model.probabilities, axis=1) <= 0).all()
    assert model.pairs == len(SRC)


def test_repeated_pieces_count_once_and_factors_are_removed() -> None:
    plain = train_translations(PairStore.of(SRC, TGT), SIZE, SIZE)
    with_factors = [[piece + SIZE * (piece % 3) for piece in line + line[:1]] for line in SRC]
    other = train_translations(PairStore.of(with_factors, [line * 2 for line in TGT]), SIZE, SIZE)
    assert np.array_equal(plain.ids, other.ids)
    assert np.array_equal(plain.probabilities, other.probabilities)


def test_a_large_corpus_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[float] = []
    assert train_translations(PairStore.of(SRC, TGT), SIZE, SIZE, most_pairs=3, on_progress=steps.append).pairs == 3
    assert sum(steps) == pytest.approx(1)
    monkeypatch.setattr(module, "MOST_CELLS", 12)  # of 4 + 6 + 6 + 2 + 6
    assert train_translations(PairStore.of(SRC, TGT), SIZE, SIZE).pairs == 3


def test_a_corpus_of_empty_lines_has_no_translations() -> None:
    model = train_translations(PairStore.of([[], [4]], [[5], []]), SIZE, SIZE)
    assert model.pairs == 0
    assert not model.probabilities.any()
