"""Long lines are cut at the ends of sentences without loss; alignments of scripts without spaces."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_translator import build_long as build

from nmt.data import Tokenizer, normalise
from nmt.data.sentence_ends import split_sentences
from nmt.data.words import join_sentences
from nmt.decoding import align
from nmt.decoding.alignment import source_words, word_numbers
from nmt.decoding.parts import cut_lines
from nmt.phrasebook import Pair


def test_a_paragraph_is_cut_between_sentences_alone(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    sentences = [pair.en for pair in phrases[:40]]
    [parts] = cut_lines([" ".join(sentences)], tokenizer, "en", 120)
    assert tokenizer.decode([part.ids for part in parts]) == sentences
    assert [part.ids for part in parts] == tokenizer.encode(sentences)
    assert not any(part.joined for part in parts)


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Dr. Smith paid $3.50 at 5 p.m. on Monday.", "He left!"]),
        ("de", ["Am 3. Mai kam Hr. Müller z. B. mit dem Zug an.", "Er blieb."]),
        ("zh", ["我住在东京。", "你好！"]),
        ("nowhere", ["The door is open.", "Come in."]),
    ],
)
def test_sentences_by_language(language: str, sentences: list[str]) -> None:
    text = ("" if language == "zh" else " ").join(sentences)
    assert [sentence.strip() for sentence in split_sentences(text, language)] == sentences


@given(st.lists(st.sampled_from(["die Tür. ", "The door", "! ", ", ", "家。", "“", "...", "3.5 ", "ü" * 30, " "])))
def test_nothing_of_any_line_is_lost(tokenizer: Tokenizer, words: list[str]) -> None:
    line = normalise("".join(words))
    [parts] = cut_lines([line], tokenizer, "en", 8)
    written = "".join(piece for part in parts for piece in part.pieces)
    assert written.replace("▁", "") == line.replace(" ", "")
    assert all(0 < len(part.ids) <= 8 for part in parts)
    assert all(len(part.ids) == len(part.pieces) for part in parts)


def test_every_sentence_of_a_long_line_is_translated_as_it_is_alone(
    tokenizer: Tokenizer, phrases: list[Pair], caplog: pytest.LogCaptureFixture
) -> None:
    sentences = [pair.en for pair in phrases[:30]]
    ready = build(tokenizer)
    with caplog.at_level(logging.WARNING):
        translations = ready.translate(["tea", " ".join(sentences)], places=["in, line 1", "in, line 2"])
    alone = [candidates[0].text for candidates in ready.translate(sentences)]
    assert translations[1][0].text == join_sentences(alone)
    pieces = sum(map(len, tokenizer.encode(sentences)))
    assert pieces > ready.config.max_source_pieces
    assert caplog.messages == [f"in, line 2: its {pieces} pieces are translated in 30 parts"]


def test_translated_sentences_are_joined_as_their_script_does() -> None:
    assert join_sentences(["Er ging.", "", "Sie kam."]) == "Er ging. Sie kam."
    assert join_sentences(["我住在东京。", "你好！", "Linux"]) == "我住在东京。你好！Linux"
    assert join_sentences([]) == ""


def test_each_character_of_a_script_without_spaces_is_a_word(chinese: Tokenizer) -> None:
    pieces = ["▁东京", "很", "Linux", "书。", "▁b"]
    assert word_numbers(pieces) == ([[0, 1], [2], [3], [4, 5], [6]], 7)
    assert word_numbers(pieces, characters=False) == ([[0], [0], [0], [0], [1]], 2)
    for most in (8, 100):
        line = "我住在东京龘龘很好。 Linux很好。他去学校"
        [parts] = cut_lines([line], chinese, "zh", most)
        owners = source_words(line, parts)
        units = [*"我住在东京龘龘很好。", "Linux", *"很好。他去学校"]
        for piece, own in zip([piece for part in parts for piece in part.pieces], owners, strict=True):
            assert "".join(units[number] for number in own) == piece.replace("▁", "") or piece == "▁"
        assert sorted({number for own in owners for number in own}) == list(range(len(units)))


def test_every_character_of_a_translation_has_a_link(chinese: Tokenizer) -> None:
    ready = build(chinese, max_source_pieces=8)
    lines = ["我住在东京。你去学校。他喜欢书很好。", "你去 Linux 学校"]
    translations = ready.translate(lines)
    for line, candidates, texts in zip(lines, translations, align(ready, lines, translations), strict=True):
        links = [tuple(map(int, link.split("-"))) for link in texts[0].split()]
        count = word_numbers(["▁" + candidates[0].text.replace(" ", "▁")])[1]
        assert sorted(tgt for _, tgt in links) == list(range(count))
        assert {src for src, _ in links} <= set(range(word_numbers([line.replace(" ", "▁")])[1]))
