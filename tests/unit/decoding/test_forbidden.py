"""Forbidden phrases: no translation contains one, in any segmentation, and other sentences are not changed."""

import re

import pytest
from toy_translator import EVERY_SEARCH
from toy_translator import build_long as build

from nmt.data import Tokenizer
from nmt.decoding import ConstraintBuilder, TargetConstraints
from nmt.phrasebook import Pair


def holds(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\S){re.escape(phrase)}(?!\w)", text) is not None


@EVERY_SEARCH
def test_no_translation_contains_a_forbidden_phrase(
    tokenizer: Tokenizer, phrases: list[Pair], search: dict[str, object]
) -> None:
    ready = build(tokenizer, n_best=1 if search["kind"] == "greedy" else 4, **search)
    lines = [pair.en for pair in phrases[:6]]
    free = [[candidate.text for candidate in of_line] for of_line in ready.translate(lines)]
    words = [[re.sub(r"\W+$", "", word) for word in of_line[0].split()] for of_line in free]
    forbidden = [[" ".join(of_line[:2]), of_line[-1]] if number % 2 else [] for number, of_line in enumerate(words)]
    forbidden = [[phrase for phrase in of_line if phrase] for of_line in forbidden]
    assert sum(map(len, forbidden)) >= 4
    builder = ConstraintBuilder(tokenizer)
    constraints = [TargetConstraints(forbidden=builder.forbid(of_line)) for of_line in forbidden]
    found = ready.translate(lines, constraints=constraints)
    for candidates, before, banned in zip(found, free, forbidden, strict=True):
        assert candidates
        for candidate in candidates:
            assert not any(holds(candidate.text, phrase) for phrase in banned)
        if not banned:
            assert [candidate.text for candidate in candidates] == before


def test_every_way_to_write_a_phrase_is_found(tokenizer: Tokenizer) -> None:
    builder = ConstraintBuilder(tokenizer)
    phrase = builder.forbid(["Haus"])[0]
    spelled = "▁Haus"
    pieces = {piece: i for i, piece in enumerate(tokenizer.spellings) if piece}
    for cut in range(len(spelled)):
        if spelled[cut:] in pieces:
            assert pieces[spelled[cut:]] in phrase.completions[spelled[:cut]]
    for beginning, last in phrase.completions.items():
        for piece in last:
            assert re.fullmatch(rf"{spelled}(\W.*)?", beginning + tokenizer.spellings[piece])


def test_blank_phrases_forbid_nothing(tokenizer: Tokenizer) -> None:
    assert ConstraintBuilder(tokenizer).forbid(["", "  "]) == ()


@pytest.mark.parametrize("phrase", ["das Haus", "Haus"])
def test_a_forced_prefix_takes_precedence(tokenizer: Tokenizer, phrases: list[Pair], phrase: str) -> None:
    builder = ConstraintBuilder(tokenizer)
    made = builder.make("Das Haus ")
    constraints = TargetConstraints(made.prefix, made.phrases, made.where, builder.forbid([phrase]))
    [[candidate]] = build(tokenizer).translate([phrases[0].en], constraints=[constraints])
    assert candidate.text.startswith("Das Haus ")
    assert not holds(candidate.text[len("Das Haus ") :], phrase)
