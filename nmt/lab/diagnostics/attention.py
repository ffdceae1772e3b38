"""Where a model looked for each of the n best translations that a search found."""

from dataclasses import dataclass

import torch

from nmt.data import EOS_ID, make_batch, normalise
from nmt.decoding import AttentionMap, Translator
from nmt.errors import UserError


@dataclass(frozen=True)
class Attended:
    """A translation, and where the model looked."""

    text: str
    log_prob: float
    """Natural logarithm of its probability."""
    score: float
    """After the length penalty, what translations are ranked by."""
    attention: AttentionMap


@torch.inference_mode()
def attend(translator: Translator, sentence: str) -> list[Attended]:
    """The n best translations of a sentence, best first, as many as the search returns.

    Each map is of the very pieces that the search chose, which need not be those that its text would be cut into. Of
    an ensemble it is the mean over the members that have attention.

    Raises:
        UserError: the model has no attention, or the sentence is empty.
    """
    (src,) = translator.src.encode([normalise(sentence)])
    if not src:
        raise UserError("sentence is empty; give one with words in it")
    (found,) = translator.search([src], lambda count: None)
    batch = make_batch([src] * len(found), [best.tokens for best in found], range(len(found))).to(translator.device)
    translator.model.eval()
    weights = translator.model.attention(batch.src, batch.src_mask, batch.tgt_in)  # (B, T, S)
    if weights is None:
        raise UserError("the model has no attention to show; choose a run with model.attention")
    return [
        Attended(
            translator.tgt.decode([best.tokens])[0],
            best.log_prob,
            best.score,
            AttentionMap(
                translator.src.pieces([*src, EOS_ID]),
                translator.tgt.pieces([*best.tokens, EOS_ID]),
                rows[: len(best.tokens) + 1].float().tolist(),
            ),
        )
        for best, rows in zip(found, weights, strict=True)
    ]
