"""ROUGE-L. This is the only module that imports ignite, inside the function because the import takes a second."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version

from nmt.metrics.bootstrap import Score, mean_score

Words = Sequence[str]


def rouge_l(hypotheses: Sequence[Words], references: Sequence[Sequence[Words]], common: Mapping[str, str]) -> Score:
    """Compute ROUGE-L (Lin 2004, 3.1) on 0 to 100: the mean over sentences of F1 of the longest common subsequence.

    The words are those of sacrebleu's tokenizer, cased. The common package rouge-score keeps only a-z and digits, which
    drops umlauts and whole scripts.

    Args:
        hypotheses: words of each translation.
        references: one list per reference, each with the words of every sentence; the best reference of a sentence
            counts.
        common: entries of the signature shared with other metrics.
    """
    from ignite.metrics.nlp.rouge import compute_lcs_scores  # the class synchronises with other processes of a training

    def f1(hypothesis: Words, reference: Words) -> float:
        lcs = compute_lcs_scores(hypothesis, reference)
        precision, recall = lcs.precision(), lcs.recall()
        return 2 * precision * recall / (precision + recall) if lcs.match else 0.0

    f1_scores = [
        max(f1(hypothesis, reference) for reference in sentence_references)
        for hypothesis, *sentence_references in zip(hypotheses, *references, strict=True)
    ]
    library = {"variant": "L-F1", "mean": "sentences", "library": "pytorch-ignite"}
    parts = {**common, **library, "version": version("pytorch-ignite")}
    signature = "|".join(f"{key}:{value}" for key, value in parts.items())
    return mean_score([100 * f for f in f1_scores], signature)
