"""ROUGE-L against the longest common subsequence found by enumeration."""

import itertools
import random

import pytest

from nmt.metrics import all_scores
from nmt.metrics.rouge import rouge_l


def longest_common(one: list[str], other: list[str]) -> int:
    """Return the length of the longest common subsequence, by enumeration."""
    subsequences = {chosen for n in range(len(other) + 1) for chosen in itertools.combinations(other, n)}
    lengths = (n for n in range(len(one), -1, -1) if subsequences & set(itertools.combinations(one, n)))
    return next(lengths)


def f1(hypothesis: list[str], reference: list[str]) -> float:
    common = longest_common(hypothesis, reference)
    if not common:
        return 0.0
    precision, recall = common / len(hypothesis), common / len(reference)
    return 2 * precision * recall / (precision + recall)


def sentences(seed: int) -> list[list[str]]:
    source = random.Random(seed)
    return [source.choices(["ja", "nein", "Straße", "κύμα"], k=source.randint(0, 7)) for _ in range(30)]


def test_it_is_the_mean_of_the_sentences_f1() -> None:
    hypotheses, references = sentences(1), sentences(2)
    expected = [f1(*pair) for pair in zip(hypotheses, references, strict=True)]
    assert 0 < sum(expected) < len(expected)
    assert rouge_l(hypotheses, [references], {}).score == pytest.approx(100 * sum(expected) / len(expected))


def test_of_several_references_the_best_counts_for_each_sentence() -> None:
    hypotheses, one, other = sentences(1), sentences(2), sentences(3)
    best = [max(f1(h, a), f1(h, b)) for h, a, b in zip(hypotheses, one, other, strict=True)]
    assert rouge_l(hypotheses, [one, other], {}).score == pytest.approx(100 * sum(best) / len(best))


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        ("Äpfel", "Öl", 0),  # rouge-score would see no word, or parts of words, in these
        ("die Straße dort", "die Straße hier", 200 / 3),
        ("το κύμα", "το κύμα", 100),
        ("नमस्ते दुनिया", "नमस्ते", 200 / 3),
        ("Ja, gut.", "Ja, schlecht.", 75),  # punctuation marks are words, as in BLEU
    ],
)
def test_words_of_any_script_count(hypothesis: str, reference: str, expected: float) -> None:
    assert all_scores([hypothesis], [reference], "13a")["rouge_l"].score == pytest.approx(expected)


def test_the_signature_names_library_variant_and_tokens() -> None:
    signature = all_scores(["a"], ["a"], "char")["rouge_l"].signature
    assert signature.startswith(
        "nrefs:1|case:mixed|tok:char|variant:L-F1|mean:sentences|library:pytorch-ignite|version:"
    )
