"""Floating-point operations that a model has to do, padding not counted."""

from dataclasses import dataclass

from nmt.config import AttentionKind, ModelConfig
from nmt.data import Batch
from nmt.errors import UserError

COUNTED = (
    "cell",
    "bidirectional_layers",
    "direction_size",
    "encoder_transitions",
    "encoder_feed_forward",
    "decoder",
)
"""Settings that change the count, and of which it knows the default alone."""


@dataclass
class Work:
    """Real tokens of some sentence pairs, eos counted."""

    sentences: int = 0
    src_tokens: int = 0
    tgt_tokens: int = 0
    tokens_squared: int = 0
    """Source tokens times target tokens, summed over the pairs: what attention looks at."""

    def add(self, batch: Batch) -> None:
        src, tgt = batch.src_mask.sum(0), batch.tgt_mask.sum(0)
        self.sentences += len(batch.indices)
        self.src_tokens += int(src.sum())
        self.tgt_tokens += int(tgt.sum())
        self.tokens_squared += int((src * tgt).sum())


def forward_flops(config: ModelConfig, words: int, work: Work) -> int:
    """Of the matrix products of one forward pass: two for each weight that a token meets.

    With E, H, V the sizes of embedding, hidden state and target vocabulary, C = H with attention and 0 without it:

        source token    encoder layer, each direction of width W: 2 . 4 W (I + 1 + W), the 1 for the mask that is the
                        bias; keys: 2 H A (general: A = H; additive: A = H / 2; dot: none)
        sentence        bridge: 2 . 2 H L H
        target token    decoder layer: 2 . 4 H (I + H), I = E (+ E with input feeding) below, H + C above;
                        readout: 2 (H + C) E; output: 2 E V; additive: the query, 2 H A
        pair of tokens  score and context: 2 H + 2 H (additive: 2 A + 2 H)

    Raises:
        UserError: the formula is not that of this model.
    """
    usual = ModelConfig()
    if strange := [
        f"model.{name}={value}" for name in COUNTED if (value := getattr(config, name)) != getattr(usual, name)
    ]:
        raise UserError(f"no formula for the operations of {', '.join(strange)}; measure the default's")
    e, h = config.embed_size, config.hidden_size
    width, directions = (h // 2, 2) if config.bidirectional else (h, 1)
    context = h if config.attention else 0
    key, query, pair = {
        None: (0, 0, 0),
        AttentionKind.dot: (0, 0, 4 * h),
        AttentionKind.general: (2 * h * h, 0, 4 * h),
        AttentionKind.additive: (h * h, h * h, h + 2 * h),
    }[config.attention]
    inputs = [e] + [h] * (config.encoder_layers - 1)
    source = sum(directions * 2 * 4 * width * (size + 1 + width) for size in inputs) + key
    sentence = 2 * 2 * h * h * config.decoder_layers
    inputs = [e + (e if config.input_feeding else 0)] + [h + context] * (config.decoder_layers - 1)
    target = sum(2 * 4 * h * (size + h) for size in inputs) + 2 * (h + context) * e + 2 * e * words + query
    return work.src_tokens * source + work.sentences * sentence + work.tgt_tokens * target + work.tokens_squared * pair


def training_flops(config: ModelConfig, words: int, work: Work) -> int:
    """Forward, and twice that backward: one product for the inputs' gradient, one for the weights'."""
    return 3 * forward_flops(config, words, work)
