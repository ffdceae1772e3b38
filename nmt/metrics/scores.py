"""BLEU, chrF and TER with their signatures. The only file that imports sacrebleu."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from sacrebleu.metrics import BLEU, CHRF, TER


@dataclass(frozen=True)
class Score:
    """A score that can be repeated."""

    score: float
    signature: str
    """sacrebleu's: version, tokenizer, case, smoothing (Post 2018)."""


def all_scores(hypotheses: Sequence[str], references: Sequence[str], bleu_tokenize: str) -> dict[str, Score]:
    """Corpus BLEU (Papineni et al. 2002), chrF (Popović 2015) and TER (Snover et al. 2006), on 0 to 100.

    Args:
        hypotheses: detokenised translations, one a sentence.
        references: one a sentence.
        bleu_tokenize: sacrebleu's tokenizer for BLEU.
    """
    metrics = {"bleu": BLEU(tokenize=bleu_tokenize), "chrf": CHRF(), "ter": TER()}
    scores = {}
    for name, metric in metrics.items():
        score = metric.corpus_score(list(hypotheses), [list(references)]).score
        scores[name] = Score(score, str(metric.get_signature()))
    return scores


def bleu(hypotheses: Sequence[str], references: Sequence[str], tokenize: str) -> float:
    """Corpus BLEU on 0 to 100."""
    return float(BLEU(tokenize=tokenize).corpus_score(list(hypotheses), [list(references)]).score)


def bleu_words(text: str, tokenize: str) -> list[str]:
    """What BLEU counts as words."""
    words: list[str] = word_splitter(tokenize)(text.rstrip()).split()
    return words


@cache
def word_splitter(tokenize: str) -> Callable[[str], str]:
    return BLEU(tokenize=tokenize).tokenizer  # type: ignore[no-any-return]


def sentence_scores(hypotheses: Sequence[str], references: Sequence[str], metric: str, tokenize: str) -> list[float]:
    """BLEU (of the orders that fit, smoothed as sacrebleu does) or chrF of each sentence, on 0 to 100.

    Args:
        hypotheses: detokenised translations, one a sentence.
        references: one a sentence.
        metric: bleu or chrf.
        tokenize: sacrebleu's tokenizer for BLEU.
    """
    scorer = CHRF() if metric == "chrf" else BLEU(tokenize=tokenize, effective_order=True)
    pairs = zip(hypotheses, references, strict=True)
    return [float(scorer.sentence_score(hypothesis, [reference]).score) for hypothesis, reference in pairs]
