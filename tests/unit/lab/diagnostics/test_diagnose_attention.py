"""Attention maps of the n best translations, compared with the attention of each hypothesis alone."""

import pytest
import torch
from shapes import model_config

from nmt.config import AttentionKind, SearchConfig, SearchKind, TokenizerConfig
from nmt.data import EOS_ID, Tokenizer, make_batch
from nmt.data.tokenizer import train_tokenizer
from nmt.decoding import Ensemble, Translator
from nmt.errors import UserError
from nmt.lab.diagnostics.attention import attend
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.phrasebook import pairs

SENTENCE = "The station is closed."


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    lines = [side for pair in pairs(300, seed=1) for side in pair]
    return Tokenizer(train_tokenizer(lines, TokenizerConfig(vocab_size=200)))


def model(tokenizer: Tokenizer, seed: int, attention: AttentionKind | None = AttentionKind.additive) -> Seq2Seq:
    torch.manual_seed(seed)
    config = model_config(embed_size=8, hidden_size=8, attention=attention)
    built = build_model(config, Vocabulary(tokenizer.size, tokenizer.size)).eval()
    with torch.no_grad():
        built.output_bias.normal_()
        built.output_bias[EOS_ID] = 4.0  # so that hypotheses differ in length
    return built


SEARCH = SearchConfig(beam_size=4, n_best=4, max_length_ratio=1.0)


def test_each_map_is_that_of_its_own_pieces_read_alone(tokenizer: Tokenizer) -> None:
    one = model(tokenizer, 1)
    translator = Translator(one, tokenizer, tokenizer, SEARCH)
    attended = attend(translator, f"  {SENTENCE} ")
    (candidates,) = translator.translate([SENTENCE])
    assert [(best.text, best.score, best.log_prob) for best in attended] == [
        (candidate.text, candidate.score, candidate.log_prob) for candidate in candidates
    ]
    (src,) = tokenizer.encode([SENTENCE])
    (hypotheses,) = translator.search([src], lambda count: None)
    assert len(attended) == 4
    assert len({len(best.attention.tgt) for best in attended}) > 1
    for best, hypothesis in zip(attended, hypotheses, strict=True):
        batch = make_batch([src], [hypothesis.tokens], [0])
        alone = one.attention(batch.src, batch.src_mask, batch.tgt_in)
        torch.testing.assert_close(torch.tensor(best.attention.weights), alone[0], atol=1e-6, rtol=1e-5)
        assert best.attention.src == [*tokenizer.pieces(src), "</s>"]
        assert best.attention.tgt == [*tokenizer.pieces(hypothesis.tokens), "</s>"]


def test_an_ensembles_map_is_the_mean_of_those_that_attend(tokenizer: Tokenizer) -> None:
    members = [model(tokenizer, 1), model(tokenizer, 2), model(tokenizer, 3, None)]
    translator = Translator(Ensemble(members), tokenizer, tokenizer, SEARCH)
    (src,) = tokenizer.encode([SENTENCE])
    (hypotheses,) = translator.search([src], lambda count: None)
    for best, hypothesis in zip(attend(translator, SENTENCE), hypotheses, strict=True):
        batch = make_batch([src], [hypothesis.tokens], [0])
        alone = [member.attention(batch.src, batch.src_mask, batch.tgt_in)[0] for member in members[:2]]
        torch.testing.assert_close(torch.tensor(best.attention.weights), sum(alone) / 2, atol=1e-6, rtol=1e-5)


def test_greedy_search_has_one_map(tokenizer: Tokenizer) -> None:
    search = SearchConfig(kind=SearchKind.greedy, beam_size=1, max_length_ratio=1.0)
    assert len(attend(Translator(model(tokenizer, 1), tokenizer, tokenizer, search), SENTENCE)) == 1


def test_no_attention_and_no_words_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match="the model has no attention to show"):
        attend(Translator(model(tokenizer, 1, None), tokenizer, tokenizer, SEARCH), SENTENCE)
    with pytest.raises(UserError, match="sentence is empty"):
        attend(Translator(model(tokenizer, 1), tokenizer, tokenizer, SEARCH), " \t")
