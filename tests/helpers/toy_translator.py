"""Models with random weights, translators of them, and lines to translate."""

from functools import partial

import pytest
import torch
from shapes import model_config

from nmt.config import AttentionKind, CellKind, SearchConfig, SearchKind
from nmt.data import Tokenizer
from nmt.decoding import Translator
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.phrasebook import pairs

WORDS = 20
PAIRS = list(pairs(300, seed=1))
STRANGE = {
    "a plain line": PAIRS[0].en,
    "empty": "",
    "white space": " \t\u00a0\u3000 ",
    "control characters": "the\x00 house\x07 is\x1b[31m \x85red\x7f",
    "only control characters": "\x00\x01\r\x0b\x0c\x1c",
    "emoji": "the 🏠 is 👩‍👩‍👧 🇩🇪 red",
    "unknown scripts": "家は赤い बारिश بيت",
    "line separators": "the house\u2028is red\u2029now\u0085here",
    "half a surrogate pair": "the \ud83c house",
    "a noncharacter": "the \uffff\U0010ffff house",
    "sentencepiece's own": "▁ ▁▁the <s> </s> <unk> <pad> house",
    "one word of 3,000 letters": "a" * 3000,
    "another plain line": PAIRS[1].en,
}

EVERY_SEARCH = pytest.mark.parametrize(
    "search",
    [
        {"kind": SearchKind.greedy},
        {"kind": SearchKind.beam},
        {"kind": SearchKind.diverse, "groups": 2},
        {"kind": SearchKind.beam, "block_ngrams": 2, "coverage_penalty": 0.2},
        {"kind": SearchKind.diverse, "groups": 4, "block_ngrams": 1, "coverage_penalty": 0.2},
    ],
    ids=["greedy", "beam", "diverse", "beam_all", "diverse_all"],
)


def build(
    tokenizer: Tokenizer, attention: AttentionKind | None = AttentionKind.general, **search: object
) -> Translator:
    """Build a translator with random weights, large enough for its output to depend on the input."""
    torch.manual_seed(0)
    config = model_config(embed_size=12, hidden_size=16, attention=attention)
    model = build_model(config, Vocabulary(tokenizer.size, tokenizer.size))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    short: dict[str, object] = {"beam_size": 3, "max_length_ratio": 0.0, "max_length_offset": 8}
    return Translator(model, tokenizer, tokenizer, SearchConfig(**{**short, **search}))


build_long = partial(build, beam_size=4, max_length_offset=16)
"""`build` with translations that are long enough for constraints."""


def member(seed: int, words: int = WORDS, **shape: object) -> Seq2Seq:
    torch.manual_seed(seed)
    config = model_config(**{"embed_size": 8, "hidden_size": 12, **shape})
    model = build_model(config, Vocabulary(words, words)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return model


def members(words: int = WORDS) -> list[Seq2Seq]:
    return [
        member(1, words),
        member(2, words, hidden_size=6, decoder_layers=2, attention=AttentionKind.dot, input_feeding=True),
        member(3, words, encoder_layers=2, attention=None, bidirectional=False),
        member(4, words, kind="transformer"),
        member(5, words, kind="convolutional"),
        member(6, words, decoder="bahdanau", attention=AttentionKind.coverage),
        member(7, words, encoder="transformer", decoder="luong", cell=CellKind.ssru),
        member(8, words, encoder="convolutional", decoder="transformer"),
        member(9, words, decoder="convolutional"),
        member(10, words, encoder_cell=CellKind.gated_delta, decoder_cell=CellKind.mlstm),
        member(11, words, decoder="transformer", encoder_cell=CellKind.rg_lru),
        member(12, words, encoder="transformer", decoder="convolutional"),
        member(13, words, encoder="convolutional", cell=CellKind.slstm),
    ]
