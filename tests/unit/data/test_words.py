"""Words, scripts without spaces, and counts of held-out words in the training data."""

import re
from pathlib import Path

import pytest

from nmt.config import Config, DataConfig, PhrasebookConfig, TokenizerConfig
from nmt.data import prepare
from nmt.data.words import WordCounts, split_words, unspaced
from nmt.phrasebook import splits
from nmt.run import RunDirectory


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "„Die Tür“, sagt sie, ist – wie immer – offen!",
            ["die", "tür", "sagt", "sie", "ist", "wie", "immer", "offen"],
        ),
        ("It's 3,5 km\u00a0to the well-known STRAẞE.", ["it's", "3,5", "km", "to", "the", "well-known", "strasse"]),
        ("Где мост? 橋はどこ。 पुल कहाँ है।", ["где", "мост", "橋はどこ", "पुल", "कहाँ", "है"]),
        ("... — $ !?", []),
        ("", []),
    ],
)
def test_words_are_separated_by_white_space_and_have_no_punctuation_at_their_ends(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["我们明天去北京。", "你好！"], True),
        (["橋はどこですか。", "ここ、あそこ"], True),
        (["我们 明天 去 北京 。", "你 好 ！"], False),
        (["สวัสดีครับผมชื่อสมชาย", "วันนี้อากาศดีมาก"], True),
        (["Das Donaudampfschiff ist da.", "Ja."], False),
        (["다리가 어디에 있습니까?"], False),
        (["Ziemlich.", "NBA 我们"], False),
        ([], False),
    ],
)
def test_text_without_spaces_between_words(lines: list[str], expected: bool) -> None:
    assert unspaced(lines) == expected


def test_only_words_of_the_held_out_sets_are_counted() -> None:
    counted = WordCounts(["The key, please!", "A lamp."])
    counted.add(["the Key the KEY", "another chair"])
    counted.add(["(the) “key”."])
    assert counted.counts == {"a": 0, "key": 3, "lamp": 0, "please": 0, "the": 3}


def test_characters_are_counted_where_there_are_no_spaces() -> None:
    counted = WordCounts(["我们明天去北京。", "你好！"])
    counted.add(["我们去，我们好", "我"])
    counted.add(["你好。"])
    assert counted.counts == {
        **{"你": 1, "你好": 1, "去": 1, "北": 0, "京": 0, "们": 2, "我": 3, "好": 2, "明": 0, "天": 0},
        "我们明天去北京": 0,
    }


def test_a_run_has_the_counts_of_its_training_data(tmp_path: Path) -> None:
    book = PhrasebookConfig(train=300, valid=7, test=9, seed=3)
    data = DataConfig(phrasebook=book, cache=str(tmp_path / "cache"), tokenizer=TokenizerConfig(vocab_size=150))
    run = RunDirectory(tmp_path / "run")
    run.create(Config(data=data), prepare(data))
    sentences = splits(train=300, valid=7, test=9, seed=3, depth=book.depth)
    pairs = {split: list(drawn) for split, drawn in sentences.items()}
    for side, at in (("src", 0), ("tgt", 1)):
        training = [re.findall(r"[\w'-]+", pair[at].casefold()) for pair in pairs["train"]]
        held_out = {word for split in ("valid", "test") for pair in pairs[split] for word in split_words(pair[at])}
        counts = run.word_counts(side)
        assert counts == {word: sum(line.count(word) for line in training) for word in held_out}
        assert counts
        assert max(counts.values()) > 50
    (run.path / "data" / "words.json").unlink()
    assert run.word_counts("src") is None
