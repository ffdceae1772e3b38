"""Terms, protected text and columns of the command `translate`, with a small untrained model."""

import json
from pathlib import Path

import pytest
from toy_translator import build_long

from nmt.cli.app.output_columns import COLUMNS, ColumnWriter
from nmt.cli.app.terms_and_tags import TermsAndTags
from nmt.config import DataConfig, OutputFormat, Protection, TranslateConfig
from nmt.config.checks import problems_in
from nmt.data import Tokenizer
from nmt.decoding import align
from nmt.errors import UserError
from nmt.phrasebook import Pair


def handling(tokenizer: Tokenizer, config: TranslateConfig, **search: object) -> TermsAndTags:
    return TermsAndTags(build_long(tokenizer, **search), config, DataConfig())


def test_lines_without_protected_text_are_translated_as_before(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    config = TranslateConfig("run", protect=list(Protection))
    lines = [pair.en for pair in phrases[:4] if not any(map(str.isdigit, pair.en))]
    expected = [of_line[0].text for of_line in build_long(tokenizer).translate(lines)]
    assert [found.text for [found] in handling(tokenizer, config).translate_lines(lines)] == expected


def test_protected_text_of_lines_is_kept_and_counted(tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    config = TranslateConfig("run", protect=[Protection.placeholders, Protection.tags])
    terms = handling(tokenizer, config)
    [[found]] = terms.translate_lines(["The <b>red</b> house of {name} & co"])
    assert found.text.count("<b>") == found.text.count("</b>") == found.text.count("{name}") == 1
    with caplog.at_level("INFO"):
        terms.finish()
    assert "1 inline element," in caplog.text
    assert "1 protected span:" in caplog.text


def test_a_report_has_the_terms_of_each_line(tokenizer: Tokenizer, phrases: list[Pair], tmp_path: Path) -> None:
    glossary, report = tmp_path / "terms.tsv", tmp_path / "report.tsv"
    words = phrases[0].en.split()
    glossary.write_text(f"{words[0]}\tHaus\texact\n")
    config = TranslateConfig("run", glossary=str(glossary), glossary_report=str(report))
    terms = handling(tokenizer, config)
    assert terms.needed
    terms.translate_lines(["", phrases[0].en])
    terms.finish()
    rows = [line.split("\t") for line in report.read_text().split("\n")]
    assert rows[0] == ["sentence", "source", "target", "result", "form"]
    assert rows[1][:3] == ["2", words[0], "Haus"]
    assert rows[2] == [""]
    with pytest.raises(UserError, match="exists already"):
        handling(tokenizer, config)
    with pytest.raises(UserError, match=r"give search\.n_best=1"):
        handling(tokenizer, TranslateConfig("run", glossary=str(glossary)), n_best=2)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"glossary_report": "a"}, "glossary_report is given but glossary is not; give glossary=FILE"),
        ({"glossary": "a", "prefix": "b"}, "glossary and prefix exclude each other"),
        ({"protect": [Protection.tags], "input": "a", "alignments": "b"}, "alignments cannot be given with protect"),
        ({"protect": [Protection.tags], "output_format": OutputFormat.tsv}, "output_format cannot be given with"),
        ({"input": "a.html", "output_format": OutputFormat.jsonl}, "output_format is jsonl, but the input is html"),
    ],
)
def test_keys_that_exclude_each_other_are_refused(settings: dict[str, object], expected: str) -> None:
    problems = list(problems_in(TranslateConfig("run", **settings)))
    assert any(problem.startswith(expected) for problem in problems), problems


@pytest.mark.parametrize("attends", [True, False])
def test_columns_have_scores_probabilities_and_alignment(
    tokenizer: Tokenizer, phrases: list[Pair], attends: bool
) -> None:
    translator = build_long(tokenizer, n_best=2)
    lines = [phrases[0].en, "", phrases[1].en]
    translations = translator.translate(lines)
    writer = ColumnWriter(translator, OutputFormat.jsonl, attends, lambda values: [value / 2 for value in values])
    rows = [json.loads(row) for row in writer.rows(10, lines, translations)]
    assert [(row["line"], row["rank"]) for row in rows] == [(11, 1), (11, 2), (12, 1), (13, 1), (13, 2)]
    candidates = [candidate for of_line in translations for candidate in of_line]
    links = [links for of_line in align(translator, lines, translations) for links in of_line]
    for row, candidate, of_row in zip(rows, candidates, links, strict=True):
        assert row["text"] == candidate.text == " ".join(row["words"])
        assert row["score"] == pytest.approx(candidate.score, abs=1e-4)
        assert len(row["words"]) == len(row["word_probability"]) == len(row["word_confidence"])
        pairs = None if not attends else [[int(at) for at in link.split("-")] for link in of_row.split()]
        assert row["alignment"] == pairs
    table = ColumnWriter(translator, OutputFormat.tsv, attends)
    assert table.header() == ["\t".join(COLUMNS)]
    cells = [row.split("\t") for row in table.rows(10, lines, translations)]
    for row, candidate, of_row in zip(cells, candidates, links, strict=True):
        assert len(row) == len(COLUMNS)
        assert (row[2], row[7], row[8]) == (candidate.text, "", of_row if attends else "")
