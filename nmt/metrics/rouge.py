"""ROUGE-L. The only file that imports ignite, and only once there is something to score: it takes a second."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version

from nmt.metrics.bootstrap import Score, score_with_interval

Sentence = Sequence[str]


def rouge_l(
    hypotheses: Sequence[Sentence], references: Sequence[Sequence[Sentence]], common: Mapping[str, str]
) -> Score:
    """ROUGE-L (Lin 2004, 3.1), on 0 to 100: the mean over sentences of F1 of the longest common subsequence.

    The words are those of sacrebleu's tokenizer, cased: the usual package for ROUGE, rouge-score, would drop all but
    a to z and digits, umlauts and whole scripts among them.

    Args:
        hypotheses: words of each translation.
        references: lists of words as long as `hypotheses`, a list a reference; the best one of a sentence counts.
        common: what the signature shares with other metrics'.
    """
    from ignite.metrics.nlp.rouge import compute_lcs_scores  # its class would wait for other processes of a training

    def f1(hypothesis: Sentence, reference: Sentence) -> float:
        lcs = compute_lcs_scores(hypothesis, reference)
        precision, recall = lcs.precision(), lcs.recall()
        return 2 * precision * recall / (precision + recall) if lcs.match else 0.0

    found = [
        max(f1(hypothesis, reference) for reference in known)
        for hypothesis, *known in zip(hypotheses, *references, strict=True)
    ]
    library = {"variant": "L-F1", "mean": "sentences", "library": "pytorch-ignite"}
    parts = {**common, **library, "version": version("pytorch-ignite")}
    signature = "|".join(f"{key}:{value}" for key, value in parts.items())
    return score_with_interval([(100 * f, 1) for f in found], lambda sums: sums[0] / sums[1], signature)
