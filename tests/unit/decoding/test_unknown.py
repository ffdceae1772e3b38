"""Replacement of unknown words compared with translations written by hand under constructed attention."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_translator import build

from nmt.config import SearchConfig, TokenizerConfig, TokenizerType
from nmt.data import UNK_ID, Tokenizer
from nmt.data.tokenizer import train_tokenizer
from nmt.decoding import Candidate, Translator, align
from nmt.decoding.alignment import source_units
from nmt.decoding.unknown import UnknownReplacement, inner_range, read_dictionary
from nmt.errors import UserError

LETTERS = ["a b c d e f g h i j k l m n o p q r s t u v w x y z . , ! ? 東 京 は A B"]


@pytest.fixture(scope="module")
def characters() -> Tokenizer:
    """Tokenizer whose pieces are single characters, so that every piece is known by sight."""
    size = len(set(LETTERS[0])) + 4
    return Tokenizer(train_tokenizer(LETTERS, TokenizerConfig(type=TokenizerType.bpe, vocab_size=size)))


class Pointing:
    """Model stub whose target piece t attends to the source piece `at[t]`."""

    def __init__(self, at: list[int]) -> None:
        self.at = at

    training = False

    def eval(self) -> None:
        pass

    def train(self, mode: bool) -> None:
        pass

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor:
        weights = torch.zeros(src.size(1), len(tgt_in), len(src))
        for row, column in enumerate(self.at):
            weights[0, row, int((~src_mask).sum()) + column] = 1.0
        return weights


class Toy:
    """Translator stub with tokenizers and constructed attention."""

    def __init__(self, tokenizer: Tokenizer, at: list[int]) -> None:
        self.src = self.tgt = tokenizer
        self.model = Pointing(at)
        self.device = torch.device("cpu")
        self.config = SearchConfig()
        self.src_lang = "en"

    parts = Translator.parts
    piece_attention = Translator.piece_attention
    join_texts = Translator.join_texts


def ids(tokenizer: Tokenizer, target: str) -> list[int]:
    """Return the ids of a target text of single-character pieces; `#` is the unknown piece, `_` a space."""
    known = {piece: i for i, piece in enumerate(tokenizer.pieces(range(tokenizer.size)))}
    return [UNK_ID if sign == "#" else known["▁" if sign == "_" else sign] for sign in target]


def replaced(tokenizer: Tokenizer, line: str, target: str, at: list[int], dictionary: dict[str, str]) -> Candidate:
    """Return the candidate of a target, as in `ids`, for a line; piece t attends to the source piece `at[t]`."""
    translator: Any = Toy(tokenizer, at)
    candidate = Candidate("", 0.0, 0.0, [ids(tokenizer, target)])
    [[result]] = UnknownReplacement(dictionary)(translator, [line], translator.parts([line]), [[candidate]])
    return result


DICTIONARY = {"ville": "city hall", "dogs": "hounds"}
CASES = {
    "a copy": ("le zoo", "_a_#", [0, 0, 3, 4], "a zoo"),
    "an entry": ("la ville", "_a_#", [0, 0, 3, 4], "a city hall"),
    "a word with one unknown piece is replaced as a whole": ("le zoo", "_a_z#o", [0, 0, 3, 4, 5, 6], "a zoo"),
    "punctuation of the target stays, that of the source goes": ("le zoo!", "_#,_b", [4, 4, 4, 0, 0], "zoo, b"),
    "lower-case entry": ("Dogs bark", "_#_b", [1, 1, 5, 5], "hounds b"),
    "two words": ("le zoo", "_#_#", [3, 4, 0, 1], "zoo le"),
    "no unknown word": ("le zoo", "_a_b", [0, 0, 3, 3], ""),
    "characters of a script without spaces": ("東京は", "_a_#", [0, 0, 2, 2], "a 京"),
    "within a script without spaces": ("東京は", "_東#京", [0, 1, 3, 2], "東は京"),
    "only punctuation": ("le !", "_a_#", [0, 0, 3, 4], "a !"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_attended_source_word_replaces_an_unknown_word(
    characters: Tokenizer, case: tuple[str, str, list[int], str]
) -> None:
    line, target, at, text = case
    assert replaced(characters, line, target, at, DICTIONARY).text == text


def test_alignments_count_the_words_of_a_replacement(characters: Tokenizer) -> None:
    at = [0, 0, 3, 4, 0, 0]
    candidate = replaced(characters, "la ville", "_a_#_b", at, DICTIONARY)
    assert candidate.text == "a city hall b"
    translator: Any = Toy(characters, at)
    assert align(translator, ["la ville"], [[candidate]]) == [["0-0 0-3 1-1 1-2"]]


@pytest.mark.parametrize(
    ("line", "units"),
    [("the zoo", ["the", "zoo"]), ("東京AB は", ["東", "京", "AB", "は"]), ("", []), ("\x00 \u200b", [])],
)
def test_units_are_words_or_characters(line: str, units: list[str]) -> None:
    assert source_units(line) == units


@pytest.mark.parametrize(("word", "core"), [("zoo", "zoo"), ("(zoo),", "zoo"), ("don't!", "don't"), ("...", "")])
def test_the_core_of_a_word_has_no_punctuation_at_its_ends(word: str, core: str) -> None:
    start, end = inner_range(word)
    assert word[start:end] == core


def test_unknown_pieces_are_chosen_only_to_be_replaced(tokenizer: Tokenizer) -> None:
    """A model that prefers the unknown piece writes it if it is replaced, and never otherwise."""
    words = ["red", "house"]
    for setting in (None, "copy"):
        translator = build(tokenizer, replace_unknown=setting)
        with torch.no_grad():
            translator.model.output_bias[UNK_ID] += 100  # type: ignore[attr-defined]
        [[best]] = translator.translate([" ".join(words)])
        assert (UNK_ID in best.pieces[0]) == (setting is not None)
        assert (best.text in words) == (setting is not None)
        assert "⁇" not in best.text


def test_a_model_without_attention_is_refused(tokenizer: Tokenizer) -> None:
    translator = build(tokenizer, attention=None, replace_unknown="copy")
    with torch.no_grad():
        translator.model.output_bias[UNK_ID] += 100  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="no attention"):
        translator.translate(["the house"])


def test_the_dictionary_keeps_the_first_entry(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("Haus\thouse\t0.9\n\nHaus\tbuilding\nBa\u0308r\tbear\n", encoding="utf-8")
    assert read_dictionary(str(path)) == {"Haus": "house", "Bär": "bear"}


def test_a_dictionary_line_without_a_tab_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("Haus\thouse\nBaum tree\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 2"):
        read_dictionary(str(path))
