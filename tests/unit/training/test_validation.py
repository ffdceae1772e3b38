"""Validation against one sentence at a time; it has no effect on training."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import sacrebleu
import torch
from shapes import model_config
from torch import Tensor
from torch.nn.functional import cross_entropy

from nmt.config import SearchConfig, SearchKind
from nmt.data import UNK_ID, PairStore, Tokenizer, make_batch
from nmt.decoding import Translator
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.phrasebook import Pair
from nmt.training import Validator
from nmt.training.progress import perplexity

SENTENCES = 70  # more than one batch
BEAM = SearchConfig(beam_size=3, n_best=2, max_length_ratio=0.0, max_length_offset=8)
GREEDY = SearchConfig(kind=SearchKind.greedy, max_length_ratio=0.0, max_length_offset=8)

Sides = tuple[list[str], list[str]]


@pytest.fixture
def text(phrases: list[Pair]) -> Sides:
    return [pair.en for pair in phrases[:SENTENCES]], [pair.de for pair in phrases[:SENTENCES]]


@pytest.fixture
def model(tokenizer: Tokenizer) -> Seq2Seq:
    """Return a model in training mode with dropout."""
    torch.manual_seed(1)
    config = model_config(embed_size=8, hidden_size=8, dropout=0.5, word_dropout=0.5)
    return build_model(config, Vocabulary(tokenizer.size, tokenizer.size)).train()


@pytest.fixture
def validator(model: Seq2Seq, text: Sides, tokenizer: Tokenizer) -> Validator:
    store = PairStore.of(*(tokenizer.encode(lines) for lines in text))
    return Validator(model, store, text, (tokenizer, tokenizer), BEAM, "13a")


def nll_of_each(model: Seq2Seq, text: Sides, tokenizer: Tokenizer) -> list[Tensor]:
    """Compute the words' negative log-likelihoods of each sentence in a batch of its own."""
    actual = []
    for src, tgt in zip(*(tokenizer.encode(lines) for lines in text), strict=True):
        batch = make_batch([src], [tgt], [0])
        logits = model(batch.src, batch.src_mask, batch.tgt_in)
        actual.append(cross_entropy(logits.squeeze(1), batch.tgt_out.squeeze(1), reduction="none"))
    return actual


def test_perplexity_is_that_of_all_words_one_sentence_at_a_time(
    validator: Validator, model: Seq2Seq, text: Sides, tokenizer: Tokenizer
) -> None:
    actual = validator()
    words = torch.cat(nll_of_each(model.eval(), text, tokenizer))
    assert actual["valid/loss"] == pytest.approx(words.mean().item(), rel=1e-5)
    assert actual["valid/perplexity"] == pytest.approx(words.mean().exp().item(), rel=1e-5)


def test_replacing_unknown_words_leaves_the_model_in_training_mode(
    model: Seq2Seq, text: Sides, tokenizer: Tokenizer
) -> None:
    """The words are aligned by the attention under forced decoding, which is made without dropout."""
    with torch.no_grad():
        model.output_bias[UNK_ID] = 100.0
    store = PairStore.of(*(tokenizer.encode(lines) for lines in text))
    search = replace(BEAM, replace_unknown="copy")
    Validator(model, store, text, (tokenizer, tokenizer), search, "13a")()
    assert model.training
    assert all(module.training for module in model.modules())


def test_loss_is_that_of_training_with_its_label_smoothing(model: Seq2Seq, text: Sides, tokenizer: Tokenizer) -> None:
    src, tgt = (tokenizer.encode(lines) for lines in text)
    actual = Validator(model, PairStore.of(src, tgt), text, (tokenizer, tokenizer), BEAM, "13a", 0.2)()
    loss, tokens = 0.0, 0
    for one, other in zip(src, tgt, strict=True):
        batch = make_batch([one], [other], [0])
        with torch.no_grad():
            logits = model.eval()(batch.src, batch.src_mask, batch.tgt_in).flatten(0, 1)
        loss += cross_entropy(logits, batch.tgt_out.flatten(), reduction="sum", label_smoothing=0.2).item()
        tokens += batch.tokens
    assert actual["valid/loss"] == pytest.approx(loss / tokens, rel=1e-5)
    assert actual["valid/perplexity"] != pytest.approx(math.exp(actual["valid/loss"]), rel=1e-3)


def test_bleu_is_sacrebleus_of_greedy_translations(
    validator: Validator, model: Seq2Seq, text: Sides, tokenizer: Tokenizer
) -> None:
    actual = validator()
    translations = [best.text for best, *_ in Translator(model, tokenizer, tokenizer, GREEDY).translate(text[0])]
    expected = sacrebleu.corpus_bleu(translations, [text[1]], tokenize="13a")
    assert (actual["valid/bleu"], actual["valid/matching_4grams"]) == (expected.score, expected.counts[3])


def test_a_model_that_writes_the_references_has_a_bleu_of_a_hundred(
    model: Seq2Seq, text: Sides, tokenizer: Tokenizer
) -> None:
    src, references = text
    store = PairStore.of(*(tokenizer.encode(lines) for lines in text))
    wished = [best.text for best, *_ in Translator(model, tokenizer, tokenizer, GREEDY).translate(src)]
    scores = [
        Validator(model, store, (src, wanted), (tokenizer, tokenizer), BEAM, "char")()["valid/bleu"]
        for wanted in (wished, references)
    ]
    assert scores[0] == pytest.approx(100)
    assert scores[1] < 50


@pytest.mark.parametrize("use", [Validator.__call__, Validator.check])
def test_training_does_not_notice_a_validation(
    validator: Validator, model: Seq2Seq, use: Callable[[Validator], object]
) -> None:
    random_state = torch.get_rng_state()
    weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    use(validator)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(module.training for module in model.modules())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, weights[name])
        assert parameter.requires_grad
        assert parameter.grad is None


def test_a_validation_twice_gives_the_same_numbers(validator: Validator) -> None:
    assert validator() == validator()


def test_the_check_before_training_reads_two_batches_and_decodes_four_sentences(
    validator: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    translate = validator.translator.translate
    monkeypatch.setattr(validator.translator, "translate", lambda lines: decoded.append(len(lines)) or translate(lines))
    validator.check()
    assert decoded == [4]
    assert validator.likelihood(max_batches=1)[2] < validator.likelihood(max_batches=2)[2]


@pytest.mark.parametrize(
    ("nll", "tokens", "expected"),
    [(0.0, 5, 1.0), (10 * math.log(7), 10, 7.0), (1e6, 10, math.inf), (math.inf, 1, math.inf), (math.nan, 1, math.inf)],
)
def test_perplexity_is_infinite_rather_than_an_overflow(nll: float, tokens: int, expected: float) -> None:
    assert perplexity(nll, tokens) == pytest.approx(expected)


@pytest.mark.parametrize(("language", "sentences"), [("de", 2), ("en", 3)])
def test_long_lines_are_split_by_the_rules_of_the_source_language(
    model: Seq2Seq, text: Sides, tokenizer: Tokenizer, language: str, sentences: int
) -> None:
    """`Am 3. Mai` ends a sentence after the number in English, but not in German."""
    first, second = "Am 3. Mai ist das Haus neu.", "Es ist rot."
    search = replace(BEAM, max_source_pieces=len(tokenizer.encode([first])[0]) + 1)
    store = PairStore.of(*(tokenizer.encode(lines) for lines in text))
    validator = Validator(model, store, text, (tokenizer, tokenizer), search, "13a", src_lang=language)
    assert len(validator.translator.parts([f"{first} {second}"])[0]) == sentences
