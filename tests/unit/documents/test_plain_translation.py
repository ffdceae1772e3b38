"""Plain sentences by a translator: word alignment, and placeholder symbols of a tokenizer as constraints."""

import pytest
from toy_translator import build_long

from nmt.config import AttentionKind, DataConfig, Protection, SearchKind, TokenizerConfig
from nmt.data import Tokenizer
from nmt.data.tokenizer import train_tokenizer
from nmt.documents.inline import InlineCounts, PlainRequest, translate_segments
from nmt.documents.lines import segment_of_line
from nmt.documents.plain import placeholder_symbols, plain_translation, writes_text
from nmt.phrasebook import Pair

SYMBOLS = ["<ph1>", "<ph2>"]


@pytest.fixture(scope="module")
def with_symbols(phrases: list[Pair]) -> Tokenizer:
    config = TokenizerConfig(vocab_size=200, user_symbols=SYMBOLS)
    return Tokenizer(train_tokenizer((line for pair in phrases for line in pair), config))


@pytest.mark.parametrize("kind", [SearchKind.beam, SearchKind.greedy])
def test_placeholder_symbols_are_constraints_of_beam_search(with_symbols: Tokenizer, kind: SearchKind) -> None:
    translator = build_long(with_symbols, kind=kind)
    symbols = placeholder_symbols(translator, DataConfig(tokenizer=TokenizerConfig(user_symbols=SYMBOLS)))
    assert symbols == ("<ph1>", "<ph2>")
    [found] = plain_translation(translator)([PlainRequest("the <ph1> house", ("<ph1>",))])
    assert ("<ph1>" in found.text) or kind == SearchKind.greedy
    counts = InlineCounts()
    segment = segment_of_line("the {name} house", [Protection.placeholders])
    [result] = translate_segments(plain_translation(translator), [segment], symbols=symbols, counts=counts)
    assert result.count("{name}") == 1
    assert "<ph1>" not in result
    assert counts.fixed_symbols + counts.fixed_inserted == 1
    assert counts.fixed_symbols == (found.text.count("<ph1>") == 1)


def test_a_model_without_attention_has_no_links(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    for attention, expected in ((AttentionKind.dot, True), (None, False)):
        translator = build_long(tokenizer, attention=attention)
        [found] = plain_translation(translator)([PlainRequest(phrases[0].en)])
        assert (found.links is not None) == expected


def test_texts_outside_of_the_vocabulary_cannot_be_written(tokenizer: Tokenizer) -> None:
    writes = writes_text(build_long(tokenizer))
    assert writes("Haus")
    assert not writes("{名}")
    assert not writes("two  spaces")
