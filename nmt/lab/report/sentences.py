"""The translations of a split one by one: which are shown, where the model looked, which kinds of errors they have."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from nmt.config import SearchConfig
from nmt.data import normalise
from nmt.decoding import AttentionMap, Translator
from nmt.lab.report.mistakes import KINDS, Coverage, Kind, Reading, coverage
from nmt.metrics import sentence_scores

READ_TOGETHER = 64
EXAMPLES_OF_A_KIND = 3


@dataclass(frozen=True)
class Sentence:
    """A translated sentence."""

    line: int
    """From 1, in the split."""
    src: str
    translation: str
    reference: str
    chrf: float
    """Of the sentence, 0 to 100."""


@dataclass(frozen=True)
class Example:
    """A sentence that is shown."""

    why: str
    sentence: Sentence
    attention: AttentionMap | None


@dataclass
class Mistakes:
    """How often there is a kind of error."""

    kind: Kind
    count: int
    share: float
    """Of the sentences that were judged."""
    other_way: int
    """In how many sentences the reference has this error beside the translation."""
    examples: list[tuple[Sentence, str]] = field(default_factory=list)
    """The worst by chrF, and what is wrong with each."""


def sentences_of(src: Sequence[str], translations: Sequence[str], references: Sequence[str]) -> list[Sentence]:
    scores = sentence_scores(translations, references, "chrf", "none")
    lines = zip(src, translations, references, scores, strict=True)
    return [Sentence(number, *each) for number, each in enumerate(lines, start=1)]


def choose(sentences: Sequence[Sentence], each: int, at_random: int, seed: int) -> list[tuple[str, Sentence]]:
    """Sentences to show, and why: the best, those around the median, the worst, and some at random; none twice.

    Of those that score alike, the longest sources are the best. Sentences without text are not shown.
    """
    ranked = sorted(
        (sentence for sentence in sentences if sentence.src.strip()),
        key=lambda sentence: (-sentence.chrf, -len(sentence.src), sentence.line),
    )
    middle = max(0, (len(ranked) - each) // 2)
    wanted = [("best", ranked[:each]), ("median", ranked[middle : middle + each]), ("worst", ranked[::-1][:each])]
    chosen: dict[int, tuple[str, Sentence]] = {}
    for why, some in wanted:
        for sentence in some:
            chosen.setdefault(sentence.line, (f"{why} by chrF", sentence))
    others = sorted((each for each in ranked if each.line not in chosen), key=lambda sentence: sentence.line)
    drawn = random.Random(seed).sample(others, min(at_random, len(others)))
    return [*chosen.values(), *((f"drawn at random (seed {seed})", sentence) for sentence in drawn)]


def show(chosen: Sequence[tuple[str, Sentence]], translator: Translator | None) -> list[Example]:
    """With maps where a model has attention and the sentence is read in one part."""
    return [
        Example(
            why,
            sentence,
            translator.attention(sentence.src, sentence.translation)
            if translator and readable(translator, sentence.src, sentence.translation)
            else None,
        )
        for why, sentence in chosen
    ]


def readable(translator: Translator, src: str, tgt: str) -> bool:
    """Whether there is something, and no side is so long that it would have been translated in parts."""
    lengths = (len(translator.src.encode([normalise(src)])[0]), len(translator.tgt.encode([tgt])[0]))
    return min(lengths) > 0 and max(lengths) <= SearchConfig.max_source_pieces


def coverages(translator: Translator, src: Sequence[str], tgt: Sequence[str]) -> list[Coverage | None]:
    """The coverage of each sentence by its translation; None where it is not read, or by a model without attention."""
    found: list[Coverage | None] = [None] * len(src)
    rows = [row for row in range(len(src)) if readable(translator, src[row], tgt[row])]
    rows.sort(key=lambda row: (len(src[row]), len(tgt[row])))
    for start in range(0, len(rows), READ_TOGETHER):
        some = rows[start : start + READ_TOGETHER]
        maps = translator.attentions([src[row] for row in some], [tgt[row] for row in some])
        if maps is None:
            break
        for row, attention in zip(some, maps, strict=True):
            found[row] = coverage(src[row], attention)
    return found


def judge(sentences: Sequence[Sentence], translator: Translator | None) -> list[Mistakes]:
    """Counts each kind of error; those told by attention only for a model that has it."""
    src, own, references = (
        [getattr(sentence, side) for sentence in sentences] for side in ("src", "translation", "reference")
    )
    nothing: list[Coverage | None] = [None] * len(sentences)
    by_own = coverages(translator, src, own) if translator else nothing
    by_reference = coverages(translator, src, references) if translator else nothing
    forth = [Reading(*each) for each in zip(src, own, references, by_own, by_reference, strict=True)]
    back = [Reading(*each) for each in zip(src, references, own, by_reference, by_own, strict=True)]
    seen = [reading.coverage is not None and reading.other_coverage is not None for reading in forth]
    found = []
    for kind in KINDS:
        judged = sum(seen) if kind.by_attention else len(sentences)
        if not judged:
            continue
        guilty = [(sentence, kind.find(reading)) for sentence, reading in zip(sentences, forth, strict=True)]
        guilty = [(sentence, what) for sentence, what in guilty if what]
        guilty.sort(key=lambda each: (each[0].chrf, each[0].line))
        other_way = sum(bool(kind.find(reading)) for reading in back)
        found.append(Mistakes(kind, len(guilty), len(guilty) / judged, other_way, guilty[:EXAMPLES_OF_A_KIND]))
    return found
