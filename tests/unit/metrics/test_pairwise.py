"""Pairwise sentence scores against sacrebleu's score of each pair."""

import random

import numpy as np
import pytest
import sacrebleu

from nmt.metrics import pairwise

TOLERANCE = 1e-6
STRANGE = [
    "",
    " ",
    ".",
    "a",
    "ab",
    "a b",
    "aa",
    "aaaaaaaaaaaaaaaaaaaaaaa",
    "a a a a a a a a",
    "the the the the the the the cat",
    "The house is red.",
    "The house is red .",
    "  The house\tis  red.  ",
    "The house is red. The house is red. The house is red.",
    "is red the house",
    "Das Haus, das rot ist, kostet 3.000,50 € (z. B.).",
    "家は赤い 🏠🇩🇪 é é",
    "a \ud83c b",
]


def by_sacrebleu(texts: list[str], metric: str, tokenize: str) -> np.ndarray:
    scorer = sacrebleu.CHRF() if metric == "chrf" else sacrebleu.BLEU(tokenize=tokenize, effective_order=True)
    return np.array([[scorer.sentence_score(one, [other]).score for other in texts] for one in texts])


def random_texts(seed: int) -> list[str]:
    """Return texts of few words and letters, so that n-grams recur within and across texts."""
    numbers = random.Random(seed)
    words = ["".join(numbers.choices("abcé", k=numbers.randrange(1, 5))) for _ in range(6)] + [",", "it's", "2.5"]
    return [" ".join(numbers.choices(words, k=numbers.randrange(12))) for _ in range(25)]


METRICS = pytest.mark.parametrize(
    ("metric", "tokenize"), [("chrf", "13a"), ("bleu", "13a"), ("bleu", "none"), ("bleu", "char"), ("bleu", "intl")]
)


@METRICS
@pytest.mark.parametrize("texts", [STRANGE, *map(random_texts, range(3))], ids=["strange", "0", "1", "2"])
def test_every_pair_has_the_score_that_sacrebleu_gives_it(texts: list[str], metric: str, tokenize: str) -> None:
    actual = pairwise(texts, metric, tokenize)
    expected = by_sacrebleu(texts, metric, tokenize)
    np.testing.assert_allclose(actual, expected, atol=TOLERANCE, rtol=0)
    assert len(np.unique(expected)) > len(texts)
    assert not np.allclose(expected, expected.T)  # hypothesis and reference are not interchangeable


@METRICS
@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["a"], ["the house", "the house"]])
def test_few_texts_and_empty_ones(texts: list[str], metric: str, tokenize: str) -> None:
    expected = by_sacrebleu(texts, metric, tokenize).reshape(len(texts), len(texts))
    np.testing.assert_allclose(pairwise(texts, metric, tokenize), expected, atol=TOLERANCE, rtol=0)
