"""TMX and XLIFF: translate-toolkit reads the result, the rest of the file is as before, and unsafe XML is refused."""

import re

import pytest
from sample_documents import TMX, XLIFF_1, XLIFF_2, divided, translated
from translate.storage.tmx import tmxfile
from translate.storage.xliff import xlifffile
from translate.storage.xliff2 import Xliff2File

from nmt.config import DocumentFormat
from nmt.documents.document import parse_document
from nmt.documents.parsed import LanguagePair
from nmt.errors import UserError


def test_a_translation_memory_gets_a_variant_in_the_target_language() -> None:
    result = translated(TMX, "tmx")
    units = tmxfile.parsestring(result.encode()).units
    languages = [[node.get("{http://www.w3.org/XML/1998/namespace}lang") for node in unit.xmlelement] for unit in units]
    assert languages == [["en-US", "de"], ["en", "fr", "de"], ["en", "de"]]
    segments = [unit.xmlelement[-1][0] for unit in units]
    assert ["".join(segment.itertext()) for segment in segments] == [
        "THE <b>RED</b> HOUSE & GARDEN.",
        "THE CAT.",
        "Fertig.",
    ]
    assert [(child.tag, child.get("i"), child.tail) for child in segments[0]] == [
        ("bpt", "1", "RED"),
        ("ept", "1", " HOUSE & GARDEN."),
    ]
    added = re.compile(r'\s*<tuv xml:lang="de"><seg>(?!Fertig).*?</seg></tuv>')
    assert added.sub("", result) == TMX
    assert translated(result, "tmx") == result  # nothing is left to translate


def test_xliff_1_gets_targets_with_their_state() -> None:
    result = translated(XLIFF_1, "xliff")
    store = xlifffile.parsestring(result.encode())
    targets = [(unit.source, unit.target) for unit in store.units]
    assert targets == [
        ("The red house.", "THE RED HOUSE."),
        ("The cat > dog.", "THE CAT > DOG."),
        ("Done.", "Fertig."),
        ("Not this.", None),
    ]
    assert store.gettargetlanguage() == "de"
    nodes = [unit.xmlelement.find(unit.namespaced("target")) for unit in store.units[:2]]
    assert [node.get("state") for node in nodes] == ["needs-review-translation"] * 2
    assert [node.get("state-qualifier") for node in nodes] == ["mt-suggestion"] * 2
    assert (
        '<target state="needs-review-translation" state-qualifier="mt-suggestion">THE <g id="1">RED</g> HOUSE' in result
    )
    assert re.sub(r"\s*<target state[^>]*>.*</target>| target-language=\"de\"", "", result) == re.sub(
        r"\s*<target state[^>]*/>", "", XLIFF_1
    )
    assert translated(result, "xliff") == result


def test_xliff_2_gets_targets_and_the_state_of_the_segment() -> None:
    result = translated(XLIFF_2, "xliff")
    units = Xliff2File.parsestring(result.encode()).units
    assert [unit.target for unit in units] == ["THE RED HOUSE AND GARDEN.", "Fertig."]
    assert '<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="de">' in result
    assert '<segment id="s1" state="translated">' in result
    assert (
        '\n        <target>THE <pc id="1">RED</pc> HOUSE <sc id="2"/>AND<ec startRef="2"/> GARDEN.</target>\n' in result
    )
    assert result.count("<target>") == 2
    assert translated(result, "xliff") == result


def test_spans_by_two_elements_stay_together() -> None:
    [segment] = divided(XLIFF_2, "xliff").segments
    assert [(segment.text[tag.start : tag.end], tag.opening, tag.closing) for tag in segment.tags] == [
        ("red", '<pc id="1">', "</pc>"),
        ("and", '<sc id="2"/>', '<ec startRef="2"/>'),
    ]


BOMB = """<?xml version="1.0"?>
<!DOCTYPE tmx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]>
<tmx version="1.4"><body><tu><tuv xml:lang="en"><seg>&c;</seg></tuv></tu></body></tmx>"""
EXTERNAL = """<?xml version="1.0"?>
<!DOCTYPE xliff [<!ENTITY file SYSTEM "file:///etc/passwd">]>
<xliff version="1.2"><file source-language="en"><body><trans-unit id="1"><source>&file;</source></trans-unit></body>
</file></xliff>"""
PARAMETER = """<!DOCTYPE tmx [<!ENTITY % remote SYSTEM "http://a.example/x.dtd"> %remote;]><tmx version="1.4"/>"""


@pytest.mark.parametrize("text", [BOMB, EXTERNAL, PARAMETER], ids=["expansion", "external", "parameter"])
@pytest.mark.parametrize("kind", [DocumentFormat.tmx, DocumentFormat.xliff])
def test_entities_are_refused_in_one_line(text: str, kind: DocumentFormat) -> None:
    with pytest.raises(UserError, match=r"a\.xml: line \d declares or uses an entity of XML") as error:
        parse_document(text, kind, LanguagePair("en", "de"), "a.xml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("<tmx><body></tmx>", "tmx", r"line 1 is not well-formed XML \(mismatched tag\)"),
        ('<!DOCTYPE tmx SYSTEM "a.dtd"><tmx>&x;</tmx>', "tmx", "declares or uses an entity"),
        ('<?xml version="1.0" encoding="latin-1"?><tmx/>', "tmx", "line 1 declares encoding latin-1"),
        ("<xliff/>", "tmx", "its root element is xliff, not tmx"),
        ("<tmx/>", "xliff", "its root element is tmx, not xliff"),
        (TMX.replace('"en', '"it'), "tmx", r"none of its units \(3\) has a tuv with xml:lang=en"),
        (XLIFF_1.replace('"en"', '"fr"'), "xliff", "line 3 has source-language=fr, but src_lang is en"),
        (XLIFF_2.replace('"en"', '"en" trgLang="fr"'), "xliff", "line 2 has trgLang=fr, but tgt_lang is de"),
        ("", "xliff", "not well-formed XML"),
    ],
)
def test_other_documents_are_refused(text: str, kind: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        divided(text, kind)
