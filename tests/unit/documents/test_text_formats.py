"""Documents of text, Markdown, HTML and subtitles keep everything but their sentences, by independent parsers."""

import re
from collections import Counter
from datetime import timedelta
from io import StringIO
from pathlib import Path

import lxml.html
import pytest
import srt
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sample_documents import HTML, MARKDOWN, SAMPLES, SRT, TEXT, VTT, divided, translated

from nmt.config import DocumentFormat
from nmt.errors import UserError

DOCS = Path(__file__).resolve().parents[3] / "docs"
FRAGMENTS = {
    DocumentFormat.text: ["the house ", "\n", "\r\n", "Hello. ", "- ", "word " * 12, "\t", "\u2028", "1) "],
    DocumentFormat.markdown: [
        *("the house ", "**", "*", "_", "`", "``", "[", "](u)", "][r]", "[r]: x\n", "\n", "\n\n", "> ", "- ", "    "),
        *("|", "\n|---|\n", "<b>", "</b>", "<br>", "&amp;", "\\", "~~", "# ", "Hello. ", "<!-- c -->", "\r\n", "```"),
        *("[^1]", "\n[^1]: ", "\n: ", "$", "$$", "\n$$\n", "- [ ] ", "> [!NOTE]", "> [!tip] "),
    ],
    DocumentFormat.html: [
        *("the house ", "<b>", "</b>", "<i>", "<p>", "<br>", "<img src='x>y'>", "&amp;", "&", "&#65;", "<!-- c -->"),
        *("<code>", "</code>", "<script>", "</script>", "<span translate=no>", "</span>", "<", "> ", "\n", "Hello. "),
        *(
            "<li translate=no>",
            "<li>",
            "<ul>",
            "</ul>",
            "<p translate=no>",
            "</p>",
            "<table>",
            "<tr>",
            "<td translate=no>",
        ),
        *("<td>", "</table>", "<a translate=no>", "</a>", "<pre>", "</pre>", "<div>", "</div>"),
    ],
    DocumentFormat.srt: ["the house ", "\n", "\n\n", "<i>", "</i>", "{\\an8}", "- ", "Hello. ", "<", "&amp;", "\r\n"],
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_translation_into_the_same_text_keeps_every_character(kind: DocumentFormat) -> None:
    assert translated(SAMPLES[kind], kind, str) == SAMPLES[kind]
    dos = SAMPLES[kind].replace("\r", "").replace("\n", "\r\n")
    assert translated(dos, kind, str) == dos
    assert translated("\ufeff" + SAMPLES[kind], kind, str) == "\ufeff" + SAMPLES[kind]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(FRAGMENTS)), st.data())
def test_strange_documents_keep_every_character(kind: DocumentFormat, data: st.DataObject) -> None:
    text = "".join(data.draw(st.lists(st.sampled_from(FRAGMENTS[kind]), max_size=20)))
    if kind == DocumentFormat.srt:
        text = f"1\n00:00:01,000 --> 00:00:02,000\n{text}"
    assert translated(text, kind, str) == text
    translated(text, kind)


def test_lines_of_a_column_are_joined_and_other_lines_are_not() -> None:
    assert [segment.text for segment in divided(TEXT, "text").segments] == [
        "A title",
        "The dog sees the house.",
        "The cat sleeps.",
        "- one item",
        "- another item",
        "This is a paragraph whose lines are divided because of the width of the column.",
        "It has a sentence that runs over the line end and ends here.",
        "The last line without an end",
    ]
    assert translated("The dog.\n\n\n  The cat. \n", "text") == "THE DOG.\n\n\n  THE CAT. \n"
    assert translated("", "text") == ""


def structure(text: str) -> list[object]:
    """Return the tokens of a Markdown document: blocks in order, with their code, and the inline elements of each."""
    result: list[object] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        code = token.content if token.type in ("fence", "code_block") else ""
        result.append((token.type, token.tag, token.markup, token.info, code, token.attrs))
        inline = [
            (child.type, str(child.attrs), child.content if child.type == "code_inline" else "")
            for child in token.children or []
            if child.type not in ("text", "text_special", "softbreak")
        ]
        result.append(inline)
    return result


@pytest.mark.parametrize("name", ["sample", "serving.md", "own_data.md"])
def test_markdown_keeps_its_tokens_links_and_code(name: str) -> None:
    text = MARKDOWN if name == "sample" else (DOCS / name).read_text(encoding="utf-8")
    assert translated(text, "markdown", str) == text
    result = translated(text, "markdown")
    assert result != text
    assert structure(result) == structure(text)


def test_markdown_escapes_what_would_be_markup() -> None:
    result = translated("The house.\n", "markdown", lambda line: "# a *b* [c](d) <e> `f` 1_000 g_h & &amp; i|j \\")
    tokens = MarkdownIt("commonmark").parse(result)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} == {"text", "code_inline"}  # code is copied, because sources have it
    assert "".join(child.content for child in children) == "# a *b* [c](d) <e> f 1_000 g_h & &amp; i|j \\"
    assert translated("A\n", "markdown", lambda line: "1. B") == "1\\. B\n"


def test_html_keeps_its_elements() -> None:
    result = translated(HTML, "html")
    before, after = (lxml.html.fromstring(text) for text in (HTML, result))
    elements = [
        [(element.tag, sorted(element.attrib.items())) for element in tree.iter() if isinstance(element.tag, str)]
        for tree in (before, after)
    ]
    assert elements[0] == elements[1]
    kept = "script", "style", "pre", "code", '*[@translate="no"]'
    for path in kept:
        texts = [[found.text_content() for found in tree.xpath(f"//{path}")] for tree in (before, after)]
        assert texts[0] == texts[1] != []
    assert re.findall("<!--.*?-->", result) == re.findall("<!--.*?-->", HTML)
    assert after.xpath("//title")[0].text == "THE HOUSE"
    assert after.xpath("//b")[0].text == "RED"
    assert after.xpath("//a")[0].text == "BIG GARDEN"
    assert "AND SO ON. SEE <img" in result


def test_html_escapes_text_and_divides_at_blocks() -> None:
    assert translated("<p>A</p><p>B<div>C", "html", lambda line: line + " < & >") == (
        "<p>A &lt; &amp; &gt;</p><p>B &lt; &amp; &gt;<div>C &lt; &amp; &gt;"
    )
    [segment] = divided("<p>We <em>see</em>\n  <code>x &lt; y</code>.</p>", "html").segments
    assert segment.text == "We see x < y."
    assert segment.fixed == ((7, 12),)
    assert [(tag.opening, tag.closing) for tag in segment.tags] == [("<em>", "</em>"), ("<code>", "</code>")]


def test_an_element_around_whole_sentences_stays_and_one_over_their_border_joins_them() -> None:
    assert [segment.tags for segment in divided("<p><b>One dog. Two cats.</b></p>", "html").segments] == [(), ()]
    joined = divided("<p>See <b>one dog. Two</b> cats.</p>", "html").segments
    assert [segment.text for segment in joined] == ["See one dog. Two cats."]
    assert translated("<p>One dog.<b> Two</b> cats.</p>", "html") == "<p>ONE DOG. <b>TWO</b> CATS.</p>"


def test_srt_keeps_numbers_times_and_lines() -> None:
    result = translated(SRT, "srt")
    before, after = (
        list(srt.parse(text, ignore_errors=False)) for text in (SRT.replace("\r", ""), result.replace("\r", ""))
    )
    assert [(cue.index, cue.start, cue.end) for cue in before] == [(cue.index, cue.start, cue.end) for cue in after]
    assert [cue.content for cue in after] == [
        "<i>THE DOG SEES</i>\nTHE HOUSE.",
        "- HELLO THERE.\n- {\\an8}GOOD MORNING.",
        "THE LAST ONE & MORE",
    ]
    assert after[0].end - after[0].start == timedelta(seconds=1.5)


def test_webvtt_keeps_identifiers_times_and_comments() -> None:
    result = translated(VTT, "vtt")
    before, after = (webvtt.from_buffer(StringIO(text)) for text in (VTT, result))
    for one, other in zip(before, after, strict=True):
        assert (one.identifier, one.start, one.end) == (other.identifier, other.start, other.end)
        assert len(one.lines) == len(other.lines)
    assert [caption.text for caption in after] == ["THE DOG SEES THE HOUSE.", "THE CAT &amp;\nDOG RUN."]
    assert before.styles[0].text == after.styles[0].text
    assert "align:start\n<v Mary>THE DOG <c.red>SEES</c> THE HOUSE.</v>" in result
    assert Counter(re.findall("<[^>]*>", result)) == Counter(re.findall("<[^>]*>", VTT))


def test_a_long_translation_of_a_cue_has_as_many_lines_as_the_cue() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nOne two\nthree <font color='a b'>four</font>.\n"
    result = translated(text, "srt", lambda line: " ".join(f"{word}{word}" for word in line.split()))
    assert result.count("\n") == text.count("\n")
    assert "<font color='a b'>" in result


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("Hello.\n", "srt", "no line has times"),
        ("1\n00:00:01,000 --> 00:00:02,000\nA\n", "vtt", "line 1 does not begin with WEBVTT"),
    ],
)
def test_another_format_is_refused(text: str, kind: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        divided(text, kind)
