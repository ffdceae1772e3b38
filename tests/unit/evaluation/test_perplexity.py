"""Perplexity by forced decoding against whole sentences one at a time and against validation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from shapes import model_config
from torch import Tensor

from nmt.config import SearchConfig
from nmt.data import EOS_ID, UNK_ID, PairStore, Tokenizer, make_batch
from nmt.decoding import Ensemble, Translator
from nmt.evaluation.perplexity import perplexities
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.phrasebook import Pair
from nmt.training import Validator

SENTENCES = 70  # more than one batch
FAMILY: dict[str, dict[str, Any]] = {
    "attention": {},
    "no attention": {"attention": None},
    "Transformer": {"kind": "transformer", "heads": 2},
    "convolution": {"kind": "convolutional"},
}

Sides = tuple[list[str], list[str]]
Build = Callable[..., Seq2Seq]


@pytest.fixture
def text(phrases: list[Pair]) -> Sides:
    return [pair.en for pair in phrases[:SENTENCES]], [pair.de for pair in phrases[:SENTENCES]]


@pytest.fixture
def build(tokenizer: Tokenizer) -> Build:
    def untrained(seed: int, **settings: Any) -> Seq2Seq:
        torch.manual_seed(seed)
        vocabulary = Vocabulary(tokenizer.size, tokenizer.size)
        model = build_model(model_config(embed_size=8, hidden_size=8, **settings), vocabulary).eval()
        with torch.no_grad():  # so that words differ in probability
            for weight in model.parameters():
                weight.mul_(3)
        return model

    return untrained


def probabilities(model: Seq2Seq, src: list[int], tgt: list[int]) -> Tensor:
    """Compute p of each token of a target, including eos, in one pass and a batch of its own."""
    batch = make_batch([src], [tgt], [0])
    with torch.inference_mode():
        return model(batch.src, batch.src_mask, batch.tgt_in)[:, 0].softmax(dim=-1)[range(len(tgt) + 1), [*tgt, EOS_ID]]


def measured(model: Seq2Seq | Ensemble, tokenizer: Tokenizer, text: Sides) -> dict[str, float]:
    actual, _ = perplexities(Translator(model, tokenizer, tokenizer, SearchConfig()), *text, {})
    return {name: score.score for name, score in actual.items()}


@pytest.mark.parametrize("settings", FAMILY.values(), ids=FAMILY.keys())
def test_it_is_the_validations(build: Build, tokenizer: Tokenizer, text: Sides, settings: dict[str, Any]) -> None:
    model = build(1, **settings)
    store = PairStore.of(*(tokenizer.encode(lines) for lines in text))
    validator = Validator(model, store, text, (tokenizer, tokenizer), SearchConfig(max_length_ratio=0.1), "13a")
    expected = validator()["valid/perplexity"]
    model.eval()
    assert measured(model, tokenizer, text)["perplexity"] == pytest.approx(expected, rel=1e-5)


def test_it_is_that_of_the_mean_of_an_ensembles_probabilities(build: Build, tokenizer: Tokenizer, text: Sides) -> None:
    members = [build(1), build(2), build(3, kind="transformer", heads=2)]
    words = []
    for src, tgt in zip(*(tokenizer.encode(lines) for lines in text), strict=True):
        words.append(torch.stack([probabilities(member, src, tgt) for member in members]).mean(dim=0))
    expected = (-torch.cat(words).double().log().mean()).exp().item()
    actual = measured(Ensemble(members), tokenizer, text)["perplexity"]
    assert actual == pytest.approx(expected, rel=1e-5)
    assert actual != pytest.approx(measured(members[0], tokenizer, text)["perplexity"], rel=1e-2)


def test_per_word_and_per_character_count_what_the_vocabulary_does_not_decide(
    build: Build, tokenizer: Tokenizer
) -> None:
    text = ["one", "two three"], ["Die  Tür ist\u00a0offen.", ""]
    model = build(1)
    nll = 0.0
    for src, tgt in zip(text[0], ["Die Tür ist offen.", ""], strict=True):
        p = probabilities(model, tokenizer.encode([src])[0], tokenizer.encode([tgt])[0])
        nll -= p.double().log().sum().item()
    actual = measured(model, tokenizer, text)
    # Four words, or 18 characters, and two ends.
    assert actual["perplexity_word"] == pytest.approx(torch.tensor(nll / 6).exp().item(), rel=1e-5)
    assert actual["perplexity_char"] == pytest.approx(torch.tensor(nll / 20).exp().item(), rel=1e-5)


def test_a_word_of_a_script_without_spaces_is_a_token_of_the_tokenizer(build: Build, tokenizer: Tokenizer) -> None:
    """Score seven Han characters, a full stop and an end, which are a single word between spaces."""
    translator = Translator(build(1), tokenizer, tokenizer, SearchConfig())
    by_tokens, by_spaces = (
        perplexities(translator, ["one"], ["我们明天去北京。"], {}, tokenize)[0]["perplexity_word"]
        for tokenize in ("zh", "13a")
    )
    nll = 2 * torch.tensor(by_spaces.score).double().log()
    assert by_tokens.score == pytest.approx((nll / 9).exp().item(), rel=1e-5)
    assert "|unit:character|tok:zh|" in by_tokens.signature.replace("|end:yes", "")
    assert "|unit:word|" in by_spaces.signature


def test_intervals_signatures_and_unknown_pieces(build: Build, tokenizer: Tokenizer, text: Sides) -> None:
    src, references = text[0], [*text[1][:-1], "漢字"]
    translator = Translator(build(1), tokenizer, tokenizer, SearchConfig())
    actual, unknown = perplexities(translator, src, references, {"test": "wmt14"})
    assert unknown == tokenizer.encode(["漢字"])[0].count(UNK_ID) > 0
    for score in actual.values():
        low, high = score.interval
        assert low < score.score < high
        assert score.signature.startswith("nrefs:1|test:wmt14|unit:")
    assert "|vocabulary:" in actual["perplexity"].signature
    assert "|vocabulary:" not in actual["perplexity_word"].signature + actual["perplexity_char"].signature


def test_a_model_in_training_stays_in_training(build: Build, tokenizer: Tokenizer, text: Sides) -> None:
    model = build(1, dropout=0.5)
    expected = measured(model, tokenizer, text)
    assert measured(model.train(), tokenizer, text) == expected
    assert model.training
