"""Glossaries: TSV and TBX files, terms in sentences, and terms as constraints of a search."""

from pathlib import Path

import pytest
from toy_translator import build_long

from nmt.config import SearchKind
from nmt.data import Tokenizer
from nmt.decoding import Candidate, align_words
from nmt.documents.glossary import Glossary, Term, TermCase
from nmt.documents.inline import InlineTag, PlainTranslation, Segment, translate_segments
from nmt.documents.substitution import Substitution, carried, placement, rescored, substituted
from nmt.documents.terms import TermReport, TermSource, TermTranslation, combinations
from nmt.errors import UserError
from nmt.phrasebook import Pair


def term(source: str, target: str, case: TermCase = TermCase.ignore) -> Term:
    return Term(tuple(source.split("|")), tuple(target.split("|")), case, "a test")


def found(glossary: Glossary, sentence: str) -> list[str]:
    return [sentence[match.start : match.end] for match in glossary.find(sentence)]


def test_terms_are_whole_words_and_the_longest_counts() -> None:
    glossary = Glossary([term("house|houses", "Haus"), term("house keeper", "Hauswart"), term("C++", "C++")])
    assert found(glossary, "The House keeper's houses, C++ and house-boats; household") == [
        "House keeper",
        "houses",
        "C++",
        "house",
    ]


def test_exact_terms_may_begin_a_sentence_with_a_capital() -> None:
    glossary = Glossary([term("die Bank", "bench", TermCase.exact), term("US", "USA", TermCase.exact)])
    assert found(glossary, "„Die Bank“ ist us, nicht US, Die Bank") == ["Die Bank", "US"]


def test_scripts_without_spaces_have_terms_anywhere() -> None:
    assert found(Glossary([term("家", "house"), term("赤い家", "red house")]), "この赤い家と家は") == ["赤い家", "家"]


def test_any_target_form_keeps_a_term() -> None:
    exact = term("house", "Haus|Hauses", TermCase.exact)
    assert exact.kept_form("wegen des Hauses") == "Hauses"
    assert exact.kept_form("Hausdach und haus") is None
    assert term("red", "rot|rote").kept_form("Rote Häuser") == "rote"


def test_a_tsv_file_has_forms_comments_and_column_names(tmp_path: Path) -> None:
    file = tmp_path / "terms.tsv"
    file.write_text("Source\ttarget\tcase\n# comment\n\nhouse\tHaus\texact\thouses|\tHauses|Häuser\nred\trot\n")
    glossary = Glossary.read(str(file), "en", "de")
    assert [(entry.sources, entry.targets, entry.case) for entry in glossary.terms] == [
        (("house", "houses"), ("Haus", "Hauses", "Häuser"), TermCase.exact),
        (("red",), ("rot",), TermCase.ignore),
    ]
    assert glossary.terms[0].where.endswith("terms.tsv, line 4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("house\tHaus\nred", "line 2 is not source term, tab, target term"),
        ("house\tHaus\tupper", "line 1 has the case 'upper'; allowed: exact, ignore"),
        ("a\tb\tignore\tc\td\te", "line 1 has 6 columns"),
        ("house\tHaus\nred\trot\nHouse\tHeim", "line 3: the source term 'House' is in .*line 1 too"),
        ("# nothing\n", "has no terms"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "terms.tsv"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        Glossary.read(str(file), "en", "de")


TBX = """<?xml version="1.0"?>{doctype}
<{root}><text><body><{entry} id="1">
<{language} xml:lang="en-GB"><{group}><term>house</term></{group}><{group}><term>home</term></{group}></{language}>
<{language} xml:lang="de"><{group}><term>Heim</term></{group}>
<{group}><term>Haus</term><termNote type="administrativeStatus">preferredTerm-admn-sts</termNote></{group}>
<{group}><term>Hütte</term><termNote type="administrativeStatus">deprecatedTerm-admn-sts</termNote></{group}>
</{language}></{entry}></body></text></{root}>"""
VERSION_2 = {"root": "martif", "entry": "termEntry", "language": "langSet", "group": "tig"}
VERSION_3 = {"root": "tbx", "entry": "conceptEntry", "language": "langSec", "group": "termSec"}


@pytest.mark.parametrize("names", [VERSION_2, VERSION_3])
def test_tbx_has_preferred_terms_first_and_no_deprecated_ones(tmp_path: Path, names: dict[str, str]) -> None:
    file = tmp_path / "terms.tbx"
    file.write_text(TBX.format(doctype='<!DOCTYPE martif SYSTEM "TBXcoreStructV02.dtd">', **names))
    [entry] = Glossary.read(str(file), "en", "de").terms
    assert (entry.sources, entry.targets) == (("house", "home"), ("Haus", "Heim"))
    assert entry.where.endswith("terms.tbx, line 2")
    with pytest.raises(UserError, match="no entry with terms in fr and de; its languages: de, en-GB"):
        Glossary.read(str(file), "fr", "de")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TBX.format(doctype='<!DOCTYPE tbx [<!ENTITY a "aa">]>', **VERSION_3), "declares the entity 'a'"),
        (TBX.format(doctype='<!DOCTYPE tbx [<!ENTITY a SYSTEM "/etc/passwd">]>', **VERSION_3), "declares the entity"),
        ("<html><body/></html>", "line 1 has the root element 'html'; give a TBX file"),
        ("<tbx>\n<text></tbx>", "line 2 is not well-formed XML"),
        ("<tbx>" + "<a>" * 200, "nested deeper"),
    ],
)
def test_unsafe_and_damaged_tbx_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "terms.tbx"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        Glossary.read(str(file), "en", "de")


def test_terms_are_constraints_where_the_free_translation_lacks_them(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    translator = build_long(tokenizer)
    lines = [pair.en for pair in phrases[:4]]
    free = [of_line[0].text for of_line in translator.translate(lines)]
    source = lines[0].split()[0]
    wanted = phrases[5].de.split()[1].strip(".,")
    assert wanted not in free[0].split()
    kept = free[1].split()[0].strip(".,")
    terms = [term(source, f"{wanted}|{phrases[6].de.split()[1].strip('.,')}", TermCase.exact)]
    results = TermTranslation(translator, Glossary(terms))(lines)
    for line, without, result in zip(lines, free, results, strict=True):
        if source in line.split():
            [use] = result.uses
            assert use.kept in terms[0].targets
            assert use.kept in result.candidate.text
            assert (result.candidate.text == without) == (use.source == TermSource.free)
        else:
            assert (result.candidate.text, result.uses) == (without, ())
    free_terms = [term(lines[1].split()[0], kept)]
    again = TermTranslation(translator, Glossary(free_terms))([lines[1]])
    assert again[0].candidate.text == free[1]
    assert again[0].uses[0].source == TermSource.free
    report = TermReport([result.uses for result in results])
    assert f"{kept and sum(bool(result.uses) for result in results)} of 4 sentences" in report.summary("glossary")
    assert len(report.rows()) == 1 + sum(len(result.uses) for result in results)


def test_a_term_replaces_the_words_aligned_to_its_source() -> None:
    line, german = "the big house is red.", "Rot ist ein Haus, ein großes."
    links = [(4, 0), (3, 1), (0, 2), (2, 3), (0, 4), (1, 5)]
    house, big = (8, 13), (4, 7)
    one = substituted(line, german, links, {house: "Heim"})
    both = substituted(line, german, links, {house: "Heim", big: "hohes"})
    assert one == Substitution("Rot ist ein Heim, ein großes.", links, ("Haus",))
    assert both == Substitution("Rot ist ein Heim, ein hohes.", links, ("Haus", "großes"))
    assert substituted(line, german, [(4, 0)], {house: "Heim"}) is None
    assert placement(line, "Das Heim", [(0, 0), (2, 1)], {house: "Heim"}) == (1, 0)
    assert placement(line, "Heim ein Haus", [(0, 0), (2, 1), (2, 2)], {house: "Heim"}) == (0, -2)


@pytest.mark.parametrize(
    ("line", "german", "links", "form", "text", "expected"),
    [
        (
            *("the house is red", "Das Haus ist rot", [(0, 0), (1, 1), (2, 2), (3, 3)], "kleine alte Heim"),
            *("Das kleine alte Heim ist rot", [(0, 0), (1, 1), (1, 2), (1, 3), (2, 4), (3, 5)]),
        ),
        (
            *("the house is red", "Das alte Haus ist rot", [(0, 0), (1, 1), (1, 2), (2, 3), (3, 4)], "Heim"),
            *("Das Heim ist rot", [(0, 0), (1, 1), (2, 2), (3, 3)]),
        ),
        (
            *("the house is red", "Das Haus ist rot", [(1, 0), (1, 1), (2, 2), (3, 3)], "Heim"),
            *("Das Heim ist rot", [(0, 0), (1, 1), (2, 2), (3, 3)]),
        ),
    ],
)
def test_a_replacement_keeps_the_links_of_the_other_words(
    line: str, german: str, links: list[tuple[int, int]], form: str, text: str, expected: list[tuple[int, int]]
) -> None:
    edit = substituted(line, german, links, {(4, 9): form})
    assert edit is not None
    assert (edit.text, edit.links) == (text, expected)
    [alignment] = [PlainTranslation(edit.text, tuple(edit.links))]
    segment = Segment(line, (InlineTag(4, 9, "<b>", "</b>"), InlineTag(13, 16, "<i>", "</i>")))
    marked = text.replace(form, f"<b>{form}</b>").replace("rot", "<i>rot</i>")
    assert translate_segments(lambda requests: [alignment], [segment]) == [marked]


def test_a_constrained_translation_has_the_links_of_the_free_one() -> None:
    line = "the house is red"
    free = ("Das Haus ist rot.", [(0, 0), (1, 1), (2, 2), (3, 3)])
    poor = ("Rot ist das alte Heim.", [(1, 0), (1, 1), (3, 2), (1, 3), (0, 4)])
    links = carried(line, free, poor, {(4, 9): "alte Heim"})
    assert links == [(3, 0), (2, 1), (0, 2), (1, 3), (1, 4)]
    twice = ("Heim, Heim", [(0, 0), (3, 1)])
    assert carried(line, free, twice, {(4, 9): "Heim"}) == [(0, 0), (3, 1)]


def test_a_candidate_without_the_replaced_word_counts(
    tokenizer: Tokenizer, phrases: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A constrained translation that keeps the old word loses, even with the best alignment and score."""
    translator = build_long(tokenizer)
    line = phrases[0].en
    free = translator.translate([line])[0][0]
    links = align_words(translator, [line], [[free]], punctuation=False)[0][0]
    source, old = line.split()[links[0][0]].strip(".,?"), free.text.split()[links[0][1]]
    new = next(word for pair in phrases for word in pair.de.split() if word.isalpha() and word not in free.text)
    terms = TermTranslation(translator, Glossary([term(source, new)]))
    both = Candidate(f"{new} {old}", 0.0, 0.0, free.pieces)
    first = [[free], [both]]
    monkeypatch.setattr(terms, "search", lambda lines, constraints: first.pop(0)[: len(lines)])
    [result] = terms([line])
    assert result.uses[0].source == TermSource.replacement
    assert result.links is not None
    assert {tgt for _, tgt in result.links} <= set(range(len(result.candidate.text.split())))


def test_a_rescored_text_has_the_score_of_search(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    translator = build_long(tokenizer)
    lines = [pair.en for pair in phrases[:5]]
    found = [of_line[0] for of_line in translator.translate(lines)]
    for candidate, again in zip(found, rescored(translator, lines, [each.text for each in found]), strict=True):
        assert again is not None
        assert again.text == candidate.text
        if again.pieces == candidate.pieces:
            assert again.score == pytest.approx(candidate.score, rel=1e-4)


def test_combinations_keep_the_forms_that_are_there_already() -> None:
    terms = [term("a", "x|y|z"), term("b", "u|v")]
    assert combinations(terms, "the v") == [("x", "v"), ("y", "v"), ("z", "v")]
    assert len(combinations([term(name, "x|y|z") for name in "abc"], "")) == 8


def test_a_search_without_constraints_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match="use search=beam with a glossary"):
        TermTranslation(build_long(tokenizer, kind=SearchKind.greedy), Glossary([term("a", "b")]))
