"""Licence notes of the corpora that ship with the program."""

import re

import pytest

from nmt.config import corpus_description


@pytest.mark.parametrize("name", ["multi30k", "multi30k_tok", "phrasebook", "tatoeba", "tanaka", "mafand_twi"])
def test_the_terms_of_a_shipped_corpus_are_known(name: str) -> None:
    assert re.search("research|MIT licence|CC BY", corpus_description(name) or "")


@pytest.mark.parametrize("name", ["", "corpus", "../train", "../data/multi30k", "x" * 999, "a\0b"])
def test_another_corpus_has_no_note(name: str) -> None:
    assert corpus_description(name) is None
