"""Translations of a split sentence by sentence: shown examples, their attention, and counts of error kinds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nmt.config import SearchConfig
from nmt.data import normalise
from nmt.decoding import AttentionMap, Translator
from nmt.lab.report.mistakes import KINDS, Coverage, ErrorKind, JudgedTranslation, coverage
from nmt.metrics import sentence_scores

BATCH_SIZE = 64
EXAMPLES_PER_KIND = 3


@dataclass(frozen=True)
class ScoredSentence:
    """A translated sentence with its score."""

    line: int
    """Line number in the split, from 1."""
    src: str
    translation: str
    reference: str
    chrf: float
    """ScoredSentence chrF, 0 to 100."""


@dataclass(frozen=True)
class ShownSentence:
    """A sentence on the report page, with the reason why it was chosen."""

    why: str
    sentence: ScoredSentence
    attention: AttentionMap | None


@dataclass
class MistakeCount:
    """Sentences with one kind of error."""

    kind: ErrorKind
    count: int
    share: float
    """Share of the checked sentences."""
    other_way: int
    """Number of references with this error when they are compared with the translation."""
    examples: list[tuple[ScoredSentence, str]] = field(default_factory=list)
    """Sentences with the lowest chrF, each with a description of the error."""


def score_sentences(src: Sequence[str], translations: Sequence[str], references: Sequence[str]) -> list[ScoredSentence]:
    scores = sentence_scores(translations, references, "chrf", "none")
    lines = zip(src, translations, references, scores, strict=True)
    return [ScoredSentence(number, *line) for number, line in enumerate(lines, start=1)]


def choose_sentences(
    sentences: Sequence[ScoredSentence], number: int, at_random: int, seed: int
) -> list[tuple[str, ScoredSentence]]:
    """Return sentences to show, with reasons: the best, the median, the worst, and some drawn at random.

    No sentence is returned twice. Among equal scores the sentence with the longest source ranks first. Sentences with
    an empty source are skipped. There are `number` sentences from each of the best, the median and the worst.
    """
    ranked = sorted(
        (sentence for sentence in sentences if sentence.src.strip()),
        key=lambda sentence: (-sentence.chrf, -len(sentence.src), sentence.line),
    )
    middle = max(0, (len(ranked) - number) // 2)
    ranges = [("best", ranked[:number]), ("median", ranked[middle : middle + number]), ("worst", ranked[::-1][:number])]
    chosen: dict[int, tuple[str, ScoredSentence]] = {}
    for why, members in ranges:
        for sentence in members:
            chosen.setdefault(sentence.line, (f"{why} by chrF", sentence))
    others = sorted((sentence for sentence in ranked if sentence.line not in chosen), key=lambda other: other.line)
    drawn = random.Random(seed).sample(others, min(at_random, len(others)))
    return [*chosen.values(), *((f"drawn at random (seed {seed})", sentence) for sentence in drawn)]


def show_sentences(chosen: Sequence[tuple[str, ScoredSentence]], translator: Translator | None) -> list[ShownSentence]:
    """Return the sentences with attention maps, where the model has attention and does not split the source."""
    return [
        ShownSentence(
            why,
            sentence,
            translator.attention(sentence.src, sentence.translation)
            if translator and fits_in_one_part(translator, sentence.src, sentence.translation)
            else None,
        )
        for why, sentence in chosen
    ]


def fits_in_one_part(translator: Translator, src: str, tgt: str) -> bool:
    """Return True if both sides have pieces and neither is so long that the translator splits it."""
    lengths = (len(translator.src.encode([normalise(src)])[0]), len(translator.tgt.encode([tgt])[0]))
    return min(lengths) > 0 and max(lengths) <= SearchConfig.max_source_pieces


def coverages(translator: Translator, src: Sequence[str], tgt: Sequence[str]) -> list[Coverage | None]:
    """Return the coverage of each source by its translation; None without attention or for a sentence that is split."""
    covered: list[Coverage | None] = [None] * len(src)
    rows = [row for row in range(len(src)) if fits_in_one_part(translator, src[row], tgt[row])]
    rows.sort(key=lambda row: (len(src[row]), len(tgt[row])))
    for start in range(0, len(rows), BATCH_SIZE):
        batch = rows[start : start + BATCH_SIZE]
        maps = translator.attentions([src[row] for row in batch], [tgt[row] for row in batch])
        if maps is None:
            break
        for row, attention in zip(batch, maps, strict=True):
            if translator.src.tags:  # the tag is not a word
                weights = [of_piece[1:] for of_piece in attention.weights]
                attention = replace(attention, src=attention.src[1:], weights=weights)
            covered[row] = coverage(translator.src.plain(src[row]), attention)
    return covered


def count_mistakes(sentences: Sequence[ScoredSentence], translator: Translator | None) -> list[MistakeCount]:
    """Count each kind of error. Kinds that need attention are left out without a model that has attention."""
    src, translations, references = (
        [getattr(sentence, side) for sentence in sentences] for side in ("src", "translation", "reference")
    )
    unknown: list[Coverage | None] = [None] * len(sentences)
    covered = coverages(translator, src, translations) if translator else unknown
    by_reference = coverages(translator, src, references) if translator else unknown
    src = [translator.src.plain(line) for line in src] if translator else src
    forward = [
        JudgedTranslation(*each) for each in zip(src, translations, references, covered, by_reference, strict=True)
    ]
    reverse = [
        JudgedTranslation(*each) for each in zip(src, references, translations, by_reference, covered, strict=True)
    ]
    with_coverage = sum(pair.coverage is not None and pair.other_coverage is not None for pair in forward)
    mistakes = []
    for kind in KINDS:
        checked = with_coverage if kind.by_attention else len(sentences)
        if not checked:
            continue
        errors = [(sentence, kind.find(pair)) for sentence, pair in zip(sentences, forward, strict=True)]
        errors = [(sentence, error) for sentence, error in errors if error]
        errors.sort(key=lambda item: (item[0].chrf, item[0].line))
        other_way = sum(bool(kind.find(pair)) for pair in reverse)
        mistakes.append(MistakeCount(kind, len(errors), len(errors) / checked, other_way, errors[:EXAMPLES_PER_KIND]))
    return mistakes
