"""Inline markup and protected text: placement by alignment, checked with an XML parser."""

import html
import random
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest

from nmt.config import Protection
from nmt.documents.inline import (
    InlineCounts,
    InlineTag,
    PlainRequest,
    PlainTranslation,
    Segment,
    translate_segments,
)
from nmt.documents.protection import protected_spans

Links = Sequence[tuple[int, int]]
KINDS = (Protection.placeholders, Protection.urls)


class Table:
    """Translator of known sentences, which copies others word by word and records what it is given."""

    def __init__(self, text: str = "", target: str = "", links: Links | None = ()) -> None:
        self.known = {text: PlainTranslation(target, None if links is None else tuple(links))} if text else {}
        self.seen: list[str] = []

    def __call__(self, requests: Sequence[PlainRequest]) -> list[PlainTranslation]:
        self.seen += [request.text for request in requests]
        return [self.known.get(request.text, copied(request.text)) for request in requests]


def copied(text: str) -> PlainTranslation:
    return PlainTranslation(text, tuple((at, at) for at in range(len(text.split()))))


def tag(start: int, end: int, name: str = "b") -> InlineTag:
    return InlineTag(start, end, f"<{name}>" if start < end else f"<{name}/>", f"</{name}>" if start < end else "")


def protect(text: str, *tags: InlineTag) -> Segment:
    return Segment(text, tags, protected_spans(text, KINDS))


def one(table: Table, segment: Segment, writes: bool = False, symbols: Sequence[str] = ()) -> tuple[str, InlineCounts]:
    counts = InlineCounts()
    [result] = translate_segments(
        table, [segment], escape=html.escape, writes=lambda text: writes, symbols=symbols, counts=counts
    )
    return result, counts


SENTENCE = "The red house is big."
GERMAN = "Groß ist das rote Haus, oder?"
LINKS = [(4, 0), (3, 1), (0, 2), (1, 3), (2, 4), (4, 5)]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([tag(4, 13)], "Groß ist das <b>rote Haus</b>, oder?"),
        ([tag(4, 13), tag(8, 13, "i")], "Groß ist das <b>rote <i>Haus</i></b>, oder?"),
        ([tag(4, 7), tag(8, 13, "i")], "Groß ist das <b>rote</b> <i>Haus</i>, oder?"),
        ([tag(0, 21)], "<b>Groß ist das rote Haus, oder?</b>"),
        ([tag(0, 21), tag(0, 21, "i")], "<b><i>Groß ist das rote Haus, oder?</i></b>"),
        ([tag(13, 13, "br")], "Groß ist das rote Haus,<br/> oder?"),
        ([tag(14, 14, "br")], "Groß ist das rote Haus, <br/>oder?"),
        ([tag(21, 21, "fn")], "Groß ist das rote Haus, oder?<fn/>"),
        ([tag(20, 20, "fn")], "Groß ist das rote Haus, oder<fn/>?"),
    ],
)
def test_elements_follow_the_words_that_they_cover(tags: list[InlineTag], expected: str) -> None:
    result, counts = one(Table(SENTENCE, GERMAN, LINKS), Segment(SENTENCE, tuple(tags)))
    assert result == expected
    assert (counts.tags, counts.tags_unaligned) == (len(tags), 0)


@pytest.mark.parametrize(
    ("text", "plain", "expected"),
    [
        ("Open {file} now.", "Open now.", "Open {file} now."),
        ("Open {file}.", "Open.", "Open {file}."),
        ("The file ({file}) is open.", "The file is open.", "The file ({file}) is open."),
        ('The file "{file}", is open.', "The file, is open.", 'The file "{file}", is open.'.replace('"', "&quot;")),
        ("{name}: come here", "come here", "{name}: come here"),
        ("Open {name}-file now", "Open now", "Open {name}-file now"),
        ("Write to a.b@c.de or see https://d.e/f?g=1.", "Write to or see.", None),
        ("  Sum: %(total)d, %s and ${x} ", "Sum: and", None),
    ],
)
def test_protected_text_is_cut_out_and_inserted(text: str, plain: str, expected: str | None) -> None:
    table = Table()
    result, counts = one(table, protect(text))
    assert table.seen == [plain]
    assert result == (expected or text)
    assert counts.fixed_inserted == counts.fixed == len(protect(text).fixed) > 0


def test_text_that_the_model_copies_stays_in_the_sentence_and_its_element_around_it() -> None:
    text = "Type {x} to quit"
    segment = protect(text, tag(5, 8, "code"))
    table = Table(text, "Zum Beenden {x} eingeben", [(3, 0), (3, 1), (0, 2), (0, 3)])
    assert one(table, segment, writes=True)[0] == "Zum Beenden <code>{x}</code> eingeben"
    assert table.seen == [text]
    lost = Table(text, "Zum Beenden {y} eingeben", ())
    result, counts = one(lost, segment, writes=True)
    assert lost.seen == [text, "Type to quit"]
    assert result == "Type <code>{x}</code> to quit"
    assert (counts.fixed_copied, counts.fixed_inserted) == (0, 1)


def test_symbols_stand_for_protected_text() -> None:
    text = "Type {x} or {y} now"
    table = Table("Type [A] or [B] now", "Jetzt [B] oder [A], tippen", [(4, 0), (3, 1), (2, 2), (1, 3), (0, 4)])
    result, counts = one(table, protect(text, tag(5, 8, "code")), symbols=["[A]", "[B]", "[C]"])
    assert result == "Jetzt {y} oder <code>{x}</code>, tippen"
    assert counts.fixed_symbols == 2
    result, counts = one(Table("Type [A] or [B] now", "[A] [A] [B]"), protect(text), symbols=["[A]", "[B]"])
    assert (result, counts.fixed_inserted) == (text, 2)


def test_a_sentence_of_protected_text_alone_is_not_translated() -> None:
    table = Table()
    result, counts = one(table, protect(" {a}: <{b}> ", tag(1, 4, "code")))
    assert (result, table.seen, counts.fixed_copied) == (" <code>{a}</code>: &lt;{b}&gt; ", [], 2)


def test_without_attention_the_relative_position_counts() -> None:
    text = "one two three four"
    result, counts = one(Table(text, "eins zwei drei vier", None), Segment(text, (tag(8, 13),)))
    assert (result, counts.without_attention) == ("eins zwei <b>drei</b> vier", 1)


def test_an_element_without_aligned_words_stays_beside_its_neighbours() -> None:
    text = "one very big house"
    result, counts = one(Table(text, "ein Haus", [(0, 0), (3, 1)]), Segment(text, (tag(4, 8),)))
    assert (result, counts.tags_unaligned) == ("ein <b>Haus</b>", 1)


def test_scripts_without_spaces_are_aligned_by_characters() -> None:
    text = "the red house"
    links = [(1, 0), (1, 1), (2, 2), (2, 3)]
    assert one(Table(text, "赤い家屋", links), Segment(text, (tag(8, 13),)))[0] == "赤い<b>家屋</b>"


def test_overlapping_elements_and_spans_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        one(Table(), Segment(SENTENCE, (tag(0, 8), tag(4, 13, "i"))))
    with pytest.raises(ValueError, match="outside"):
        one(Table(), Segment("ab", (tag(0, 3),)))


def random_elements(random_numbers: random.Random, start: int, end: int, depth: int = 0) -> list[InlineTag]:
    """Return nested elements in a range of characters, in the order of their opening tags."""
    found: list[InlineTag] = []
    at = start
    while at < end and random_numbers.random() < 0.7:
        first = random_numbers.randint(at, end)
        last = random_numbers.choice([first, random_numbers.randint(first, end)])
        found.append(tag(first, last, f"t{depth}{first}"))
        if first < last and depth < 3:
            found += random_elements(random_numbers, first, last, depth + 1)
        at = last + 1
    return found


@pytest.mark.parametrize("seed", range(150))
def test_every_element_and_protected_text_is_in_the_result_once_and_nested(seed: int) -> None:
    random_numbers = random.Random(seed)
    words = random_numbers.choices(["a", "house", "(big)", "{x}", "%s,", "1,5", "{y}!", "http://a.b/c", "-"], k=9)
    text = " ".join(words)
    target = " ".join(random_numbers.choices(["ein", "Haus,", "das", "(rot)", "."], k=random_numbers.randint(0, 8)))
    links = [(random_numbers.randrange(9), at) for at in range(len(target.split()))]
    tags = random_elements(random_numbers, 0, len(text))
    segment = protect(text, *tags)

    def translate(requests: Sequence[PlainRequest]) -> list[PlainTranslation]:
        return [PlainTranslation(target, random_numbers.choice([None, tuple(links)])) for _ in requests]

    [result] = translate_segments(translate, [segment], escape=html.escape, writes=lambda text: False)
    tree = ElementTree.fromstring(f"<root>{result}</root>")
    assert sorted(element.tag for element in tree.iter() if element is not tree) == sorted(
        inline.opening.strip("</>") for inline in tags
    )
    shown = "".join(tree.itertext())
    for piece in ("{x}", "{y}", "%s", "http://a.b/c"):
        assert shown.count(piece) == text.count(piece)
    if target and any(word in ("a", "house", "(big)", "1,5") for word in words):
        rest = shown
        for piece in ("({x})", "{x}", "{y}", "%s", "http://a.b/c"):
            rest = rest.replace(piece, "")
        letters = "".join(filter(str.isalpha, rest))
        assert "".join(filter(str.isalpha, target)) == letters
