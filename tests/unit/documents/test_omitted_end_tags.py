"""HTML with omitted end tags is translated like the same HTML with all of them."""

import re

import pytest
from sample_documents import divided, translated

COMPLETE = [
    '<ul><li translate="no">My dog</li></ul><p>The hotel is closed.</p>',
    '<ol><li translate="no">One<ul><li>Two</li><li>Three</li></ul></li><li>Four</li></ol>The end.',
    '<div><p translate="no">The dog</p><p>A cat</p><h2>Title</h2></div>Text',
    '<p translate="no">The dog</p><table><tr><td>A cat</td></tr></table>Text',
    '<section><p translate="no">The dog</p></section>The cat',
    '<p translate="no">The dog</p><hr>The cat',
    '<p>A <span translate="no">dog</span></p><p>A cat</p>',
    "<dl><dt translate=no>Dog</dt><dd>A pet.</dd><dt>Cat</dt><dd translate=no>Another.</dd></dl><p>Text</p>",
    "<table><caption translate=no>Pets</caption><colgroup><col></colgroup><thead><tr><th>Dog</th></tr></thead>"
    "<tbody><tr><td>Cat</td></tr></tbody></table>",
    "<table><thead translate=no><tr><th>Dog</th></tr></thead><tbody><tr><td>Cat</td></tr></tbody></table>Text",
    "<table><tbody translate=no><tr><td>Dog</td></tr></tbody><tfoot><tr><td>Cat</td></tr></tfoot></table>Text",
    "<table><tbody><tr><td translate=no>Dog</td><td>Cat</td></tr><tr><th translate=no>Bird</th></tr></tbody></table>Hi",
    "<table><tbody><tr translate=no><td>Dog</td><td>Cat</td></tr><tr><td>Bird</td></tr></tbody></table>",
    "<table><tbody><tr><td translate=no>A<table><tbody><tr><td>B</td></tr></tbody></table></td><td>C</td></tr></tbody>"
    "</table>D",
    "<select><optgroup translate=no><option>A</option><option>B</option></optgroup><optgroup><option translate=no>C"
    "</option><option>D</option></optgroup></select><p>Text</p>",
    "<p><ruby>A<rp translate=no>(</rp><rt translate=no>one</rt><rp>b</rp></ruby> The cat</p>",
    "<html><head translate=no><title>Dog</title></head><body><p translate=no>A</p></body></html>",
    "<div><pre>code</pre></div><p>Text</p>",
    "<ul><li><code>a</code> b</li><li><kbd translate=no>c</kbd></li></ul><p>Text</p>",
]
"""Documents in which every element has its end tag."""
OPTIONAL = r"</(?:li|dt|dd|p|tr|td|th|thead|tbody|tfoot|option|optgroup|rt|rp|colgroup|caption|head|body|html)>"


def pieces(text: str) -> list[tuple[str, tuple[tuple[int, int], ...]]]:
    """Return the sentences of HTML with the spans that are copied."""
    return [(segment.text, segment.fixed) for segment in divided(text, "html").segments]


@pytest.mark.parametrize("complete", COMPLETE)
def test_omitted_end_tags_change_nothing(complete: str) -> None:
    omitted = re.sub(OPTIONAL, "", complete)
    assert translated(omitted, "html") == re.sub(OPTIONAL, "", translated(complete, "html"))
    assert pieces(omitted) == pieces(complete)


def test_a_kept_element_ends_where_the_rules_of_html_end_it() -> None:
    assert pieces('<ul><li translate="no">My dog</ul><p>The hotel is closed.</p>') == [("The hotel is closed.", ())]
    assert pieces('<p translate="no">The dog<p>A cat') == [("A cat", ())]
    assert pieces('<table><tr><td translate="no">A<td>B<tr><td>C') == [("B", ()), ("C", ())]
    assert pieces('<ul><li translate="NO"><div>A<p>B</div>C<li>D</ul>') == [("D", ())]
    assert pieces('<p translate="no">A<b>B</p>C') == [("C", ())]
    assert pieces('<p translate="no">A</div>B</span>C</p>D') == [("D", ())]
    assert pieces('<div translate="no"><p>A<p>B<ul><li>C</ul></div>D') == [("D", ())]
    assert pieces('<button translate="no"><p>A</button>B') == [("B", ())]


def test_unclosed_code_ends_with_its_parent() -> None:
    assert pieces("<p>See <code>x = y<p>The dog") == [("See x = y", ((4, 9),)), ("The dog", ())]
    assert pieces("<ul><li><code>x<li>A</ul>B") == [("A", ()), ("B", ())]
    assert pieces("<div><pre>x</div>A") == [("A", ())]
    assert pieces("<div><pre>x<p>y</pre>A</div>B") == [("A", ()), ("B", ())]
    assert pieces("<p>A <code>x") == [("A x", ((2, 3),))]
    assert pieces("A<script>x</p> y") == [("A", ())]
    assert pieces("<div>A <a translate=no><h3>B</h3><p>C</a> D") == [("A BC D", ((2, 4),))]


@pytest.mark.parametrize("name", ["br", "img", "input", "hr", "col", "wbr", "param", "frame", "keygen", "bgsound"])
def test_void_elements_do_not_begin_kept_text(name: str) -> None:
    assert [text for text, _ in pieces(f"<p>A</p><{name} translate=no><p>B</p>")] == ["A", "B"]
    assert pieces(f"<div translate=no>A<{name}>B</div>C") == [("C", ())]


def test_many_open_elements_are_read_in_linear_time() -> None:
    text = "<div><object>" + "<b>" * 20_000 + "<div>" * 20_000 + "<li translate=no>" * 3 + "A</object></div>B"
    assert pieces(text)[-1] == ("B", ())
