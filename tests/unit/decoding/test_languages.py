"""Translation of lines with tags and factors: the ids that the model reads, in one part or several, and alignments."""

import logging
from typing import Any

import pytest
import torch
from toy_translator import PAIRS, build

from nmt.config import AttentionKind, GnmtDecoderConfig, ModelConfig, TokenizerConfig
from nmt.data import SourceForm, SourceTokenizer, Tokenizer
from nmt.data.tokenizer import train_tokenizer
from nmt.decoding import Candidate, Translator, align
from nmt.decoding.parts import cut_lines
from nmt.errors import UserError
from nmt.models import Vocabulary, build_model

TAGS = ("<2de>", "<2en>")
LINE = " ".join(pair.en for pair in PAIRS[:6])


@pytest.fixture(scope="module")
def base() -> Tokenizer:
    lines = [side for pair in PAIRS for side in (pair.en, pair.de, pair.en.lower())]
    return Tokenizer(train_tokenizer(lines, TokenizerConfig(vocab_size=250, user_symbols=list(TAGS))))


@pytest.fixture(scope="module")
def tagged(base: Tokenizer) -> SourceTokenizer:
    return SourceTokenizer(base, SourceForm(tags=TAGS), {}, "<2de>")


@pytest.fixture(scope="module")
def factored(base: Tokenizer) -> SourceTokenizer:
    return SourceTokenizer(base, SourceForm(("length",), TAGS), {"length": [str(n) for n in range(1, 20)]}, "<2de>")


def with_source(tokenizer: SourceTokenizer, **search: object) -> Translator:
    """Return a toy translator of this source tokenizer."""
    translator = build(tokenizer.base, **search)
    torch.manual_seed(1)
    vocabulary = Vocabulary(tokenizer.size, tokenizer.size, tokenizer.factor_sizes)
    model = build_model(
        ModelConfig(embed_size=12, hidden_size=16, decoder=GnmtDecoderConfig(attention=AttentionKind.general)),
        vocabulary,
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return Translator(model, tokenizer, tokenizer.base, translator.config)


def lengths(line: str) -> str:
    return " ".join(f"{word}|{len(word)}" for word in line.split())


@pytest.mark.parametrize("limit", [8, 20, 60, 1000])
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_part_begins_with_the_tag_and_nothing_is_lost(
    tagged: SourceTokenizer, factored: SourceTokenizer, limit: int, language: str
) -> None:
    whole = tagged.base.encode([LINE])[0]
    for tokenizer, line in ((tagged, LINE), (factored, lengths(LINE))):
        tag = f"<2{language}>"
        given = cut_lines([f"{tag} {line}"], tokenizer, "en", limit)[0]
        by_setting = cut_lines([line], tokenizer.with_target(language), "en", limit)[0]
        assert given == by_setting
        assert (len(given) > 1) == (limit < len(whole))
        read: list[int] = []
        for part in given:
            assert part.tagged
            assert len(part.ids) == len(part.pieces) <= limit
            assert tokenizer.pieces(part.ids[:1]) == [tag] == part.pieces[:1]
            read += part.ids[1:]
        assert [i % tokenizer.size for i in read] == whole
        if tokenizer is factored:
            codes = [tokenizer.encode([lengths(word)])[0][1] // tokenizer.size for word in LINE.split()]
            starts = [i // tokenizer.size for i in read if tokenizer.pieces([i])[0].startswith("▁")]
            assert starts == codes


def test_an_empty_line_stays_empty(tagged: SourceTokenizer) -> None:
    assert cut_lines(["", "<2en>", "<2en> "], tagged, "en", 100) == [[], [], []]


def test_the_target_language_of_the_translator_is_that_of_lines_without_a_tag(tagged: SourceTokenizer) -> None:
    translator = with_source(tagged)
    lines = [PAIRS[0].en, f"<2en> {PAIRS[0].en}", f"<2de> {PAIRS[0].en}"]
    german, english, explicit = (of_line[0].text for of_line in translator.translate(lines))
    assert german == explicit != english
    translator.set_languages(None, "en")
    assert [of_line[0].text for of_line in translator.translate(lines)] == [english, english, german]
    with pytest.raises(UserError, match="allowed: de, en"):
        translator.set_languages(None, "fr")
    assert translator.src_lang == "en"
    translator.set_languages("fr", None)
    assert translator.src_lang == "fr"


def test_factors_change_the_translation_and_their_lack_names_the_line(factored: SourceTokenizer) -> None:
    translator = with_source(factored)
    line = PAIRS[0].en
    texts = {of_line[0].text for of_line in translator.translate([lengths(line), lengths(line).replace("|2", "|7")])}
    assert len(texts) == 2
    with pytest.raises(UserError, match=r"FILE, line 2: word 1, .*word\|LENGTH"):
        translator.translate([lengths(line), line], places=["FILE, line 1", "FILE, line 2"])


@pytest.mark.parametrize("limit", [8, 1000])
def test_alignments_count_the_words_of_the_line_as_given(
    tagged: SourceTokenizer, factored: SourceTokenizer, limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Every source word can be aligned, with its own number; a tag in the line is a word of it, another one is not."""
    caplog.set_level(logging.ERROR)
    words = len(LINE.split())
    for tokenizer, line in ((tagged, LINE), (factored, lengths(LINE))):
        translator = with_source(tokenizer, max_source_pieces=limit)
        seen: dict[str, set[int]] = {}
        for given in (line, f"<2de> {line}"):
            candidates = translator.translate([given])
            [[links]] = align(translator, [given], candidates)
            seen[given] = {int(link.split("-")[0]) for link in links.split()}
            assert seen[given] <= set(range(words + 1))
        assert {number + 1 for number in seen[line]} == seen[f"<2de> {line}"]


class EachWord:
    """Model stub in which target piece t attends to source piece t."""

    training = False

    def eval(self) -> None:
        pass

    def train(self, mode: bool) -> None:
        pass

    def attention(self, src: torch.Tensor, src_mask: torch.Tensor, tgt_in: torch.Tensor) -> torch.Tensor:
        weights = torch.zeros(src.size(1), len(tgt_in), len(src))
        for row in range(src.size(1)):
            padding = int((~src_mask[:, row]).sum())
            for t in range(min(len(tgt_in), len(src) - padding)):
                weights[row, t, padding + t] = 1.0
        return weights


def test_the_tag_has_no_word(base: Tokenizer, factored: SourceTokenizer) -> None:
    """The target repeats the source pieces, tag included; the tag's piece, the first, is then linked elsewhere."""
    line = "the house is red"
    translator: Any = with_source(factored)
    translator.model = EachWord()
    [ids] = factored.encode([lengths(line)])
    a_word = next(i for i in range(4, base.size) if len(base.pieces([i])[0]) > 1 and base.pieces([i])[0][0] == "▁")
    target = [a_word, *(i % factored.size for i in ids[1:])]
    candidate = Candidate("", 0.0, 0.0, [target])
    [[links]] = align(translator, [lengths(line)], [[candidate]])
    assert {"0-1", "1-2", "2-3", "3-4"} <= set(links.split())
    [[links]] = align(translator, [f"<2de> {lengths(line)}"], [[candidate]])
    assert {"1-1", "2-2", "3-3", "4-4"} <= set(links.split())
