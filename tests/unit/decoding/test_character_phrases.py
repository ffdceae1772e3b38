"""Phrases in scripts without spaces, compared with regular expressions and with the enumeration of all texts."""

import itertools
import random
import re

import pytest
from toy_translator import build_long as build

from nmt.data import Tokenizer
from nmt.decoding import ConstraintBuilder
from nmt.decoding.character_phrases import CharacterPhrases
from nmt.decoding.phrases import Phrases

PIECES = ["", "", "", "", "▁", "家", "東", "京", "東京", "在東", "▁在", "a", "b", "▁a", "ab", "京b", "。"]
IDS = {piece: i for i, piece in enumerate(PIECES) if piece}
WRITING = list(IDS.values())
SETS = [["東京"], ["東京", "家東"], ["ab"], ["ab", "東京"], ["a", "東"], ["ab", "a"], ["京ab"], ["東▁a"]]


def stands(text: str, phrase: str) -> bool:
    """Check if the text contains the phrase; Latin letters match only as whole words."""
    left = "(?<![a-z])" if phrase[0].isascii() and phrase[0] != "▁" else ""
    right = "(?![a-z])" if phrase[-1].isascii() else ""
    return re.search(left + re.escape(phrase) + right, text) is not None


def state_after(phrases: CharacterPhrases, words: list[int]) -> tuple[frozenset[int], tuple[str, ...]]:
    state = phrases.start
    for word in words:
        state = phrases.after(state, word)
    return state


@pytest.mark.parametrize("given", SETS)
def test_a_phrase_is_held_where_its_characters_stand_whatever_the_pieces(given: list[str]) -> None:
    numbers = random.Random(1)
    phrases = CharacterPhrases(given, IDS, PIECES)
    met = 0
    for _ in range(3000):
        words = numbers.choices(WRITING, k=numbers.randint(0, 8))
        text = "".join(PIECES[word] for word in words)
        missing = phrases.missing(state_after(phrases, words))
        assert {phrases.phrases[i] for i in missing} == {phrase for phrase in given if not stands(text, phrase)}, text
        met += not missing
    assert met > 20


@pytest.mark.parametrize("given", SETS)
def test_what_is_needed_is_enough_and_one_piece_takes_it_down(given: list[str]) -> None:
    numbers = random.Random(2)
    phrases = CharacterPhrases(given, IDS, PIECES)
    for _ in range(300):
        state = state_after(phrases, numbers.choices(WRITING, k=numbers.randint(0, 6)))
        need = phrases.need(state)
        assert (need == 0) == (not phrases.missing(state))
        assert need <= phrases.length
        if need:
            after = min(phrases.need(phrases.after(state, word)) for word in phrases.words)
            assert after <= need - 1
            advancing = [phrases.need(phrases.after(state, word)) for word in phrases.advances(state)]
            assert min(advancing) <= need - 1
        for room in range(need, need + 3):
            words, begins, goes_on = phrases.fitting(state, room)
            for word in WRITING:
                free = goes_on if word in phrases.continues else begins
                if word in words or (word not in phrases.words and free):
                    assert phrases.need(phrases.after(state, word)) <= room


def test_the_need_of_one_phrase_is_that_of_the_shortest_text() -> None:
    for given in (["東京"], ["家東"], ["京b"]):
        phrases = CharacterPhrases(given, IDS, PIECES)
        for begun in itertools.product(WRITING, repeat=1):
            rest = phrases.need(state_after(phrases, list(begun)))
            texts = {
                size: any(
                    stands("".join(PIECES[word] for word in (*begun, *more)), given[0])
                    for more in itertools.product(WRITING, repeat=size)
                )
                for size in range(3)
            }
            shortest = min(size for size, found in texts.items() if found)
            assert shortest <= rest <= shortest + 1  # a piece that reaches beyond the phrase may save one


@pytest.mark.parametrize("given", [["东京"], ["学校", "北京"], ["Linux"], ["Linux", "喜欢书"]])
def test_every_translation_holds_the_phrases(chinese: Tokenizer, given: list[str]) -> None:
    ready = build(chinese, max_length_offset=24, n_best=4)
    demand = ConstraintBuilder(chinese).make("", given)
    assert isinstance(demand.phrases, CharacterPhrases)
    lines = ["我住在东京。", "你去学校", "他喜欢书很好。"]
    for candidates in ready.translate(lines, constraints=[demand] * 3):
        assert candidates
        for candidate in candidates:
            for each in given:
                assert re.search(rf"(?<![A-Za-z]){each}(?![A-Za-z])" if each.isascii() else each, candidate.text)


def test_languages_with_spaces_have_words(tokenizer: Tokenizer) -> None:
    assert isinstance(ConstraintBuilder(tokenizer).make("", ["Haus"]).phrases, Phrases)
