"""Design of a campaign of judgements: chosen sentences, items in blind and shuffled order, and items that check."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from nmt.errors import UserError

REPEAT, DAMAGED = "repeat", "damaged"


@dataclass(frozen=True)
class JudgedSystem:
    """A system with its translations of a test set."""

    name: str
    path: str
    """Run directory or file of translations."""
    translations: Sequence[str]


@dataclass(frozen=True)
class JudgedSegment:
    """A sentence that people judge."""

    line: int
    """Line number in the test set, from 1."""
    src: str
    reference: str
    translations: list[str]
    """One translation per system."""


@dataclass(frozen=True)
class ShownText:
    """A translation as a rater sees it."""

    text: str
    systems: list[int]
    """Indices of the systems that produced this text; equal translations are judged once."""
    damaged: bool = False
    """True if words of the translation were replaced to check the attention of the rater."""


@dataclass(frozen=True)
class JudgedItem:
    """One question to a rater: one translation to rate, or two to compare."""

    id: str
    """Number of the sheet and of the position in it, such as 2-014. It says nothing about the system."""
    segment: int
    """Index in `Design.segments`."""
    shown: list[ShownText]
    check: str = ""
    """Kind of check: `repeat`, `damaged`, or empty for an item that counts."""
    original: str = ""
    """For a check, the id of the item that it repeats or damages."""


@dataclass(frozen=True)
class Design:
    """All questions of a campaign, with the names of the systems."""

    kind: str
    """da, esa or pairwise."""
    seed: int
    test_set: str
    systems: list[str]
    paths: list[str]
    segments: list[JudgedSegment]
    sheets: list[list[JudgedItem]]
    """Items of each rater in the order of the sheet."""

    @property
    def items(self) -> dict[str, JudgedItem]:
        """All items by their id."""
        return {item.id: item for sheet in self.sheets for item in sheet}


@dataclass(frozen=True)
class Sizes:
    """Numbers of a design."""

    sentences: int
    raters: int
    ratings: int
    """Raters per sentence."""
    repeats: int
    """Repeated items per sheet."""
    damaged: int
    """Damaged items per sheet."""


def make_design(
    kind: str,
    test_set: str,
    src: Sequence[str],
    references: Sequence[str],
    systems: Sequence[JudgedSystem],
    sizes: Sizes,
    seed: int,
) -> Design:
    """Return a design in which a rater judges all systems on each of the rater's sentences.

    Raises:
        UserError: there are fewer sentences than requested, all translations are equal, or a sheet has too few items.
    """
    random = Random(f"judgements {seed}")
    lines = sorted(random.sample(range(len(src)), min(sizes.sentences, len(src))))
    if len(lines) < sizes.sentences:
        raise UserError(f"sentences={sizes.sentences}, but the {test_set} set has {len(src)}; give a smaller number")
    segments = [
        JudgedSegment(line + 1, src[line], references[line], [system.translations[line] for system in systems])
        for line in lines
    ]
    questions = [shown_texts(kind, segment.translations) for segment in segments]
    if not any(questions):
        raise UserError("the systems translate all chosen sentences equally, so there is nothing to compare")
    sheets = []
    for rater in range(sizes.raters):
        mine = [at for at in range(len(segments)) if (rater - at) % sizes.raters < sizes.ratings]
        items = [(at, list(shown)) for at in mine for shown in questions[at]]
        sheets.append(make_sheet(rater + 1, items, segments, sizes, random))
    names, paths = [system.name for system in systems], [system.path for system in systems]
    return Design(kind, seed, test_set, names, paths, segments, sheets)


def shown_texts(kind: str, translations: Sequence[str]) -> list[list[ShownText]]:
    """Return the questions about a sentence: each different translation, or each pair of different translations."""
    texts = [
        ShownText(text, [at for at, other in enumerate(translations) if other == text])
        for text in dict.fromkeys(translations)
    ]
    return [list(pair) for pair in combinations(texts, 2)] if kind == "pairwise" else [[text] for text in texts]


def make_sheet(
    number: int,
    items: Sequence[tuple[int, list[ShownText]]],
    segments: Sequence[JudgedSegment],
    sizes: Sizes,
    random: Random,
) -> list[JudgedItem]:
    """Return the shuffled items of a sheet with its checks.

    The checks repeat items of the first half and stand in the second half, so that a rater does not see both together.
    A damaged item changes places with its original in half of the cases.

    Raises:
        UserError: the first half has fewer items than checks.
    """
    order = list(items)
    random.shuffle(order)
    for _, shown in order:
        random.shuffle(shown)
    half = (len(order) + 1) // 2
    if half < sizes.repeats + sizes.damaged:
        raise UserError(
            f"sheet {number} has {len(order)} items, which is too few for repeats={sizes.repeats} and "
            f"damaged={sizes.damaged}; give more sentences or fewer checks"
        )
    chosen = random.sample(range(half), sizes.repeats + sizes.damaged)
    entries = [(at, segment, shown, "") for at, (segment, shown) in enumerate(order)]
    first, second = entries[:half], entries[half:]
    for at in chosen[: sizes.repeats]:
        second.insert(random.randint(0, len(second)), (at, order[at][0], order[at][1][::-1], REPEAT))
    for at in chosen[sizes.repeats :]:
        segment, shown = order[at]
        check = (at, segment, damaged_question(segment, shown, segments, random), DAMAGED)
        place = random.randint(0, len(second))
        if random.random() < 0.5:  # the damaged item comes first
            first[at], check = check, first[at]
        second.insert(place, check)
    entries = first + second
    ids = {original: f"{number}-{at:03}" for at, (original, *_, check) in enumerate(entries, 1) if not check}
    return [
        JudgedItem(f"{number}-{at:03}", segment, shown, check, ids[original] if check else "")
        for at, (original, segment, shown, check) in enumerate(entries, 1)
    ]


def damaged_question(
    segment: int, shown: Sequence[ShownText], segments: Sequence[JudgedSegment], random: Random
) -> list[ShownText]:
    """Return a damaged translation, or for a comparison an intact and a damaged one in random order."""
    intact = random.choice(shown)
    others = [text for at, other in enumerate(segments) if at != segment for text in other.translations]
    question = [ShownText(damage(intact.text, others or [intact.text], random), intact.systems, True)]
    if len(shown) > 1:
        question.append(intact)
        random.shuffle(question)
    return question


def damage(text: str, others: Sequence[str], random: Random) -> str:
    """Replace consecutive words by words of another sentence (Graham et al. 2017, section 3.3, bad references).

    The number of replaced words grows with the length: 1 of up to 3 words, 2 of 5, 3 of 8, 4 of 15, 5 of 20, then a
    quarter. In sentences of at least three more words, the first and the last word stay.
    """
    words = text.split(" ")
    limits = ((3, 1), (5, 2), (8, 3), (15, 4), (20, 5))
    count = next((count for limit, count in limits if len(words) <= limit), len(words) // 4)
    edge = int(len(words) >= count + 2)
    start = random.randint(edge, len(words) - count - edge)
    for _ in range(20):
        other = random.choice(others).split(" ")
        begin = random.randint(0, max(0, len(other) - count))
        changed = [*words[:start], *other[begin : begin + count], *words[start + count :]]
        if changed != words:
            return " ".join(changed)
    return " ".join(words[:start] + words[start + count :]) or "..."
