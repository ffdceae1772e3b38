"""Probabilities of words and their calibration, against closed forms and forced decoding."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from toy_translator import build_long

from nmt.data import Tokenizer
from nmt.decoding import align_words
from nmt.errors import UserError
from nmt.evaluation.calibration import (
    BINS,
    LabelledWords,
    calibration_error,
    calibration_for,
    fit,
    isotonic,
    label_words,
    labelled_words,
    read_calibration,
    write_calibration,
)
from nmt.evaluation.confidence import products, word_probabilities, word_texts
from nmt.phrasebook import Pair
from nmt.run import RunDirectory


def random_words(seed: int, count: int = 300) -> LabelledWords:
    numbers = np.random.default_rng(seed)
    probabilities = numbers.random(count).round(2)
    right = (numbers.random(count) < probabilities**0.3).astype(float)
    return LabelledWords(probabilities, right, np.arange(count) // 6)


@pytest.mark.parametrize("seed", range(5))
def test_isotonic_regression_equals_its_min_max_form(seed: int) -> None:
    """The value at i is max over a <= i of min over b >= i of the mean from a to b (Barlow et al. 1972)."""
    words = random_words(seed, 60)
    values = sorted(set(words.probabilities.tolist()))
    sums = [words.right[words.probabilities == value].sum() for value in values]
    counts = [(words.probabilities == value).sum() for value in values]
    points, confidences = isotonic(words.probabilities, words.right)
    for i, value in enumerate(values):
        expected = max(
            min(sum(sums[a : b + 1]) / sum(counts[a : b + 1]) for b in range(i, len(values))) for a in range(i + 1)
        )
        assert np.interp(value, points, confidences) == pytest.approx(expected)


def test_the_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    words = random_words(7)
    expected = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = (words.probabilities >= low) & ((words.probabilities < high) | (number == BINS - 1))
        if inside.any():
            gap = abs(words.right[inside].mean() - words.probabilities[inside].mean())
            expected += inside.sum() / len(inside) * gap
    error = calibration_error(words.probabilities, words)
    assert error.value == pytest.approx(expected)
    assert error.low < error.value < error.high


def test_calibration_reduces_the_error_on_other_words() -> None:
    calibration = fit(5, random_words(1, 3000), random_words(2, 3000))
    assert calibration.before.low > calibration.after.high
    assert calibration([0.0, 0.5, 1.0]) == sorted(calibration([0.0, 0.5, 1.0]))
    with pytest.raises(UserError, match="have no words"):
        fit(5, random_words(1, 0), random_words(2))


def test_words_are_right_as_often_as_the_reference_has_them() -> None:
    words = word_texts("Der Hund, der große Hund! bellt .")
    assert label_words(words, "der Hund bellt.") == [False, True, True, False, False, True, False]
    assert label_words(word_texts("赤い家"), "家は赤い") == [True, True, True]
    assert word_texts("▁ Haus ▁") == ["Haus"]


def test_word_probabilities_are_products_of_forced_decoding(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    translator = build_long(tokenizer, n_best=2)
    lines = ["", *(pair.en for pair in phrases[:5])]
    translations = translator.translate(lines)
    found = word_probabilities(translator, lines, translations)
    links = align_words(translator, lines, translations)
    for of_line, probabilities, of_links in zip(translations, found, links, strict=True):
        for candidate, words, own in zip(of_line, probabilities, of_links, strict=True):
            assert len(words) == len(word_texts(candidate.text)) == len({tgt for _, tgt in own})
            eos = candidate.log_prob - math.fsum(map(math.log, words))
            assert eos <= 1e-4  # what remains is the probability of the end of the sentence
    [[best]], [[alone]] = translator_of_one(translator, lines[1])
    assert alone == pytest.approx(found[1][0], rel=1e-4)
    assert best.confidence == pytest.approx(math.exp(best.log_prob / (len(best.pieces[0]) + 1)))
    assert products([[-1]], 0, [-1.0]) == []
    assert products([[0], [0, 1], [1]], 2, [-1.0, -2.0, -3.0]) == pytest.approx([math.exp(-3), math.exp(-5)])


def translator_of_one(translator, line):  # type: ignore[no-untyped-def]
    candidates = [translator.translate([line])[0][:1]]
    return candidates, word_probabilities(translator, [line], candidates)


def test_labelled_words_are_those_of_the_translations(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    translator = build_long(tokenizer)
    lines = [pair.en for pair in phrases[:4]]
    best = [of_line[0] for of_line in translator.translate(lines)]
    words = labelled_words(translator, lines, best, [candidate.text for candidate in best])
    assert words.right.all()
    assert len(words.right) == sum(len(candidate.text.split()) for candidate in best)
    assert sorted(set(words.sentences.tolist())) == [0, 1, 2, 3]


def test_a_calibration_is_stored_with_a_run_and_checked(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert read_calibration(run) is None
    assert calibration_for(run, 5) == (None, "")
    calibration = fit(5, random_words(1), random_words(2))
    write_calibration(run, calibration)
    assert read_calibration(run) == calibration
    assert calibration_for(run, 5) == (calibration, "")
    assert "is for step 5, not for step 6" in calibration_for(run, 6)[1]
    path = tmp_path / "calibration.json"
    record = json.loads(path.read_text())
    for change in (
        {"step": "5"},
        {"format": 9},
        {"confidences": record["confidences"][:-1]},
        {"confidences": [2.0] * len(record["confidences"])},
        {"confidences": record["confidences"][::-1]},
        {"before": {"value": float("nan"), "low": 0, "high": 1}},
        {"probabilities": "0.5"},
    ):
        path.write_text(json.dumps(record | change))
        with pytest.raises(UserError, match=r"calibration\.json is damaged; delete it"):
            read_calibration(run)
