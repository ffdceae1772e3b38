"""Protected spans, and lines with tags."""

import pytest

from nmt.config import Protection
from nmt.documents.inline import InlineTag
from nmt.documents.lines import segment_of_line, without_tags
from nmt.documents.protection import protected_spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a {name} {0:.2f} ${home} %{x} {{ user }} {}", ["{name}", "{0:.2f}", "${home}", "%{x}", "{{ user }}", "{}"]),
        ("%s, %d %1$s %(name)d %5.2f %-3d 100% sure, 5 %", ["%s", "%d", "%1$s", "%(name)d", "%5.2f", "%-3d"]),
        ("{ a set } and 50%of", []),
    ],
)
def test_placeholders(text: str, expected: list[str]) -> None:
    assert [text[a:b] for a, b in protected_spans(text, [Protection.placeholders])] == expected


def test_addresses_end_before_the_punctuation_of_the_sentence() -> None:
    text = "See https://a.b/c?d={e}, (www.f.de/g) or h.i@j.co.uk. Not a.b."
    expected = ["https://a.b/c?d={e}", "www.f.de/g", "h.i@j.co.uk"]
    spans = protected_spans(text, [Protection.urls, Protection.placeholders])
    assert [text[a:b] for a, b in spans] == expected


def test_numbers_are_not_parts_of_words() -> None:
    text = "In 2019 3,5 of 1,000.50, -4 and 12:30. Not B2, 3rd or 4-fold."
    spans = protected_spans(text, [Protection.numbers])
    assert [text[a:b] for a, b in spans] == ["2019", "3,5", "1,000.50", "-4", "12:30"]


def test_a_line_with_tags_becomes_a_segment() -> None:
    segment = segment_of_line('A <b>big <i>red</i></b> <a href="x">{y}</a><br/>', list(Protection))
    assert segment.text == "A big red {y}"
    assert segment.tags == (
        InlineTag(2, 9, "<b>", "</b>"),
        InlineTag(6, 9, "<i>", "</i>"),
        InlineTag(10, 13, '<a href="x">', "</a>"),
        InlineTag(13, 13, "<br/>", ""),
    )
    assert segment.fixed == ((10, 13),)


def test_tags_without_partner_have_no_content_and_no_text_is_lost() -> None:
    segment = without_tags("a <b>b <i>c</b> 1 < 2 > d</u>")
    assert segment.text == "a b c 1 < 2 > d"
    assert [(tag.start, tag.end, tag.opening, tag.closing) for tag in segment.tags] == [
        (2, 5, "<b>", "</b>"),
        (4, 4, "<i>", ""),
        (15, 15, "</u>", ""),
    ]
