"""Attention maps of the n best translations of a sentence."""

from dataclasses import dataclass

import torch

from nmt.data import EOS_ID, make_batch, normalise
from nmt.decoding import AttentionMap, Translator
from nmt.errors import UserError


@dataclass(frozen=True)
class Attended:
    """Translation with its attention map."""

    text: str
    log_prob: float
    """Log-probability, in nats."""
    score: float
    """Log-probability after the length penalty, by which translations are ranked."""
    attention: AttentionMap


@torch.inference_mode()
def attend(translator: Translator, sentence: str) -> list[Attended]:
    """Translate a sentence and return the n best translations with their attention maps, best first.

    Each map is computed for the pieces that the search chose; tokenising the text again could give other pieces. The
    map of an ensemble is the mean over the members with attention.

    Raises:
        UserError: the model has no attention, or the sentence is empty.
    """
    (src,) = translator.src.encode([normalise(sentence)])
    if not src:
        raise UserError("sentence is empty; give a sentence with at least one word")
    (hypotheses,) = translator.search([src], lambda count: None)
    targets = [hypothesis.tokens for hypothesis in hypotheses]
    batch = make_batch([src] * len(targets), targets, range(len(targets))).to(translator.device)
    translator.model.eval()
    weights = translator.model.attention(batch.src, batch.src_mask, batch.tgt_in)  # (B, T, S)
    if weights is None:
        raise UserError("the model has no attention to show; choose a run with model.attention")
    return [
        Attended(
            translator.tgt.decode([hypothesis.tokens])[0],
            hypothesis.log_prob,
            hypothesis.score,
            AttentionMap(
                translator.src.pieces([*src, EOS_ID]),
                translator.tgt.pieces([*hypothesis.tokens, EOS_ID]),
                rows[: len(hypothesis.tokens) + 1].float().tolist(),
            ),
        )
        for hypothesis, rows in zip(hypotheses, weights, strict=True)
    ]
