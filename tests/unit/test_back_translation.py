"""Selection of monolingual sentences and of their translations, and the corpora of both directions."""

import math
from pathlib import Path

import pytest

from nmt.back_translation import files_data, most_probable, new_sentences
from nmt.config import DataConfig, TextFiles
from nmt.decoding import Candidate


def candidate(text: str, log_prob: float, *parts: int) -> Candidate:
    return Candidate(text, log_prob, score=math.nan, pieces=[[5] * pieces for pieces in parts])


def test_the_share_with_the_highest_log_probability_per_piece_is_kept_in_order() -> None:
    candidates = [
        candidate("a", -4.0, 3),  # -1.0 per piece, with the end of the sentence
        candidate("b b b", -4.5, 8),  # -0.5
        candidate("c", -6.0, 2),  # -2.0
        candidate("d d", -3.0, 4, 4),  # -0.3: two parts have two ends
    ]
    assert most_probable(candidates, 1.0) == [0, 1, 2, 3]
    assert most_probable(candidates, 0.75) == [0, 1, 3]
    assert most_probable(candidates, 0.5) == [1, 3]
    assert most_probable(candidates, 0.25) == [3]


def test_empty_translations_are_not_kept() -> None:
    assert most_probable([candidate("", -0.1, 0), candidate(" ", -0.1, 1), candidate("a", -9.0, 1)], 1.0) == [2]


def test_held_out_sentences_and_repetitions_are_not_translated() -> None:
    lines = [
        "Die  Tür ist offen .",
        "",
        "Der Hund schläft .",
        "Die Tür ist offen .",
        "DER HUND SCHLÄFT .",
        "Ein Haus .",
    ]
    assert new_sentences(lines, {"der hund schläft ."}) == ["Die Tür ist offen .", "Ein Haus ."]


@pytest.mark.parametrize(
    ("src_lang", "tokenize", "reverse"),
    [
        ("en", "13a", "13a"),
        ("en", "none", "none"),
        ("en", "zh", "13a"),
        ("zh", "13a", "char"),
    ],
)
def test_the_reverse_corpus_has_the_files_of_the_other_direction(
    tmp_path: Path, src_lang: str, tokenize: str, reverse: str
) -> None:
    for name in (f"test.{src_lang}", "test.xx"):
        (tmp_path / name).touch()
    data = DataConfig(src_lang=src_lang, tgt_lang="xx", bleu_tokenize=tokenize, most_pairs=5)
    here = files_data(data, tmp_path, src_lang, "xx", TextFiles(src=["a"], tgt=["b"]))
    assert (here.valid, here.test) == (
        TextFiles(src=[f"valid.{src_lang}"], tgt=["valid.xx"]),
        TextFiles(src=[f"test.{src_lang}"], tgt=["test.xx"]),
    )
    assert (here.bleu_tokenize, here.root, here.most_pairs) == (tokenize, str(tmp_path), None)
    back = files_data(data, tmp_path, "xx", src_lang, TextFiles(src=["b"], tgt=["a"]))
    assert back.valid == TextFiles(src=["valid.xx"], tgt=[f"valid.{src_lang}"])
    assert (back.src_lang, back.tgt_lang, back.bleu_tokenize) == ("xx", src_lang, reverse)


def test_a_corpus_without_a_test_set_has_none(tmp_path: Path) -> None:
    assert files_data(DataConfig(), tmp_path, "en", "de", TextFiles(src=["a"], tgt=["b"])).test.empty
