"""TMX: a translation memory gets a variant (tuv) in the target language per unit that has none."""

import re

from nmt.documents.formats.xml_tokens import (
    Element,
    XmlToken,
    content_builder,
    content_span,
    find_elements,
    primary,
    read_tokens,
    root_element,
)
from nmt.documents.parsed import LanguagePair, ParsedDocument
from nmt.documents.passages import Passage, Place
from nmt.errors import UserError

OPAQUE = {"bpt", "ept", "ph", "it", "ut"}
"""Elements whose content is code of the original format."""


def parse(text: str, languages: LanguagePair) -> ParsedDocument:
    """Return a translation memory with a passage per unit that has the source language and not the target language.

    Raises:
        UserError: the text is not safe XML or not TMX, or no unit has the source language.
    """
    tokens = read_tokens(text)
    root_element(tokens, "tmx")
    units = list(find_elements(tokens, {"tu"}))
    passages: list[Passage] = []
    kept = sources = 0
    for unit in units:
        variants = list(find_elements(tokens, {"tuv"}, unit.first, unit.last))
        codes = [primary(language_of(variant)) for variant in variants]
        if primary(languages.src) not in codes:
            continue
        sources += 1
        if primary(languages.tgt) in codes:
            kept += 1
            continue
        source = variants[codes.index(primary(languages.src))]
        segment = next(find_elements(tokens, {"seg"}, source.first, source.last), None)
        if segment is not None:
            passage = unit_passage(text, tokens, segment, source, variants[-1], languages.tgt)
            passages.append(passage)
    if units and not sources:
        raise UserError(
            f"none of its units ({len(units)}) has a tuv with xml:lang={languages.src}; give src_lang=LANGUAGE"
        )
    return ParsedDocument(text, passages, translated=kept)


def language_of(variant: Element) -> str:
    """Return the language of a variant."""
    return variant.attributes.get("xml:lang") or variant.attributes.get("lang") or ""


def unit_passage(
    text: str, tokens: list[XmlToken], segment: Element, source: Element, last: Element, language: str
) -> Passage:
    """Return the passage of a segment, whose translation is written behind the last variant of its unit."""
    builder = content_builder(text, tokens, segment, OPAQUE, pair_key)
    begin = tokens[source.first].start
    indent = re.search(r"\s*\Z", text[max(0, begin - 1000) : begin])
    end = tokens[last.last].end
    before = f'{indent[0] if indent else ""}<tuv xml:lang="{language}"><seg>'
    passage = builder.build(Place(end, end, before, "</seg></tuv>"), content_span(tokens, segment))
    assert passage is not None
    return passage


def pair_key(token: XmlToken) -> str | None:
    """Return `+KEY` for an element that begins a span, `-KEY` for one that ends it, and None for others."""
    signs = {"bpt": "+", "ept": "-"}
    return signs[token.name] + token.attributes.get("i", "") if token.name in signs else None
