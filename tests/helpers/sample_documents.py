"""Documents of each format with sentences of our own, and their translation by a function of the sentence."""

from collections.abc import Callable, Sequence

from nmt.config import DocumentFormat
from nmt.documents.document import translate_groups
from nmt.documents.formats import PARSERS
from nmt.documents.inline import PlainRequest, PlainTranslation, Segment, translate_segments
from nmt.documents.parsed import DividedDocument, LanguagePair

LANGUAGES = LanguagePair("en", "de")

TEXT = """A title

The dog sees the house. The cat sleeps.
  - one item
  - another item

This is a paragraph whose lines are divided because of the width of the
column. It has a sentence that runs over the line end and ends here.\r
\r
The last line without an end"""

MARKDOWN = """---
title: kept. As it is.
---
# The *red* house #

The dog sees **the house**. The cat
sleeps in [the garden](http://a.example/b_c "title") and `runs_on`. See <https://a.example/c>.
A hard break is here\x20\x20
The next line.

> A quote with **two sentences. Inside** of it.
> More of the quote &amp; an entity \\* here.
>
> - an item in *a quote*
>   continues

1. First item
2. Second item with ![image](a.png) and ~~struck~~ text

| Head | b \\| c |
|---|:-:|
| The cell | `y \\| z` and text |

```python
code = "here. And more."
```

    indented code stays

<div align="center">
The text in <b>HTML</b>. Yes.
</div>

See [the guide] and [the guide][] and [text][the guide].

[the guide]: http://a.example

A heading
=========

The *last* paragraph with <b>bold</b> and `code
over lines`. ***Both*** and **a *b* c**.
"""

HTML = """<!doctype html>
<html lang="en"><head><title>The house</title><style>p {x: "y"}</style><script>if (a < b) "Hello you."</script></head>
<body><!-- a comment. Here. -->
<p class="x">The <b>red</b> house &amp; the
   <a href="x?a=1&amp;b=2">big garden</a>. The dog runs.</p>
<ul><li>One<li>Two <i>small</i> things</ul>
<pre>The code. </pre> <p><b>All bold. Two sentences.</b> And <code>a &lt; b</code> here.
&quot;Quoted&quot; text&nbsp;here.
<p>First line<br>Second line<br/>
and so on. See <img src="x.png" alt="y"> there.</p>
<p translate="no">Keep me.</p><span translate="no">Name</span> stays.
</body></html>
"""

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>The dog sees</i>
the house.

2
00:00:03,000 --> 00:00:04,000
- Hello there.
- {\\an8}Good morning.\r
\r
3
00:00:05,000 --> 00:00:06,000
The last one & more
"""

VTT = """WEBVTT - title

NOTE a comment
more of it

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start
<v Mary>The dog <c.red>sees</c> the house.</v>

00:00:03.000 --> 00:00:04.000
The <00:00:03.500>cat &amp; dog
run.
"""

TMX = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header creationtool="x" creationtoolversion="1" segtype="sentence" o-tmf="x" adminlang="en" srclang="en-US"
    datatype="plaintext"/>
  <body>
    <tu tuid="1">
      <tuv xml:lang="en-US">
        <seg>The <bpt i="1">&lt;b&gt;</bpt>red<ept i="1">&lt;/b&gt;</ept> house &amp; garden.</seg>
      </tuv>
    </tu>
    <tu><tuv xml:lang="en"><seg>The cat.</seg></tuv><tuv xml:lang="fr"><seg>Le chat.</seg></tuv></tu>
    <tu><tuv xml:lang="en"><seg>Done.</seg></tuv><tuv xml:lang="de"><seg>Fertig.</seg></tuv></tu>
  </body>
</tmx>
"""

XLIFF_1 = """<?xml version="1.0" encoding="UTF-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
  <file original="a.txt" source-language="en" datatype="plaintext">
    <body>
      <trans-unit id="1">
        <source>The <g id="1">red</g> house<x id="2"/>.</source>
      </trans-unit>
      <trans-unit id="2">
        <source>The cat &gt; dog.</source>
        <target state="needs-translation"/>
      </trans-unit>
      <trans-unit id="3"><source>Done.</source><target>Fertig.</target></trans-unit>
      <trans-unit id="4" translate="no"><source>Not this.</source></trans-unit>
    </body>
  </file>
</xliff>
"""

XLIFF_2 = """<?xml version="1.0" encoding="UTF-8"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en">
  <file id="f1">
    <unit id="u1">
      <segment id="s1">
        <source>The <pc id="1">red</pc> house <sc id="2"/>and<ec startRef="2"/> garden.</source>
      </segment>
      <ignorable><source> </source></ignorable>
      <segment state="final"><source>Done.</source><target>Fertig.</target></segment>
    </unit>
  </file>
</xliff>
"""

SAMPLES = {
    DocumentFormat.text: TEXT,
    DocumentFormat.markdown: MARKDOWN,
    DocumentFormat.html: HTML,
    DocumentFormat.srt: SRT,
    DocumentFormat.vtt: VTT,
}


def divided(text: str, kind: DocumentFormat | str) -> DividedDocument:
    """Return a document with its sentences."""
    return DividedDocument(PARSERS[DocumentFormat(kind)](text, LANGUAGES), LANGUAGES.src)


def by_word(change: Callable[[str], str]) -> Callable[[Sequence[Segment], Callable[[str], str]], list[str]]:
    """Return the translation of segments by a function of the plain sentence, which keeps the order of words."""

    def translate(requests: Sequence[PlainRequest]) -> list[PlainTranslation]:
        links = [tuple((place, place) for place in range(len(request.text.split()))) for request in requests]
        return [
            PlainTranslation(change(request.text), of_line) for request, of_line in zip(requests, links, strict=True)
        ]

    return lambda segments, escape: translate_segments(translate, segments, escape=escape)


def translated(text: str, kind: DocumentFormat | str, change: Callable[[str], str] = str.upper) -> str:
    """Return a document with each plain sentence changed by a function."""
    document = divided(text, kind)
    return document.join([line for group in translate_groups(by_word(change), document) for line in group])
