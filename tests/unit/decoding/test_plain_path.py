"""Translation compared with a plain implementation that decodes each hypothesis from its start and sorts all words."""

import pytest
import torch
from torch import Tensor
from toy_translator import PAIRS, build

from nmt.config import AttentionKind, TokenizerConfig
from nmt.data import EOS_ID, Tokenizer, make_batch
from nmt.data.tokenizer import train_tokenizer
from nmt.decoding import Translator
from nmt.decoding.hypothesis import SYMBOLS


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:

    return Tokenizer(train_tokenizer([side for pair in PAIRS for side in pair], TokenizerConfig(vocab_size=300)))


def next_log_probs(translator: Translator, src: list[int], tokens: list[int]) -> Tensor:
    batch = make_batch([src], [tokens], [0])
    logits = translator.model(batch.src, batch.src_mask, batch.tgt_in)  # type: ignore[operator]
    found: Tensor = logits[-1, 0].log_softmax(dim=-1)
    found[list(SYMBOLS.banned)] = float("-inf")
    return found


@torch.inference_mode()
def plain(translator: Translator, line: str) -> str:
    """Run beam search with the average length penalty, without the early end."""
    size = translator.config.beam_size
    src = translator.src.encode([line])[0]
    most = translator.config.max_length_offset
    live: list[tuple[float, list[int]]] = [(0.0, [])]
    finished: list[tuple[float, list[int]]] = []
    for length in range(1, most + 2):
        longer = [
            (score + log_prob, [*tokens, word])
            for score, tokens in live
            for word, log_prob in enumerate(next_log_probs(translator, src, tokens).tolist())
            if length <= most or word == EOS_ID
        ]
        best = sorted(longer, key=lambda pair: -pair[0])[: 2 * size]
        finished += [(score / length, tokens[:-1]) for score, tokens in best[:size] if tokens[-1] == EOS_ID]
        live = [pair for pair in best if pair[1][-1] != EOS_ID][:size]
        if len(finished) >= size:
            break
    return translator.tgt.decode([max(finished)[1]])[0]


@pytest.mark.parametrize("attention", [AttentionKind.additive, AttentionKind.general, None])
def test_the_fast_path_agrees_with_the_plain_one_to_the_character(
    tokenizer: Tokenizer, attention: AttentionKind | None
) -> None:
    translator = build(tokenizer, attention)
    translator.model.eval()
    lines = [pair.en for pair in PAIRS[:8]]
    fast = [best.text for best, *_ in translator.translate(lines)]
    assert fast == [plain(translator, line) for line in lines]
    assert len(set(fast)) > 4
